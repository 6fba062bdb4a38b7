"""The report: one HTML file that opens without a network, the answer first.

Figures are JSON that plotly.js, embedded once, draws; nothing is fetched, and the page itself forbids
it (Content-Security-Policy).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from allometry.report import study_tables, tables
from allometry.report.figures import (
    Figure,
    isoflop_figures,
    loss_figure,
    parts_figure,
    position_figure,
    rate_figures,
    reach_figure,
    training_figure,
)
from allometry.report.numbers import duration, number, plain, scientific
from allometry.report.palette import DARK, LIGHT, Mark, marks
from allometry.report.strips import strip
from allometry.report.transfer_tables import alphas_table, downstream_table

_HERE = Path(__file__).parent


def render(bundle: dict[str, Any]) -> str:
    """Write the report of a study as one HTML text.

    `bundle` has the keys `answer` (docs/answer.md), `runs`, `learning_curves`, `positions`, `costs`, `baselines`,
    `downstream`, `alphas` and `study`; what is missing or empty is said to be missing on the page. Numbers may be numpy's;
    NaN and infinity count as missing.
    """
    curves = bundle.get("learning_curves") or {}  # large, and only a few are drawn
    bundle = plain({key: value for key, value in bundle.items() if key != "learning_curves"})
    parts = {key: bundle.get(key) or {} for key in ("answer", "positions", "study")} | {"learning_curves": curves}
    lists = {key: bundle.get(key) or [] for key in ("runs", "costs", "baselines", "downstream", "alphas")}
    known = marks(_families(parts, lists))
    figures = _figures(parts, lists, known)
    return draw(
        "page.html",
        parts["study"].get("title") or "Comparison of architectures",
        figures,
        known,
        **parts,
        **lists,
        grids=_grids(parts["answer"], parts["study"], lists),
        strips=[strip(parts["answer"], axis) for axis in tables.AXES],
        headline=tables.answer_lines(parts["answer"]),
        level=tables.level_text(parts["answer"]),
        warnings=_grouped(parts["answer"].get("warnings") or []),
        counts=_counts(lists["runs"]),
    )


def draw(template: str, title: str, figures: dict[str, Any], known: dict[str, Mark], **content: Any) -> str:
    """One of the templates in this folder as a whole page, with its figures, style and script inside."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"scientific": scientific, "number": number, "duration": duration}
    return environment.get_template(template).render(
        **content,
        title=title,
        marks=known,
        figures=figures,
        light=LIGHT,
        dark=DARK,
        data=_script_json({"figures": {f.id: f.document() for f in _each(figures)}, "light": LIGHT, "dark": DARK}),
        css=(_HERE / "page.css").read_text(encoding="utf-8"),
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
    )


def _families(parts: dict[str, Any], lists: dict[str, Any]) -> Iterable[str]:
    answer = parts["answer"]
    yield from answer.get("families") or []
    for key in ("frontier", "laws", "slopes", "holdout", "rates"):
        yield from (item["family"] for item in answer.get(key) or [])
    for curves in (answer.get("curves") or {}).values():
        yield from (curve["family"] for curve in curves or [])
    for rows in (lists["runs"], lists["costs"]):
        yield from (row["family"] for row in rows)
    yield from parts["positions"]


def _figures(parts: dict[str, Any], lists: dict[str, Any], known: dict[str, Mark]) -> dict[str, Any]:
    answer, runs = parts["answer"], lists["runs"]
    return {
        "loss": loss_figure(answer, runs, lists["baselines"], known),
        "isoflop": isoflop_figures(answer, runs, known),
        "rates": rate_figures(answer, known),
        "training": training_figure(runs, parts["learning_curves"], known),
        "positions": position_figure(parts["positions"], known),
        "reach": reach_figure(parts["positions"], known),
        "parts": parts_figure(lists["costs"]),
    }


def _each(figures: dict[str, Any]) -> Iterable[Figure]:
    for found in figures.values():
        yield from found if isinstance(found, list) else [found] if found else []


def _grids(answer: dict[str, Any], study: dict[str, Any], lists: dict[str, Any]) -> dict[str, Any]:
    machine = {key: study.get(key) for key in ("device", "precision", "jobs", "revision", "seeds") if key in study}
    return {
        "pairs": tables.pairs_table(answer),
        "budgets": tables.budgets_table(answer),
        "winners": [tables.winners_table(answer, axis) for axis in tables.AXES],
        "frontier": tables.frontier_table(answer),
        "crossovers": tables.crossovers_table(answer),
        "laws": tables.laws_table(answer),
        "slopes": tables.slopes_table(answer),
        "matched_slopes": tables.matched_slopes_table(answer),
        "holdout": tables.holdout_table(answer),
        "rates": tables.rates_table(answer),
        "target": tables.target_table(answer),
        "costs": study_tables.costs_table(lists["costs"]),
        "baselines": study_tables.baselines_table(lists["baselines"]),
        "downstream": downstream_table(lists["downstream"]),
        "every_downstream": downstream_table(lists["downstream"], every=True),
        "alphas": alphas_table(lists["alphas"]),
        "plan": study_tables.plan_table(study.get("plan") or []),
        "overhead": study_tables.overhead_table(study),
        "data": study_tables.facts_table("Data", study.get("data") or {}),
        "machine": study_tables.facts_table("Machine", machine | (study.get("versions") or {})),
    }


def _grouped(warnings: list[dict[str, Any]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for warning in warnings:
        groups.setdefault(str(warning.get("kind") or "other").replace("_", " "), []).append(str(warning.get("text") or ""))
    return groups


def _counts(runs: list[dict[str, Any]]) -> dict[str, int]:
    kinds = {"runs": len(runs), "scored": 0, "tuning": 0, "diverged": 0, "failed": 0}
    for row in runs:
        kinds["tuning" if row.get("stage") == "tune" else "scored"] += 1
        if row.get("status") in ("diverged", "failed"):
            kinds[row["status"]] += 1
    return kinds


def _script_json(value: Any) -> str:
    """JSON that may stand inside a script element: no text in it can end the element or open a comment."""
    text = json.dumps(_short(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _short(value: Any) -> Any:
    # Six digits are more than a screen shows, and halve the size of the page.
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return value

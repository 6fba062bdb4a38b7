"""IsoFLOP curves: at each budget, loss against size. Where the curve has its lowest point inside, that is the best size."""

from typing import Any

from allometry.report.figures._figure import LABELLED, Figure, Trace, axis, ends, layout, log_range, points, shade
from allometry.report.numbers import number, scientific
from allometry.report.palette import Mark
from allometry.report.tables import budget_unit


def isoflop_figures(answer: dict[str, Any], runs: list[dict[str, Any]], marks: dict[str, Mark]) -> list[Figure]:
    """One figure per family that has scored runs."""
    unit = budget_unit(answer)
    scored = [r for r in runs if r.get("stage") != "tune" and r.get("bpb") and r.get("N") and r.get("budget")]
    budgets = sorted({row["budget"] for row in scored})
    figures = []
    for family, mark in marks.items():
        mine = [row for row in scored if row["family"] == family]
        if not mine:
            continue
        traces: list[Trace] = []
        for place, budget in enumerate(budgets):
            rows = [row for row in mine if row["budget"] == budget]
            if rows:
                traces += _level(rows, f"{scientific(budget)} {unit}", mark, shade(place, len(budgets)))
        optima = [at for at in answer.get("frontier") or [] if at["family"] == family and at.get("N") and at.get("loss")]
        traces += [_optimum(at, mark) for at in optima]
        reach = log_range([row["bpb"] for row in mine] + [at["loss"] for at in optima])
        edges = sum(not at.get("interior") for at in optima)
        flagged = (
            f"{edges} of {len(optima)} optima lie at the edge of the sizes run (open): the true best size may be beyond."
        )
        figures.append(
            Figure(
                id=f"isoflop-{mark.index}",
                title=family,
                caption=flagged
                if edges
                else f"{len(optima)} optima, all inside the sizes run."
                if optima
                else "The best size was not measured.",
                layout=layout(axis("N: active non-embedding parameters"), axis("Loss (bits per byte)") | reach, **LABELLED),
                traces=traces,
                height="short",
            )
        )
    return figures


def _level(rows: list[dict[str, Any]], label: str, mark: Mark, opacity: float) -> list[Trace]:
    by_size: dict[float, list[float]] = {}
    for row in rows:
        by_size.setdefault(row["N"], []).append(row["bpb"])
    sizes = sorted(by_size)
    means = [sum(by_size[size]) / len(by_size[size]) for size in sizes]
    line: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": sizes,
        "y": means,
        "line": {"color": mark.colour, "width": 2},
        "opacity": opacity,
        "hoverinfo": "skip",
        "meta": {},
    }
    marker = {"color": mark.colour, "symbol": mark.symbol, "size": 6, "opacity": opacity}
    text = [
        f"<b>{label}</b>, size {row.get('size')}, seed {row.get('seed')}<br>N {scientific(row['N'])}, "
        f"D {scientific(row.get('D'))}<br><b>{number(row['bpb'], 4)} bits per byte</b>"
        for row in rows
    ]
    dots = points([row["N"] for row in rows], [row["bpb"] for row in rows], text, marker)
    return [line, dots, ends(sizes, means, label.split(" ")[0])]


def _optimum(at: dict[str, Any], mark: Mark) -> Trace:
    marker: dict[str, Any] = {
        "color": mark.colour,
        "symbol": mark.symbol,
        "size": 13,
        "line": {"color": "@ink", "width": 1.6},
    }
    where = "inside the sizes run"
    if not at.get("interior"):
        marker |= {"color": "@page", "line": {"color": mark.colour, "width": 2}}
        where = "at the edge of the sizes run: the best size may lie beyond"
    found = f"N {scientific(at['N'])}, {number(at['loss'], 4)} bits per byte"
    text = f"<b>best size at {scientific(at.get('budget'))}</b><br>{found}<br>{where}"
    trace = points([at["N"]], [at["loss"]], [text], marker)
    if at.get("N_low") and at.get("N_high"):
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, at["N_high"] - at["N"])],
            "arrayminus": [max(0.0, at["N"] - at["N_low"])],
            "color": mark.colour,
            "thickness": 1.4,
        }
    return trace

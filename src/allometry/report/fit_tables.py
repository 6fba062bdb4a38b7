"""What fits of a user's own table say, as tables and lines; the keys are those of `Fits.to_json()` and what stands beside it."""

from typing import Any

from allometry.report.grid import Column, Grid, cell, family_cell
from allometry.report.numbers import MISSING, estimate, number, percent, plain, probability, scientific


def grids(content: dict[str, Any]) -> list[Grid]:
    """Every table that the content has something for."""
    content = plain(content)
    found = [parameters_table(content["fits"])] if "fits" in content else []
    found += [regions_table(content["winners"]), crossings_table(content["winners"])] if content.get("winners") else []
    found += [predictions_table(content["predictions"])] if content.get("predictions") else []
    found += [splits_table(content["splits"])] if content.get("splits") else []
    found += [approaches_table(one) for one in content.get("approaches") or []]
    found += [rollout_table(content["rollout"])] if content.get("rollout", {}).get("scores") else []
    return found


def lines(content: dict[str, Any]) -> list[str]:
    """Sentences under the tables: what not to trust, notes, tests, places of files."""
    found = [f"{who}: {text}." for text, who in _merged(content.get("fits") or []).items()]
    found += [f"Note: {note.rstrip('.')}." for note in content.get("notes") or []]
    found += [f"Groups are not compared: {content['not_compared']}"] if content.get("not_compared") else []
    for key in ("sharing", "speedup", "rollout"):
        found += [content[key]["text"]] if content.get(key) else []
    for one in content.get("approaches") or []:
        found += [f"{one['group'] or 'Note'}: {note.rstrip('.')}." for note in one["notes"]]
    found += [f"Saved: {content['saved']}"] if "saved" in content else []
    found += [f"Report: {content['report']}"] if "report" in content else []
    return found


def parameters_table(fits: list[dict[str, Any]]) -> Grid:
    """One row for each parameter of each group: the shape that fits a terminal, whatever the law."""
    cells = [
        (
            cell("") if index else family_cell(fit["family"]),
            cell(name),
            cell(*estimate(value["value"], value["low"], value["high"], 3)),
            cell(value["unit"] or ""),
        )
        for fit in fits
        for index, (name, value) in enumerate(fit["parameters"].items())
    ]
    columns = (
        Column(name="group", text=True),
        Column(name="parameter", text=True),
        Column(name="value"),
        Column(name="unit", text=True),
    )
    title = f"{fits[0]['equation']}, by {fits[0]['criterion']}" if fits else "Laws"
    return Grid(title=title, columns=columns, rows=tuple(cells), empty="There is no fit.")


def predictions_table(rows: list[dict[str, Any]]) -> Grid:
    """The loss of a new run at each place."""
    cells = [
        (family_cell(row["group"]), cell(row["at"]), cell(*estimate(row["value"], row["low"], row["high"], 4)))
        for row in rows
    ]
    columns = (
        Column(name="group", text=True),
        Column(name="at", text=True),
        Column(name="of a new run", tip="with the doubt of the law and the scatter of runs"),
    )
    return Grid(title="Predictions", columns=columns, rows=tuple(cells))


def regions_table(content: dict[str, Any]) -> Grid:
    """Who has the lowest loss in each region, by the draws of the laws."""
    names = list(content["regions"][0]["probability"]) if content["regions"] else []
    likely = [max(region["probability"], key=region["probability"].get) for region in content["regions"]]
    cells = [
        (
            cell(scientific(region["low"])),
            cell(scientific(region["high"]), "beyond the runs" if region["beyond"] else ""),
            cell(region["winner"] or "cannot tell", tone="strong" if region["winner"] else "soft"),
            family_cell(first),
            cell(probability(region["probability"][first])),
            *(cell(probability(region["probability"][name])) for name in names),
        )
        for region, first in zip(content["regions"], likely, strict=True)
    ]
    columns = (
        Column(name=f"{content['variable']} from"),
        Column(name="to"),
        Column(name="winner", text=True),
        Column(name="likeliest", text=True),
        Column(name="its share", tip="of draws in which it has the lowest loss"),
        *(Column(name=name, unit="share", page_only=True) for name in names),
    )
    return Grid(title="Who wins where, if the law holds (`decide` weighs laws too)", columns=columns, rows=tuple(cells))


def crossings_table(content: dict[str, Any]) -> Grid:
    """Where two groups change places."""
    cells = [
        (
            family_cell(row["better_below"]),
            family_cell(row["better_above"]),
            cell(scientific(row["value"]), f"[{scientific(row['low'])}, {scientific(row['high'])}]"),
            cell(probability(row["probability"])),
        )
        for row in content["crossings"]
    ]
    columns = (
        Column(name="better below", text=True),
        Column(name="better above", text=True),
        Column(name=f"change places at {content['variable']}"),
        Column(name="share of draws that cross"),
    )
    return Grid(title="Crossings", columns=columns, rows=tuple(cells), empty="no two groups change places within reach.")


def splits_table(rows: list[dict[str, Any]]) -> Grid:
    """What to train for a loss or a compute, which is one for all rows; what no row has takes no column."""
    units = {"C": "FLOPs", "N": "parameters", "D": "tokens", "loss": ""}
    question = rows[0]["question"] if rows else ""
    at_compute = question.startswith("at ")
    asked = "C" if at_compute else "loss"
    shown = [name for name in units if name != asked and any(row.get(name) for row in rows)]
    cells = []
    for row in rows:
        found = [(estimate(*row[n], 4) if n == "loss" else _counted(row[n])) if row.get(n) else (MISSING, "") for n in shown]
        cells.append((family_cell(row["group"]), *(cell(*each) for each in found)))
    columns = (Column(name="group", text=True), *(Column(name=name, unit=units[name]) for name in shown))
    title = f"What to train {question}" if at_compute else f"What to train for {question}"
    return Grid(title=title, columns=columns, rows=tuple(cells))


def approaches_table(content: dict[str, Any]) -> Grid:
    """The three ways to the compute-optimal size (Hoffmann et al., 2022)."""
    cells = [
        (
            cell(row["approach"]),
            cell(*estimate(row["exponent"], row["low"], row["high"], 3), why=row["reason"]),
            cell(scientific(row["N"]), why=row["reason"]),
            cell(row["reason"] or "", tone="loud"),
        )
        for row in content["approaches"]
    ]
    at = scientific(content["approaches"][0]["C"]) if content["approaches"] else MISSING
    columns = (
        Column(name="approach", text=True),
        Column(name="exponent of N* in C"),
        Column(name=f"N* at {at} FLOPs", unit="parameters"),
        Column(name="why not", text=True),
    )
    title = "Three approaches to the compute-optimal size" + (f", {content['group']}" if content["group"] else "")
    return Grid(title=title, columns=columns, rows=tuple(cells))


def rollout_table(content: dict[str, Any]) -> Grid:
    """How well each law predicted the largest runs from all smaller ones."""
    cells = [
        (
            cell(law),
            cell(number(percent(score), 2)),
            cell("chosen" if law == content["choice"] else "", tone="strong"),
        )
        for law, score in sorted(content["scores"].items(), key=lambda item: item[1])
    ]
    columns = (Column(name="law", text=True), Column(name="held-out error", unit="%"), Column(name="", text=True))
    return Grid(title="Prediction of the largest runs", columns=columns, rows=tuple(cells))


def findings_table(fits: list[dict[str, Any]]) -> Grid:
    """What not to trust: each finding once, with its kind and the groups that it is about."""
    kinds = {finding["text"].rstrip("."): finding["kind"] for fit in fits for finding in fit["findings"]}
    cells = [(cell(who), cell(kinds.get(text, "")), cell(text, tone="loud")) for text, who in _merged(fits).items()]
    columns = (Column(name="group", text=True), Column(name="kind", text=True), Column(name="what", text=True))
    return Grid(title="What not to trust", columns=columns, rows=tuple(cells), empty="Nothing was found.")


def diagnosis_table(fits: list[dict[str, Any]]) -> Grid:
    """How the search ended: that a minimum was found is part of the answer."""
    cells = []
    for fit in fits:
        looked = fit["diagnosis"]
        if looked:
            profile = ", ".join(f"{name} {_ends(ends)}" for name, ends in looked["profile"].items())
            cells.append(
                (
                    family_cell(fit["family"]),
                    cell(fit["criterion"]),
                    cell(str(fit["points"])),
                    cell(f"{looked['agreeing']} of {looked['starts']}", f"out of {looked['screened']}"),
                    cell(f"{looked['gradient']:.0e}"),
                    cell(number(percent(looked["scatter"]), 2)),
                    cell(profile or MISSING),
                )
            )
    columns = (
        Column(name="group", text=True),
        Column(name="criterion", text=True),
        Column(name="points"),
        Column(name="starts that agree"),
        Column(name="force left", tip="gradient at the minimum, as a share of the forces that cancel there"),
        Column(name="scatter", unit="%", tip="of points around the law"),
        Column(name="profile intervals", text=True, tip="by refitting with the parameter held still"),
    )
    return Grid(title="How it was found", columns=columns, rows=tuple(cells), empty="Fitted to the draws of a study.")


def _merged(fits: list[dict[str, Any]]) -> dict[str, str]:
    """Each finding once, with the groups that it is about."""
    about: dict[str, list[str]] = {}
    for fit in fits:
        for flag in fit["flags"]:
            about.setdefault(flag.rstrip("."), []).append(fit["family"])
    return {
        flag: who[0] if len(who) == 1 else "all groups" if len(who) == len(fits) else f"{who[0]} and {len(who) - 1} more"
        for flag, who in about.items()
    }


def _counted(three: list[float | None] | None) -> tuple[str, str]:
    if not three or three[0] is None:
        return MISSING, ""
    ends = ["unbounded" if end is None else scientific(end) for end in three[1:]]
    return scientific(three[0]), f"[{ends[0]}, {ends[1]}]"


def _ends(ends: list[float | None]) -> str:
    return "[" + ", ".join("unbounded" if end is None else number(end, 3) for end in ends) + "]"

"""Answers to questions about a table of runs, as tables: challenges of an audit, decisions, runs to add."""

from typing import Any

from allometry.report.grid import Column, Grid, cell, family_cell
from allometry.report.numbers import MISSING, estimate, number, percent, probability, scientific


def challenges_table(content: dict[str, Any]) -> Grid:
    """One row for each challenge of an audit; what overturns the verdict stands out."""
    cells = []
    for row in content["challenges"]:
        held = {True: "overturned", False: "holds", None: "not made"}[row["overturned"]]
        digits = (percent(row[key]) if row["of"] in ("lead", "penalty") else row[key] for key in ("value", "low", "high"))
        cells.append(
            (
                cell(row["challenge"]),
                cell(row["change"], tip=row["note"]),
                cell(*estimate(*digits, 3), why=row["note"]),
                cell(row["of"] + (" %" if row["of"] in ("lead", "penalty") else "")),
                cell(held, tone={True: "loud", None: "soft"}.get(row["overturned"], "")),
            )
        )
    columns = (
        Column(name="challenge", text=True),
        Column(name="change", text=True),
        Column(name="value"),
        Column(name="of", text=True),
        Column(name="verdict", text=True),
    )
    return Grid(title=content["verdict"]["text"], columns=columns, rows=tuple(cells), empty="Nothing was tried.")


def audit_lines(content: dict[str, Any]) -> list[str]:
    """The sum, then what is left out, taken for granted, and found."""
    lines = [content["summary"]]
    for title, key in (("Left out", "exclusions"), ("Taken for granted", "assumptions"), ("Finding", "findings")):
        lines += [f"{title}: {sentence.rstrip('.')}." for sentence in content[key]]
    said = content["verdict"]["winner"] or "cannot tell"
    unsure = "but not surely enough among so many changes"
    lines += [
        f"Holds, though then {row['verdict']}: {row['challenge']}, {row['change']}: {row['note'] or unsure}"
        for row in content["challenges"]
        if row["of"] == "lead" and row["overturned"] is False and row["verdict"] not in (said, None)
    ]
    lines += [
        f"Not made: {row['challenge']}, {row['change']}: {row['note']}"
        for row in content["challenges"]
        if row["overturned"] is None and row["note"]
    ]
    return lines


def decisions_table(content: dict[str, Any]) -> Grid:
    """Every pair, with the probability that the first is the better, and what the simplest rule says."""
    cells = [
        (
            family_cell(row["a"]),
            family_cell(row["b"]),
            cell(probability(row["probability"])),
            cell(*estimate(*(percent(row[key]) for key in ("difference", "low", "high")), 2, sign=True)),
            cell(row["verdict"] or "cannot tell", tip=row["reason"] or "", tone="strong" if row["verdict"] else "soft"),
            cell(row["simple"] or MISSING),
        )
        for row in content["pairs"]
    ]
    far = max((row["factor"] for row in content["pairs"]), default=1.0)
    title = f"At {content['variable']} = {scientific(content['place'])}"
    title += f", {number(far, 2)} times beyond the runs" if far > 1.001 else ""
    columns = (
        Column(name="a", text=True),
        Column(name="b", text=True),
        Column(name="a is better", unit="probability"),
        Column(name="loss of a against b", unit="%"),
        Column(name="verdict", text=True),
        Column(name="rank at the largest in common", text=True),
    )
    return Grid(title=title, columns=columns, rows=tuple(cells), empty="There are no two groups.")


def proposals_table(content: dict[str, Any]) -> Grid:
    """Runs to add, in the order in which they were chosen."""
    cells = [
        (
            cell(str(index)),
            family_cell(row["group"]),
            cell(", ".join(f"{name} {scientific(value)}" for name, value in row["place"].items())),
            cell(scientific(row["cost"])),
            cell(f"{number(row['doubt_before'], 3)} to {number(row['doubt_after'], 3)}"),
            cell(
                MISSING
                if row["wrong_before"] is None
                else f"{number(100 * row['wrong_before'], 2)} to {number(100 * row['wrong_after'], 2)}",
                why="only a question about a winner has a wrong call",
            ),
        )
        for index, row in enumerate(content["proposals"], 1)
    ]
    columns = (
        Column(name="", text=True),
        Column(name="group", text=True),
        Column(name="at", text=True),
        Column(name="cost", unit="FLOPs"),
        Column(name="doubt", unit=content["question"]["unit"]),
        Column(name="wrong call", unit="%"),
    )
    title = f"To know {content['question']['text']}"
    return Grid(title=title, columns=columns, rows=tuple(cells), empty="No run that could be added says anything about it.")

"""Downstream accuracy and the slopes of Tay et al., as tables."""

from typing import Any

from allometry.report.grid import Cell, Column, Grid, cell, family_cell
from allometry.report.numbers import MISSING, number, plain, scientific

_FAMILY = Column(name="family", text=True)


def downstream_table(rows: list[dict[str, Any]], every: bool = False) -> Grid:
    """Accuracy after fine-tuning, of what needs no network and of each model; of the largest budget, or of `every`."""
    cells = []
    top = max((row["budget"] for row in rows if row.get("budget")), default=0)
    for row in plain(rows):
        if not every and row.get("budget") not in (None, top):
            continue
        name = family_cell(row["family"]) if row["family"] else Cell(text=row["baseline"], tone="soft")
        between = f"[{number(100 * row['low'], 3)}, {number(100 * row['high'], 3)}]" if row.get("low") is not None else ""
        cells.append(
            (
                Cell(text=str(row["labelled"])),
                name,
                cell(scientific(row.get("budget")), why="a baseline"),
                cell(str(row["size"]) if row.get("size") else MISSING, why="a baseline"),
                cell(number(100 * row["accuracy"], 3), between, tip=f"interval of {row.get('interval_of', 'texts')}"),
                cell(str(row["seeds"]) if row.get("seeds") else MISSING, why="a baseline"),
            )
        )
    columns = (
        Column(name="labelled set", text=True),
        _FAMILY,
        Column(name="budget", unit="FLOPs", tip="of the training before; tokens under fixed tokens"),
        Column(name="size"),
        Column(name="accuracy", unit="%", tip="on test texts, with a 90 % interval"),
        Column(name="seeds"),
    )
    return Grid(
        title="Downstream accuracy", columns=columns, rows=tuple(cells), empty="Nothing was fine-tuned: give --downstream."
    )


def alphas_table(rows: list[dict[str, Any]]) -> Grid:
    """The slopes of Tay et al., with the few published values that are known."""
    cells = []
    for row in plain(rows):
        if row["slope"] is None:
            slope = cell("cannot tell", tip=f"{row['points']} points: three that differ are needed", tone="soft")
        else:
            slope = cell(number(row["slope"], 3), _between(row))
        cells.append(
            (
                family_cell(row["family"]),
                Cell(text=row["text"], tip=row["measure"]),
                slope,
                cell(number(row["exponent"], 3), _between(row, "exponent_"), why="of accuracies there is none"),
                Cell(text=str(row["points"])),
                cell(number(row["published"], 2), "second-hand" if row["published"] is not None else "", why="not known"),
            )
        )
    columns = (
        _FAMILY,
        Column(name="slope of", text=True),
        Column(
            name="alpha",
            unit="per decade",
            tip="of the negative loss in nats, or of the accuracy, with a 90 % interval; downstream on upstream: per nat",
        ),
        Column(name="exponent", unit="log-log", tip="-d ln(loss) / d ln(cost)", page_only=True),
        Column(name="points", page_only=True),
        Column(name="Tay et al.", tip="Their own values are second-hand here, and their axes not wholly known."),
    )
    return Grid(
        title="Slopes as Tay et al. 2022 have them", columns=columns, rows=tuple(cells), empty="No run has a loss yet."
    )


def _between(row: dict[str, Any], of: str = "") -> str:
    low, high = row[f"{of}low"], row[f"{of}high"]
    return f"[{number(low, 3)}, {number(high, 3)}]" if low is not None else ""

"""What was asked, run and measured, as tables: the plan, the progress, costs per family, baselines, overhead."""

from typing import Any

from allometry.report.grid import Cell, Column, Grid, cell, family_cell
from allometry.report.numbers import MISSING, duration, number, plain, scientific, storage

_FAMILY = Column(name="family", text=True)
_ENDINGS = ("done", "diverged", "failed", "begun")


def plan_table(rows: list[dict[str, Any]]) -> Grid:
    """The runs of a plan with their price. Keys of a row: budget, family, size, N, D, steps, batch, seconds."""
    cells = [
        (
            cell(scientific(row.get("budget"))),
            family_cell(str(row.get("family", MISSING))),
            cell(str(row.get("size", MISSING))),
            cell(scientific(row.get("N"))),
            cell(scientific(row.get("D"))),
            cell(_whole(row.get("steps"))),
            cell(_whole(row.get("batch"))),
            cell(duration(row.get("seconds"))),
        )
        for row in plain(rows)
    ]
    columns = (
        Column(name="budget"),
        _FAMILY,
        Column(name="size"),
        Column(name="N", unit="parameters", tip="active, without embedding and output"),
        Column(name="D", unit="tokens"),
        Column(name="steps"),
        Column(name="batch", unit="sequences"),
        Column(name="price", unit="time"),
    )
    return Grid(title="Plan", columns=columns, rows=tuple(cells), empty="No run was planned.")


def arms_table(rows: list[dict[str, Any]]) -> Grid:
    """The arms of an experiment with their price. Keys of a row: arm, runs, steps, parameters, flops and seconds of one run."""
    cells = [
        (
            Cell(text=str(row["arm"])),
            cell(str(row["runs"])),
            cell(_whole(row["steps"])),
            cell(scientific(row["parameters"])),
            cell(scientific(row["flops"])),
            cell(duration(row["seconds"]), why="it cannot be trained"),
        )
        for row in plain(rows)
    ]
    known = [row["runs"] * row["seconds"] for row in plain(rows) if row["seconds"] is not None]
    columns = (
        Column(name="arm", text=True),
        Column(name="runs"),
        Column(name="steps"),
        Column(name="parameters"),
        Column(name="FLOPs", unit="a run"),
        Column(name="price", unit="time of a run", tip="from a few steps, other work on the machine included"),
    )
    title = f"Arms · {duration(sum(known))} for all runs one after the other"
    return Grid(title=title, columns=columns, rows=tuple(cells), empty="No arm was asked.")


def status_table(rows: list[dict[str, Any]]) -> Grid:
    """How far a study is: runs by family and stage, counted by how they ended.

    Rows are the `families` of record.status: family, stage, planned, and a count of runs that are done, diverged, failed, begun.
    """
    rows = plain(rows)
    present = [ending for ending in _ENDINGS if any(row[ending] for row in rows)]
    cells = [
        (
            family_cell(str(row["family"])),
            Cell(text=str(row["stage"])),
            cell(str(row["planned"])),
            *(_count(row[ending], ending) for ending in present),
        )
        for row in rows
    ]
    columns = (
        _FAMILY,
        Column(name="stage", text=True),
        Column(name="planned", unit="runs"),
        *(Column(name=ending) for ending in present),
    )
    return Grid(title="Status", columns=columns, rows=tuple(cells), empty="No run was planned.")


def costs_table(costs: list[dict[str, Any]]) -> Grid:
    """What each family costs: parameters, FLOPs, state, speed, memory."""
    rows = []
    for cost in plain(costs):
        grows = cost.get("state_grows")
        rows.append(
            (
                family_cell(str(cost.get("family", MISSING))),
                cell(str(cost.get("size", MISSING))),
                cell(scientific(cost.get("N"), 3)),
                cell(scientific(cost.get("N_all"), 3)),
                cell(scientific(cost.get("training_flops_per_token"), 3)),
                cell(scientific(cost.get("forward_flops_per_token"), 3)),
                cell(storage(cost.get("state_bytes")), "growing" if grows else "" if grows is None else "constant"),
                cell(duration(cost.get("latency_seconds"))),
                cell(number(cost.get("tokens_per_second"), 3)),
                cell(storage(cost.get("memory"))),
            )
        )
    columns = (
        _FAMILY,
        Column(name="size"),
        Column(name="N", unit="parameters", tip="active, without embedding and output"),
        Column(name="all N", unit="parameters", tip="with embedding and output"),
        Column(name="training", unit="FLOPs/token"),
        Column(name="inference", unit="FLOPs/token"),
        Column(
            name="state", unit="per sequence", tip="what the next token needs of the past; growing with length, or constant"
        ),
        Column(name="latency", unit="per sequence", tip="a forward pass of one sequence of the study's length, measured"),
        Column(name="speed", unit="tokens/s", tip="in training"),
        Column(name="memory", tip="peak, in training"),
    )
    return Grid(title="Costs", columns=columns, rows=tuple(rows), empty="No cost was measured.")


def baselines_table(baselines: list[dict[str, Any]]) -> Grid:
    """Predictors that need no network."""
    rows = [
        (Cell(text=str(at.get("name", ""))), cell(number(at.get("bits_per_byte"), 4)), Cell(text=at.get("note") or ""))
        for at in plain(baselines)
    ]
    columns = (Column(name="baseline", text=True), Column(name="loss", unit="bits per byte"), Column(name="note", text=True))
    return Grid(title="Baselines without a network", columns=columns, rows=tuple(rows), empty="No baseline was computed.")


def overhead_table(study: dict[str, Any]) -> Grid:
    """Where the time went beside the training steps, as shares of all seconds used."""
    total = study.get("seconds_used")
    rows = [
        (
            Cell(text=str(name)),
            cell(duration(seconds)),
            cell(number(100 * seconds / total, 2) if total and seconds is not None else MISSING),
        )
        for name, seconds in (study.get("overhead") or {}).items()
    ]
    columns = (Column(name="part", text=True), Column(name="time"), Column(name="of the study", unit="%"))
    return Grid(title="Overhead", columns=columns, rows=tuple(rows), empty="The overhead was not measured.")


def facts_table(title: str, facts: dict[str, Any]) -> Grid:
    """Names and values; inner dictionaries become dotted names."""
    rows = [(Cell(text=name), Cell(text=text)) for name, text in _flat(plain(facts), "")]
    columns = (Column(name="what", text=True), Column(name="value", text=True))
    return Grid(title=title, columns=columns, rows=tuple(rows), empty="Not recorded.")


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [row for key, item in value.items() for row in _flat(item, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list):
        return [(name, ", ".join("–" if item is None else str(item) for item in value))]
    if isinstance(value, float):
        return [(name, number(value, 4))]
    return [(name, MISSING if value is None else f"{value:,}" if type(value) is int else str(value))]


def _count(count: int, ending: str) -> Cell:
    return Cell(text=str(count), tone="loud" if count and ending in ("diverged", "failed") else "" if count else "soft")


def _whole(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f}"

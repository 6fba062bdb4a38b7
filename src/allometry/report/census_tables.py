"""A census as tables: what each module counts, and what was not counted."""

from typing import Any

from allometry.report.grid import Cell, Column, Grid, cell

KINDS = {"output_gatings": "output gating", "gated_synapses": "synaptic gating"} | {
    "additive": "sums of two signals", "shaping": "shaping", "static_mults": "static",
}  # fmt: skip
GATING = ("output_gatings", "gated_synapses")
FREE = "no signal is seen to reach it"
UNSEEN = {  # the counts are not whole where there are any
    "no rule": "it has no rule",
    "memory that no operation was seen to write": "something unseen, such as a kernel in another language, writes its memory",
    "read into Python": "Python reads its numbers, and may multiply by them",
}
DENSE = "without what a constant mask makes zero"


def census_table(content: dict[str, Any], depth: int | None = None) -> Grid:
    """One line for each module with what is inside it, the total first; `depth` names in a path at most."""
    total = {"module": "total", "kind": content["model"]} | content["total"]
    inside = [row for row in content["modules"] if depth is None or row["module"].count(".") < depth]
    columns = (
        Column(name="module", text=True, whole=True),
        Column(name="class", text=True, page_only=True),
        Column(name="gate signals", tip="distinct attending scalars"),
        Column(name="gating ops", tip="multiplications of a signal by a signal, dense"),
        Column(name="unmasked", drop=2, tip=f"gating operations {DENSE}"),
        Column(name="gated synapses", drop=5, tip="of the gating operations, those that gate one synapse each"),
        Column(name="additive", drop=4, tip="sums of two signals: multiplexing and residuals, in the standard model"),
        Column(name="shaping", tip="products of a signal with a function of itself", page_only=True),
        Column(name="static", drop=1, tip="multiplications of a signal by a parameter or constants"),
        Column(name="parameters", drop=3, tip="a shared one once"),
    )
    keys = ("gate_signals", "gating_ops", "unmasked_gating_ops", "gated_synapses", "additive", "shaping", "static_mults")
    rows = []
    for row in (total, *inside):
        tone = "strong" if row is total else ""
        first = (cell(row["module"], tone=tone), cell(row["kind"] or "", tone="soft"))
        rows.append((*first, *(_count(row[key]) for key in (*keys, "parameters"))))
    return Grid(title=f"Census of gates: {content['asked']}", columns=columns, rows=tuple(rows))


def not_counted_table(content: dict[str, Any]) -> Grid:
    """Operations whose products are in no column."""
    rows = [
        (
            cell(one["op"], tone="loud" if one["reason"] in UNSEEN else ""),
            cell(one["module"] or content["model"]),
            cell(one["reason"]),
            cell(str(one["times"])),
        )
        for one in content["not_counted"]
    ]
    columns = (
        Column(name="operation", text=True),
        Column(name="module", text=True),
        Column(name="why", text=True),
        Column(name="times"),
    )
    return Grid(title="Not counted", columns=columns, rows=tuple(rows), empty="Every operation on signals was counted.")


def census_lines(content: dict[str, Any]) -> list[str]:
    """What a reader of the table should know."""
    unseen = [one for one in content["not_counted"] if one["reason"] in UNSEEN]
    lines = [f"on {content['on']}; torch {content['torch']}"]
    lines += [
        f"not counted: {one['op']} at {one['module'] or content['model']} ({one['times']}x): {UNSEEN[one['reason']]}, so "
        "the counts are not whole"
        for one in unseen
    ]
    free = [one for one in content["not_counted"] if one["reason"] == FREE]
    if free:
        lines.append(f"output: {FREE}, so nothing is counted")
    known = [one for one in content["not_counted"] if one not in unseen and one not in free]
    others = dict.fromkeys(f"{one['reason']}: {one['op']}" for one in known)
    if others:
        lines.append(f"no operation counted for {'; '.join(others)}")
    if "report" in content:
        lines.append(f"page: {content['report']}")
    return lines


def _count(number: int) -> Cell:
    """Whole: a census is exact."""
    return cell(f"{number:,}", tone="" if number else "soft")

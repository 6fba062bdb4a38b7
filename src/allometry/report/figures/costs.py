"""Where the FLOPs of each family go: one bar per family, one piece per part."""

from typing import Any

from allometry.report.figures._figure import Figure, Key, Trace, View, axis, layout, safe
from allometry.report.palette import PART_COLOURS

_REST = "other parts"


def parts_figure(costs: list[dict[str, Any]]) -> Figure | None:
    """FLOPs per token by part, as shares and as numbers."""
    shown = [cost for cost in costs if any((cost.get("by_part") or {}).values())]
    if not shown:
        return None
    totals: dict[str, float] = {}
    for cost in shown:
        for part, flops in cost["by_part"].items():
            totals[part] = totals.get(part, 0.0) + (flops or 0.0)
    ranked = sorted((part for part in totals if totals[part]), key=lambda part: -totals[part])
    named = ranked if len(ranked) <= len(PART_COLOURS) else ranked[: len(PART_COLOURS) - 1]
    parts = named if named == ranked else [*named, _REST]
    labels = [f"{safe(cost['family'])}<br>size {safe(cost.get('size'))}" for cost in shown]
    values = [[_flops(cost, part, named) for cost in shown] for part in parts]
    sums = [sum(column) or 1.0 for column in zip(*values, strict=True)]
    shares = [[100 * value / total for value, total in zip(row, sums, strict=True)] for row in values]
    traces: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [],
            "y": labels,
            "marker": {"color": PART_COLOURS[i], "line": {"color": "@page", "width": 1}},
            "text": [f"{safe(part)}: {share:.1f} %, {value:.3g} FLOPs per token" for share, value in zip(s, v, strict=True)],
            "textposition": "none",
            "hovertemplate": "<b>%{y}</b><br>%{text}<extra></extra>",
            "meta": {"group": i},
        }
        for i, (part, s, v) in enumerate(zip(parts, shares, values, strict=True))
    ]
    y = axis("", log=False) | {"autorange": "reversed", "type": "category"}
    return Figure(
        id="parts",
        title="FLOPs by part",
        caption="Where the FLOPs per token go in each family: the larger a piece, the more of the cost is that part.",
        layout=layout(axis("", log=False), y, barmode="stack", bargap=0.35),
        traces=traces,
        views=[
            View(
                key="share",
                label="share",
                x=shares,
                layout={"xaxis": axis("Share of FLOPs per token (%)", log=False) | {"range": [0, 100]}},
            ),
            View(key="flops", label="FLOPs per token", x=values, layout={"xaxis": _flops_axis()}),
        ],
        legend=[Key(group=i, label=part, colour=PART_COLOURS[i], outline=_SQUARE) for i, part in enumerate(parts)],
        height="short" if len(shown) < 7 else "tall",
    )


_SQUARE = "-1,-1 1,-1 1,1 -1,1"


def _flops_axis() -> dict[str, Any]:
    return axis("FLOPs per token", log=False) | {"exponentformat": "power"}


def _flops(cost: dict[str, Any], part: str, named: list[str]) -> float:
    by_part = cost["by_part"]
    if part == _REST and _REST not in named:
        return sum(flops or 0.0 for name, flops in by_part.items() if name not in named)
    return by_part.get(part) or 0.0

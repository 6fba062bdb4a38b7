"""Where the gates of a model are: one bar per module, one piece per kind of operation."""

from collections.abc import Sequence
from typing import Any

from allometry.report.figures._figure import Figure, Key, View, axis, layout, safe
from allometry.report.palette import PART_COLOURS

BARS = 28  # more are joined by shorter paths
OTHERS = "(others)"  # no name of a module


def census_figure(content: dict[str, Any], kinds: dict[str, str], gating: Sequence[str]) -> Figure | None:
    """Operations by module and kind; `kinds`: the columns and what they are called, of which `gating` are gatings."""
    parts = _parts([row for row in content["own"] if any(row[kind] for kind in kinds)], list(kinds))
    if not parts:
        return None
    labels = [safe(path or content["model"]) for path in parts]
    values = [[part[kind] for part in parts.values()] for kind in kinds]
    of_gating = [row if kind in gating else [0] * len(labels) for kind, row in zip(kinds, values, strict=True)]
    sums = [sum(column) or 1 for column in zip(*values, strict=True)]
    shares = [[100 * value / total for value, total in zip(row, sums, strict=True)] for row in values]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [],
            "y": labels,
            "marker": {"color": PART_COLOURS[place], "line": {"color": "@page", "width": 1}},
            "text": [f"{safe(name)}: {value:,}, {share:.1f} %" for value, share in zip(row, of_all, strict=True)],
            "textposition": "none",
            "hovertemplate": "<b>%{y}</b><br>%{text}<extra></extra>",
            "meta": {"group": place},
        }
        for place, (name, row, of_all) in enumerate(zip(kinds.values(), values, shares, strict=True))
    ]
    y = axis("", log=False) | {"autorange": "reversed", "type": "category", "nticks": len(labels)}
    counts = {"exponentformat": "power"}
    return Figure(
        id="census",
        title="Operations by module",
        caption="Where signals multiply signals, and where they meet parameters. Modules are in the order of the model, each "
        "without those that have bars of their own.",
        layout=layout(axis("", log=False), y, barmode="stack", bargap=0.35),
        traces=traces,
        views=[
            View(key="gating", label="gating", x=of_gating, layout={"xaxis": axis("Gating operations", log=False) | counts}),
            View(
                key="share",
                label="all kinds, as shares",
                x=shares,
                layout={"xaxis": axis("Share of the operations (%)", log=False) | {"range": [0, 100]}},
            ),
            View(key="all", label="all kinds", x=values, layout={"xaxis": axis("Operations", log=False) | counts}),
        ],
        legend=[
            Key(group=place, label=name, colour=PART_COLOURS[place], outline="-1,-1 1,-1 1,1 -1,1")
            for place, name in enumerate(kinds.values())
        ],
        height="short" if len(labels) < 7 else "tall",
        switch="Operations",
    )


def _parts(own: list[dict[str, Any]], kinds: list[str]) -> dict[str, dict[str, int]]:
    """The own counts of modules, joined under the longest paths that leave few enough."""
    parts: dict[str, dict[str, int]] = {}
    deepest = max((row["module"].count(".") + 1 for row in own), default=0)
    for depth in range(deepest, 0, -1):
        parts = {}
        for row in own:
            part = parts.setdefault(".".join(row["module"].split(".")[:depth]), dict.fromkeys(kinds, 0))
            for kind in kinds:
                part[kind] += row[kind]
        if len(parts) <= BARS:
            return parts
    return _largest(parts) if own else {}


def _largest(parts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Those with the most operations, in their order, and the others as one."""
    kept = set(sorted(parts, key=lambda path: -sum(parts[path].values()))[: BARS - 1])
    others = [part for path, part in parts.items() if path not in kept]
    joined = {kind: sum(part[kind] for part in others) for kind in others[0]}
    return {path: part for path, part in parts.items() if path in kept} | {OTHERS: joined}

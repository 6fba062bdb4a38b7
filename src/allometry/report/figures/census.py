"""Where the gates of a model are: one bar per module, one piece per kind of operation."""

from typing import Any

from allometry.report.figures._figure import Figure, Key, View, axis, layout, safe
from allometry.report.palette import PART_COLOURS

BARS = 28  # more are joined by shorter paths
GATING = 2  # the kinds that come first


def census_figure(content: dict[str, Any], kinds: dict[str, str]) -> Figure | None:
    """Operations by module and kind; `kinds`: the columns, those of gating first, and what they are called."""
    parts = _parts([row for row in content["own"] if any(row[kind] for kind in kinds)], list(kinds))
    if not parts:
        return None
    labels = [safe(path or content["model"]) for path in parts]
    values = [[part[kind] for part in parts.values()] for kind in kinds]
    gating = [row if place < GATING else [0] * len(labels) for place, row in enumerate(values)]
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
            View(key="gating", label="gating", x=gating, layout={"xaxis": axis("Gating operations", log=False) | counts}),
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
    deepest = max((row["module"].count(".") + 1 for row in own), default=0)
    for depth in range(deepest, 0, -1):
        parts: dict[str, dict[str, int]] = {}
        for row in own:
            part = parts.setdefault(".".join(row["module"].split(".")[:depth]), dict.fromkeys(kinds, 0))
            for kind in kinds:
                part[kind] += row[kind]
        if len(parts) <= BARS or depth == 1:
            return parts
    return {}

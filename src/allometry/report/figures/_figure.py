"""A figure: traces and layout for plotly.js, the views it can switch between, and its legend.

Colours written `@ink`, `@page` and so on are those of the theme; the script of the page fills them in, for light, dark and
print. The `meta` of a trace says what it belongs to: `group` (a family's or part's place in the legend), `stage`, `law`.
"""

import dataclasses
import html
import math
from typing import Any

from allometry.report.palette import Mark

Trace = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """One entry of a legend; pressing it hides and shows the traces of its group."""

    group: int
    label: str
    colour: str
    outline: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """One setting of the figure's switch: new x (and y) of the shared traces, and traces of its own."""

    key: str
    label: str
    x: list[Any] | None = None  # one array per shared trace
    before: list[Trace] = dataclasses.field(default_factory=list)  # drawn under the shared traces
    after: list[Trace] = dataclasses.field(default_factory=list)
    layout: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """All that the page and its script need to draw one figure."""

    id: str
    title: str
    caption: str  # what is seen, in words
    layout: dict[str, Any]
    traces: list[Trace] = dataclasses.field(default_factory=list)
    views: list[View] = dataclasses.field(default_factory=list)
    laws: list[str] = dataclasses.field(default_factory=list)  # choices of the law that is drawn
    tuning: bool = False  # there are tuning runs to show or hide
    legend: list[Key] = dataclasses.field(default_factory=list)
    height: str = "tall"  # tall | short
    switch: str = "Axis"  # what the views differ in, in words

    def document(self) -> dict[str, Any]:
        """What the script reads."""
        return {
            "layout": self.layout,
            "traces": self.traces,
            "views": [dataclasses.asdict(view) for view in self.views],
        }


def axis(title: str, log: bool = True) -> dict[str, Any]:
    """An axis with its title, which holds the unit."""
    scale = {"type": "log", "exponentformat": "power"} if log else {"type": "linear"}
    return scale | {
        "title": {"text": title, "standoff": 10},
        "automargin": True,
        "gridcolor": "@grid",
        "linecolor": "@rule",
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "@rule",
        "nticks": 8,
        "tickfont": {"size": 12},
    }


def layout(x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The layout that all figures share: no background of its own, no plotly legend, what is near the pointer on hover."""
    return {
        "xaxis": x | {"nticks": 5},  # few, so that plotly does not write all of 2 to 9 between the powers of ten
        "yaxis": y,
        "margin": {"l": 12, "r": 14, "t": 14, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": "@ink"},
        "hoverlabel": {"bgcolor": "@raised", "bordercolor": "@rule", "font": {"color": "@ink"}, "align": "left"},
        "hovermode": "closest",
        "showlegend": False,
        "dragmode": "zoom",
    } | more


def safe(text: Any) -> str:
    """Plotly reads a little HTML in labels; names from users are shown as they are written."""
    return html.escape(str(text))


def keys(marks: dict[str, Mark], present: set[str]) -> list[Key]:
    """The legend of the families that a figure shows."""
    return [
        Key(group=m.index, label=name, colour=m.colour, outline=m.outline) for name, m in marks.items() if name in present
    ]


def points(x: list[Any], y: list[Any], text: list[str], marker: dict[str, Any], **meta: Any) -> Trace:
    """A cloud of points that tells `text` on hover."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "text": text,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": marker,
        "meta": meta,
    }


def ends(x: list[Any], y: list[Any], label: str) -> Trace:
    """A word at the right end of a line; the figure leaves room for it by `LABELLED`."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": x[-1:],
        "y": y[-1:],
        "text": [f"\u2002\u00a0{label}"],  # a little away from the last point
        "textposition": "middle right",
        "textfont": {"size": 11, "color": "@soft"},
        "cliponaxis": False,
        "hoverinfo": "skip",
        "meta": {},
    }


def log_range(values: list[float]) -> dict[str, list[float]]:
    """The range of a log axis that shows all values: never narrower than 4 %, as one run alone has no range."""
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(0.06 * (high - low), 0.009)
    return {"range": [low - room, high + room]}


LABELLED = {"margin": {"l": 12, "r": 58, "t": 14, "b": 8}}


def shade(position: int, count: int) -> float:
    """Opacity of one of `count` budgets: the larger, the stronger."""
    return 1.0 if count < 2 else round(0.35 + 0.65 * position / (count - 1), 3)

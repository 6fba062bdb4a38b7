"""What the figures of an experiment share: its panels, its doses in words, the loss axis, bands over seeds, the chance level."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from allometry.report.figures._figure import LABELLED, Trace, axis, ends, layout, log_range, safe
from allometry.report.numbers import brief, number
from allometry.report.palette import Mark, faded

Arm = dict[str, Any]
DECADES = 1.0  # a loss axis whose values span more than this is logarithmic


def panels(arms: Iterable[Arm]) -> dict[str, list[Arm]]:
    """The arms by panel, both in the order in which they were listed."""
    found: dict[str, list[Arm]] = {}
    for arm in arms:
        found.setdefault(str(arm.get("panel") or ""), []).append(arm)
    return found


def lines(arms: Iterable[Arm]) -> dict[str, list[Arm]]:
    """The arms of a panel by line, in order of their dose."""
    found: dict[str, list[Arm]] = {}
    for arm in arms:
        found.setdefault(str(arm["line"]), []).append(arm)
    return {name: sorted(own, key=lambda arm: -math.inf if arm["at"] is None else arm["at"]) for name, own in found.items()}


def doses(arms: Iterable[Arm]) -> list[float]:
    """The values of `at`, each once."""
    return sorted({float(arm["at"]) for arm in arms if arm["at"] is not None})


def dose_words(arms: Iterable[Arm]) -> tuple[str, str]:
    """What `at` is, and its unit.

    >>> dose_words([{"axis": ""}, {"axis": "longest block, steps"}]), dose_words([{"axis": "time scale"}])
    (('longest block', 'steps'), ('time scale', ''))
    """
    words = next((str(arm["axis"]) for arm in arms if arm.get("axis")), "")
    name, _, unit = words.rpartition(", ")
    return (name, unit) if name else (unit, "")


def dose_text(at: float | None, unit: str) -> str:
    """A dose in words: 40 steps."""
    return f"{brief(at)} {unit}".strip() if at is not None else ""


def losses(arm: Arm) -> list[float]:
    """Held-out losses of the seeds that are done."""
    return [o["loss"] for o in arm["outcomes"] if o["status"] == "done" and o["loss"] is not None]


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def loss_axis(title: str, values: Iterable[float | None]) -> dict[str, Any]:
    """The axis of a loss: logarithmic where the values span more than `DECADES`, else linear from 0."""
    known = [value for value in values if value is not None]
    if known and min(known) > 0 and math.log10(max(known) / min(known)) > DECADES:
        return axis(title) | log_range(known)
    return axis(title, log=False) | {"range": [min(0.0, *known), 1.07 * max(known)] if known else [0, 1]}


def dose_axis(title: str, at: Sequence[float]) -> dict[str, Any]:
    """The axis of a dose: a tick at each dose, where there are few; logarithmic where that spaces them more evenly."""
    log = min(at) > 0 and (_unevenness([math.log10(v) for v in at]) < _unevenness(at) or max(at) > 100 * min(at))
    places = [math.log10(value) for value in at] if log else list(at)
    width = max(places) - min(places)
    room = 0.06 * width or 1.0
    found = axis(title, log=log) | {"range": [min(places) - room, max(places) + room]}
    gaps = [b - a for a, b in itertools.pairwise(places)]
    if gaps and len(at) <= 10 and min(gaps) >= width / 14:
        ticks = {"tickmode": "array", "tickvals": list(at), "ticktext": [brief(value) for value in at], "tickangle": 0}
        return found | ticks
    return found


def dose_layout(x_axis: dict[str, Any], y_axis: dict[str, Any]) -> dict[str, Any]:
    """The layout of a figure over doses, which tells the script of the page where the axis has ticks of its own."""
    own = {"meta": {"ticks": "xaxis"}} if "tickvals" in x_axis else {}
    return layout(x_axis, y_axis, **LABELLED) | {"xaxis": x_axis} | own


def _unevenness(places: Sequence[float]) -> float:
    gaps = [b - a for a, b in itertools.pairwise(places)]
    return max(gaps) / min(gaps) if gaps else 1.0


def title(name: str, unit: str) -> str:
    """The title of an axis."""
    name = name[:1].upper() + name[1:]
    return f"{safe(name)} ({safe(unit)})" if unit else safe(name)


def over_seeds(
    x: Sequence[float],
    values: Sequence[Sequence[float]],
    mark: Mark,
    words: Sequence[str],
    unit: str,
    lowest: float = -math.inf,
) -> list[Trace]:
    """The mean over seeds as a line, their range as a band, each seed as a point. An x without values is a gap.

    `words` say on hover what stands at each x. What is less than `lowest` stands there, as 0 does on a logarithmic axis.
    """
    meta = {"group": mark.index}
    traces: list[Trace] = []
    known = [i for i, some in enumerate(values) if some]
    pieces = [[i for _, i in piece] for _, piece in itertools.groupby(enumerate(known), lambda pair: pair[1] - pair[0])]
    for piece in pieces:
        if len(piece) < 2:
            continue
        around = [*piece, *reversed(piece)]
        edge = [max(lowest, *values[i]) for i in piece] + [max(lowest, min(values[i])) for i in reversed(piece)]
        traces.append(band([x[i] for i in around], edge, mark))
    seeds = [(x[i], max(lowest, value)) for i in known for value in values[i]]
    dot = {"color": mark.colour, "symbol": mark.symbol, "size": 5}
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [place for place, _ in seeds],
            "y": [value for _, value in seeds],
            "marker": dot,
            "opacity": 0.45,
            "hoverinfo": "skip",
            "meta": meta,
        }
    )
    middle = [None if (m := mean(some)) is None else max(lowest, m) for some in values]
    spread = [f"{len(some)} {'seed' if len(some) == 1 else 'seeds'}: {seed_range(some)} {unit}" for some in values]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": list(x),
            "y": middle,
            "text": [f"{what}<br>{text}" for what, text in zip(words, spread, strict=True)],
            "hovertemplate": "%{text}<extra></extra>",
            "line": {"color": mark.colour, "width": 2.2, "dash": mark.dash},
            "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 7.5},
            "meta": meta,
        }
    )
    return traces


def ring(x: float, y: float, words: str, mark: Mark) -> Trace:
    """Where a network was trained: a ringed mark."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x],
        "y": [y],
        "hovertemplate": f"{words}<extra></extra>",
        "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 12, "line": {"color": "@ink", "width": 1.6}},
        "meta": {"group": mark.index},
    }


def band(x: Sequence[float], y: Sequence[float], mark: Mark) -> Trace:
    """A filled outline in the pale colour of a line."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "fill": "toself",
        "fillcolor": faded(mark.colour, 0.16),
        "line": {"width": 0, "color": mark.colour},
        "hoverinfo": "skip",
        "meta": {"group": mark.index},
    }


def seed_range(values: Sequence[float]) -> str:
    """The mean of the seeds with their range: 0.021 (0.015 to 0.032)."""
    if not values:
        return "no run is done"
    if len(values) == 1:
        return number(values[0])
    return f"{number(mean(values))} ({number(min(values))} to {number(max(values))})"


def chance_line(x: Sequence[float], y: Sequence[float], player: str = "chance") -> list[Trace]:
    """What a player without memory attains, or one that looks at nothing: a dashed line, named at its end."""
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "line": {"color": "@soft", "width": 1.4, "dash": "dash"},
        "hovertemplate": f"{player}: %{{y:.4~g}}<extra></extra>",
        "meta": {},
    }
    return [line, ends(list(x), list(y), player)]


def crosses(x: Sequence[float], top: float, mark: Mark, words: Sequence[str]) -> list[Trace]:
    """Runs that diverged: a cross at the top of the figure, as they have no loss."""
    if not x:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": list(x),
            "y": [top] * len(x),
            "text": list(words),
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"color": mark.colour, "symbol": "x", "size": 9},
            "cliponaxis": False,
            "meta": {"group": mark.index},
        }
    ]

"""A law against its points: the loss over each variable with the law and its band, and what the law leaves over."""

from typing import Any

import numpy as np

from allometry.report.figures._figure import Figure, Trace, View, axis, keys, layout, points, safe
from allometry.report.numbers import number, scientific
from allometry.report.palette import Mark, faded

PLACES = 80  # of a drawn curve
UNITS = {"N": "Parameters N", "D": "Tokens D", "C": "Training compute C (FLOPs)", "U": "Unique tokens U", "L": "Loss L"}


def law_figure(fits: Any, known: dict[str, Mark]) -> Figure:
    """Measured points and the law; for a law of one variable with its band, as far as the fit answers."""
    variables = tuple(next(iter(fits)).law.variables)
    views = [
        View(
            key=name,
            label=name,
            x=[fit.data[name].tolist() for fit in fits],
            before=[t for fit in fits for t in (_curve(fit, known[fit.group]) if len(variables) == 1 else [])],
            after=[] if len(variables) == 1 else [_at_points(fit, name, known[fit.group]) for fit in fits],
            layout={"xaxis": axis(UNITS.get(name, name)) | {"nticks": 5}},
        )
        for name in variables
    ]
    lines = "The line is the law, the band its interval, as far as the fit answers."
    crosses = "A small cross is what the law says at the same place."
    observed = next(iter(fits)).law.observed
    return Figure(
        id="law",
        title="The law and the runs",
        caption=f"Each point is a row of the table. {lines if len(variables) == 1 else crosses}",
        layout=layout(axis(""), axis(f"{observed.capitalize()} ({fits.unit})")),
        traces=[_measured(fit, known[fit.group]) for fit in fits],
        views=views,
        legend=keys(known, set(known)),
    )


def residual_figure(fits: Any, known: dict[str, Mark]) -> Figure:
    """How far each point lies from the law: a pattern here is a lack of fit."""
    variables = tuple(next(iter(fits)).law.variables)
    traces = []
    for fit in fits:
        left = 100 * np.log(fit.data[fit.law.observed] / np.maximum(_predicted(fit), 1e-300))
        text = [f"<b>{safe(fit.group)}</b><br>{number(value, 2)} % from the law" for value in left]
        marker = {"color": known[fit.group].colour, "symbol": known[fit.group].symbol, "size": 6, "opacity": 0.75}
        traces.append(points([], left.tolist(), text, marker, group=known[fit.group].index))
    views = [
        View(
            key=name,
            label=name,
            x=[fit.data[name].tolist() for fit in fits],
            layout={"xaxis": axis(UNITS.get(name, name)) | {"nticks": 5}},
        )
        for name in variables
    ]
    y = axis("Measured above the law (%)", log=False) | {"zeroline": True, "zerolinecolor": "@rule"}
    return Figure(
        id="residuals",
        title="What the law leaves over",
        caption="The distance of each point from its law. A bend or a trend means that another law is needed.",
        layout=layout(axis(""), y),
        traces=traces,
        views=views,
        legend=keys(known, set(known)),
        height="short",
    )


def _measured(fit: Any, mark: Mark) -> Trace:
    text, measured = [], fit.data[fit.law.observed]
    for index, loss in enumerate(measured):
        place = ", ".join(f"{name} {scientific(float(fit.data[name][index]))}" for name in fit.law.variables)
        text.append(f"<b>{safe(fit.group)}</b><br><b>{number(float(loss), 4)}</b><br>{place}")
    marker = {"color": mark.colour, "symbol": mark.symbol, "size": 7, "opacity": 0.8}
    return points([], measured.tolist(), text, marker, group=mark.index)


def _predicted(fit: Any) -> np.ndarray:
    at = {name: sample[0] for name, sample in fit.samples.items()}
    return np.asarray(fit.law.predict(at, {name: fit.data[name] for name in fit.law.variables}), dtype=float)


def _at_points(fit: Any, name: str, mark: Mark) -> Trace:
    predicted = _predicted(fit)
    marker = {"color": mark.colour, "symbol": "cross-thin", "size": 7, "line": {"color": mark.colour, "width": 1.2}}
    text = [f"<b>{safe(fit.group)}</b>, the law<br>{number(float(value), 4)}" for value in predicted]
    return points(fit.data[name].tolist(), predicted.tolist(), text, marker, group=mark.index)


def _curve(fit: Any, mark: Mark) -> list[Trace]:
    """The law with its band, from the smallest that was fitted to the end of its reach."""
    name = fit.law.variables[0]
    low, high = fit.range[name]
    top = high * fit.reach if name != "L" else high
    x = np.geomspace(low, top, PLACES) if low > 0 else np.linspace(low, top, PLACES)
    value, under, over = (list(column) for column in zip(*(fit.curve(float(place)) for place in x), strict=True))
    cost = x.tolist()
    band = {"x": cost + cost[::-1], "y": over + under[::-1], "fill": "toself", "fillcolor": faded(mark.colour, 0.16)}
    line = {"color": mark.colour, "width": 2.2, "dash": mark.dash}
    text = f"<b>{safe(fit.group)}</b>, the law<br>%{{x:.3~e}}<br>%{{y:.4~g}} ({100 * fit.level:.0f} % band)<extra></extra>"
    shared: Trace = {"type": "scatter", "mode": "lines", "meta": {"group": mark.index}}
    return [
        shared | band | {"line": {"width": 0}, "hoverinfo": "skip"},
        shared | {"x": cost, "y": value, "line": line, "hovertemplate": text},
    ]

"""Training curves of the best runs, and the loss by position in the sequence."""

import itertools
from typing import Any

from allometry.report.figures._figure import Figure, Trace, View, axis, keys, layout, safe, shade
from allometry.report.numbers import number, plain, scientific
from allometry.report.palette import Mark

CURVES, POINTS = 60, 100  # at most


def training_figure(
    runs: list[dict[str, Any]], learning_curves: dict[str, dict[str, Any]], marks: dict[str, Mark]
) -> Figure | None:
    """Training loss of the best run per family and budget: at most CURVES of them, of at most POINTS points each.

    `learning_curves` may be as they were recorded: only those that are drawn are looked at.
    """
    best: dict[tuple[str, float], dict[str, Any]] = {}
    for row in runs:
        kind = (row["family"], row.get("budget") or 0.0)
        curve = learning_curves.get(str(row.get("run"))) or {}
        if row.get("bpb") and row.get("stage") != "tune" and len(curve.get("loss", ())):
            best[kind] = min(best.get(kind, row), row, key=lambda r: r["bpb"])
    # The largest budgets first, should there be too many.
    chosen = sorted(best.items(), key=lambda item: -item[0][1])[:CURVES]
    if not chosen:
        return None
    budgets = sorted({budget for (_, budget), _ in chosen})
    traces, tokens, flops = [], [], []
    for (family, budget), row in reversed(chosen):
        thin = thinned(plain(learning_curves[str(row["run"])]))
        traces.append(_curve(thin["loss"], row, marks[family], shade(budgets.index(budget), len(budgets))))
        tokens.append(thin["tokens"])
        flops.append(thin["flops"])
    views = [
        View(key="tokens", label="tokens seen", x=tokens, layout={"xaxis": axis("Tokens seen") | {"nticks": 5}}),
        View(
            key="flops",
            label="training compute",
            x=flops,
            layout={"xaxis": axis("Training compute (FLOPs)") | {"nticks": 5}},
        ),
    ]
    return Figure(
        id="training",
        title="Training curves",
        caption="Training loss of the best run of each family at each budget, stronger for larger budgets. Noise is "
        "averaged within short stretches.",
        layout=layout(axis(""), axis("Training loss (nats per token)")),
        traces=traces,
        views=[view for view in views if any(value is not None for values in view.x or [] for value in values)],
        legend=keys(marks, {family for (family, _), _ in chosen}),
    )


def thinned(curve: dict[str, list[float | None]], limit: int = POINTS) -> dict[str, list[float | None]]:
    """Average a curve in at most `limit` stretches whose ends grow geometrically, so that the steep beginning stays.

    >>> thinned({"tokens": [1.0, 2.0, 3.0, 4.0], "flops": [], "loss": [4.0, 3.0, 2.0, 1.0]}, limit=2)
    {'tokens': [1.5, 3.5], 'flops': [None, None], 'loss': [3.5, 1.5]}
    """
    count = len(curve["loss"])
    edges = range(count + 1)
    if count > limit:
        grown = (max(1, round(count ** (i / limit))) for i in range(1, limit + 1))
        edges = [0, *sorted(set(grown))]
    stretches = list(itertools.pairwise(edges))
    return {
        name: [_mean((curve.get(name) or [])[first:last]) for first, last in stretches]
        for name in ("tokens", "flops", "loss")
    }


def position_figure(positions: dict[str, dict[str, Any]], marks: dict[str, Mark]) -> Figure | None:
    """Loss by position: how much a family gains from a longer past."""
    traces = []
    for family, mark in marks.items():
        found = positions.get(family) or {}
        loss = found.get("loss") or []
        if not any(loss):
            continue
        thin = thinned({"tokens": list(range(1, len(loss) + 1)), "flops": [], "loss": loss})
        trace = {"type": "scatter", "mode": "lines", "x": thin["tokens"], "y": thin["loss"], "meta": {"group": mark.index}}
        name = f"<b>{safe(family)}</b>, size {safe(found.get('size'))}"
        words = f"{name}<br>position %{{x:.0f}}: %{{y:.4~g}} bits per byte<extra></extra>"
        traces.append(trace | {"line": {"color": mark.colour, "width": 2, "dash": mark.dash}, "hovertemplate": words})
    if not traces:
        return None
    shown = {family for family in marks if any((positions.get(family) or {}).get("loss") or [])}
    return Figure(
        id="positions",
        title="Loss by position",
        caption="Held-out loss at each position of the sequence, at one size per family. A line that goes on falling is a "
        "family that uses its longer past.",
        layout=layout(axis("Position in the sequence (tokens)"), axis("Held-out loss (bits per byte)")),
        traces=traces,
        legend=keys(marks, shown),
    )


def reach_figure(positions: dict[str, dict[str, Any]], marks: dict[str, Mark]) -> Figure | None:
    """Gradient by lag: how far back a family's output looks, whatever its architecture."""
    traces, shown = [], set()
    for family, mark in marks.items():
        found = positions.get(family) or {}
        norms = [norm or None for norm in found.get("reach") or []][1:]  # lag 0 has no place on a logarithmic axis
        if not any(norms):
            continue
        shown.add(family)
        name = f"<b>{safe(family)}</b>, size {safe(found.get('size'))}"
        words = f"{name}<br>%{{x}} tokens back: %{{y:.3~g}} of the largest<extra></extra>"
        trace = {"type": "scatter", "mode": "lines", "x": list(range(1, len(norms) + 1)), "y": norms}
        style = {"line": {"color": mark.colour, "width": 2, "dash": mark.dash}, "hovertemplate": words}
        traces.append(trace | style | {"meta": {"group": mark.index}})
    if not traces:
        return None
    return Figure(
        id="reach",
        title="How far back the output looks",
        caption="The gradient of the last output with respect to an input so many tokens before it, as a share of the largest "
        "gradient; trained models, held-out text, one size per family. A straight fall is a memory of one time scale.",
        layout=layout(
            axis("Tokens back") | {"type": "log"},
            axis("Gradient (share of the largest)") | {"type": "log", "range": [-5, 0.1]},
        ),
        traces=traces,
        legend=keys(marks, shown),
    )


def _curve(loss: list[float | None], row: dict[str, Any], mark: Mark, opacity: float) -> Trace:
    words = f"<b>{safe(row['family'])}</b>, size {row.get('size')}, {scientific(row.get('budget'))} asked"
    held_out = f"held out {number(row['bpb'], 4)} bits per byte"
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [],
        "y": loss,
        "line": {"color": mark.colour, "width": 1.8, "dash": mark.dash},
        "opacity": opacity,
        "hovertemplate": f"{words}<br>%{{x:.3~e}}<br>%{{y:.4~g}} nats per token; {held_out}<extra></extra>",
        "meta": {"group": mark.index},
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

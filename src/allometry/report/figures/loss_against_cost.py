"""Loss against cost: every run a point, the laws with their bands, the frontier, on each axis of cost in turn."""

import math
from typing import Any

from allometry.report.figures._figure import Figure, Trace, View, axis, keys, layout, points, safe
from allometry.report.numbers import duration, number, scientific
from allometry.report.palette import Mark, faded
from allometry.report.tables import AXES

_COLUMNS = {
    "flops": "C",
    "flops_non_embedding": "C_non_embedding",
    "parameters": "N",
    "parameters_all": "N_all",
    "seconds": "seconds",
    "memory": "memory",
}
_PREFERRED = ("power_floor_shared", "power_floor", "power")  # which law is drawn at first


def loss_figure(
    answer: dict[str, Any], runs: list[dict[str, Any]], baselines: list[dict[str, Any]], marks: dict[str, Mark]
) -> Figure | None:
    """The main figure, or None where there is neither a run nor a curve."""
    low, high = _range(answer, runs)
    if low is None or high is None:
        return None
    top = high * (high / low) ** 0.06  # where runs without a loss are marked
    groups = _groups(runs)
    traces = [_run_trace(kind, rows, marks[kind[0]], top) for kind, rows in groups]
    views = []
    for name, column in _COLUMNS.items():
        title, unit = AXES[name]
        x = [[row.get(column) or None for row in rows] for _, rows in groups]
        before = _curves(answer, name, marks)
        if any(value for values in x for value in values) or before:
            words = title if unit == "parameters" else f"{title} ({unit})"
            after = _frontier(answer, marks) if name == "flops" and answer.get("protocol") != "fixed-tokens" else []
            new_axis = axis(words[0].upper() + words[1:]) | {"nticks": 5}
            views.append(View(key=name, label=title, x=x, before=before, after=after, layout={"xaxis": new_axis}))
    laws = {trace["meta"]["law"] for view in views for trace in view.before if trace["meta"].get("law")}
    y = axis("Held-out loss (bits per byte)")
    y["range"] = [math.log10(low * (low / high) ** 0.05), math.log10(top * (high / low) ** 0.04)]
    lines, names = _baselines(baselines, low, top)
    return Figure(
        id="loss",
        title="Loss against cost",
        caption="Each point is a run: filled where its loss is compared, open where it chose learning rates. Lines are the "
        "laws or the measured frontier, bands their intervals, large marks the compute-optimal loss at each budget. A cross "
        "at the top is a run that gave no loss. Dotted lines are baselines without a network.",
        layout=layout(axis(""), y, shapes=lines, annotations=names),
        traces=traces,
        views=views,
        laws=[law for law in _PREFERRED if law in laws] + sorted(laws - set(_PREFERRED)),
        tuning=any(row.get("stage") == "tune" for row in runs),
        legend=keys(marks, {row["family"] for row in runs} | {curve["family"] for curve in _all_curves(answer)}),
    )


def _groups(runs: list[dict[str, Any]]) -> list[tuple[tuple[str, str, bool], list[dict[str, Any]]]]:
    groups: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for row in runs:
        groups.setdefault((row["family"], row.get("stage") or "score", row.get("bpb") is not None), []).append(row)
    # Tuning runs first, so that they lie under the others.
    return sorted(groups.items(), key=lambda group: group[0][1] != "tune")


def _run_trace(kind: tuple[str, str, bool], rows: list[dict[str, Any]], mark: Mark, top: float) -> Trace:
    _, stage, scored = kind
    marker: dict[str, Any] = {"color": mark.colour, "symbol": mark.symbol, "size": 7, "opacity": 0.85}
    if stage == "tune":
        marker |= {"symbol": f"{mark.symbol}-open", "size": 6, "opacity": 0.45}
    if not scored:
        marker |= {"symbol": "x", "size": 9, "opacity": 1.0}
    y = [row["bpb"] if scored else top for row in rows]
    return points([], y, [run_text(row) for row in rows], marker, group=mark.index, stage=stage)


def run_text(row: dict[str, Any]) -> str:
    """What a run tells on hover."""
    loss = f"<b>{number(row.get('bpb'), 4)} bits per byte</b>"
    if row.get("status") != "done":
        loss = f"<b>{safe(row.get('status'))}</b>: {safe(row.get('reason') or 'no reason recorded')}"
    lines = [
        f"<b>{safe(row['family'])}</b>, size {row.get('size')}, seed {row.get('seed')} ({safe(row.get('stage'))})",
        loss,
        f"N {scientific(row.get('N'))}, D {scientific(row.get('D'))} tokens, {scientific(row.get('C'))} FLOPs",
        f"{row.get('steps')} steps of {row.get('batch')} sequences, rate {number(row.get('rate'), 2)}",
        f"{duration(row.get('seconds'))} of training",
    ]
    return "<br>".join(lines)


def _all_curves(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [curve for curves in (answer.get("curves") or {}).values() for curve in curves or []]


def _curves(answer: dict[str, Any], name: str, marks: dict[str, Mark]) -> list[Trace]:
    traces: list[Trace] = []
    for curve in (answer.get("curves") or {}).get(name) or []:
        mark, law = marks[curve["family"]], curve.get("law") or "measured"
        meta = {"group": mark.index} | ({} if law == "measured" else {"law": law})
        whole = [p for p in zip(curve["cost"], curve["loss"], curve["low"], curve["high"], strict=True) if None not in p]
        if whole:
            cost, _, low, high = (list(values) for values in zip(*whole, strict=True))
            band = {"x": cost + cost[::-1], "y": high + low[::-1], "fill": "toself", "fillcolor": faded(mark.colour, 0.16)}
            traces.append(
                band | {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "meta": meta}
            )
        line = {"color": mark.colour, "width": 2.2, "dash": mark.dash}
        name = f"<b>{safe(curve['family'])}</b>, {safe(law.replace('_', ' '))}"
        text = f"{name}<br>%{{x:.3~e}}<br>%{{y:.4~g}} bits per byte<extra></extra>"
        shape = {"type": "scatter", "mode": "lines", "x": curve["cost"], "y": curve["loss"], "line": line}
        traces.append(shape | {"hovertemplate": text, "meta": meta})
    return traces


def _frontier(answer: dict[str, Any], marks: dict[str, Mark]) -> list[Trace]:
    traces = []
    for family, mark in marks.items():
        places = [at for at in answer.get("frontier") or [] if at["family"] == family and at.get("loss") is not None]
        if not places:
            continue
        marker = {"color": mark.colour, "symbol": mark.symbol, "size": 12, "line": {"color": "@ink", "width": 1.4}}
        text = [
            f"<b>{safe(family)}</b>, frontier at {scientific(at['budget'])} FLOPs"
            f"<br><b>{number(at['loss'], 4)} bits per byte</b>"
            f"<br>best size N {scientific(at.get('N'))}{'' if at.get('interior') else ', at the edge of the sizes run'}"
            for at in places
        ]
        trace = points([at["budget"] for at in places], [at["loss"] for at in places], text, marker, group=mark.index)
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [(at.get("high") or at["loss"]) - at["loss"] for at in places],
            "arrayminus": [at["loss"] - (at.get("low") or at["loss"]) for at in places],
            "color": mark.colour,
            "thickness": 1.6,
        }
        traces.append(trace)
    return traces


def _range(answer: dict[str, Any], runs: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """Lowest and highest loss worth seeing at first: of scored runs, else of all; bands far above are cut."""
    scored = [row["bpb"] for row in runs if row.get("bpb") and row.get("stage") != "tune"]
    losses = scored or [row["bpb"] for row in runs if row.get("bpb")]
    losses += [value for curve in _all_curves(answer) for value in curve.get("loss") or [] if value]
    return (min(losses), max(max(losses), 1.02 * min(losses))) if losses else (None, None)


def _baselines(baselines: list[dict[str, Any]], low: float, top: float) -> tuple[list[Any], list[Any]]:
    lines, names = [], []
    for baseline in baselines:
        level = baseline.get("bits_per_byte")
        if level is None or not low * 0.97 < level < top * 1.03:
            continue  # the table beside the figure has it
        lines.append(
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": level,
                "y1": level,
                "line": {"color": "@soft", "width": 1.3, "dash": "dot"},
                "layer": "below",
            }
        )
        words = f"{safe(baseline.get('name'))} {number(level, 3)}"
        place = {"xref": "paper", "x": 1, "xanchor": "right", "y": math.log10(level), "yanchor": "bottom"}
        names.append(place | {"text": words, "showarrow": False, "font": {"size": 11, "color": "@soft"}})
    return lines, names

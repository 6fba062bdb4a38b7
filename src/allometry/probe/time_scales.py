"""On which time scales a sequence model remembers: what its gates say, and what its gradients do.

A gate's bias says T where inputs and states are 0 (`model/_timescale.py`). Gradients say how much an input that lies `lag` steps
back still moves the output, whatever the model: |d out_t / d in_{t - lag}|, the root mean square over sequences. For a unit
that forgets exponentially it falls by 1 - 1/T a step, so that a straight line through its logarithm gives T again.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.model.chrono import clocks
from allometry.probe._gradients import norms_by_lag

FAINT = 1e-5  # of the largest norm: below it fp32 has no digits left
RESAMPLES = 200  # of sequences, for the interval
WITHIN = 0.9  # share of the gradient that lies within the horizon


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TimeScales:
    """What was read and measured.

    `gates`: clock, unit, scale (steps). `lags`: lag (steps), norm, low, high (as shares of the largest). `units`: unit, scale, by
    gradients, where a layer was asked. `scale`, `low`, `high`: T of the whole in steps; None where the data cannot tell, and
    `verdict` says why. `horizon`: the lag within which nine tenths of the gradient lie.
    """

    gates: pd.DataFrame
    lags: pd.DataFrame
    units: pd.DataFrame
    scale: float | None
    low: float | None
    high: float | None
    horizon: int | None
    verdict: str


def timescales(
    model: nn.Module,
    inputs: Tensor | Sequence[Tensor] | None = None,
    *,
    layer: str | None = None,
    seed: int = 0,
    level: float = 0.9,
) -> TimeScales:
    """Read the time scales of a model, and measure them where there are inputs.

    Args:
        model: any module whose output is `[batch length outputs]`, or that output and more; it is left as it was.
        inputs: what it is called with: tokens `Int[batch length]`, or numbers `Float[batch length channels]`. Two sequences or
            more give an interval. Without inputs the gates alone are read.
        layer: the name of a part whose units are measured one by one, from its own input to its own output at the last
            position; without it the whole model is measured, from its embedding or its numbers.
        seed: of the random directions and of the resampled sequences.
        level: of the interval, which is over sequences.

    Raises:
        Refusal: there is nothing to read or measure, or no part has the name.
    """
    found = clocks(model)
    rows = [(name, unit, float(t)) for name, clock in found.items() for unit, t in enumerate(clock.read().cpu())]
    gates = pd.DataFrame(rows, columns=["clock", "unit", "scale"])
    if inputs is None:
        if gates.empty:
            raise Refusal(
                f"{type(model).__name__} has no gates to read. Give inputs, so that its gradients can be measured."
            )
        return _result(gates, np.empty((0, 0, 0)), seed, level)
    norms = norms_by_lag(model, (inputs,) if isinstance(inputs, Tensor) else tuple(inputs), layer, seed)
    return _result(gates, norms, seed, level)


def _result(gates: pd.DataFrame, norms: Float[np.ndarray, "units batch lags"], seed: int, level: float) -> TimeScales:
    empty = pd.DataFrame(columns=["lag", "norm", "low", "high"]), pd.DataFrame(columns=["unit", "scale"])
    if not norms.size:
        return TimeScales(
            gates=gates, lags=empty[0], units=empty[1], scale=None, low=None, high=None, horizon=None, verdict="not measured"
        )
    by_sequence = (norms**2).mean(0)  # [batch lags]
    curve = np.sqrt(by_sequence.mean(0))
    if not np.isfinite(curve).all() or not curve.max() > 0:
        raise Refusal(
            "The gradients are zero or not finite, so nothing can be measured. Is the output a constant of its input?"
        )
    draws = np.random.default_rng(seed)
    chosen = draws.integers(len(by_sequence), size=(RESAMPLES, len(by_sequence)))
    curves = np.sqrt(by_sequence[chosen].mean(1))
    ends = np.quantile(curves / curve.max(), [(1 - level) / 2, (1 + level) / 2], axis=0)
    lags = pd.DataFrame({"lag": np.arange(len(curve)), "norm": curve / curve.max(), "low": ends[0], "high": ends[1]})
    scale, verdict = _scale(curve)
    low, high = (None, None) if scale is None or len(by_sequence) < 2 else _interval(map(_scale, curves), level)
    each = [_scale(np.sqrt((unit**2).mean(0)))[0] for unit in norms] if len(norms) > 1 else []
    return TimeScales(
        gates=gates,
        lags=lags,
        units=pd.DataFrame({"unit": np.arange(len(each)), "scale": np.array(each, dtype=float)}),
        scale=scale,
        low=low,
        high=high,
        horizon=int(np.searchsorted(curve.cumsum(), WITHIN * curve.sum())),
        verdict=verdict,
    )


def _scale(curve: Float[np.ndarray, " lags"]) -> tuple[float | None, str]:
    """T by a straight line through the logarithm of what is not too faint, from lag 1 on: lag 0 has ways around the memory."""
    known = np.flatnonzero(curve > FAINT * curve.max())
    known = known[known > 0]
    faint = np.flatnonzero(np.diff(known) > 1)
    known = known[: faint[0] + 1] if len(faint) else known  # up to the first gap
    if len(known) < 3:
        return None, "cannot tell: fewer than three lags have a gradient"
    slope = np.polyfit(known, np.log(curve[known]), 1)[0]
    if slope >= 0 or -1 / slope > 2 * len(curve):
        return None, f"cannot tell: longer than the {len(curve)} steps that were looked at"
    return float(1 / -math.expm1(slope)), "measured"


def _interval(drawn: Iterable[tuple[float | None, str]], level: float) -> tuple[float | None, float | None]:
    """The ends of an interval over resamples; None where it is open, as so many of them cannot tell how long the scale is."""
    scales = [math.inf if scale is None else scale for scale, _ in drawn]
    ends = [float(np.quantile(scales, share, method="higher")) for share in ((1 - level) / 2, (1 + level) / 2)]
    return tuple(None if math.isinf(end) else end for end in ends)  # type: ignore[return-value]

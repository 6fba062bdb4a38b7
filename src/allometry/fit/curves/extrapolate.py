"""extrapolate: where a learning curve goes next, with an interval.

The prediction of ln loss is the plain mean of two views (`views.py`) that err in different ways: one law that the whole
curve strays from, and one law of the recent end. With the handful of dependent origins that one curve offers, learned weights
would cost more than they gain (Smith & Wallis 2009, on why equal weights are hard to beat).

The interval comes from the first view (doubt about the law, noise with its correlation, wander that grows with distance^3),
plus half the distance between the views, times a factor learned from the curve itself: how far off, in units of its own
interval, the same method was at earlier origins of this curve. The factor is shrunk to 1 where there are few origins, and is
never below 1: a handful of dependent origins is no ground for a narrower interval than the model's own.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from allometry.fit.asked import check_asked
from allometry.fit.curves.views import RECENT, WANDERING, Posterior, posterior
from allometry.flow import Refusal, TooFar

LEAST = 4  # rows: level, exponent and floor, and one to judge them by
MOST = 128  # rows beyond this are averaged in bins of ln x; a law of four numbers needs no more
ORIGINS = 3  # earlier origins that the interval is checked on
TRUST = 4.0  # origins that the model's own interval is worth


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Extrapolation:
    """What was asked and what the curve answers."""

    x: Float[np.ndarray, " points"]
    loss: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]
    level: float
    views: dict[str, Float[np.ndarray, " points"]]  # the two predictions that `loss` is the geometric mean of
    equation: str
    parameters: dict[str, dict[str, float]]  # value (median), low, high at `level`
    diagnosis: dict[str, float]
    flags: tuple[str, ...]


def extrapolate(
    x: Sequence[float] | Float[np.ndarray, " rows"],
    loss: Sequence[float] | Float[np.ndarray, " rows"],
    at: Sequence[float] | Float[np.ndarray, " points"],
    *,
    level: float = 0.9,
    reach: float = 10.0,
) -> Extrapolation:
    """Predict a single row of the curve (x, loss) at each of `at`; x is any size: steps, tokens, examples, FLOPs.

    Rows may come in any order. The interval is for one more row as noisy as those near the end. Raises Refusal for rows that
    cannot be used, TooFar beyond `reach` times the largest x.
    """
    size, value = _rows(x, loss)
    asked = np.asarray(at, dtype=float)
    if not len(asked) or not np.isfinite(asked).all() or (asked <= 0).any():
        raise Refusal("at= needs at least one finite x above 0, in the unit of the curve's x.")
    check_asked(level=level, reach=reach)
    if asked.min() < size[-1]:
        raise Refusal(
            f"at={asked.min():.4g} lies before the last row ({size[-1]:.4g}), which is measured. Ask for x behind it."
        )
    if asked.max() > reach * size[-1] * (1 + 1e-9):
        raise TooFar(
            f"x={asked.max():.4g} is {asked.max() / size[-1]:.3g} times the last row; this answers up to {reach:g} times. "
            "Train further, or accept the risk with reach= (--reach)."
        )
    place, height = np.log(size), np.log(value)
    ahead = np.log(asked) - place[-1]
    try:
        wandering, recent, mean, variance = _both(place, height, ahead)
        wrong = _earlier(place, height, max(float(ahead.max()), np.log(1.25)))
    except np.linalg.LinAlgError as error:
        raise Refusal(
            f"This curve cannot be continued ({error}). Its losses span {value.min():.3g} to {value.max():.3g}: leave out rows."
        ) from error
    factor = float(np.sqrt(max(1.0, (TRUST + wrong.sum()) / (TRUST + len(wrong)))))
    half = stats.t.ppf((1 + level) / 2, TRUST + len(wrong) + len(place) - LEAST) * factor * np.sqrt(variance)
    parameters, diagnosis = _describe(wandering, size[-1], level)
    diagnosis |= {"rows": float(len(size)), "origins": float(len(wrong)), "interval_factor": factor}
    return Extrapolation(
        x=asked,
        loss=np.exp(mean),
        low=np.exp(mean - half),
        high=np.exp(mean + half),
        level=level,
        views={"wandering": np.exp(wandering.predict(ahead)[0]), "recent": np.exp(recent.predict(ahead)[0])},
        equation="L = E + B exp(-alpha (z^delta - 1) / delta), z = (x + x0) / (last x + x0); delta = 0: z^-alpha",
        parameters=parameters,
        diagnosis=diagnosis,
        flags=_flags(parameters, diagnosis, height, value[-1]),
    )


def _rows(
    x: Sequence[float] | Float[np.ndarray, " rows"], loss: Sequence[float] | Float[np.ndarray, " rows"]
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """The rows in ascending x, or a refusal."""
    size, value = np.asarray(x, dtype=float), np.asarray(loss, dtype=float)
    if size.ndim != 1 or size.shape != value.shape:
        raise Refusal(f"x has shape {size.shape}, loss {value.shape}. Pass one curve: two lists of the same length.")
    bad = ~(np.isfinite(size) & np.isfinite(value) & (size > 0) & (value > 0))
    if bad.any():
        raise Refusal(
            f"{int(bad.sum())} of {len(size)} rows are not finite and positive (first: x={size[bad][0]:g}, "
            f"loss={value[bad][0]:g}). Leave out rows at step 0, and end the curve before a divergence."
        )
    order = np.argsort(size, kind="stable")
    size, value = size[order], value[order]
    again = np.flatnonzero(np.diff(size) == 0)
    if len(again):
        raise Refusal(
            f"x={size[again[0]]:.6g} stands in the curve more than once. Average repeated rows, or extrapolate each run alone."
        )
    if len(size) < LEAST:
        raise Refusal(
            f"A curve needs at least {LEAST} rows; this has {len(size)}. Evaluate more often, best at equal ratios of x, or "
            "train further."
        )
    return size, value


def _both(
    place: Float[np.ndarray, " rows"], height: Float[np.ndarray, " rows"], ahead: Float[np.ndarray, " points"]
) -> tuple[Posterior, Posterior, Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The two views, the mean of their predictions, and the variance about it."""
    ago, value, count = _binned(place, height)
    wandering, recent = posterior(WANDERING, ago, value, count), posterior(RECENT, ago, value, count)
    first, variance = wandering.predict(ahead)
    second, _ = recent.predict(ahead)
    return wandering, recent, (first + second) / 2, variance + (first - second) ** 2 / 4


def _binned(
    place: Float[np.ndarray, " rows"], height: Float[np.ndarray, " rows"]
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """At most MOST rows as distance to the last one; crowded stretches of ln x are averaged, and counted."""
    ago = place[-1] - place
    if len(ago) <= MOST:
        return ago, height, np.ones(len(ago))
    bins = np.minimum((ago / ago[0] * MOST).astype(int), MOST - 1)
    count = np.bincount(bins, minlength=MOST).astype(float)
    kept = np.flatnonzero(count)[::-1]
    sums = [np.bincount(bins, weights=part, minlength=MOST)[kept] for part in (ago, height)]
    return sums[0] / count[kept], sums[1] / count[kept], count[kept]


def _earlier(
    place: Float[np.ndarray, " rows"], height: Float[np.ndarray, " rows"], step: float
) -> Float[np.ndarray, " origins"]:
    """Mean squared error over predicted variance at earlier origins, each judged on the stretch up to the next one."""
    wrong = []
    for back in range(1, ORIGINS + 1):
        until = int(np.searchsorted(place, place[-1] - back * step, side="right"))
        if until < LEAST + 1:
            break
        judged = (place > place[until - 1]) & (place <= place[until - 1] + step)
        if judged.any():
            _, _, mean, variance = _both(place[:until], height[:until], place[judged] - place[until - 1])
            wrong.append(float(np.mean((height[judged] - mean) ** 2 / variance)))
    return np.array(wrong)


def _describe(found: Posterior, last: float, level: float) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Parameters of the law with intervals, and what the disturbances look like."""
    heights = np.exp(found.level)
    every = {
        "E": heights * found.laws.limit,
        "alpha": np.broadcast_to(found.laws.exponent, heights.shape),
        "x0": np.broadcast_to(found.laws.shift * last, heights.shape),
        "delta": np.broadcast_to(found.laws.decay, heights.shape),
        "slope": np.broadcast_to(found.laws.slope, heights.shape),
    }
    kept = found.weight > 1e-8 * found.weight.max()
    tail = (1 - level) / 2
    parameters = {}
    for name, values in every.items():
        low, middle, high = _quantiles(values[kept], found.weight[kept], (tail, 0.5, 1 - tail))
        parameters[name] = {"value": middle, "low": low, "high": high}
    by_disturbance = found.weight.sum(1)
    noise = (found.weight * found.variance).sum(1)
    return parameters, {
        "noise": float(np.sqrt((noise * (1 + found.correlated)).sum())),
        "correlated_share": float(by_disturbance @ (found.correlated / (1 + found.correlated))),
        "wander": float(np.sqrt((noise * found.ratio).sum())),
        "wander_growth": float(by_disturbance @ found.growth),
    }


def _quantiles(
    values: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"], shares: tuple[float, ...]
) -> tuple[float, ...]:
    order = np.argsort(values)
    mass = np.cumsum(weight[order])
    places = np.searchsorted(mass, np.array(shares) * mass[-1])
    return tuple(float(values[order[min(place, len(order) - 1)]]) for place in places)


def _flags(
    parameters: dict[str, dict[str, float]], diagnosis: dict[str, float], height: Float[np.ndarray, " rows"], last: float
) -> tuple[str, ...]:
    """What a reader must know before using the numbers."""
    flags = []
    floor, slope = parameters["E"], parameters["slope"]
    if floor["high"] - floor["low"] > last / 2:
        flags.append(
            f"floor not identified: {floor['low']:.3g} to {floor['high']:.3g}. Train further before quoting a floor or an exponent."
        )
    if height[-1] > height.min() + 3 * diagnosis["noise"]:
        flags.append(
            "the curve rises at its end: a law that only falls is wide here. End the curve before the rise, or find its cause."
        )
    if diagnosis["wander"] > slope["value"]:
        flags.append(
            "the slope changes faster than a law explains: the interval is mostly wander. Evaluate nearer to the end of training."
        )
    if diagnosis["interval_factor"] > 2:
        flags.append(
            f"earlier stretches of this curve were missed by {diagnosis['interval_factor']:.1f} times their interval; "
            "it is widened so."
        )
    return tuple(flags)

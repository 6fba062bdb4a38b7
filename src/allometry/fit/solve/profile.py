"""Profile intervals: every value of a parameter at which the best fit is not refused by an F test.

    {v : Q(v) - Q_min <= F(level; 1, n - p) * s / 2}

Q(v) is the criterion with the parameter held at v and all others anew at their best. For squares s is the residual variance,
and this is the textbook's interval; for Huber's criterion s = mean(psi^2) / mean(psi') (Huber 1981, 7.10). Honest where the
valley is curved or ends at a bound. Rows of one run are correlated: then n is the number of runs, and s grows by rows per run.

Of few runs Huber's s with a small delta cannot be read off the residuals: a fit passes through as many points as it has free
values, and their zeros look like a high density (benchmarks/fit_coverage.py then found 62 to 80 % in place of 95 %). There
psi and psi' are those of normal residuals with the variance that is left, as the draws of `resample` suppose too.
"""

import numpy as np
from jaxtyping import Float
from scipy import stats

from allometry.fit.criterion import LN, Criterion
from allometry.fit.solve import descend
from allometry.fit.solve.curved import Curved
from allometry.fit.solve.pose import Posed
from allometry.fit.solve.resample import MANY
from allometry.fit.solve.search import Found

STEPS = np.array([0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10, 20, 50, 200, 1000])  # standard errors


def scale(criterion: Criterion, residual: Float[np.ndarray, " points"], spare: int, runs: int) -> float:
    """s of the docstring: what twice a difference of criteria is measured in. `spare`: points beyond the free values."""
    side = criterion.side(residual)
    if criterion.delta is None:
        return float((side * residual**2).sum() / spare)
    if runs < MANY * (len(residual) - spare):
        return float((side**2).mean() / side.mean()) * _normal_scale(
            criterion.delta, float(np.sqrt((residual**2).sum() / spare))
        )
    size = np.abs(residual)
    # The density of residuals near 0 is what counts; where delta holds too few of them, a wider window estimates it.
    window = max(criterion.delta, float(np.median(size)) * len(size) ** (-1 / 5), 1e-300)
    inside = max(float(np.mean(size <= window)), 1 / len(size)) / window
    if criterion.delta == 0:
        return float((side**2).sum() / spare / inside) * 2 / (1 + criterion.over)
    return float((side * np.minimum(size, criterion.delta) ** 2).sum() / spare / (inside * criterion.delta))


def _normal_scale(delta: float, deviation: float) -> float:
    """mean(psi^2) / mean(psi') of Huber's criterion over normal residuals; of delta = 0 the limit, in units of delta."""
    if deviation == 0:
        return 0.0
    width = delta / deviation
    if width < 1e-6:
        return deviation * float(np.sqrt(np.pi / 2)) * (delta or 1.0)
    inside = 2 * float(stats.norm.cdf(width)) - 1
    squares = inside - 2 * width * float(stats.norm.pdf(width)) + width**2 * (1 - inside)
    return deviation**2 * squares / inside


def profiles(
    posed: Posed,
    loss: Float[np.ndarray, " points"],
    found: Found,
    level: float,
    runs: int,
) -> dict[str, tuple[float, float]]:
    """Intervals of the parameters that the law is not linear in, and of a floor. An end that is not reached is the bound."""
    spare = runs - posed.free
    if spare < 1:
        return {}
    model = posed.model
    residual = model.criterion.residual(loss, model.predicted(found.values[None])[0])
    spread = scale(model.criterion, residual, max(1, len(loss) - posed.free), runs) * len(loss) / runs
    allowed = float(stats.f.ppf(level, 1, spare)) * spread / 2
    low, high = model.bounds
    errors = np.sqrt(np.maximum(np.diag(covariance(posed, loss, found, spread)), 0))
    wanted = [i for i, name in enumerate(posed.names) if i not in posed.fixed and (i >= model.terms or name == "E")]
    result = {}
    for i in wanted:
        wide = errors[i] if np.isfinite(errors[i]) and errors[i] > 0 else abs(found.values[i]) + 0.1
        ends = found.values[i] + wide * np.concatenate([-STEPS[::-1], [0.0], STEPS])
        places = np.unique(np.clip(ends, low[i], high[i]))
        rise = _held(posed, loss, found.values, places, i) - found.objective
        places, rise = _closer(posed, loss, found, places, rise, i, allowed)
        crossed = _ends(places, rise, float(found.values[i]), allowed)
        lower, upper = (low[i] if crossed[0] is None else crossed[0]), (high[i] if crossed[1] is None else crossed[1])
        if isinstance(model, Curved) and i >= model.terms and model.others[i - model.terms].scale == "log":
            lower, upper = np.exp(lower), np.exp(upper)
        result[posed.names[i]] = (float(lower), float(upper))
    return result


def _closer(
    posed: Posed,
    loss: Float[np.ndarray, " points"],
    found: Found,
    places: Float[np.ndarray, " places"],
    rise: Float[np.ndarray, " places"],
    position: int,
    allowed: float,
) -> tuple[Float[np.ndarray, " more"], Float[np.ndarray, " more"]]:
    """More places between those that the crossing lies between, as the rise may have a kink there (a bound)."""
    over = rise > allowed
    crossing = np.flatnonzero(over[:-1] != over[1:])
    if not len(crossing):
        return places, rise
    more = np.concatenate([np.linspace(places[i], places[i + 1], 10)[1:-1] for i in crossing])
    risen = _held(posed, loss, found.values, more, position) - found.objective
    order = np.argsort(np.concatenate([places, more]), kind="stable")
    return np.concatenate([places, more])[order], np.concatenate([rise, risen])[order]


def _held(
    posed: Posed,
    loss: Float[np.ndarray, " points"],
    values: Float[np.ndarray, " values"],
    places: Float[np.ndarray, " places"],
    position: int,
) -> Float[np.ndarray, " places"]:
    """The criterion with one value held at each place: from the estimate, then from the neighbour nearer to it."""
    model, count = posed.model, len(places)
    rows, ones = np.repeat(loss[None], count, axis=0), np.ones((count, len(loss)))
    neighbour = np.clip(np.arange(count) + np.where(places > values[position], -1, 1), 0, count - 1)
    start, best = np.tile(values, (count, 1)), np.full(count, np.inf)
    outwards = np.argsort(np.abs(places - values[position]))
    for _ in range(2):
        start[:, position] = places
        coefficients, others = start[:, : model.terms], start[:, model.terms :]
        fixed = posed.held(count) | {position: places}
        # An interval needs four digits of the criterion, not all of them.
        found = descend.refine(model, rows, ones, coefficients, others, 40, fixed=fixed, newton=False)
        best = np.minimum(best, found.objective)
        sides = [best[[i for i in outwards if (places[i] - values[position]) * sign > 0]] for sign in (-1, 1)]
        if all((np.diff(side) >= 0).all() for side in sides):
            break  # it rises on both sides, so nothing got stuck
        start = found.values[neighbour]
    return best


def covariance(
    posed: Posed, loss: Float[np.ndarray, " points"], found: Found, spread: float
) -> Float[np.ndarray, "values values"]:
    """Of the values, by the Gauss-Newton matrix. `spread` is s of the docstring. Values at a bound count as held there.

    Of absolute deviations (delta = 0) the criterion is in units of residuals, and so is s: there s^2 is the variance.
    """
    predicted, slopes = posed.model.slopes(found.values[None])
    scaled = slopes[0] / predicted[0][:, None] if posed.model.criterion.of == LN else slopes[0]
    low, high = posed.model.bounds
    inside = np.flatnonzero((found.values > low) & (found.values < high))
    inside = np.array([i for i in inside if i not in posed.fixed], dtype=int)
    part = scaled[:, inside]
    size = np.sqrt((part**2).sum(0))
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv((part / size).T @ (part / size), rcond=1e-12, hermitian=True) / size[:, None] / size
    result = np.zeros((len(found.values), len(found.values)))
    result[np.ix_(inside, inside)] = inverse * (spread**2 if posed.model.criterion.delta == 0 else spread)
    return result


def _ends(
    places: Float[np.ndarray, " places"], rise: Float[np.ndarray, " places"], best: float, allowed: float
) -> tuple[float | None, float | None]:
    """Where the rise crosses what is allowed, on each side; on a parabola the root of the rise is straight."""
    found: list[float | None] = []
    for side in (-1, 1):
        here = np.flatnonzero((places - best) * side > 0)
        order = here[np.argsort(np.abs(places[here] - best))]
        beyond = [i for i in order if rise[i] > allowed]
        if not beyond:
            found.append(None)
            continue
        first = beyond[0]
        before = [i for i in order if abs(places[i] - best) < abs(places[first] - best)]
        inner, inner_root = (places[before[-1]], np.sqrt(max(rise[before[-1]], 0.0))) if before else (best, 0.0)
        outer_root = np.sqrt(rise[first])
        share = (np.sqrt(allowed) - inner_root) / max(outer_root - inner_root, 1e-300)
        found.append(float(inner + np.clip(share, 0, 1) * (places[first] - inner)))
    return found[0], found[1]

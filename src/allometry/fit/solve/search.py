"""Search: the minimum of one group from many starts, with what shows that it is one; and that of its resamples."""

import dataclasses

import numpy as np
from jaxtyping import Float

from allometry.fit.criterion import LN
from allometry.fit.solve import descend, project
from allometry.fit.solve.curved import Curved
from allometry.fit.solve.model import Solution
from allometry.fit.solve.pose import Posed

SAME = 1e-6  # relative difference of criteria that counts as the same minimum
KEPT = 12  # starts that are followed to their minimum


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """The best minimum. Values are in the coordinates of the search."""

    values: Float[np.ndarray, " values"]
    objective: float
    starts: int  # that were followed
    agreeing: int  # of them, ended with the best criterion
    screened: int  # starts among which they were chosen
    gradient: float  # force that is left, as a share of the forces that cancel
    condition: float  # of the scaled Gauss-Newton matrix of the free values; infinite where it has no full rank
    unmoved: tuple[str, ...]  # values that still are what they started as


def search(
    posed: Posed, loss: Float[np.ndarray, " points"], weights: Float[np.ndarray, " points"], *, kept: int = KEPT
) -> Found:
    """Screen all starts by least squares, follow the best ones that differ, keep the lowest."""
    grid = posed.starts(loss)
    coefficients, starts = _screen(posed, loss, weights, grid, kept)
    many = np.repeat(loss[None], len(starts), axis=0), np.repeat(weights[None], len(starts), axis=0)
    followed = _follow(posed, *many, coefficients, starts)
    best = int(followed.objective.argmin())
    values = followed.values[best]
    lowest = float(followed.objective[best])
    begun = np.concatenate([coefficients, starts], axis=1)[best]
    free = [i for i in range(len(values)) if i not in posed.fixed]
    nonlinear = [i for i in free if i >= posed.model.terms]
    unmoved = tuple(posed.names[i] for i in nonlinear if abs(values[i] - begun[i]) <= 1e-9 * abs(begun[i]))
    one = many[0][:1], many[1][:1], values[None]
    return Found(
        values=values,
        objective=lowest,
        starts=len(starts),
        agreeing=int((followed.objective <= lowest * (1 + SAME) + 1e-15).sum()),
        screened=len(grid),
        gradient=_gradient(posed, *one),
        condition=_condition(posed, *one),
        unmoved=unmoved if not np.isclose(lowest, 0, atol=1e-15) else (),
    )


def _follow(
    posed: Posed,
    loss: Float[np.ndarray, "starts points"],
    weights: Float[np.ndarray, "starts points"],
    coefficients: Float[np.ndarray, "starts terms"],
    others: Float[np.ndarray, "starts others"],
) -> Solution:
    """Down to the minima. Second derivatives of curved laws are dear, so only the better half gets the last digits."""
    model, held = posed.model, posed.held(len(loss))
    if not isinstance(model, Curved):
        return descend.refine(model, loss, weights, coefficients, others, steps=300, fixed=held)
    rough = descend.refine(model, loss, weights, coefficients, others, steps=60, fixed=held, newton=False)
    good = np.sort(np.argsort(rough.objective)[: max(1, len(loss) // 2)])
    part = descend.refine(
        model, loss[good], weights[good], rough.coefficients[good], rough.exponents[good], 60, fixed=posed.held(len(good))
    )
    for whole, better in zip(
        (rough.coefficients, rough.exponents, rough.objective),
        (part.coefficients, part.exponents, part.objective),
        strict=True,
    ):
        whole[good] = better
    return rough


def again(
    posed: Posed, loss: Float[np.ndarray, "sets points"], weights: Float[np.ndarray, "sets points"], found: Found
) -> Float[np.ndarray, "sets values"]:
    """The minima of resamples: from the grid where it is small, else from the estimate."""
    others = len(found.values) - posed.model.terms
    if not isinstance(posed.model, Curved) and others <= 2 and not posed.fixed:
        return project.solve(posed.model, loss, weights, posed.starts(loss[0])).values
    start = np.tile(found.values, (len(loss), 1))
    terms = posed.model.terms
    newton = not isinstance(posed.model, Curved)
    return descend.refine(
        posed.model, loss, weights, start[:, :terms], start[:, terms:], 40, fixed=posed.held(len(loss)), newton=newton
    ).values


def _screen(
    posed: Posed,
    loss: Float[np.ndarray, " points"],
    weights: Float[np.ndarray, " points"],
    grid: Float[np.ndarray, "starts others"],
    kept: int,
) -> tuple[Float[np.ndarray, "kept terms"], Float[np.ndarray, "kept others"]]:
    """The best starts that differ: each is better than all near it that were not chosen yet."""
    model = posed.model
    if model.terms:
        gram, right = project.grams(model, loss[None], weights[None], grid)
        low = model.bounds[0][: model.terms]
        free = tuple(int(i) for i in np.flatnonzero(low < 0))
        coefficients, gain = (part[0] for part in project.nonnegative(gram, right, free))
    else:
        coefficients = np.zeros((len(grid), 0))
        scale = loss if model.criterion.of == LN else 1.0
        gain = -(weights * ((loss - np.nan_to_num(model.predicted(grid), nan=1e9)) / scale) ** 2).sum(1)
    spread = grid.std(axis=0) + 1e-9
    order = list(np.argsort(-np.nan_to_num(gain, nan=-np.inf)))
    chosen: list[int] = []
    while order and len(chosen) < kept:
        best = order.pop(0)
        chosen.append(best)
        apart = np.abs((grid[order] - grid[best]) / spread).max(1, initial=0.0) > 0.3
        order = [index for index, keep in zip(order, apart, strict=True) if keep]
    return coefficients[chosen], grid[chosen]


def _gradient(
    posed: Posed,
    loss: Float[np.ndarray, "1 points"],
    weights: Float[np.ndarray, "1 points"],
    values: Float[np.ndarray, "1 values"],
) -> float:
    return float(descend.gradient(posed.model, loss, weights, values, held=tuple(posed.fixed))[0])


def _condition(
    posed: Posed,
    loss: Float[np.ndarray, "1 points"],
    weights: Float[np.ndarray, "1 points"],
    values: Float[np.ndarray, "1 values"],
) -> float:
    """Of the values that neither stand at a bound nor are held; 1 is best."""
    predicted, slopes = posed.model.slopes(values)
    scaled = slopes[0] * np.sqrt(weights[0])[:, None]
    if posed.model.criterion.of == LN:
        scaled = scaled / predicted[0][:, None]
    low, high = posed.model.bounds
    inside = [i for i in range(values.shape[1]) if i not in posed.fixed and low[i] < values[0, i] < high[i]]
    scaled = scaled[:, inside]
    size = np.sqrt((scaled**2).sum(0))
    if not inside or not (size > 0).all():
        return float("inf") if inside else 1.0
    singular = np.linalg.svd(scaled / size, compute_uv=False)
    return float((singular[0] / singular[-1]) ** 2) if singular[-1] > 1e-13 * singular[0] else float("inf")

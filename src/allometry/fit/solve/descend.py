"""Descent from starts to minima of a criterion, for many starts and data sets at once.

Gauss-Newton with Huber's weights, which majorise his criterion (so a step rarely fails), then Newton's method with the second
derivatives once that creeps; both damped (Levenberg, Marquardt). A step that makes the criterion worse is not taken. Bounds
hold by projection (Bertsekas 1982). Absolute deviations (delta = 0) are approached through ever smaller delta.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float

from allometry.fit.criterion import LEAST, LN, TINY, Criterion
from allometry.fit.solve.model import Model, Solution
from allometry.fit.solve.nonnegative import nonnegative

CREEP = 1e-3  # relative gain of a step, below which Newton's method takes over
ENTRIES = 3e6  # of the largest array; more sets are worked off in parts
BACK = 4  # failures of Newton steps in a row, after which Gauss-Newton takes over again
ENOUGH = 16  # failures in a row, after which nothing moves: BACK of Newton's, then the damping of Gauss-Newton at 1e5
MOST = 5  # coefficients that are solved anew at every step
PAUSE, STALL = 15, 1e-9
NOTHING = 1e-20  # a criterion below it is that of an exact fit
SHARPEST = 1e-7  # of the residuals' scale: the delta that stands for 0


def objective(
    problem: Model,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    coefficients: Float[np.ndarray, "sets terms"],
    exponents: Float[np.ndarray, "sets others"],
) -> Float[np.ndarray, " sets"]:
    """The weighted sum over points of the criterion."""
    return _score(problem, problem.criterion, loss, weights, np.concatenate([coefficients, exponents], axis=1))


def refine(
    problem: Model,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    coefficients: Float[np.ndarray, "sets terms"],
    exponents: Float[np.ndarray, "sets others"],
    steps: int = 60,
    *,
    fixed: dict[int, Float[np.ndarray, " sets"]] | None = None,
    newton: bool = True,
) -> Solution:
    """Go down from a start until nothing moves. `fixed` holds values (by position) still, at one number for each set.

    Without `newton` the last digits are left out: enough for draws of laws whose second derivatives are dear.
    """
    low, high = (np.tile(bound, (len(loss), 1)) for bound in problem.bounds)
    for position, held in (fixed or {}).items():
        low[:, position] = high[:, position] = held
    values = np.clip(np.concatenate([coefficients, exponents], axis=1), low, high)
    chunk = max(1, int(ENTRIES / (loss.shape[1] * (values.shape[1] + problem.terms))))
    for first in range(0, len(loss), chunk):
        part = slice(first, first + chunk)
        ends = low[part], high[part]
        criteria = _sharpening(problem, loss[part], weights[part], values[part])
        for criterion in criteria:
            few = steps if len(criteria) == 1 else min(steps, 60)
            values[part] = _descend(problem, criterion, loss[part], weights[part], values[part], *ends, few, newton)
    terms = problem.terms
    score = _score(problem, problem.criterion, loss, weights, values)
    return Solution(coefficients=values[:, :terms], exponents=values[:, terms:], objective=score)


def gradient(
    problem: Model,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
    held: tuple[int, ...] = (),
) -> Float[np.ndarray, " sets"]:
    """The force that is left at the free values, as a share of the forces that cancel there: 0 at a minimum, at most 1.

    Absolute deviations have a corner where a residual is 0, and a minimum lies on as many corners as there are free values.
    There it counts by how much the corners would have to pull harder than they can.
    """
    low, high = (np.tile(bound, (len(loss), 1)) for bound in problem.bounds)
    criterion = problem.criterion
    if criterion.delta == 0:
        return np.array([_corners(problem, *row, low[0], high[0], held) for row in zip(loss, weights, values, strict=True)])
    slopes, pull, _, _ = _forces(problem, criterion, loss, weights, values)
    uphill = np.einsum("spi,sp->si", slopes, pull)
    total = np.einsum("spi,sp->si", np.abs(slopes), np.abs(pull))
    free = _free(values, uphill, low, high)
    free[:, list(held)] = False
    return np.where(free, np.abs(uphill) / (total + TINY), 0.0).max(1)


def _corners(
    problem: Model,
    loss: Float[np.ndarray, " points"],
    weights: Float[np.ndarray, " points"],
    values: Float[np.ndarray, " values"],
    low: Float[np.ndarray, " values"],
    high: Float[np.ndarray, " values"],
    held: tuple[int, ...],
) -> float:
    """How far the pulls of the corners lie outside of what a corner can pull, as a share of it; 0 at a minimum."""
    criterion = problem.criterion
    predicted, slopes = problem.slopes(values[None])
    residual = criterion.residual(loss, predicted[0])
    free = [i for i in range(len(values)) if i not in held and low[i] < values[i] < high[i]]
    matrix = slopes[0][:, free] / (predicted[0][:, None] if criterion.of == LN else 1.0)
    matrix = matrix / np.sqrt((matrix**2).sum(0))
    corner = np.argsort(np.abs(residual))[: len(free)]
    others = np.setdiff1d(np.arange(len(loss)), corner)
    pull = weights[others] * criterion.side(residual[others]) * np.sign(residual[others])
    needed = np.linalg.lstsq(matrix[corner].T, -pull @ matrix[others], rcond=None)[0] / np.maximum(weights[corner], TINY)
    return float(np.maximum(np.maximum(needed - 1, -needed - criterion.over), 0).max(initial=0.0))


@no_type_check  # called at every step; `refine` checks the shapes
def _score(
    problem: Model,
    criterion: Criterion,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
) -> Float[np.ndarray, " sets"]:
    with np.errstate(all="ignore"):
        total = (weights * criterion.cost(criterion.residual(loss, problem.predicted(values)))).sum(1)
    return np.where(np.isfinite(total), total, np.inf)


def _sharpening(
    problem: Model,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
) -> list[Criterion]:
    """The criteria to go down one after the other: one, except for absolute deviations."""
    criterion = problem.criterion
    if criterion.delta != 0:
        return [criterion]
    residual = criterion.residual(loss, problem.predicted(values))
    scale = float(np.median(np.abs(residual[weights > 0]))) + 1e-9
    return [criterion.edit(delta=scale * sharp) for sharp in np.geomspace(0.3, SHARPEST, 6)]


@no_type_check  # called at every step; `refine` checks the shapes
def _forces(
    problem: Model,
    criterion: Criterion,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
) -> tuple[
    Float[np.ndarray, "sets points values"],
    Float[np.ndarray, "sets points"],
    Float[np.ndarray, "sets points"],
    Float[np.ndarray, "sets points"],
]:
    """Slopes of what residuals are differences of; pull on each point; its weight in Gauss-Newton; in Newton."""
    predicted, slopes = problem.slopes(values)
    residual = criterion.residual(loss, predicted)
    if criterion.of == LN:
        slopes = slopes / np.maximum(predicted, LEAST * loss)[:, :, None]
    size = np.abs(residual)
    weight = weights * criterion.side(residual)
    if criterion.delta is None:
        return slopes, weight * residual, weight, weight
    pulled = weight * np.minimum(1.0, criterion.delta / np.maximum(size, TINY))
    return slopes, pulled * residual, pulled, weight * (size <= criterion.delta)


@no_type_check  # called at every step; `refine` checks the shapes
def _free(
    values: Float[np.ndarray, "sets values"],
    uphill: Float[np.ndarray, "sets values"],
    low: Float[np.ndarray, "sets values"],
    high: Float[np.ndarray, "sets values"],
) -> Bool[np.ndarray, "sets values"]:
    """Which values do not press against a bound."""
    return ~(((values <= low) & (uphill <= 0)) | ((values >= high) & (uphill >= 0)))


@no_type_check  # called at every step; `refine` checks the shapes
def _step(
    problem: Model,
    criterion: Criterion,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
    damping: Float[np.ndarray, " sets"],
    low: Float[np.ndarray, "sets values"],
    high: Float[np.ndarray, "sets values"],
    newton: bool,
) -> tuple[Float[np.ndarray, "sets values"], Float[np.ndarray, " sets"]]:
    """One damped step, and the force that is left (in units in which the Gauss-Newton matrix has 1 on its diagonal)."""
    slopes, pull, weight, inner = _forces(problem, criterion, loss, weights, values)
    uphill = np.einsum("spi,sp->si", slopes, pull)
    free = _free(values, uphill, low, high)
    gram = np.matmul((slopes * weight[:, :, None]).transpose(0, 2, 1), slopes)
    size = np.sqrt(np.einsum("sii->si", gram))
    size = np.where(size > 1e-150, size, 1.0)
    if newton:
        relative = criterion.of == LN
        both = inner + pull if relative else inner
        gram = np.matmul((slopes * both[:, :, None]).transpose(0, 2, 1), slopes)
        pull = pull / np.maximum(problem.predicted(values), LEAST * loss) if relative else pull
        gram = gram - problem.bends(values, pull)
    step, force = _solved(gram, uphill, size, free, damping)
    # A step that would carry a value through its bound is made anew with that value standing still: cut short at the bound it
    # would move the others by what was meant to go with it.
    outward = ((values <= low) & (step < 0)) | ((values >= high) & (step > 0))
    if (through := outward.any(1)).any():
        held = (free & ~outward)[through]
        step[through], force[through] = _solved(gram[through], uphill[through], size[through], held, damping[through])
    return step, np.abs(force).max(1)


@no_type_check  # called at every step; `refine` checks the shapes
def _solved(
    gram: Float[np.ndarray, "sets values values"],
    uphill: Float[np.ndarray, "sets values"],
    size: Float[np.ndarray, "sets values"],
    free: Bool[np.ndarray, "sets values"],
    damping: Float[np.ndarray, " sets"],
) -> tuple[Float[np.ndarray, "sets values"], Float[np.ndarray, "sets values"]]:
    """The damped step of the free values, and the scaled force on them; all others stand still."""
    gram = gram / size[:, :, None] / size[:, None, :] * (free[:, :, None] & free[:, None, :])
    force = uphill / size * free
    index = np.arange(uphill.shape[1])
    gram[:, index, index] += damping[:, None] + np.where(free, 1e-14, 1.0)
    known = np.isfinite(gram).all((1, 2)) & np.isfinite(force).all(1)
    gram, force = np.where(known[:, None, None], gram, np.eye(len(index))), np.where(known[:, None], force, 0.0)
    step = _inverse_times(gram, force) / size
    return np.where(np.isfinite(step), step, 0.0), force


@no_type_check  # called at every step
def _inverse_times(
    gram: Float[np.ndarray, "sets values values"], force: Float[np.ndarray, "sets values"]
) -> Float[np.ndarray, "sets values"]:
    """gram^-1 force; the shortest of the best where two values do the same, so that their gram has no inverse."""
    try:
        return np.linalg.solve(gram, force[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # of one set in thousands, and all are lost
        singular = np.linalg.matrix_rank(gram, hermitian=True) < gram.shape[1]
        step = np.linalg.solve(np.where(singular[:, None, None], np.eye(gram.shape[1]), gram), force[:, :, None])[:, :, 0]
        step[singular] = (np.linalg.pinv(gram[singular], hermitian=True) @ force[singular][:, :, None])[:, :, 0]
        return step


def _descend(
    problem: Model,
    criterion: Criterion,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
    low: Float[np.ndarray, "sets values"],
    high: Float[np.ndarray, "sets values"],
    steps: int,
    second: bool,
) -> Float[np.ndarray, "sets values"]:
    """Only the data sets that still move are worked on."""
    values = values.copy()
    score = _score(problem, criterion, loss, weights, values)
    damping = np.full(len(loss), 1e-4)
    newton = np.zeros(len(loss), dtype=bool)
    failed = np.zeros(len(loss), dtype=int)
    moving = np.arange(len(loss))
    terms = problem.terms
    solved_for = tuple(int(i) for i in np.flatnonzero((low[:, :terms] < high[:, :terms]).all(0)))
    project = 0 < len(solved_for) <= MOST and terms < values.shape[1]
    mark = score.copy()
    for count in range(steps):
        for mode in (False, True):
            here = moving[newton[moving] == mode]
            if not len(here):
                continue
            rows = loss[here], weights[here]
            with np.errstate(all="ignore"):  # a wild trial may overflow, and is then not taken
                step, _ = _step(problem, criterion, *rows, values[here], damping[here], low[here], high[here], newton=mode)
            trial = np.clip(values[here] + step, low[here], high[here])
            trial_score = _score(problem, criterion, *rows, trial)
            if not mode and project:
                with np.errstate(all="ignore"):
                    solved = _projected(problem, criterion, *rows, trial, solved_for)
                solved_score = _score(problem, criterion, *rows, solved)
                trial = np.where((solved_score < trial_score)[:, None], solved, trial)
                trial_score = np.minimum(trial_score, solved_score)
            gain = score[here] - np.where(np.isfinite(trial_score), trial_score, np.finfo(float).max)
            better = gain > 0
            values[here[better]] = trial[better]
            score[here[better]] = trial_score[better]
            failed[here] = np.where(better, 0, failed[here] + 1)
            damping[here] = np.clip(np.where(better, damping[here] / 5, damping[here] * 8), 1e-12, 1e8)
            # A small gain settles nothing while a strong damping keeps the steps small.
            tiny, calm = (1e-14, 1e-2) if second else (1e-9, 1.0)
            still = np.where(better, (gain <= tiny * score[here] + NOTHING) & (damping[here] < calm), failed[here] > ENOUGH)
            if mode:
                # Where the second derivatives mislead, Gauss-Newton goes on.
                back = here[failed[here] == BACK]
                newton[back], damping[back] = False, 1e-3
            elif second:
                turn = here[(gain <= CREEP * score[here]) & (failed[here] <= BACK)]
                newton[turn], damping[turn] = True, 1e-6
                still &= ~better
            moving = np.setdiff1d(moving, here[still], assume_unique=True)
        if count % PAUSE == PAUSE - 1:  # a set that gained next to nothing in so many steps creeps along a flat valley
            moving = moving[mark[moving] - score[moving] > STALL * score[moving] + NOTHING]
            mark = score.copy()
        if not len(moving):
            break
    return _polish(problem, criterion, loss, weights, values, low, high) if second else values


@no_type_check  # called at every step; `refine` checks the shapes
def _projected(
    problem: Model,
    criterion: Criterion,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
    solved_for: tuple[int, ...],
) -> Float[np.ndarray, "sets values"]:
    """The same point with its coefficients solved anew, by least squares with the weights of this point.

    Without it a search creeps along the curved valley in which coefficients and exponents make up for one another.
    """
    terms = problem.terms
    index = list(solved_for)
    rest = values[:, :terms].copy()
    rest[:, index] = 0.0
    whole, base = problem.basis(values[:, terms:]), problem.base(values[:, terms:])
    base = base + np.einsum("spt,st->sp", whole, rest)
    basis = whole[:, :, index]
    residual = criterion.residual(loss, problem.predicted(values))
    weight = weights * criterion.side(residual)
    if criterion.delta is not None:
        weight = weight * np.minimum(1.0, criterion.delta / np.maximum(np.abs(residual), TINY))
    if criterion.of == LN:
        weight = weight / loss**2
    weighted = basis * weight[:, :, None]
    gram = np.matmul(weighted.transpose(0, 2, 1), basis)
    right = np.einsum("spt,sp->st", weighted, loss - base)
    known = np.isfinite(gram).all((1, 2)) & np.isfinite(right).all(1)
    low = problem.bounds[0][index]
    free = tuple(int(i) for i in np.flatnonzero(low < 0))
    size = np.sqrt(np.einsum("sii->si", gram)) + TINY
    gram = np.where(known[:, None, None], gram / size[:, :, None] / size[:, None, :], np.eye(len(index)))
    solved = nonnegative(gram, np.where(known[:, None], right / size, 0.0), free)[0] / size
    found = values.copy()
    found[:, index] = np.where(known[:, None], solved, values[:, index])
    return found


def _polish(
    problem: Model,
    criterion: Criterion,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
    values: Float[np.ndarray, "sets values"],
    low: Float[np.ndarray, "sets values"],
    high: Float[np.ndarray, "sets values"],
) -> Float[np.ndarray, "sets values"]:
    """Newton steps that are judged by the force that is left: near a minimum the criterion itself is flat to rounding."""
    none = np.full(len(loss), 1e-14)
    with np.errstate(all="ignore"):
        step, force = _step(problem, criterion, loss, weights, values, none, low, high, newton=True)
    for _ in range(3):
        trial = np.clip(values + step, low, high)
        with np.errstate(all="ignore"):
            next_step, next_force = _step(problem, criterion, loss, weights, trial, none, low, high, newton=True)
        now, then = (_score(problem, criterion, loss, weights, v) for v in (values, trial))
        better = (next_force < force) & (then <= now * (1 + 1e-12))
        if not better.any():
            break
        values = np.where(better[:, None], trial, values)
        step = np.where(better[:, None], next_step, 0.0)
        force = np.where(better, next_force, force)
    return values

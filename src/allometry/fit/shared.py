"""One floor for several groups: laws that share their constant term E and nothing else.

A short range of compute cannot tell a floor from a slow exponent, group by group. The floor belongs to the data more than to
the architecture, so one floor for all is the better guess, unless the data refuse it.
"""

import numpy as np
from jaxtyping import Float, Int

from allometry.fit import project
from allometry.fit.project import Problem, Solution

FLOORS = 40  # values of E that are tried


def solve_shared(
    logs: Float[np.ndarray, "terms exponents points"],
    group: Int[np.ndarray, " points"],
    bounds: tuple[Float[np.ndarray, " exponents"], Float[np.ndarray, " exponents"]],
    delta: float,
    loss: Float[np.ndarray, "sets points"],
    weights: Float[np.ndarray, "sets points"],
) -> tuple[Problem, Solution]:
    """Term 0 of the law is the floor. Row 0 of `loss` is the data; the other rows start from its solution.

    The terms of the joint problem are the floor, then those of group 0, of group 1, ...; its exponents likewise.
    """
    groups = int(group.max()) + 1
    terms, exponents, points = logs.shape
    joint = np.zeros((1 + groups * (terms - 1), groups * exponents, points))
    mask = np.zeros((len(joint), points))
    mask[0] = 1
    for index in range(groups):
        rows = slice(1 + index * (terms - 1), 1 + (index + 1) * (terms - 1))
        joint[rows, index * exponents : (index + 1) * exponents] = logs[1:] * (group == index)
        mask[rows] = group == index
    low, high = (np.tile(bound, groups) for bound in bounds)
    problem = Problem(logs=joint, mask=mask, low=low, high=high, delta=delta)
    start = _start(logs, group, bounds, delta, loss[:1], weights[:1])
    first = project.refine(problem, loss[:1], weights[:1], *start, steps=300)
    rest = project.refine(
        problem,
        loss[1:],
        weights[1:],
        np.repeat(first.coefficients, len(loss) - 1, axis=0),
        np.repeat(first.exponents, len(loss) - 1, axis=0),
        steps=12,
    )
    together = Solution(
        coefficients=np.concatenate([first.coefficients, rest.coefficients]),
        exponents=np.concatenate([first.exponents, rest.exponents]),
        objective=np.concatenate([first.objective, rest.objective]),
    )
    return problem, together


def _start(
    logs: Float[np.ndarray, "terms exponents points"],
    group: Int[np.ndarray, " points"],
    bounds: tuple[Float[np.ndarray, " exponents"], Float[np.ndarray, " exponents"]],
    delta: float,
    loss: Float[np.ndarray, "1 points"],
    weights: Float[np.ndarray, "1 points"],
) -> tuple[Float[np.ndarray, "1 all_terms"], Float[np.ndarray, "1 all_exponents"]]:
    """For a given floor the groups are apart: try floors on a grid, and for each the exponents of each group on theirs."""
    grid = project.exponent_grid(logs.shape[1])
    floors = np.linspace(0, loss[weights > 0].min() * 0.999, FLOORS)
    total, found = np.zeros(FLOORS), []
    for index in range(int(group.max()) + 1):
        here = group == index
        problem = Problem(
            logs=logs[:, :, here], mask=np.ones((len(logs), here.sum())), low=bounds[0], high=bounds[1], delta=delta
        )
        gram, right = (part[0] for part in project.grams(problem, loss[:, here], weights[:, here], grid))
        left = right[None, :, 1:] - floors[:, None, None] * gram[None, :, 1:, 0]
        inner = np.broadcast_to(gram[None, :, 1:, 1:], (FLOORS, *gram[:, 1:, 1:].shape))
        coefficients, gain = project.nonnegative(inner, left)
        cost = floors[:, None] ** 2 * gram[None, :, 0, 0] - 2 * floors[:, None] * right[None, :, 0] - gain
        best = cost.argmin(axis=1)
        total += cost[np.arange(FLOORS), best]
        found.append((coefficients[np.arange(FLOORS), best], grid[best]))
    chosen = int(total.argmin())
    coefficients = np.concatenate([floors[chosen : chosen + 1], *[part[0][chosen] for part in found]])
    return coefficients[None], np.concatenate([part[1][chosen] for part in found])[None]

"""The best split of compute under any law of N and D, and what a row cost: C = 6 N D.

`optimum.py` has the closed form of Chinchilla's law, with its inverse queries; this is for whatever law an audit is asked for.
"""

# ruff: noqa: N803, N806 - N, D and C are the letters of the field

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from allometry.fit.laws._additive import Additive
from allometry.fit.laws._law import Law
from allometry.fit.rows import Rows

TOKENS = (1e-4, 1e8)  # D / N between which the best split is looked for

Samples = Mapping[str, Float[np.ndarray, " sets"]]


def splits(law: Law) -> bool:
    """Is it a law of N and D, in whatever form, so that compute can be split between them?"""
    return len(law.variables) == 2 and set(law.variables) <= {"N", "D", "C", "M"}


def grows(law: Law) -> bool:
    """Is the exponent of its verdict that of the best N in C?"""
    return splits(law) and not (isinstance(law, Additive) and len(law.exponents) == 1)


def best_size(law: Law, samples: Samples, C: float) -> tuple[Float[np.ndarray, " sets"], Float[np.ndarray, " sets"]]:
    """ln N of the lowest loss with C = 6 N D, and ln of that loss: a grid, twice made finer, then a parabola."""
    wide = {name: np.asarray(value)[:, None] for name, value in samples.items()}
    sets = len(next(iter(wide.values())))
    middle = np.full(sets, np.log(C / 6) / 2 - np.log(TOKENS[0] * TOKENS[1]) / 4)
    reach = np.log(TOKENS[1] / TOKENS[0]) / 4
    for steps in (121, 31, 31):
        around = np.linspace(-reach, reach, steps)
        x = middle[:, None] + around
        heights = _along(law, wide, x, C)
        best = np.clip(heights.argmin(1), 1, steps - 2)
        middle, reach = x[np.arange(sets), best], around[1] - around[0]
    left, low, right = (heights[np.arange(sets), best + shift] for shift in (-1, 0, 1))
    bend = left + right - 2 * low
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(bend > 0, np.clip((left - right) / (2 * bend), -1, 1), 0.0)
    return middle + off * reach, low - off * (left - right) / 4


def _along(
    law: Law, samples: Mapping[str, Float[np.ndarray, "sets 1"]], ln_N: Float[np.ndarray, "sets steps"], C: float
) -> Float[np.ndarray, "sets steps"]:
    N = np.exp(ln_N)
    D = C / (6 * N)
    places = {"N": N, "D": D, "C": np.full(N.shape, C), "M": D / N}
    with np.errstate(all="ignore"):
        predicted = np.log(np.asarray(law.predict(samples, {name: places[name] for name in law.variables}), dtype=float))
    return np.where(np.isnan(predicted), np.inf, predicted)


def flops_of(read: Rows) -> Float[np.ndarray, " rows"]:
    """What a row cost, or the only variable of a law."""
    columns = read.columns
    if "C" in columns or len(columns) == 1:
        return columns.get("C", next(iter(columns.values())))
    if {"N", "D"} <= set(columns):
        return 6 * columns["N"] * columns["D"]
    if {"N", "M"} <= set(columns):
        return 6 * columns["N"] ** 2 * columns["M"]
    return 6 * columns["D"] ** 2 / columns["M"]


def sizes_of(read: Rows) -> Float[np.ndarray, " rows"]:
    """The parameters of a row where the law knows them, else what it cost."""
    columns = read.columns
    if len(columns) == 1 or "N" in columns:
        return columns.get("N", next(iter(columns.values())))
    if {"C", "M"} <= set(columns):
        return np.sqrt(columns["C"] / (6 * columns["M"]))
    return columns["C"] / (6 * columns["D"]) if "C" in columns else columns["D"] / columns["M"]

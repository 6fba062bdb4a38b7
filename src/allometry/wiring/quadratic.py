"""Quadratic forms x^T A x: each gating adds one product of two linear forms, so that few of them are sparse quadratics.

A form with p positive and q negative eigenvalues takes max(p, q) gatings and no fewer: a product of two linear forms has at most
one of each.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from allometry.wiring._wired import Gated, Node, Wired, inputs, unit

NAME = "quadratic form"
ZERO = 1e-9  # of the largest eigenvalue; what is smaller is taken for 0


def rank_one(u: Sequence[float], a: float, v: Sequence[float], c: float) -> Wired:
    """(u . x + a) (v . x + c): one output gating of two linear units, 2 (n + 1) parameters."""
    x = inputs(len(u))
    return Wired("product of two linear forms", "one output gating", len(u), (Gated(unit(x, u, a), unit(x, v, c)),))


def gated(matrix: Float[ndarray, "n n"]) -> Wired:
    """By max(p, q) gatings: an eigenvalue of either sign in each, b^2 y^2 - c^2 z^2 = (b y + c z) (b y - c z)."""
    x, (up, down) = inputs(len(matrix)), _roots(matrix)
    products: list[Node] = []
    for i in range(max(len(up), len(down))):
        if i < min(len(up), len(down)):
            products.append(Gated(unit(x, up[i] + down[i]), unit(x, up[i] - down[i])))
        else:  # the same unit twice: a square
            alone = unit(x, up[i] if i < len(up) else down[i])
            products.append(Gated(alone, alone))
    signs = [1 if i < len(up) else -1 for i in range(len(products))]
    return Wired(NAME, "output gatings of linear units", len(matrix), (unit(products, signs),))


def monomials(matrix: Float[ndarray, "n n"]) -> Wired:
    """By a gating for each pair of inputs: n (n + 1) / 2."""
    x, both = inputs(len(matrix)), matrix + matrix.T
    places = [(i, j) for i in range(len(x)) for j in range(i, len(x))]
    products = [Gated(x[i], x[j]) for i, j in places]
    return Wired(
        NAME,
        "an output gating for each pair of inputs",
        len(x),
        (unit(products, [both[i, j] / (1 + (i == j)) for i, j in places]),),
    )


def squares(matrix: Float[ndarray, "n n"]) -> Wired:
    """By p + q units that square."""
    x, (up, down) = inputs(len(matrix)), _roots(matrix)
    units = [unit(x, row, 0, "square") for row in [*up, *down]]
    return Wired(NAME, "units that square", len(matrix), (unit(units, [1] * len(up) + [-1] * len(down)),))


def _roots(matrix: Float[ndarray, "n n"]) -> tuple[list[ndarray], list[ndarray]]:
    """Linear forms whose squares, added and taken away, are the form."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    least = ZERO * np.abs(values).max(initial=0.0)
    forms = [(value, np.sqrt(abs(value)) * vectors[:, k]) for k, value in enumerate(values) if abs(value) > least]
    return [f for value, f in forms if value > 0], [f for value, f in forms if value < 0]

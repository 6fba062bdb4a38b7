"""u . v of two vectors of activity, n numbers each; the inputs are u, then v."""

from allometry.wiring._wired import Gated, Wired, conjunction, inputs, unit

NAME = "dot product"


def gated(n: int) -> Wired:
    """Of any numbers: n output gatings and a sum, which is what an attention score is."""
    x = inputs(2 * n)
    return Wired(
        NAME, "any numbers: output gatings and a sum", 2 * n, (unit([Gated(x[i], x[n + i]) for i in range(n)], [1] * n),)
    )


def thresholds(n: int) -> Wired:
    """Of 0 and 1 alone: a conjunction for each product."""
    x = inputs(2 * n)
    both = [conjunction((x[i], x[n + i]), (1, 1)) for i in range(n)]
    return Wired(NAME, "0 and 1 only: units and a sum", 2 * n, (unit(both, [1] * n),))


def squares(n: int) -> Wired:
    """Of any numbers, by units that square, which threshold gates and ReLUs only approach: ((u + v)^2 - (u - v)^2) / 4."""
    x = inputs(2 * n)
    both = [unit((x[i], x[n + i]), (1, sign), 0, "square") for sign in (1, -1) for i in range(n)]
    return Wired(NAME, "any numbers, units that square", 2 * n, (unit(both, [0.25] * n + [-0.25] * n),))

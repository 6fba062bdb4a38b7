"""Exclusive or of two inputs, which no threshold gate computes."""

import itertools
from collections.abc import Sequence

from allometry.wiring._wired import Gated, Node, Unit, Wired, inputs, unit

NAME = "exclusive or"


def product() -> Wired:
    """Inputs -1 (true) and +1: x y. One gating and no unit."""
    x, y = inputs(2)
    return Wired(NAME, "-1 and +1: one output gating", 2, (Gated(x, y),))


def gated() -> Wired:
    """Inputs 0 and 1: (x or y) and not (x and y)."""
    return one_gating((0, 1, 1, 0))


def skipping() -> Wired:
    """H(x + y - 2 g - 1/2), g = x and y: multiplexing."""
    x, y = inputs(2)
    both = unit((x, y), (1, 1), -1.5, "step")
    return Wired(NAME, "two units, one multiplexing the other", 2, (unit((x, y, both), (1, 1, -2), -0.5, "step"),))


def layered() -> Wired:
    """Two layers without a skip."""
    x, y = inputs(2)
    either, both = unit((x, y), (1, 1), -0.5, "step"), unit((x, y), (1, 1), -1.5, "step")
    return Wired(NAME, "three units in two layers", 2, (unit((either, both), (1, -1), -0.5, "step"),))


def one_gating(table: tuple[int, int, int, int]) -> Wired:
    """Any function of two inputs in 0 and 1, one output gating of two threshold gates.

    `table` holds its values at (0, 0), (1, 0), (0, 1) and (1, 1).
    """
    factors = {
        (0, 1, 1, 0): ((0, 1, 1, 1), (1, 1, 1, 0)),
        (1, 0, 0, 1): ((1, 1, 0, 1), (1, 0, 1, 1)),
    }.get(table, (table, (1, 1, 1, 1)))
    both = inputs(2)
    gate, value = (threshold(part, both) for part in factors)
    return Wired(NAME, "0 and 1: one output gating of two units", 2, (Gated(gate, value),))


def threshold(table: tuple[int, ...], sources: Sequence[Node]) -> Unit:
    """The threshold gate of a table that has one."""
    rows = list(itertools.product((0, 1), repeat=2))  # (y, x)
    for weights in itertools.product((-1, 0, 1), repeat=2):
        for bias in (-1.5, -0.5, 0.5, 1.5):
            if all(
                (weights[0] * x + weights[1] * y + bias >= 0) == bool(bit) for (y, x), bit in zip(rows, table, strict=True)
            ):
                return unit(sources, weights, bias, "step")
    raise ValueError(f"No threshold gate computes {table}.")

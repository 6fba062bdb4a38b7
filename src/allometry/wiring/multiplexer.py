"""The address function: of 2^k values, the one whose number k bits say. Inputs are the bits, the lowest first, then the values."""

import itertools

from allometry.wiring._wired import Gated, Node, Wired, conjunction, inputs, unit

NAME = "multiplexer"


def one_hot(k: int) -> Wired:
    """Units find the address, and gate the values: hard attention over 2^k positions."""
    bits, values = _inputs(k)
    chosen = [Gated(conjunction(bits, signs), value) for signs, value in zip(_addresses(k), values, strict=True)]
    return Wired(NAME, "any numbers: output gatings by a one-hot address", k + 2**k, (unit(chosen, [1] * 2**k),))


def tree(k: int) -> Wired:
    """Each bit chooses between neighbours, x + b (y - x): 2^k - 1 gatings and no threshold unit."""
    bits, level = _inputs(k)
    for bit in bits:
        level = [_one_of(bit, a, b) for a, b in zip(level[::2], level[1::2], strict=True)]
    return Wired(NAME, "any numbers: a tree of output gatings", k + 2**k, (level[0],))


def thresholds(k: int) -> Wired:
    """Of values 0 and 1 alone: a conjunction of address and value for each."""
    bits, values = _inputs(k)
    both = [conjunction([*bits, value], [*signs, 1]) for signs, value in zip(_addresses(k), values, strict=True)]
    return Wired(NAME, "0 and 1 only: units", k + 2**k, (unit(both, [1] * 2**k),))


def _inputs(k: int) -> tuple[list[Node], list[Node]]:
    x = inputs(k + 2**k)
    return x[:k], x[k:]


def _addresses(k: int) -> list[tuple[int, ...]]:
    """Signs of the bits, in the order of the values."""
    return [signs[::-1] for signs in itertools.product((-1, 1), repeat=k)]


def _one_of(bit: Node, x: Node, y: Node) -> Node:
    return unit((x, Gated(bit, unit((y, x), (1, -1)))), (1, 1))

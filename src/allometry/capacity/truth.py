"""Truth tables as integers: bit x of a table is f(x), at the point x = sum_i x_i 2^i.

A table of n inputs takes 2^n bits: an unsigned integer of 8 bits to n = 3, of 16, 32 and 64 bits at n = 4, 5 and 6.
"""

import numpy as np
from jaxtyping import Bool, Int, UInt

Table = UInt[np.ndarray, "..."] | np.unsignedinteger  # one, or many of any shape
LARGEST = 6  # inputs; beyond them a table does not fit in 64 bits
KINDS = {4: np.dtype("<u2"), 5: np.dtype("<u4"), 6: np.dtype("<u8")}


def kind(inputs: int) -> np.dtype:
    """The integer type of a table."""
    return KINDS.get(inputs, np.dtype("u1"))


def ones(inputs: int) -> int:
    """The table of the constant 1.

    >>> bin(ones(2))
    '0b1111'
    """
    return (1 << (1 << inputs)) - 1


def points(inputs: int, low: int = -1) -> Int[np.ndarray, "points inputs"]:
    """All points, in the order of the bits of a table; `low` is the value of a bit 0: -1 or 0."""
    bits = np.arange(1 << inputs)[:, None] >> np.arange(inputs) & 1
    return bits if low == 0 else 2 * bits - 1


def pack(values: Bool[np.ndarray, "*batch points"]) -> UInt[np.ndarray, "*batch"]:
    """Tables of functions that are given by their values at all points."""
    inputs = int(values.shape[-1]).bit_length() - 1
    octets = np.packbits(values, axis=-1, bitorder="little")
    return np.ascontiguousarray(octets).view(kind(inputs))[..., 0]


def unpack(tables: UInt[np.ndarray, "*batch"], inputs: int) -> Bool[np.ndarray, "*batch points"]:
    """The values at all points."""
    octets = np.ascontiguousarray(tables.astype(kind(inputs)))[..., None].view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little", count=1 << inputs).astype(bool)


def variable(inputs: int, i: int) -> int:
    """The table of f(x) = x_i.

    >>> bin(variable(2, 0))
    '0b1010'
    """
    return sum(1 << x for x in range(1 << inputs) if x >> i & 1)


def negate(tables: UInt[np.ndarray, "*batch"], inputs: int, i: int) -> UInt[np.ndarray, "*batch"]:
    """f(x) with x_i negated."""
    high, shift = variable(inputs, i), 1 << i
    return (tables & high) >> shift | (tables & ones(inputs) - high) << shift


def exchange(tables: UInt[np.ndarray, "*batch"], inputs: int, i: int, j: int) -> UInt[np.ndarray, "*batch"]:
    """f(x) with x_i and x_j exchanged."""
    i, j = min(i, j), max(i, j)
    if i == j:
        return tables
    up = variable(inputs, i) & ~variable(inputs, j)  # points with x_i = 1 and x_j = 0, which go 2^j - 2^i higher
    shift = (1 << j) - (1 << i)
    return (tables & up) << shift | tables >> shift & up | tables & (ones(inputs) & ~(up | up << shift))


def complement(tables: UInt[np.ndarray, "*batch"], inputs: int) -> UInt[np.ndarray, "*batch"]:
    """1 - f."""
    return tables ^ ones(inputs)


def opposite(tables: UInt[np.ndarray, "*batch"], inputs: int) -> UInt[np.ndarray, "*batch"]:
    """f(-x): all inputs negated."""
    for i in range(inputs):
        tables = negate(tables, inputs, i)
    return tables


def low_half(tables: UInt[np.ndarray, "*batch"], inputs: int) -> UInt[np.ndarray, "*batch"]:
    """f where the last input is 0, or -1: a table of one input less."""
    return (tables & ones(inputs - 1)).astype(kind(inputs - 1))


def high_half(tables: UInt[np.ndarray, "*batch"], inputs: int) -> UInt[np.ndarray, "*batch"]:
    """f where the last input is 1."""
    return (tables >> (1 << inputs - 1)).astype(kind(inputs - 1))


def join(low: UInt[np.ndarray, "*batch"], high: UInt[np.ndarray, "*batch"], inputs: int) -> UInt[np.ndarray, "*batch"]:
    """The table of `inputs` inputs with these two halves."""
    wide = kind(inputs)
    return low.astype(wide) | high.astype(wide) << (1 << inputs - 1)


def choose(chooser: Table, one: Table, zero: Table) -> UInt[np.ndarray, "..."]:
    """`one` where the chooser is 1, `zero` where it is 0; shapes broadcast."""
    return zero ^ (one ^ zero) & chooser


def is_in(tables: UInt[np.ndarray, "*batch"], ordered: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, "*batch"]:
    """Which tables are in a list that is in increasing order."""
    if not len(ordered):
        return np.zeros(tables.shape, dtype=bool)
    return ordered[np.minimum(np.searchsorted(ordered, tables), len(ordered) - 1)] == tables

"""Sets of Boolean functions, exactly: a byte for every function, or only for the classes under the symmetries of the cube.

The hyperoctahedral group B_n permutes and negates n inputs: 2^n n! elements. `Rows` keeps a set of functions of n inputs that is
closed under the B_(n-1) of the first n - 1 inputs. Such a set is given by its rows: the upper half of a table (last input 1) is one
of the classes of functions of n - 1 inputs, the lower half is anything. At n = 5 these are 402 rows of 65,536 bytes, 26 MB, where
all functions would take 4 GiB.
"""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, UInt

from allometry.capacity.truth import exchange, high_half, is_in, join, kind, low_half, negate, ones

BLOCK = 1 << 20  # functions handled at a time, so that what is between stays in the cache


class Classes(NamedTuple):
    """All functions of n inputs under B_n."""

    action: UInt[np.ndarray, "order functions"]  # [g, f] = g f
    mover: Int[np.ndarray, " functions"]  # the element that takes f to its representative
    row: Int[np.ndarray, " functions"]  # which class f is in
    representatives: UInt[np.ndarray, " classes"]
    sizes: Int[np.ndarray, " classes"]
    stabilisers: tuple[Int[np.ndarray, " elements"], ...]  # elements that leave a representative as it is


@functools.cache
def classes(inputs: int) -> Classes:
    """The action of B_n on all functions of n <= 4 inputs. 3, 6, 22, 402 classes at n = 1, 2, 3, 4."""
    assert inputs <= 4, "the table of 2^(2^n) functions times the group is small to four inputs only"
    elements = [np.arange(1 << (1 << inputs)).astype(kind(inputs))]
    for i in range(inputs):
        elements += [negate(e, inputs, i) for e in elements]
    for j in range(1, inputs):
        elements += [exchange(e, inputs, i, j) for i in range(j) for e in elements]
    action = np.stack(elements)
    mover = action.argmin(axis=0)
    smallest = np.take_along_axis(action, mover[None], axis=0)[0]
    representatives, row, sizes = np.unique(smallest, return_inverse=True, return_counts=True)
    kept = tuple(np.flatnonzero(action[:, r] == r) for r in representatives)
    return Classes(action, mover, row, representatives, sizes, kept)


@runtime_checkable
class Functions(Protocol):
    """A set of functions that grows."""

    inputs: int

    def add(self, tables: UInt[np.ndarray, " functions"]) -> None: ...
    def count(self) -> int: ...
    def contains(self, tables: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, " functions"]: ...
    def tables(self) -> UInt[np.ndarray, " functions"]: ...


class Plain:
    """A byte for every function of n <= 5 inputs (4 GiB of addresses at n = 5, of which touched pages take memory)."""

    def __init__(self, inputs: int) -> None:
        assert inputs <= 5, "a byte for each of 2^64 functions is too many"
        self.inputs = inputs
        self._in = np.zeros(1 << (1 << inputs), dtype=bool)

    def add(self, tables: UInt[np.ndarray, " functions"]) -> None:
        self._in[tables] = True

    def count(self) -> int:
        return int(np.count_nonzero(self._in))

    def contains(self, tables: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, " functions"]:
        return self._in[tables]

    def tables(self) -> UInt[np.ndarray, " functions"]:
        return np.flatnonzero(self._in).astype(kind(self.inputs))


class Listed:
    """A list in increasing order: for a small share of 2^32 functions."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self._tables = np.zeros(0, dtype=kind(inputs))

    def add(self, tables: UInt[np.ndarray, " functions"]) -> None:
        both = np.sort(np.concatenate([self._tables, tables]))  # five times as fast as np.unique, which makes a hash table
        self._tables = both[np.concatenate([[True], both[1:] != both[:-1]])]

    def count(self) -> int:
        return len(self._tables)

    def contains(self, tables: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, " functions"]:
        return is_in(tables, self._tables)

    def tables(self) -> UInt[np.ndarray, " functions"]:
        return self._tables


class Orbits:
    """A set that is closed under permutations of its inputs, as the smallest table of each orbit; `add` adds whole orbits."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self._smallest = Listed(inputs)

    def add(self, tables: UInt[np.ndarray, " functions"]) -> None:
        self._smallest.add(self._least(tables))

    def count(self) -> int:
        """An orbit has n! functions over those elements that leave one as it is."""
        order, found = math.factorial(self.inputs), 0
        for part in self._parts(self._smallest.tables()):
            kept = (permuted(part, self.inputs) == part).sum(axis=0)
            found += int((order // kept).sum())
        return found

    def contains(self, tables: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, " functions"]:
        return self._smallest.contains(self._least(tables))

    def tables(self) -> UInt[np.ndarray, " functions"]:
        found = Listed(self.inputs)
        for part in self._parts(self._smallest.tables()):
            found.add(permuted(part, self.inputs).reshape(-1))
        return found.tables()

    def _least(self, tables: UInt[np.ndarray, " functions"]) -> UInt[np.ndarray, " functions"]:
        parts = [permuted(part, self.inputs).min(axis=0) for part in self._parts(tables)]
        return np.concatenate([tables[:0], *parts])

    def _parts(self, tables: UInt[np.ndarray, " functions"]) -> list[np.ndarray]:
        return [tables[part] for part in pieces(len(tables), math.factorial(self.inputs))]


def permuted(tables: UInt[np.ndarray, " functions"], inputs: int) -> UInt[np.ndarray, "order functions"]:
    """Their images under all n! permutations of the inputs."""
    images = [tables]
    for j in range(1, inputs):
        images = [exchange(e, inputs, i, j) for i in range(j + 1) for e in images]
    return np.stack(images)


class Rows:
    """A set that is closed under the B_(n-1) of the first n - 1 of n <= 5 inputs; `add` adds whole orbits of it."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self._classes = classes(inputs - 1)
        self._width = 1 << (1 << inputs - 1)
        self._in = np.zeros((len(self._classes.representatives), self._width), dtype=bool)
        self._whole = True  # every row is closed under the stabiliser of its class
        self._moved = self._classes.mover * self._width  # where the image of a lower half stands in the flat action
        self._start = self._classes.row * self._width

    def add(self, tables: UInt[np.ndarray, " functions"]) -> None:
        flat = self._in.reshape(-1)
        for begin in range(0, len(tables), BLOCK):
            flat[self._places(tables[begin : begin + BLOCK])] = True
        self._whole = False

    def close(self) -> "Rows":
        """Close under the B_n of all n inputs."""
        n, last = self.inputs, self.inputs - 1
        self._settle()
        rows, low = np.nonzero(self._in)
        held = join(low.astype(kind(last)), self._classes.representatives[rows], n)
        for i in range(n):  # one element of each coset: which input comes last (the last one itself too), and its sign
            moved = exchange(held, n, i, last)
            self.add(moved)
            self.add(negate(moved, n, last))
        self._settle()
        return self

    def count(self) -> int:
        self._settle()
        return int(self._classes.sizes @ np.count_nonzero(self._in, axis=1))

    def contains(self, tables: UInt[np.ndarray, " functions"]) -> Bool[np.ndarray, " functions"]:
        self._settle()
        return self._in.reshape(-1)[self._places(tables)]

    def tables(self) -> UInt[np.ndarray, " functions"]:
        self._settle()
        assert self.inputs <= 4, "a list of up to 2^32 functions"
        every = np.arange(ones(self.inputs) + 1).astype(kind(self.inputs))
        return every[self.contains(every)]

    def blocks(self) -> Iterator[UInt[np.ndarray, " functions"]]:
        """All functions, some at a time: each upper half with its lower halves."""
        self._settle()
        action = self._classes.action
        for row, representative in zip(self._in, self._classes.representatives, strict=True):
            low = np.flatnonzero(row)
            high, element = np.unique(action[:, representative], return_index=True)
            for upper, g in zip(high, element, strict=True):
                image = action[g][low]
                yield join(image, np.full_like(image, upper), self.inputs)

    def _places(self, tables: UInt[np.ndarray, " functions"]) -> Int[np.ndarray, " functions"]:
        """The place of the image that has a representative as its upper half."""
        high = high_half(tables, self.inputs)
        image = self._classes.action.reshape(-1)[self._moved[high] + low_half(tables, self.inputs)]
        return self._start[high] + image

    def _settle(self) -> None:
        if self._whole:
            return
        for row, kept in zip(self._in, self._classes.stabilisers, strict=True):
            if len(kept) > 1 and row.any():
                row[:] = row[self._classes.action[kept]].any(axis=0)
        self._whole = True


def pieces(blocks: int, width: int) -> list[slice]:
    """Blocks of functions, taken together as far as the cache holds them.

    >>> pieces(5, BLOCK // 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    together = max(1, BLOCK // width)
    return [slice(begin, begin + together) for begin in range(0, blocks, together)]

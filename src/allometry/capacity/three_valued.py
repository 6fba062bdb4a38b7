"""Which functions with values -1, 0, 1 a unit in {-1, +1} gives that a unit in {0, 1} gates: the set that L4 counts.

Where the value is not 0 the gate g is 1, so that the support is g itself; on it, f ∧ g says where the unit is +1. A function is the
pair (g, f ∧ g), and is in the set if g is a threshold function and some threshold function f shows that pattern through it. Under
B_n it is enough to list the patterns through one gate of each class: 1.3 million at n = 5, for 774,838,113 functions.
"""

import itertools

import numpy as np
from jaxtyping import Bool, Int

from allometry.capacity.threshold_functions import representatives, threshold_functions
from allometry.capacity.truth import is_in, pack, points, unpack


class ThreeValued:
    """The set for n <= 5 inputs."""

    def __init__(self, inputs: int) -> None:
        assert inputs <= 5, "at six inputs there are 15 million patterns through a gate"
        self.inputs = inputs
        gates, self._sizes = representatives(inputs)
        every, moves = threshold_functions(inputs), motions(inputs)
        self._shown = [np.unique(every & g) for g in gates]
        self._keys = np.concatenate([self._key(place, shown) for place, shown in enumerate(self._shown)])
        images = pack(unpack(gates, inputs)[:, moves]).reshape(-1)
        self._gates, first = np.unique(images, return_index=True)
        self._class, element = np.divmod(first, len(moves))
        self._back = np.argsort(moves, axis=1)[element]  # from each gate to the one of its class that is listed

    def count(self) -> int:
        """How many functions: Σ_g D(g)."""
        return sum(int(size) * len(shown) for size, shown in zip(self._sizes, self._shown, strict=True))

    def contains(self, values: Int[np.ndarray, "functions points"]) -> Bool[np.ndarray, " functions"]:
        """Which functions are in the set, given by their values -1, 0 or 1 at all points."""
        gates = pack(values != 0)
        found = is_in(gates, self._gates)
        place = np.searchsorted(self._gates, gates[found])
        shown = pack(np.take_along_axis(values[found] > 0, self._back[place], axis=1))
        found[found] = is_in(self._key(self._class[place], shown), self._keys)
        return found

    def _key(self, place: Int[np.ndarray, "*batch"] | int, shown: np.ndarray) -> np.ndarray:
        """The class of the gate and the pattern in one number."""
        return np.asarray(place).astype(np.uint64) << np.uint64(32) | shown.astype(np.uint64)


def motions(inputs: int) -> Int[np.ndarray, "order points"]:
    """B_n on points: element e takes f to f(π_e(x)), π_e permutes and negates inputs."""
    bits = points(inputs, 0)
    orders = np.array(list(itertools.permutations(range(inputs))))
    moved = bits[None, :, orders] ^ bits[:, None, None]  # [signs points orders inputs]
    return (moved @ (1 << np.arange(inputs))).transpose(0, 2, 1).reshape(-1, 1 << inputs)

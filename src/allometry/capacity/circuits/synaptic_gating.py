"""Synaptic gating: the gates multiply the weight of a synapse, H(w·x + b) with w_i replaced by w_i g_1(x) ... g_K(x).

Which synapse: `fixed` is one given synapse (the last one: the number is the same for each), `any` is the union over all synapses,
`all` gates every synapse but not the bias by the same gates, `each` gives every synapse a gate of its own. The ranges of x and g
count here: `01` both in {0, 1}, `pm` both in {-1, +1}, `mixed` x in {-1, +1} and g in {0, 1}, `reversed` the other way round.
"""

import itertools

import numpy as np
from jaxtyping import Int, Real, UInt

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import MOST_GATES, RANGES, Circuit, Listen, plain, silent, small_enough
from allometry.capacity.circuits._factors import (
    factor_representatives,
    products,
    refuse_mixed_without_bias,
    shown,
    with_a_bias_less,
)
from allometry.capacity.symmetry import Functions, Listed, Plain, Rows, pieces
from allometry.capacity.threshold_functions import representatives, representatives_with, threshold_functions, without_bias
from allometry.capacity.truth import (
    choose,
    exchange,
    high_half,
    join,
    kind,
    low_half,
    negate,
    ones,
    opposite,
    pack,
    points,
    unpack,
)
from allometry.capacity.units import with_one
from allometry.flow import Refusal

SYNAPSES = ("fixed", "any", "all", "each")


class SynapticGating(Circuit):
    """H(w·x + b), with the weight of a synapse multiplied by gates."""

    gates: int = 1
    synapse: str = "fixed"
    bias: bool = True

    conventions = tuple(RANGES)
    limits = (("gates", 1, MOST_GATES),)
    equation = "H(w·x + b), wi -> wi g1(x) ... gK(x)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.synapse not in SYNAPSES:
            raise Refusal(f"synapse={self.synapse!r} is not known. It is one of: {', '.join(SYNAPSES)}.")
        if self.synapse in ("all", "each") and (self.convention not in ("01", "pm") or self.gates > 1):
            raise Refusal(f"synapse={self.synapse} is counted with one gate, in the conventions 01 and pm.")
        if not self.bias:
            refuse_mixed_without_bias(self)
            if self.synapse != "fixed":
                raise Refusal(f"Without a bias, {self.name} is counted for the synapse fixed.")

    @property
    def exact_inputs(self) -> int:
        if not self.bias:
            return 4 if self.gates == 1 else 0
        pm = self.convention == "pm"
        return {"all": 5 if pm else 4, "each": 4 if pm else 3}.get(self.synapse, 5 if self.gates == 1 else 4)

    def functions(self, listen: Listen = silent) -> Functions:
        small_enough(self.inputs, self.exact_inputs)
        if self.synapse == "all":
            return self._all(listen)
        if self.synapse == "each":
            return self._each(listen)
        if not self.bias:
            return self._bare()
        fixed = self._fixed(listen)
        if self.synapse == "fixed":
            return fixed
        if self.attended_low == -1:  # then the set is closed under the negation of x_i too
            return fixed.close()
        return union_over_inputs(fixed, listen)

    def _fixed(self, listen: Listen) -> Rows:
        """Blocks of functions; x_i is the last input, (f0, f1) are f at its two values."""
        n = self.inputs
        found = Rows(n)
        ranges = (self.attended_low, self.gate_low)
        if ranges == (0, 0):  # x_i g is 0 or g: f0, and f1 where g = 1
            pairs = both_orders(representatives_with(n - 1, 1), n)
            gates = products(n - 1, self.gates, 0)
            blocks = [(low, low, low, high) for low, high in zip(*pairs, strict=True)]
            gates = np.stack([np.zeros_like(gates), gates], axis=1)
        elif ranges == (-1, -1):  # x_i g: f1 and f0 exchanged where g = -1
            pairs = representatives_with(n - 1, 1)
            lows, highs = low_half(pairs, n), high_half(pairs, n)
            blocks = [(high, low, low, high) for low, high in zip(lows, highs, strict=True)]
            gates = halves(products(n, self.gates, -1), n)
        else:  # three parallel thresholds with equal steps: f at x_i = -1, 0, 1
            below, middle, above = equal_steps(n)
            if ranges == (-1, 0):
                blocks = list(zip(middle, below, middle, above, strict=True))
                gates = halves(products(n, self.gates, 0), n)
            else:
                blocks = list(zip(middle, middle, below, above, strict=True))
                gates = products(n - 1, self.gates, -1)
                gates = np.stack([np.zeros_like(gates), gates], axis=1)
        low0, low1, high0, high1 = np.array(blocks).T[:, :, None]  # lower half: low1 where g = 1, low0 elsewhere
        for part in pieces(len(blocks), len(gates)):
            low, high = choose(gates[:, 0], low1[part], low0[part]), choose(gates[:, 1], high1[part], high0[part])
            found.add(join(low, high, n).reshape(-1))
            listen(part.stop, len(blocks))
        return found

    def _bare(self) -> Plain:
        """Without biases: the last input is seen as x_n g."""
        n, low, found = self.inputs, self.attended_low, Plain(self.inputs)
        own = without_bias(n, low)
        off = join(low_half(own, n), low_half(own, n), n) if low == 0 else negate(own, n, n - 1)
        for gate in own:
            found.add(choose(gate, own, off))
        return found

    def _all(self, listen: Listen) -> Functions:
        n, gates = self.inputs, threshold_functions(self.inputs)
        if self.convention == "01":  # where g = 0 the activation is b, as at x = 0
            found = Plain(n)
            for f in gates:
                found.add(choose(gates, f, f.dtype.type(ones(n) * int(f & 1))))
            return found
        rows = Rows(n)
        for f in factor_representatives(n):
            rows.add(choose(gates, f, opposite(np.array([f]), n)[0]))
        return rows.close()

    def _each(self, listen: Listen) -> Functions:
        """Where x is, the unit sees the point y(x) with y_i = x_i g_i(x)."""
        n, grid = self.inputs, points(self.inputs, self.attended_low)
        if n == 4:  # in {-1, +1} these are all functions: the tests have gates for each class
            return plain(n, np.arange(self.ceiling).astype(kind(n)))
        gates = np.where(unpack(threshold_functions(n), n), 1, self.gate_low)
        seen = [np.unique((grid[:, i] * gates > 0) << i, axis=0) for i in range(n)]  # [i]: what x_i g_i can be, as bit i
        found = Plain(n)
        units = unpack(threshold_functions(n), n)
        for head in itertools.product(*seen[1:]):
            at = seen[0] + sum(head, np.zeros(1 << n, dtype=int))
            found.add(np.unique(pack(units[:, at])))
            if found.count() == self.ceiling:
                break
        return found

    def lower(self) -> int:
        n = self.inputs
        if not self.bias:
            return with_a_bias_less(self)
        least = [bounds.fewest(n)]  # gates that are 1 everywhere
        if self.synapse in ("fixed", "any"):
            # At x_i = 1 it is multiplexing of the other inputs by a product of gates, which shows K + 1 of their functions.
            least.append(bounds.by_selection(n - 1, self.gates + 1))
            if self.convention == "01" and n <= 6:
                ternary = sum(int(s) * d for s, d in zip(representatives(n - 1)[1], shown(n - 1), strict=True))
                least.append(2 * ternary - bounds.fewest(n - 1))
        elif self.synapse == "all":
            # In {0, 1} one selector shows two functions, by an attended unit that is 0 at x = 0, or by one that is 1 there; in
            # {-1, +1} it takes two selectors, (1, 1) and (1, -1).
            least.append(bounds.by_selection(n - (self.convention == "pm"), 2))
        return min(self.ceiling, max(least))

    def upper(self) -> int:
        n, gates = self.inputs, bounds.most(self.inputs)
        if self.synapse == "each":
            return min(self.ceiling, bounds.most(n) * gates**n)
        places = n if self.synapse == "any" else 1
        of_half = self.attended_low == 0 and self.synapse != "all"  # only the gate at x_i = 1 matters
        gates = bounds.most(n - 1) if of_half else gates
        if self.gates > 1:
            gates = (bounds.products_01 if self.gate_low == 0 else bounds.products_pm)(self.gates, gates)
        same = self.convention in ("01", "pm")
        units = bounds.most(n) if same else bounds.schlaefli(n + 1, 1 << n)
        return min(self.ceiling, places * units * gates)

    @property
    def leading(self) -> tuple[float, int] | None:
        return None if self.synapse == "each" else (1.0 + self.gates, 2)

    @property
    def leading_at_most(self) -> tuple[float, int]:
        return self.leading or (1.0, 3)

    @property
    def parameters(self) -> int:
        gates = self.inputs if self.synapse == "each" else self.gates
        return (gates + 1) * (self.inputs + self.bias)

    @property
    def certified_gates(self) -> int | None:
        return 1 if self.gates == 1 and self.synapse == "fixed" else None

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """The gated synapse is the last one; with `each`, gate i is that of synapse i."""
        grid = with_one(points(self.inputs, self.attended_low))
        gated = np.broadcast_to(grid.T, (len(weights), *grid.T.shape)).copy()
        if self.synapse == "each":
            gated[:, :-1] *= signals
        elif self.synapse == "all":
            gated[:, :-1] *= signals.prod(axis=1, keepdims=True)
        else:
            gated[:, -2] *= signals.prod(axis=1)
        return np.einsum("bw,bwp->bp", weights, gated)


def both_orders(pairs: UInt[np.ndarray, " pairs"], inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Halves of tables, each pair in both orders: what is closed under the negation of the last input."""
    low, high = low_half(pairs, inputs), high_half(pairs, inputs)
    return np.concatenate([low, high]), np.concatenate([high, low])


def halves(tables: UInt[np.ndarray, " functions"], inputs: int) -> UInt[np.ndarray, "functions 2"]:
    """Lower and upper half."""
    return np.stack([low_half(tables, inputs), high_half(tables, inputs)], axis=1)


def equal_steps(inputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Functions of the first n - 1 inputs at thresholds b - v, b, b + v, up to B_(n-1) and the sign of v.

    They are the threshold functions of n + 1 inputs that do not change when the last two are exchanged: such a function has weights
    with the last two equal, and the sum of the two inputs is -2, 0 or 2.
    """
    n = inputs + 1
    both = representatives_with(inputs - 1, 2, signs=True)
    both = both[exchange(both, n, inputs, inputs - 1) == both]
    lower, upper = low_half(both, n), high_half(both, n)
    return low_half(lower, inputs), high_half(lower, inputs), high_half(upper, inputs)


def union_over_inputs(fixed: Rows, listen: Listen) -> Listed:
    """The union over which input is the last one, for a set that is not closed under the negation of it."""
    n, found = fixed.inputs, Listed(fixed.inputs)
    tables = np.concatenate(list(fixed.blocks()))
    for i in range(n):
        found.add(exchange(tables, n, i, n - 1))
        listen(i, n)
    return found

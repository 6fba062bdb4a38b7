"""Multiplexing (quark Q1): attending signals are added into the activation, H(w·x + b + c_1 g_1(x) + ... + c_K g_K(x)).

It stays inside the standard model. The ranges of units do not count, as weights and biases take up the difference.
"""

import itertools

import numpy as np
from jaxtyping import Int, Real

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, silent, small_enough
from allometry.capacity.neurons import with_one
from allometry.capacity.symmetry import Functions, Rows
from allometry.capacity.threshold_functions import representatives_with, threshold_functions
from allometry.capacity.truth import choose, high_half, kind, low_half, points


class Multiplexing(Circuit):
    """F(x, g(x)) with F a threshold function of n + K inputs and K threshold functions g."""

    gates: int = 1

    equation = "H(w·x + b + c1 g1(x) + ... + cK gK(x))"

    @property
    def exact_inputs(self) -> int:
        return {1: 5, 2: 4, 3: 3}.get(self.gates, 2)

    def functions(self, listen: Listen = silent) -> Functions:
        small_enough(self.inputs, self.exact_inputs)
        found = Rows(self.inputs)
        gates = threshold_functions(self.inputs)
        # With more gates the set only grows (c = 0), so that where it holds all functions already no more need be looked for.
        if self.gates > 1:
            fewer = self.edit(gates=self.gates - 1)
            if fewer.inputs <= fewer.exact_inputs and fewer.functions().count() == self.ceiling:
                return fewer.functions()
        tables = representatives_with(self.inputs, self.gates)
        others = list(itertools.combinations_with_replacement(gates, self.gates - 1))
        for done, table in enumerate(tables):
            for chosen in others:
                parts = np.array([table]).astype(kind(self.inputs + self.gates))
                for k, gate in enumerate(chosen):
                    n = self.inputs + self.gates - k
                    spread = np.tile(np.array([gate]), 1)
                    parts = _through(parts, spread, n, self.inputs)
                found.add(_through(parts, gates, self.inputs + 1, self.inputs))
            listen(done, len(tables))
            if self.gates > 1 and found.count() == self.ceiling:
                break
        return found.close()

    def lower(self) -> int:
        return min(self.ceiling, max(bounds.fewest(self.inputs), bounds.by_selection(self.inputs, self.gates + 1)))

    def upper(self) -> int:
        gates = bounds.most(self.inputs)
        cells = bounds.schlaefli(self.inputs + 1 + self.gates, 1 << self.inputs)
        if self.gates == 1:
            return min(self.ceiling, gates * bounds.most(self.inputs + 1) // 2, gates * cells)
        return min(self.ceiling, gates**self.gates * cells)

    @property
    def leading(self) -> tuple[float, int]:
        return 1.0 + self.gates, 2

    @property
    def parameters(self) -> int:
        return (self.gates + 1) * (self.inputs + 1) + self.gates

    @property
    def weights(self) -> int:
        return self.inputs + self.gates + 1

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """Weights are (w, c, b)."""
        n = self.inputs
        own = np.concatenate([weights[:, :n], weights[:, -1:]], axis=1) @ with_one(points(n, self.attended_low)).T
        return own + np.einsum("bk,bkp->bp", weights[:, n:-1], signals)


def _through(
    tables: np.ndarray, gates: np.ndarray, inputs: int, own: int
) -> np.ndarray:
    """F(x, ..., g(x)): the last input of F is driven by g, a table of the first `own` inputs."""
    repeated = gates.astype(kind(inputs - 1))
    for k in range(own, inputs - 1):
        repeated = repeated | repeated << (1 << k)
    return choose(repeated, high_half(tables, inputs), low_half(tables, inputs))

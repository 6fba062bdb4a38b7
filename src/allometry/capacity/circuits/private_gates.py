"""A layer of m attended units, each with a gate of its own, all of the same inputs: |A| = |single|^m exactly (L6)."""

from allometry.capacity.circuits._circuit import Circuit, Listen, silent
from allometry.capacity.circuits.output_gating import OutputGating


class PrivateGates(Circuit):
    """(f_1 g_1, ..., f_m g_m): any m functions of one gated unit."""

    units: int = 2

    limits = (("units", 1, None),)
    equation = "(f1(x) g1(x), ..., fm(x) gm(x))"

    @property
    def single(self) -> OutputGating:
        """One of the units with its gate."""
        return OutputGating(inputs=self.inputs, convention=self.convention)

    @property
    def values(self) -> int:
        return self.single.values

    @property
    def outputs(self) -> int:
        return self.units

    @property
    def exact_inputs(self) -> int:
        return self.single.exact_inputs

    def count(self, listen: Listen = silent) -> int:
        return self.single.count(listen) ** self.units

    def lower(self) -> int:
        return self.single.lower() ** self.units

    def upper(self) -> int:
        return self.single.upper() ** self.units

    @property
    def leading(self) -> tuple[float, int]:
        return 2.0 * self.units, 2

    @property
    def parameters(self) -> int:
        return self.units * self.single.parameters

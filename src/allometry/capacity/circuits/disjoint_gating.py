"""Output gating of a unit by a unit with n other inputs, f(x) g(y): closed forms (L5), exact at every n."""

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, silent
from allometry.capacity.threshold_functions import threshold_functions_count


class DisjointGating(Circuit):
    """f(x) g(y), n inputs each. Only the constant 0 (AND, and values -1, 0, 1) and the common sign (XNOR) have several makings."""

    equation = "H(w·x + b) H(v·y + c), x and y of n inputs each"

    @property
    def values(self) -> int:
        return 3 if self.convention == "mixed" else 2

    @property
    def exact_inputs(self) -> int:
        return 7

    @property
    def reads(self) -> int:
        return 2 * self.inputs

    @property
    def most_bits(self) -> float:
        return 2 * bounds.log2(bounds.most(self.inputs))

    def count(self, listen: Listen = silent) -> int:
        return self.closed_form(threshold_functions_count(self.inputs))

    def closed_form(self, functions: int) -> int:
        """The number, where each unit has so many functions."""
        if self.convention == "01":
            return (functions - 1) ** 2 + 1
        return functions**2 // 2 if self.convention == "pm" else functions * (functions - 1) + 1

    def lower(self) -> int:
        return self.closed_form(bounds.fewest(self.inputs))

    def upper(self) -> int:
        return self.closed_form(bounds.most(self.inputs))

    @property
    def leading(self) -> tuple[float, int]:
        return 2.0, 2

    @property
    def parameters(self) -> int:
        return 2 * (self.inputs + 1)

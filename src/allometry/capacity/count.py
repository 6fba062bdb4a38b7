"""`al.capacity(circuit, inputs)`: how many functions a circuit realises, exactly or between bounds, and what that means."""

import dataclasses
import time
from typing import Any

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, silent
from allometry.find import member
from allometry.flow import Refusal

FOLDER = "allometry.capacity.circuits"
SAMPLES = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capacity:
    """What is known of the functions that a circuit realises."""

    circuit: Circuit
    count: int | float | None  # functions; an estimate where there is a standard error; None where only bounds are known
    standard_error: float | None
    exact: bool
    lower: int  # functions
    upper: int
    seconds: float

    @property
    def log2(self) -> float | None:
        """The capacity in bits."""
        return None if self.count is None else bounds.log2(int(self.count))

    @property
    def normalised(self) -> float | None:
        """The capacity over that of one threshold unit of these inputs: what tells something at small n, where n^2 does not."""
        return None if self.log2 is None else self.log2 / bounds.log2(bounds.fewest(self.circuit.inputs))

    @property
    def asymptote(self) -> float:
        """Bits of the leading term, a n^p: a third too much at n <= 9."""
        factor, power = self.circuit.leading
        return factor * self.circuit.inputs**power

    def to_json(self) -> dict[str, Any]:
        """Counts are whole numbers of any size."""
        circuit = self.circuit
        options = {f.name: getattr(circuit, f.name) for f in dataclasses.fields(circuit)}
        return {
            "circuit": circuit.name,
            **options,
            "count": self.count,
            "log2": self.log2,
            "lower": self.lower,
            "upper": self.upper,
            "exact": self.exact,
            "seconds": self.seconds,
            "standard_error": self.standard_error,
            "log2_over_log2_threshold": self.normalised,
            "asymptote": self.asymptote,
            "leading": list(circuit.leading),
            "ceiling_bits": bounds.log2(circuit.ceiling),
            "parameters": circuit.parameters,
            "equation": circuit.equation,
        }


def circuit(name: str, inputs: int, **options: Any) -> Circuit:
    """The circuit of this name.

    >>> circuit("output_gating", 3, convention="01")
    OutputGating(inputs=3, convention='01')
    """
    kind = member(FOLDER, name)
    known = [field.name for field in dataclasses.fields(kind)]
    if wrong := [option for option in options if option not in known]:
        raise Refusal(f"{name} has no option {wrong[0]}. It has: {', '.join(known)}.")
    return kind(inputs=inputs, **options)


def capacity(
    name: str | Circuit, inputs: int = 0, *, samples: int = SAMPLES, seed: int = 0, listen: Listen = silent, **options: Any
) -> Capacity:
    """Count the functions of a circuit: exactly where that takes at most minutes, else by an unbiased estimate where there is
    one (`samples` draws), else between bounds.

    >>> capacity("output_gating", 3).count
    254
    >>> capacity("threshold", 9).exact
    False
    """
    from allometry.capacity.estimate import estimate, estimated

    asked = name if isinstance(name, Circuit) else circuit(name, inputs, **options)
    began = time.perf_counter()
    exact = asked.inputs <= asked.exact_inputs
    count: int | float | None = None
    error = None
    if exact:
        count = asked.count(listen)
    elif estimated(asked):
        found = estimate(asked, samples=samples, seed=seed, listen=listen)
        count, error = found.count, found.standard_error
    return Capacity(
        circuit=asked,
        count=count,
        standard_error=error,
        exact=exact,
        lower=asked.lower(),
        upper=asked.upper(),
        seconds=time.perf_counter() - began,
    )

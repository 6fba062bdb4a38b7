"""`al.capacity(circuit, inputs)`: how many functions a circuit realises, exactly or between bounds, and what that means."""

import dataclasses
import time
from typing import Any

from allometry.capacity import bounds
from allometry.capacity.circuits._circuit import Circuit, Listen, refuse_other_types, silent
from allometry.find import member, names
from allometry.flow import Refusal

FOLDER = "allometry.capacity.circuits"
SAMPLES = 400  # fewer give intervals that are too short, as the draws are skewed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capacity:
    """What is known of the functions that a circuit realises."""

    circuit: Circuit
    count: int | float | None  # functions; an estimate where there is a standard error; None where only bounds are known
    standard_error: float | None  # functions
    exact: bool
    lower: int  # functions
    upper: int
    seconds: float

    @property
    def log2(self) -> float | None:
        """The capacity in bits."""
        return None if self.count is None else bounds.log2(int(self.count))

    @property
    def standard_error_bits(self) -> float | None:
        """The standard error of log2."""
        if self.standard_error is None or self.count is None:
            return None
        return bounds.error_in_bits(self.count, self.standard_error)

    @property
    def normalised(self) -> float | None:
        """The capacity over that of one threshold unit of these inputs: what tells something at small n, where n^2 does not."""
        return None if self.log2 is None else self.log2 / bounds.log2(bounds.fewest(self.circuit.inputs))

    @property
    def asymptote(self) -> float | None:
        """Bits of the leading term, a n^p, where it is proved. With p = 2: half too many for n = 4 to 9."""
        return (
            None
            if self.circuit.leading is None
            else self.circuit.leading[0] * self.circuit.inputs ** self.circuit.leading[1]
        )

    def to_json(self) -> dict[str, Any]:
        """Counts are whole numbers of any size."""
        circuit = self.circuit
        return {
            "circuit": circuit.name,
            **options(circuit),
            "count": self.count,
            "log2": self.log2,
            "lower": self.lower,
            "upper": self.upper,
            "exact": self.exact,
            "published": circuit.published,
            "seconds": self.seconds,
            "standard_error": self.standard_error,
            "standard_error_bits": self.standard_error_bits,
            "log2_over_log2_threshold": self.normalised,
            "asymptote": self.asymptote,
            "leading": _listed(circuit.leading),
            "leading_at_most": _listed(circuit.leading_at_most),
            "ceiling_bits": circuit.ceiling_bits,
            "parameters": circuit.parameters,
            "equation": circuit.equation,
        }


def options(circuit: Circuit) -> dict[str, Any]:
    """Its inputs and options by name, those at their defaults too."""
    return {field.name: getattr(circuit, field.name) for field in dataclasses.fields(circuit)}


def circuit(name: str, inputs: int, **options: Any) -> Circuit:
    """The circuit of this name.

    >>> circuit("output_gating", 3, convention="01")
    OutputGating(inputs=3, convention='01')
    """
    kind = member(FOLDER, name)
    if not (isinstance(kind, type) and issubclass(kind, Circuit)) or kind is Circuit:
        raise Refusal(f"{name} is no circuit. Give your own subclass of Circuit, or one of: {', '.join(names(FOLDER))}.")
    known = [field.name for field in dataclasses.fields(kind)]
    if wrong := [option for option in options if option not in known]:
        raise Refusal(f"{name} has no option {wrong[0]}. It has: {', '.join(known)}.")
    return kind(inputs=inputs, **options)


def capacity(
    circuit: str | Circuit,
    inputs: int | None = None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    listen: Listen = silent,
    **options: Any,
) -> Capacity:
    """Count the functions of a circuit: exactly where that takes at most minutes or bounds meet, else by an unbiased estimate
    where there is one (`samples` draws), else between bounds. The circuit is a name with its inputs and options, or a `Circuit`,
    which has them.

    >>> capacity("output_gating", 3).count
    254
    >>> capacity("multiplexing", 9).exact
    False
    """
    from allometry.capacity.estimate import estimate, refuse_draws

    asked = _asked(circuit, inputs, options)
    refuse_draws(samples, seed)
    began = time.perf_counter()
    lower, upper = asked.lower(), asked.upper()
    count: int | float | None = None
    error = None
    if asked.inputs <= asked.exact_inputs:
        count = asked.count(listen)
    elif lower == upper:
        count = lower
    elif asked.estimated:
        found = estimate(asked, samples=samples, seed=seed, listen=listen)
        count, error = found.count, found.standard_error
    return Capacity(
        circuit=asked,
        count=count,
        standard_error=error,
        exact=count is not None and error is None,
        lower=lower,
        upper=upper,
        seconds=time.perf_counter() - began,
    )


def _listed(pair: tuple[float, int] | None) -> list[float] | None:
    return None if pair is None else list(pair)


def _asked(given: str | Circuit, inputs: int | None, options: dict[str, Any]) -> Circuit:
    if isinstance(given, Circuit):
        if beside := [*(["inputs"] if inputs is not None else []), *options]:
            raise Refusal(f"{given!r} says itself what it is. Leave out {', '.join(beside)}, or give its name.")
        return given
    refuse_other_types("circuit", given, str)
    if inputs is None:
        raise Refusal(f"{given}: of how many inputs? Say inputs=4.")
    return circuit(given, inputs, **options)

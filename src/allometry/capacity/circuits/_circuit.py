"""Circuit: threshold units and the gates between them. What every circuit states; the name of one is the name of its file.

A circuit has an attended unit (weights w, bias b, all n inputs) and attending units, the gates. As the weights vary it realises
a set of functions; its capacity is log2 of how many. The convention says in which range signals are: `01` attended and gate in
{0, 1}, `pm` both in {-1, +1}, `mixed` attended in {-1, +1} and gate in {0, 1}, `reversed` the other way round.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int, Real, UInt

from allometry.capacity import bounds
from allometry.capacity.symmetry import Functions, Plain
from allometry.capacity.truth import LARGEST
from allometry.capacity.units import attending, step
from allometry.flow import Refusal
from allometry.spec import Spec

Listen = Callable[[int, int], None]  # hears how much is done, and of how much
Limits = tuple[tuple[str, int, int | None], ...]  # of options: name, least, most
MOST_INPUTS = 13
MOST_GATES = 100  # for bounds
MOST_DIGITS = 4300  # of a count: Python reads and writes no longer numbers
RANGES = {"01": (0, 0), "pm": (-1, -1), "mixed": (-1, 0), "reversed": (0, -1)}  # low value of (attended, gate)


def silent(done: int, total: int) -> None:
    """Nobody listens."""


class Circuit(Spec):
    """What every circuit states. Fields beyond these are options that some circuits have."""

    inputs: int
    convention: str = "pm"

    conventions: ClassVar[tuple[str, ...]] = ("pm", "01", "mixed")
    limits: ClassVar[Limits] = ()  # of the circuit's own options
    equation: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            refuse_other_types(field.name, getattr(self, field.name), field.type)
        super().__post_init__()
        if not 1 <= self.inputs <= MOST_INPUTS:
            raise Refusal(f"inputs={self.inputs} cannot be asked. A circuit has 1 to {MOST_INPUTS} inputs.")
        if self.convention not in self.conventions:
            raise Refusal(f"{self.name} has no convention {self.convention!r}. It is one of: {', '.join(self.conventions)}.")
        for option, least, most in self.limits:
            given = getattr(self, option)
            if given < least:
                raise Refusal(f"{option}={given} cannot be asked. {self.name} has at least {least}.")
            if most is not None and given > most:
                raise Refusal(f"{option}={given} cannot be asked. {self.name} has at most {most}.")
        if self.most_bits * math.log10(2) > MOST_DIGITS:
            raise Refusal(f"{self!r}: its counts may have over {MOST_DIGITS} digits. Ask for fewer inputs or units.")

    @property
    def name(self) -> str:
        """The name of its file, or what a user's own was loaded as: mine.py:Mine."""
        named = type(self).__dict__.get("_named", "")
        return named.split("@")[0] or type(self).__module__.rsplit(".", 1)[-1]

    @property
    def values(self) -> int:
        """Values that an output can take."""
        return 2

    @property
    def outputs(self) -> int:
        return 1

    @property
    def reads(self) -> int:
        """Inputs of the whole circuit."""
        return self.inputs

    @property
    def attended_low(self) -> int:
        return RANGES[self.convention][0]

    @property
    def gate_low(self) -> int:
        return RANGES[self.convention][1]

    @property
    def input_low(self) -> int:
        """What an input is where its bit is 0."""
        return self.attended_low

    # What is counted

    @property
    def exact_inputs(self) -> int:
        """The most inputs at which `count` is exact."""
        return 4

    def functions(self, listen: Listen = silent) -> Functions:
        """The set of Boolean functions that the circuit realises, by set algebra on truth tables."""
        raise Refusal(f"{self!r} has no set of Boolean functions of one output.")

    def count(self, listen: Listen = silent) -> int:
        """How many functions, exactly."""
        return self.functions(listen).count()

    @property
    def estimated(self) -> bool:
        """Whether `draws` gives an unbiased estimate of the count."""
        return False

    def draws(self) -> Callable[[np.random.Generator], float]:
        """Random numbers with the count as their mean."""
        raise Refusal(f"{self!r} has no estimate.")

    # What is known of the count

    @property
    def published(self) -> int | None:
        """The count as others have published it."""
        return None

    def lower(self) -> int:
        """A lower bound."""
        return 1

    def upper(self) -> int:
        """An upper bound."""
        return self.ceiling

    @property
    def leading(self) -> tuple[float, int] | None:
        """(a, p): the capacity is a n^p (1 + o(1)) bits, options held still. None where that is not proved."""
        return None

    @property
    def leading_at_most(self) -> tuple[float, int] | None:
        """The same of an upper bound."""
        return self.leading

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        raise Refusal(f"{self.name} does not say how many parameters it has. Give it the property `parameters`.")

    @property
    def ceiling(self) -> int:
        """All functions of the inputs with these values."""
        return bounds.everything(self.reads, self.values) ** self.outputs

    @property
    def ceiling_bits(self) -> float:
        """log2 of the ceiling, which may be far too long a number to make."""
        return self.outputs * 2**self.reads * math.log2(self.values)

    @property
    def most_bits(self) -> float:
        """No number of functions that is met here has more bits."""
        return self.ceiling_bits

    # What it is: neurons

    @property
    def certified_gates(self) -> int | None:
        """Gates that a certificate has to try: none or one threshold unit. None where circuits like this have no certificates,
        which ask for one output of two values that is `demands` of an activation linear in `weights`, biases among them."""
        return None

    def sums(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Real[np.ndarray, "batch points"]:
        """Activation of the attended unit at all points, given its weights and the outputs of the gates."""
        raise NotImplementedError

    def respond(
        self, weights: Real[np.ndarray, "batch weights"], signals: Int[np.ndarray, "batch gates points"]
    ) -> Int[np.ndarray, "batch points"]:
        """Output of the circuit at all points."""
        return step(self.sums(weights, signals), self.attended_low)

    @property
    def weights(self) -> int:
        """Weights of the attended unit, its bias last, as `respond` takes them."""
        return self.inputs + 1

    def signals(self, weights: Real[np.ndarray, "*batch weights"]) -> Int[np.ndarray, "*batch points"]:
        """Outputs of attending units."""
        return attending(weights, self.inputs, self.gate_low, getattr(self, "degree", 1), self.input_low)

    def demands(
        self, labels: Int[np.ndarray, " points"], signals: Int[np.ndarray, "gates points"]
    ) -> Int[np.ndarray, " points"] | None:
        """Signs that the activation must have (0: any), so that the circuit gives these labels (±1); None if no weights can."""
        return labels


def refuse_other_types(name: str, given: Any, expected: Any) -> None:
    """Refuse a value that is not of the type of its field: a whole number, a truth value or a word."""
    for kind, said in ((bool, "True or False"), (int, "a whole number"), (str, "a word")):
        if expected in (kind, kind.__name__) and type(given) is not kind:
            raise Refusal(f"{name}={given!r} is {type(given).__name__}. Give {said}.")


def plain(inputs: int, tables: UInt[np.ndarray, " functions"]) -> Plain:
    """A set of listed functions."""
    found = Plain(inputs)
    found.add(tables)
    return found


def small_enough(inputs: int, most: int = LARGEST) -> None:
    """Refuse what cannot be listed."""
    if inputs > most:
        raise Refusal(f"Functions of {inputs} inputs are not listed here. Ask for at most {most}, or for bounds.")

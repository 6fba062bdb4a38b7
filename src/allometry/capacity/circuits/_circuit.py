"""Circuit: threshold units and the gates between them. What every circuit states; the name of one is the name of its file.

A circuit has an attended unit (weights w, bias b, all n inputs) and attending units, the gates. As the weights vary it realises
a set of functions; its capacity is log2 of how many. The convention says in which range signals are: `01` attended and gate in
{0, 1}, `pm` both in {-1, +1}, `mixed` attended in {-1, +1} and gate in {0, 1}, `reversed` the other way round.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from jaxtyping import Int, Real, UInt

from allometry.capacity import bounds
from allometry.capacity.neurons import attending, step
from allometry.capacity.symmetry import Functions, Plain
from allometry.capacity.truth import LARGEST
from allometry.flow import Refusal
from allometry.spec import Spec

Listen = Callable[[int, int], None]  # hears how much is done, and of how much
MOST_INPUTS = 13
MOST = {"gates": 100, "degree": MOST_INPUTS}  # for bounds
MOST_DIGITS = 4300  # of a count: Python reads and writes no longer numbers
RANGES = {"01": (0, 0), "pm": (-1, -1), "mixed": (-1, 0), "reversed": (0, -1)}  # low value of (attended, gate)


def silent(done: int, total: int) -> None:
    """Nobody listens."""


class Circuit(Spec):
    """What every circuit states. Fields beyond these are options that some circuits have."""

    inputs: int
    convention: str = "pm"

    conventions: ClassVar[tuple[str, ...]] = ("pm", "01", "mixed")
    fewest_gates: ClassVar[int] = 1
    equation: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.inputs <= MOST_INPUTS:
            raise Refusal(f"inputs={self.inputs} cannot be asked. A circuit has 1 to {MOST_INPUTS} inputs.")
        if self.convention not in self.conventions:
            raise Refusal(f"{self.name} has no convention {self.convention!r}. It is one of: {', '.join(self.conventions)}.")
        for option, fewest in (("gates", self.fewest_gates), ("degree", 1), ("units", 1)):
            if (given := getattr(self, option, fewest)) < fewest:
                raise Refusal(f"{option}={given} cannot be asked. {self.name} has at least {fewest}.")
        for option, most in MOST.items():
            if (given := getattr(self, option, 1)) > most:
                raise Refusal(f"{option}={given} cannot be asked. {self.name} has at most {most}.")
        if (self.outputs << self.inputs) * math.log10(self.values) > MOST_DIGITS:
            raise Refusal(
                f"units={self.outputs} of {self.inputs} inputs: counts of over {MOST_DIGITS} digits. Ask for fewer."
            )

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def values(self) -> int:
        """Values that an output can take."""
        return 2

    @property
    def outputs(self) -> int:
        return 1

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

    # What is known of the count

    def lower(self) -> int:
        """A lower bound."""
        raise NotImplementedError

    def upper(self) -> int:
        """An upper bound."""
        raise NotImplementedError

    @property
    def leading(self) -> tuple[float, int]:
        """(a, p): the capacity is a n^p (1 + o(1)) bits."""
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        raise NotImplementedError

    @property
    def ceiling(self) -> int:
        """All functions of the inputs with these values."""
        return bounds.everything(self.inputs, self.values) ** self.outputs

    # What it is: neurons

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


def plain(inputs: int, tables: UInt[np.ndarray, " functions"]) -> Plain:
    """A set of listed functions."""
    found = Plain(inputs)
    found.add(tables)
    return found


def small_enough(inputs: int, most: int = LARGEST) -> None:
    """Refuse what cannot be listed."""
    if inputs > most:
        raise Refusal(f"Functions of {inputs} inputs are not listed here. Ask for at most {most}, or for bounds.")

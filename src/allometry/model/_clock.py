"""A clock: where a layer's time scales stand in its parameters."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor


class Clock(ABC):
    """Of `units` units that forget; the time scale T of each is in steps, read and written where inputs and states are 0.

    A block whose gate is a clock has a method `clocks() -> dict[str, Clock]`.
    """

    units: int

    @abstractmethod
    def write(self, scale: Float[Tensor, " units"]) -> None:
        """Set the parameters in place."""

    @abstractmethod
    def read(self) -> Float[Tensor, " units"]:
        """What the parameters say, float64."""

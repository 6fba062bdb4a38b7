"""Multiplexing: the attending signals are added to the activation. It is in the standard model: more synapses."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import spread
from allometry.model.gates import equations
from allometry.model.gates.neurons import Neurons


class Multiplexing(Neurons):
    """O = f(S + C g), with a strength in C for each unit and signal."""

    def __init__(
        self, attended: Neurons, attending: nn.Module, units: int, signals: int, copies: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.attended, self.attending, self.fire = attended, attending, attended.fire
        self.strength = nn.Parameter(torch.empty(*copies, units, signals))
        spread(self.strength, signals)

    def sums(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        return equations.multiplexing(self.attended.sums(x), self.attending(x) @ self.strength.mT)

"""Additive output: the attending signals are added to the output. It is in the standard model: tied synapses to the same units."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import spread
from allometry.model.gates import equations


class AdditiveOutput(nn.Module):
    """O = f(S) + C g, with a strength in C for each unit and signal."""

    def __init__(
        self, attended: nn.Module, attending: nn.Module, units: int, signals: int, copies: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.attended, self.attending = attended, attending
        self.strength = nn.Parameter(torch.empty(*copies, units, signals))
        spread(self.strength, signals)

    def forward(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        if x.ndim == 1:  # one row
            return self(x[None]).squeeze(-2)
        return equations.additive_output(self.attended(x), self.attending(x) @ self.strength.mT)

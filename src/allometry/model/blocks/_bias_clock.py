"""The clock of a gate whose bias is a row of numbers in a layer's bias."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from allometry.model._clock import Clock
from allometry.model._timescale import keep_bias, scale_of


class BiasClock(Clock):
    """Gates sigma(b), in units of a bias: one that keeps, one that lets in, or both, which are then divided by their sum.

    T = 1 + sigma(keep) / sigma(let in), which is 1 + exp(b) of a keep gate alone, 1 + exp(-b) of the other alone, and 1 + exp(b)
    where they have b and -b.
    """

    def __init__(self, bias: Tensor, keeps: slice | None = None, lets_in: slice | None = None) -> None:
        self.bias, self.keeps, self.lets_in = bias, keeps, lets_in
        self.units = len(bias[keeps or lets_in])  # type: ignore[index]

    @torch.no_grad()
    def write(self, scale: Float[Tensor, " units"]) -> None:
        if self.keeps:
            self.bias[self.keeps] = keep_bias(scale).to(self.bias)
        if self.lets_in:
            self.bias[self.lets_in] = -keep_bias(scale).to(self.bias)

    @torch.no_grad()
    def read(self) -> Float[Tensor, " units"]:
        bias = self.bias.double()
        if self.keeps and self.lets_in:
            return scale_of(F.logsigmoid(bias[self.keeps]) - F.logsigmoid(bias[self.lets_in]))
        return scale_of(bias[self.keeps] if self.keeps else -bias[self.lets_in])

"""The clock of a gate that is a sigmoid: where inputs and states are 0, its bias alone says how much of the state is kept."""

import torch
from jaxtyping import Float
from torch import Tensor

from allometry.model import _timescale
from allometry.model._clock import Clock


class GateBias(Clock):
    """sigma(bias) = 1/T of a gate that lets in, 1 - 1/T of one that keeps; `rows` of a bias where others stand beside."""

    def __init__(self, bias: Float[Tensor, " rows"], keeps: bool, rows: slice = slice(None)) -> None:
        self.bias, self.rows, self.sign = bias, rows, 1 if keeps else -1
        self.units = len(bias[rows])

    @torch.no_grad()
    def write(self, scale: Float[Tensor, " units"]) -> None:
        self.bias[self.rows] = self.sign * _timescale.keep_bias(scale).to(self.bias)

    @torch.no_grad()
    def read(self) -> Float[Tensor, " units"]:
        return _timescale.scale_of(self.sign * self.bias[self.rows].double())

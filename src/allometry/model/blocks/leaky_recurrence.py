"""Leaky recurrence: the class of networks that a change of the speed of time leaves as it is (arXiv:1804.11188, equation 5).

The leak, which the paper only asks to be positive, lies in (0, 1) as a sigmoid: above 1 a step would overshoot. Each unit has
its own, where the paper's equation has one for all: it then is equation 10 with a gate that sees nothing. The recurrent weights
start orthogonal and the leaks at 1/3.7, where the LSTM's forget gates start.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._forgetting import Sums, forgetting
from allometry.model.blocks._linear import Linear


class LeakyRecurrence(Block):
    """h_t = (1 - alpha) h_{t-1} + alpha tanh(W x_t + R h_{t-1} + b), alpha = sigma(leak); out = h W_out.

    Parameters 3 width^2 + 2 width. FLOPs per token 6 width^2.
    """

    reads: ClassVar[str] = SEQUENCE

    def build(self, outputs: int) -> nn.Module:
        return _LeakyRecurrence(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square = 3 * self.width**2
        return Cost(parameters=square + 2 * self.width, flops=2 * square * length, state=self.width)


class _LeakyRecurrence(nn.Module):
    def __init__(self, spec: LeakyRecurrence, outputs: int) -> None:
        super().__init__()
        self.candidate = Sums(spec.width, spec.width)
        self.leak = nn.Parameter(torch.full((spec.width,), -1.0))
        self.out = Linear(spec.width, spec.width)
        nn.init.orthogonal_(self.candidate.recurrent)
        spread(self.out.weight, spec.width, outputs)

    def clocks(self) -> dict[str, Clock]:
        """alpha = 1/T."""
        return {"leak": BiasClock(self.leak, lets_in=slice(None))}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(forgetting(x, self.candidate, leak=self.leak))


def reference(layer: _LeakyRecurrence, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""
    alpha = layer.leak.sigmoid()
    state, rows = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        state = (1 - alpha) * state + alpha * layer.candidate(x[:, t], state).tanh()
        rows.append(state)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

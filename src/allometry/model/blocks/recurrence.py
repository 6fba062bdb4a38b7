"""The recurrent network without a gate (Elman 1990; equation 2 of Tallec and Ollivier 2018, arXiv:1804.11188).

The recurrent weights start orthogonal, which is the best chance of a plain RNN to remember (Saxe et al. 2013, arXiv:1312.6120).
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._forgetting import Sums, forgetting
from allometry.model.blocks._linear import Linear


class Recurrence(Block):
    """h_t = tanh(W x_t + R h_{t-1} + b); out = h W_out. Parameters 3 width^2 + width. FLOPs per token 6 width^2."""

    reads: ClassVar[str] = SEQUENCE

    def build(self, outputs: int) -> nn.Module:
        return _Recurrence(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square = 3 * self.width**2
        return Cost(parameters=square + self.width, flops=2 * square * length, state=self.width)


class _Recurrence(nn.Module):
    def __init__(self, spec: Recurrence, outputs: int) -> None:
        super().__init__()
        self.candidate = Sums(spec.width, spec.width)
        self.out = Linear(spec.width, spec.width)
        nn.init.orthogonal_(self.candidate.recurrent)
        spread(self.out.weight, spec.width, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(forgetting(x, self.candidate))


def reference(layer: _Recurrence, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""
    state, rows = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        state = layer.candidate(x[:, t], state).tanh()
        rows.append(state)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

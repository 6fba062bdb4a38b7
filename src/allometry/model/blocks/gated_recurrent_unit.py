"""GRU (Cho et al. 2014, arXiv:1406.1078) in torch.nn.GRU's form, whose reset gate acts after the product of the state.

Of torch's second biases, those of r and z add to the first and are left out, as in the LSTM block; that of n, which r multiplies,
is a parameter. The update gate starts with bias 1, as the LSTM's forget gate: here it is z that keeps.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._forgetting import Sums
from allometry.model.blocks._linear import Linear
from allometry.model.blocks._resetting import resetting
from allometry.model.gates.equations import output_gating


class GatedRecurrentUnit(Block):
    """h_t = (1 - z_t) n_t + z_t h_{t-1}; out = h W_out, with

    r, z = sigma(W x_t + R h_{t-1} + b); n = tanh(W x_t + b + r (R h_{t-1} + b_inner)), each with rows of its own.
    Three output gatings for each unit, by r, z and 1 - z.
    Parameters 7 width^2 + 4 width. FLOPs per token 14 width^2.
    """

    reads: ClassVar[str] = SEQUENCE

    def build(self, outputs: int) -> nn.Module:
        return _GatedRecurrentUnit(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square = 7 * self.width**2
        return Cost(parameters=square + 4 * self.width, flops=2 * square * length, state=self.width)


class _GatedRecurrentUnit(nn.Module):
    def __init__(self, spec: GatedRecurrentUnit, outputs: int) -> None:
        super().__init__()
        self.sums = Sums(spec.width, 3 * spec.width)  # rows r, z, n
        self.inner = nn.Parameter(torch.zeros(spec.width))
        self.out = Linear(spec.width, spec.width)
        self.keeps = slice(spec.width, 2 * spec.width)
        spread(self.out.weight, spec.width, outputs)
        with torch.no_grad():
            self.sums.into.bias[self.keeps] = 1.0

    def clocks(self) -> dict[str, Clock]:
        """z = 1 - 1/T."""
        return {"update": BiasClock(self.sums.into.bias, keeps=self.keeps)}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(resetting(x, self.sums, self.inner))


def reference(layer: _GatedRecurrentUnit, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""
    state, rows = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        of_input, of_state = layer.sums.into(x[:, t]).chunk(3, -1), (state @ layer.sums.recurrent.T).chunk(3, -1)
        reset, keep = (of_input[0] + of_state[0]).sigmoid(), (of_input[1] + of_state[1]).sigmoid()
        candidate = (of_input[2] + output_gating(reset, of_state[2] + layer.inner)).tanh()
        state = output_gating(1 - keep, candidate) + output_gating(keep, state)
        rows.append(state)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

"""minGRU (Feng et al. 2024, arXiv:2410.01201): a GRU whose gate and candidate see the input alone, so that it is a scan."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._linear import BiasedLinear, Linear
from allometry.model.blocks._scan import average
from allometry.model.gates.equations import output_gating


class MinimalGatedRecurrence(Block):
    """z, n = W x_t + b; h_t = (1 - sigma(z)) h_{t-1} + sigma(z) n; out = h W_out.

    Parameters 3 width^2 + 2 width. FLOPs per token 6 width^2 + 2 width.
    """

    reads: ClassVar[str] = SEQUENCE

    def build(self, outputs: int) -> nn.Module:
        return _MinimalGatedRecurrence(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, scan = 3 * self.width**2, self.width
        return Cost(parameters=square + 2 * self.width, flops=2 * (square + scan) * length, state=self.width)


class _MinimalGatedRecurrence(nn.Module):
    def __init__(self, spec: MinimalGatedRecurrence, outputs: int) -> None:
        super().__init__()
        self.into = BiasedLinear(spec.width, 2 * spec.width)
        self.out = Linear(spec.width, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def clocks(self) -> dict[str, Clock]:
        """sigma(z) lets the input in."""
        return {"gate": BiasClock(self.into.bias, lets_in=slice(0, self.out.in_features))}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        gate, new = self.into(x).chunk(2, dim=-1)
        return self.out(average(gate.sigmoid(), new))


def reference(layer: _MinimalGatedRecurrence, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""
    hidden = torch.zeros_like(x[:, 0])
    rows = []
    for t in range(x.shape[1]):
        z, n = (x[:, t] @ layer.into.weight.T + layer.into.bias).chunk(2, dim=-1)
        hidden = output_gating(1 - z.sigmoid(), hidden) + output_gating(z.sigmoid(), n)
        rows.append(hidden)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

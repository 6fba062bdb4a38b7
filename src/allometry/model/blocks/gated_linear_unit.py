"""Gated linear unit (Dauphin et al. 2016, arXiv:1612.08083), within a position, as a part of its own."""

from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import Block, Cost, spread
from allometry.model.blocks._linear import Linear
from allometry.model.gates.equations import output_gating


class GatedLinearUnit(Block):
    """y = (x W_signal) * sigmoid(x W_gate), an output gating, no biases. Parameters 2 width^2; FLOPs per token 4 width^2."""

    def build(self, outputs: int) -> nn.Module:
        return _GatedLinearUnit(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        return Cost(parameters=2 * self.width**2, flops=4 * self.width**2 * length)


class _GatedLinearUnit(nn.Module):
    def __init__(self, spec: GatedLinearUnit, outputs: int) -> None:
        super().__init__()
        self.signal = Linear(spec.width, spec.width)
        self.gate = Linear(spec.width, spec.width)
        spread(self.signal.weight, spec.width, outputs)
        spread(self.gate.weight, spec.width)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        signal, gate = self.signal(x), self.gate(x)
        return output_gating(gate.sigmoid(), signal)

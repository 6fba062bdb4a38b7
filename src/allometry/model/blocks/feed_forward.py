"""The position-wise feed-forward part (Vaswani et al. 2017, arXiv:1706.03762) with GELU (arXiv:1606.08415)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import Block, Cost, spread
from allometry.model.blocks._linear import Linear


class FeedForward(Block):
    """y = GELU(x W_in) W_out, no biases. Parameters 2 * width * hidden; FLOPs per token 4 * width * hidden."""

    hidden: int

    def build(self, outputs: int) -> nn.Module:
        return _FeedForward(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 2 * self.width * self.hidden
        return Cost(parameters=weights, flops=2 * weights * length)


class _FeedForward(nn.Module):
    def __init__(self, spec: FeedForward, outputs: int) -> None:
        super().__init__()
        self.into = Linear(spec.width, spec.hidden)
        self.out = Linear(spec.hidden, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.out.weight, spec.hidden, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(F.gelu(self.into(x)))

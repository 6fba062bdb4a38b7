"""The channel-mixing part of MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601): a feed-forward part with biases."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import Block, Cost, spread
from allometry.model.blocks._linear import BiasedLinear


class ChannelMixing(Block):
    """y = GELU(x W_in + b_in) W_out + b_out. Parameters 2 width hidden + hidden + width; FLOPs per token 4 width hidden."""

    hidden: int

    def build(self, outputs: int) -> nn.Module:
        return _ChannelMixing(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 2 * self.width * self.hidden
        return Cost(parameters=weights + self.hidden + self.width, flops=2 * weights * length)


class _ChannelMixing(nn.Module):
    def __init__(self, spec: ChannelMixing, outputs: int) -> None:
        super().__init__()
        self.into = BiasedLinear(spec.width, spec.hidden)
        self.out = BiasedLinear(spec.hidden, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.out.weight, spec.hidden, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(F.gelu(self.into(x)))  # type: ignore[no-any-return]

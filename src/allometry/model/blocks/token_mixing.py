"""The token-mixing part of MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601): a perceptron over the positions.

All channels share its weights. It has a weight for each position, so it is built for a length: what is shorter is filled up
with zeros, as padding is, and what is longer is refused.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._linear import BiasedLinear


class TokenMixing(Block):
    """out_t = sum_j V_{t,j} GELU(sum_s U_{j,s} x_s + b_j) + c_t, for `hidden` mixtures j; x_s is 0 where s is padding.

    It sees both sides. Parameters 2 length hidden + hidden + length. FLOPs per token 4 width hidden, of a full length.
    """

    reads: ClassVar[str] = SEQUENCE

    length: int
    hidden: int

    def build(self, outputs: int) -> nn.Module:
        return _TokenMixing(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 2 * self.length * self.hidden
        return Cost(parameters=weights + self.hidden + self.length, flops=2 * weights * self.width)


class _TokenMixing(nn.Module):
    def __init__(self, spec: TokenMixing, outputs: int) -> None:
        super().__init__()
        self.into = BiasedLinear(spec.length, spec.hidden)
        self.out = BiasedLinear(spec.hidden, spec.length)
        spread(self.into.weight, spec.length)
        spread(self.out.weight, spec.hidden, outputs)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        length, built = x.shape[1], self.into.in_features
        if length > built:
            raise ValueError(f"TokenMixing(length={built}) cannot read {length} positions. Build it for as many.")
        x = x if keep is None else x * keep[..., None]
        by_channel = F.pad(x.transpose(1, 2), (0, built - length))
        return self.out(F.gelu(self.into(by_channel)))[..., :length].transpose(1, 2)  # type: ignore[no-any-return]


def reference(
    layer: _TokenMixing, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one mixture and one position at a time."""
    positions = range(x.shape[1])
    mixtures = []
    for j in range(len(layer.into.weight)):
        kept = (1.0 if keep is None else keep[:, s, None] for s in positions)
        read = sum(kept_s * layer.into.weight[j, s] * x[:, s] for s, kept_s in zip(positions, kept, strict=True))
        mixtures.append(F.gelu(read + layer.into.bias[j]))
    rows = [
        sum(layer.out.weight[t, j] * mixture for j, mixture in enumerate(mixtures)) + layer.out.bias[t] for t in positions
    ]
    return torch.stack(rows, dim=1)

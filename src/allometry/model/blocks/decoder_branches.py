"""The convolutional branches of the Evolved Transformer's decoder (So, Liang, Le 2019, arXiv:1901.11117): causal.

Two branches of different widths are added, the narrower one filled up with zeros at the end of the channels. Without biases;
the norm inside is the one that stands before every part, as in Tensor2Tensor's version.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks import _separable
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._norm import EPSILON, RMSNorm

WIDE, NARROW, LAST = 11, 7, 7  # taps


class DecoderBranches(Block):
    """h = ReLU(separable_11(x)) + [separable_7(x), 0]; y = separable_7(norm h). The past alone is seen, 16 positions of it.

    The wide branch gives 2 width channels, the narrow one width / 2. Parameters 4.5 width^2 + 32 width, with the norm
    34 width; FLOPs per token twice 4.5 width^2 + 32 width.
    """

    reads: ClassVar[str] = SEQUENCE

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2:
            raise ValueError(f"DecoderBranches(width={self.width}) cannot halve its width. Choose an even one.")

    def build(self, outputs: int) -> nn.Module:
        return _DecoderBranches(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, wide = self.width**2, 2 * self.width
        products = 2 * square + square // 2 + 2 * square + (WIDE + NARROW) * self.width + LAST * wide
        state = (max(WIDE, NARROW) - 1) * self.width + (LAST - 1) * wide  # the inputs that later outputs still see
        return Cost(parameters=products + wide, flops=2 * products * length, state=state)


class _DecoderBranches(nn.Module):
    def __init__(self, spec: DecoderBranches, outputs: int) -> None:
        super().__init__()
        width = spec.width
        self.left = _separable.SeparableConvolution(width, 2 * width, WIDE, causal=True)
        self.right = _separable.SeparableConvolution(width, width // 2, NARROW, causal=True)
        self.norm = RMSNorm(2 * width)
        self.out = _separable.SeparableConvolution(2 * width, width, LAST, causal=True)
        spread(self.out.point.weight, 2 * width, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        left, right = self.left(x).relu(), self.right(x)
        hidden = left + F.pad(right, (0, left.shape[-1] - right.shape[-1]))
        return self.out(self.norm(hidden.to(x.dtype)))  # type: ignore[no-any-return]


def reference(layer: _DecoderBranches, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, the convolutions one position and one tap at a time."""
    left, right = _separable.reference(layer.left, x).relu(), _separable.reference(layer.right, x)
    half = right.shape[-1]
    hidden = torch.cat([left[..., :half] + right, left[..., half:]], dim=-1)
    normed = hidden / (hidden.square().mean(-1, keepdim=True) + EPSILON).sqrt() * layer.norm.scale
    return _separable.reference(layer.out, normed)

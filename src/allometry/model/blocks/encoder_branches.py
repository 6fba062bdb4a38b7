"""The convolutional branches of the Evolved Transformer's encoder (So, Liang, Le 2019, arXiv:1901.11117).

Two branches of different widths are added, the narrower one filled up with zeros at the end of the channels. Without biases;
the norm inside is the one that stands before every part, as in Tensor2Tensor's version.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks import _separable
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._linear import Linear
from allometry.model.blocks._norm import EPSILON, RMSNorm

NEAR, FAR = 3, 9  # taps


class EncoderBranches(Block):
    """h = ReLU(x W_left) + [ReLU(convolution_3(x)), 0]; y = [separable_9(norm h), 0].

    W_left gives 4 width channels, the convolution and the separable one width / 2 each: the last half of y is 0. Both sides
    are seen; padding counts as zero. Parameters 7.5 width^2 + 36 width, with the norm 40 width; FLOPs per token twice
    7.5 width^2 + 36 width.
    """

    reads: ClassVar[str] = SEQUENCE

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2:
            raise ValueError(f"EncoderBranches(width={self.width}) cannot halve its width. Choose an even one.")

    def build(self, outputs: int) -> nn.Module:
        return _EncoderBranches(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, wide = self.width**2, 4 * self.width
        products = 4 * square + NEAR * square // 2 + FAR * wide + wide * self.width // 2
        return Cost(parameters=products + wide, flops=2 * products * length)


class _EncoderBranches(nn.Module):
    def __init__(self, spec: EncoderBranches, outputs: int) -> None:
        super().__init__()
        width, self.half = spec.width, spec.width // 2
        self.left = Linear(width, 4 * width)
        self.right = Linear(NEAR * width, self.half)  # of three neighbours, the earliest first
        self.norm = RMSNorm(4 * width)
        self.out = _separable.SeparableConvolution(4 * width, self.half, FAR, causal=False)
        spread(self.left.weight, width)
        spread(self.right.weight, NEAR * width)
        spread(self.out.point.weight, 4 * width, outputs)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        padded = F.pad(x if keep is None else x * keep[..., None], (0, 0, NEAR // 2, NEAR // 2))
        near = torch.cat([padded[:, j : j + x.shape[1]] for j in range(NEAR)], dim=-1)
        left, right = self.left(x).relu(), self.right(near).relu()
        hidden = left + F.pad(right, (0, left.shape[-1] - self.half))
        return F.pad(self.out(self.norm(hidden.to(x.dtype)), keep), (0, self.half))


def reference(
    layer: _EncoderBranches, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, the convolutions one position and one tap at a time."""
    width, rows = x.shape[-1], []
    for t in range(x.shape[1]):
        row = torch.zeros_like(x[:, 0, : layer.half])
        for j in range(NEAR):
            source = t + j - NEAR // 2
            if 0 <= source < x.shape[1]:
                kept = 1.0 if keep is None else keep[:, source, None]
                row = row + kept * x[:, source] @ layer.right.weight[:, j * width : (j + 1) * width].T
        rows.append(row.relu())
    right = torch.stack(rows, dim=1)
    left = (x @ layer.left.weight.T).relu()
    hidden = torch.cat([left[..., : layer.half] + right, left[..., layer.half :]], dim=-1)
    normed = hidden / (hidden.square().mean(-1, keepdim=True) + EPSILON).sqrt() * layer.norm.scale
    out = _separable.reference(layer.out, normed, keep)
    return torch.cat([out, torch.zeros_like(out)], dim=-1)

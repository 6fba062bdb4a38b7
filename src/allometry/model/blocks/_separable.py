"""Separable convolution (Chollet 2016, arXiv:1610.02357): a filter of its own for each channel, then a matrix over channels."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import spread
from allometry.model.blocks._linear import Linear


class SeparableConvolution(nn.Module):
    """h_{t,c} = sum_{j < kernel} taps_{c,j} x_{t - before + j, c}; y = h W. Nothing between them, no biases.

    `before` is kernel - 1 in a causal stack, else half of it. What lies outside the sequence is zero, and so is padding.
    Parameters kernel width + width outputs; FLOPs per token twice that.
    """

    def __init__(self, width: int, outputs: int, kernel: int, causal: bool) -> None:
        super().__init__()
        self.before = kernel - 1 if causal else kernel // 2
        self.after = kernel - 1 - self.before
        self.taps = nn.Parameter(torch.randn(width, kernel) * kernel**-0.5)
        self.point = Linear(width, outputs)
        spread(self.point.weight, width)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length outputs"]:
        x = x if keep is None else x * keep[..., None]
        padded = F.pad(x.transpose(1, 2), (self.before, self.after))
        mixed = F.conv1d(padded, self.taps[:, None].to(padded.dtype), groups=x.shape[-1])
        return self.point(mixed.transpose(1, 2))  # type: ignore[no-any-return]


def reference(
    layer: SeparableConvolution, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length outputs"]:
    """The equation of the class, one position and one tap at a time."""
    rows = []
    for t in range(x.shape[1]):
        row = torch.zeros_like(x[:, 0])
        for j in range(layer.taps.shape[1]):
            source = t - layer.before + j
            if 0 <= source < x.shape[1]:
                kept = 1.0 if keep is None else keep[:, source, None]
                row = row + kept * layer.taps[:, j] * x[:, source]
        rows.append(row)
    return torch.stack(rows, dim=1) @ layer.point.weight.T

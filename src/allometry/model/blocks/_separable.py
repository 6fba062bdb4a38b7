"""Separable convolution (Chollet 2016, arXiv:1610.02357): a filter of its own for each channel, then a matrix over channels."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import spread
from allometry.model.blocks._eager import in_eager_cpu
from allometry.model.blocks._linear import Linear, rounds_to_bf16

BLOCK = 32  # positions that `_Filters` takes together


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
        if in_eager_cpu(padded) and padded.dtype == self.taps.dtype and not rounds_to_bf16():
            mixed = _Filters.apply(padded, self.taps)
        else:
            mixed = F.conv1d(padded, self.taps[:, None].to(padded.dtype), groups=x.shape[-1])
        return self.point(mixed.transpose(1, 2))  # type: ignore[no-any-return]


class _Filters(torch.autograd.Function):
    """The grouped convolution, with a derivative of its filters that is made of matrix products.

    dL/dtaps_{c,j} = sum_t g_{c,t} x_{c,t+j}, with g = dL/dh and x padded. Positions go in blocks: for each channel the
    products of a block's g with the window of x that it sees, added up over blocks, are a matrix of
    [BLOCK, BLOCK + kernel - 1], and its diagonals are added up. oneDNN's own takes 9.5 ms on one thread of a Xeon (16 x 256
    positions, width 256, 11 taps, fp32), and this 1.6.
    """

    @staticmethod
    def forward(
        ctx: Any, padded: Float[Tensor, "batch width padded"], taps: Float[Tensor, "width kernel"]
    ) -> Float[Tensor, "batch width length"]:
        ctx.save_for_backward(padded, taps)
        return F.conv1d(padded, taps[:, None], groups=len(taps))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "batch width length"]) -> tuple[Tensor, Tensor]:
        padded, taps = ctx.saved_tensors
        (width, kernel), missing = taps.shape, -gradient.shape[-1] % BLOCK
        gradient = gradient.contiguous()
        of_padded = torch.ops.aten.convolution_backward(
            gradient, padded, taps[:, None], None, [1], [0], [1], False, [0], width, [True, False, False]
        )[0]
        window = BLOCK + kernel - 1
        windows = F.pad(padded, (0, missing)).unfold(-1, window, BLOCK).transpose(0, 1).reshape(width, -1, window)
        blocks = F.pad(gradient, (0, missing)).unflatten(-1, (-1, BLOCK)).transpose(0, 1).reshape(width, -1, BLOCK)
        products = torch.bmm(blocks.mT, windows)
        diagonals = products.as_strided((width, BLOCK, kernel), (BLOCK * window, window + 1, 1))
        return of_padded, diagonals.sum(1)


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

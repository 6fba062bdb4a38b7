"""RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467): x / sqrt(mean(x^2) + 1e-6) * scale. No mean, no bias."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._eager import in_eager_cpu

EPSILON = 1e-6


class RMSNorm(nn.Module):
    """Divide each position by its root mean square, then scale each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        if in_eager_cpu(x) and x.dtype == self.scale.dtype and x.dtype in (torch.float32, torch.float64):
            return _RMSNorm.apply(x, self.scale)
        return F.rms_norm(x, self.scale.shape, self.scale, EPSILON)


class _RMSNorm(torch.autograd.Function):
    """F.rms_norm, which torch 2.13 makes of nine passes over memory on CPU, in three; its derivative in two.

    With h = dL/dy * scale and z = x / rms, dL/dx = (h - z mean(h z)) / rms. The kernel of layer norm's derivative, given
    that the mean is 0, returns (h - mean(h) - z mean(h z)) / rms in one pass, so mean(h) / rms is put back. On 4096
    positions of width 256, fp32, one thread: 2.1 ms instead of 6, and torch's layer norm 1.4.
    """

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "*batch width"], scale: Float[Tensor, " width"]) -> Float[Tensor, "*batch width"]:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = torch.rsqrt(norm.square() / x.shape[-1] + EPSILON)
        ctx.save_for_backward(x, scale, inverse)
        return (x * inverse).mul_(scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "*batch width"]) -> tuple[Tensor, Tensor]:
        x, scale, inverse = ctx.saved_tensors
        of_x, of_scale, _ = torch.ops.aten.native_layer_norm_backward(
            gradient, x, scale.shape, torch.zeros_like(inverse), inverse, scale, None, [True, True, False]
        )
        mean = (gradient @ scale)[..., None] / x.shape[-1]
        return of_x.add_(mean * inverse), of_scale  # not addcmul_, which takes three times as long where it has to expand

"""A linear layer whose bf16 products are made by the faster of two kernels on CPU.

A bf16 product multiplies rounded numbers exactly and adds them in fp32, so the fp32 kernel on the same rounded numbers gives
it too, to the order of the sum. A CPU with matrix tiles (Intel AMX) is far faster in bf16. One without them may not be: at
4096 x 256 x 1024 on one core of a Xeon with AVX512-BF16 alone, oneDNN's bf16 kernel makes 89 GFLOP/s, MKL's fp32 one 160.
"""

import functools
import time
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from allometry.flow import Refusal

CLEARLY = 1.25  # fp32 kernels are taken where they are faster by this factor, so that noise does not decide


class Linear(nn.Linear):
    """y = x W^T, no bias."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(width, outputs, bias=False)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch outputs"]:
        return product(x, self.weight)


class BiasedLinear(Linear):
    """y = x W^T + b, with b = 0 at first."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(width, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch outputs"]:
        if x.device.type != "cpu" or not rounds_to_bf16():
            return F.linear(x, self.weight, self.bias)
        product = super().forward(x)
        return product + self.bias.to(product.dtype)


class Reading(BiasedLinear):
    """Reads a vector of numbers, as an embedding reads a token: never rounded, and not counted among the layers."""

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch outputs"]:
        if x.shape[-1] != self.in_features or x.dtype != self.weight.dtype:
            raise Refusal(
                f"A layer that reads {self.in_features} channels of {self.weight.dtype} was given {x.shape[-1]} of {x.dtype}. Give "
                "features of the width and type that the model was built for."
            )
        with unrounded(x):
            return F.linear(x, self.weight, self.bias)


def product(x: Float[Tensor, "*batch width"], weight: Float[Tensor, "outputs width"]) -> Float[Tensor, "*batch outputs"]:
    """x W^T, of a weight that stands in another layer."""
    if x.device.type != "cpu" or not rounds_to_bf16() or bf16_kernel_is_fast():
        return F.linear(x, weight)
    return _ThroughFp32.apply(x, weight)


class OneHot(nn.Module):
    """A token as a vector with a 1 in its place. A module, so that gradients with respect to what it gives can be asked for."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs

    def forward(self, tokens: Int[Tensor, "batch length"], like: Tensor) -> Float[Tensor, "batch length inputs"]:
        return F.one_hot(tokens, self.inputs).to(like.dtype)


def unrounded(x: Tensor) -> torch.autocast:
    """A context in which products with x are made in its own precision, whatever autocast says."""
    return torch.autocast(x.device.type if x.device.type != "meta" else "cpu", enabled=False)  # autocast knows no meta


def rounds_to_bf16() -> bool:
    """Whether products on CPU are under autocast to bf16."""
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def bf16_kernel_is_fast() -> bool:
    """Whether this machine's bf16 kernel is to be used; measured once per process, in some ten milliseconds."""
    return _fp32_seconds_per_bf16_second() > 1 / CLEARLY


# What torch.compiler.assume_constant_result sets, which loads the compiler to do so: 1.6 seconds of every process.
bf16_kernel_is_fast._dynamo_marked_constant = True  # type: ignore[attr-defined]


@functools.cache
def _fp32_seconds_per_bf16_second() -> float:
    best = {}
    with torch.autocast("cpu", enabled=False):
        matrices = [torch.ones(256, 256, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
        for matrix in matrices * 6:
            start = time.perf_counter()
            matrix @ matrix
            best[matrix.dtype] = min(time.perf_counter() - start, best.get(matrix.dtype, 1.0))
    return best[torch.float32] / best[torch.bfloat16]


class _ThroughFp32(torch.autograd.Function):
    """The bf16 product x W^T from fp32 kernels; with g = dL/dy, dL/dx = g W and dL/dW = g^T x.

    x, W, g and y are rounded as under autocast, and x is kept for the backward pass in bf16; the gradient of W, which
    autocast rounds as well, is not. On the Xeon above it takes a transformer's step from 1.28 to 1.02 seconds of CPU
    (width 256, depth 4, 16 x 256 tokens, one thread; with fp32 in `_causal` and with train/allocator.py).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "*batch width"], weight: Float[Tensor, "outputs width"]
    ) -> Float[Tensor, "*batch outputs"]:
        rows = x.to(torch.bfloat16).flatten(0, -2)
        ctx.save_for_backward(rows, weight)
        ctx.like = x.shape, x.dtype
        with torch.autocast("cpu", enabled=False):
            return (rows.float() @ _rounded(weight).T).to(torch.bfloat16).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "*batch outputs"]) -> tuple[Tensor, Tensor]:
        rows, weight = ctx.saved_tensors
        shape, dtype = ctx.like
        gradient = gradient.flatten(0, -2).float()
        with torch.autocast("cpu", enabled=False):  # a compiler traces the backward pass under the forward's autocast
            of_rows = (gradient @ _rounded(weight)).to(torch.bfloat16)
            return of_rows.to(dtype).view(shape), gradient.T @ rows.float()


def _rounded(x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The nearest bf16 numbers, as fp32."""
    return x.to(torch.bfloat16).float()

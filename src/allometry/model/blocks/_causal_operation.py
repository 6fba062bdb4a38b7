"""`_causal` as an operation that torch.compile takes as it is: one node forward, one backward, in one graph.

The compiler's own code for these blocks is no faster, and their unrolled loops take it minutes.
"""

import functools

import torch
from jaxtyping import Complex
from torch import Tensor

from allometry.model.blocks._causal import at_least_fp32, kept_shapes, mix, unmix, working_type
from allometry.model.blocks._rotary import angles


@torch.library.custom_op("allometry::causal_attention", mutates_args=())
def causal_attention(parts: Tensor) -> list[Tensor]:
    """What `mix` returns; the first is the value."""
    return mix(parts, _turns(parts.shape[1], parts.shape[-1], at_least_fp32(parts.dtype)))


@causal_attention.register_fake
def _(parts: Tensor) -> list[Tensor]:
    batch, length, _, heads, head = parts.shape
    working, rows = working_type(parts.dtype), batch * heads
    both, value = parts.new_empty(2, rows, length, head, dtype=working), parts.new_empty(rows, length, head, dtype=working)
    kept = [parts.new_empty(shape, dtype=working) for shape in kept_shapes(batch, heads, length)]
    return [parts.new_empty(batch, length, heads * head), both, value, *kept]


@torch.library.custom_op("allometry::causal_attention_backward", mutates_args=())
def causal_attention_backward(gradient: Tensor, saved: list[Tensor]) -> Tensor:
    """What `unmix` returns."""
    return unmix(gradient, _turns(gradient.shape[1], saved[1].shape[-1], at_least_fp32(gradient.dtype)), saved)


@causal_attention_backward.register_fake
def _(gradient: Tensor, saved: list[Tensor]) -> Tensor:
    batch, length, width = gradient.shape
    head = saved[1].shape[-1]
    return gradient.new_empty(batch, length, 3, width // head, head)


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor], output: list[Tensor]) -> None:
    ctx.save_for_backward(*output[1:])


def _derive(ctx: torch.autograd.function.FunctionCtx, gradients: list[Tensor]) -> Tensor:
    return causal_attention_backward(gradients[0], list(ctx.saved_tensors))


causal_attention.register_autograd(_derive, setup_context=_keep)


@functools.lru_cache(maxsize=8)
def _turns(length: int, head: int, dtype: torch.dtype) -> Complex[Tensor, "length pairs"]:
    with torch.inference_mode(False):
        angle = angles(length, head, torch.empty(0))
        return torch.polar(torch.ones_like(angle), angle).to(dtype.to_complex())

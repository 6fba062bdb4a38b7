"""The states of torch.nn.GRU: by its kernel on CUDA, elsewhere by a loop with the derivative of `_loop.py`.

Where the kernel of the CPU leaves the derivative to autograd, position by position, this one gathers it in products of the whole
sequence: 95 ms instead of 138, measured as in `_forgetting.py`.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from allometry.model.blocks._forgetting import Sums
from allometry.model.blocks._loop import kernel, of_recurrent, swept


def resetting(
    x: Float[Tensor, "batch length inputs"], sums: Sums, inner: Float[Tensor, " width"]
) -> Float[Tensor, "batch length width"]:
    """All states, from h_0 = 0. Rows of the sums are r, z, n; `inner` is the bias of n that r multiplies."""
    if x.is_cuda and not torch.compiler.is_compiling():
        with torch.autocast("cuda", enabled=False):
            return resetting_by_kernel(x.to(inner.dtype), sums, inner)
    inputs = sums.into(x.transpose(0, 1).contiguous())
    return loop(inputs.to(inner.dtype), sums.recurrent, inner)[0].transpose(0, 1)


def resetting_by_kernel(
    x: Float[Tensor, "batch length inputs"], sums: Sums, inner: Float[Tensor, " width"]
) -> Float[Tensor, "batch length width"]:
    """The same by torch.nn.GRU's."""
    second = torch.cat([torch.zeros_like(inner), torch.zeros_like(inner), inner])
    return kernel(torch.gru, x, sums.into.weight, sums.recurrent, sums.into.bias, second)


@torch.library.custom_op("allometry::resetting", mutates_args=())
def loop(inputs: Tensor, recurrent: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
    """The states, [length batch width], of W x + b, [length batch 3 width]; and r, z, R_n h + inner and n."""
    (length, batch, rows), width = inputs.shape, recurrent.shape[1]
    states, weights = inputs.new_empty(length, batch, width), recurrent.T.contiguous()
    active, state = inputs.new_empty(length, batch, rows + width), inputs.new_zeros(batch, width)
    active[..., : 2 * width] = inputs[..., : 2 * width]
    active[..., 2 * width : rows] = inner
    active[..., rows:] = inputs[..., 2 * width :]
    parts = (active[..., :rows], active[..., : 2 * width], *active.chunk(4, -1), states)
    for sums, both, reset, keep, within, candidate, new in zip(*(part.unbind() for part in parts), strict=True):
        sums.addmm_(state, weights)
        both.sigmoid_()
        # Output gatings: by the reset gate, and by z in the form n + z (h - n).
        state = torch.lerp(candidate.addcmul_(reset, within).tanh_(), state, keep, out=new)
    return states, active


@loop.register_fake
def _(inputs: Tensor, recurrent: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
    (length, batch, rows), width = inputs.shape, recurrent.shape[1]
    return inputs.new_empty(length, batch, width), inputs.new_empty(length, batch, rows + width)


@torch.library.custom_op("allometry::resetting_backward", mutates_args=())
def loop_backward(gradient: Tensor, recurrent: Tensor, states: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients with respect to the inputs, the recurrent weights and `inner`."""
    with torch.autocast(gradient.device.type, enabled=False):
        width = recurrent.shape[1]
        reset, keep, within, candidate = active.chunk(4, -1)
        slopes = gradient.new_empty(*states.shape[:2], 3 * width)
        of_reset, of_keep, of_within = slopes.chunk(3, -1)
        of_candidate = (1 - candidate.square()).mul_(1 - keep)
        torch.mul(of_candidate, reset, out=of_within)
        torch.mul(of_within, within, out=of_reset).mul_(1 - reset)
        torch.neg(candidate, out=of_keep)[1:] += states[:-1]
        of_keep.mul_(keep).mul_(1 - keep)
        of_candidate.mul_(swept(gradient, slopes, keep, recurrent))
        of_inputs = torch.cat([slopes[..., : 2 * width], of_candidate], -1)
        return of_inputs, of_recurrent(slopes, states), of_within.sum((0, 1))


@loop_backward.register_fake
def _(gradient: Tensor, recurrent: Tensor, states: Tensor, active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (length, batch, width), like = states.shape, torch.empty_like(recurrent)
    return states.new_empty(length, batch, 3 * width), like, recurrent.new_empty(width)


def _keep(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor]
) -> None:
    ctx.save_for_backward(inputs[1], *output)
    ctx.mark_non_differentiable(output[1])


def _derive(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    return loop_backward(gradient, *ctx.saved_tensors)  # type: ignore[attr-defined, no-any-return]


loop.register_autograd(_derive, setup_context=_keep)


@register_flop_formula(torch.ops.allometry.resetting)
def _flops(inputs: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    """The products of the state."""
    return 2 * inputs.numel() * recurrent[1]


@register_flop_formula(torch.ops.allometry.resetting_backward)
def _backward_flops(gradient: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    return 4 * gradient[0] * gradient[1] * recurrent.numel()

"""Linear recurrences: h_t = keep_t h_{t-1} + enters_t for each channel by itself, from h = 0, exactly.

With |keep| <= 1 nothing overflows: there is no division and no logarithm, so gates of exactly 0 and 1 are gates as any other.
The derivative is a recurrence of the same kind that runs backwards. With g = dL/dh,

    dL/denters_t = g_t + keep_{t+1} dL/denters_{t+1};    dL/dkeep_t = dL/denters_t h_{t-1}.

On CPU the recurrence goes position by position, in place: one multiply-add of a row of all sequences and channels. For 16 x 256
positions of width 256 (fp32, one thread of a busy Xeon, CPU time) that takes 1.5 ms, where a copy of the numbers takes 0.3;
positions in chunks that run side by side take 1.5 to 2.2, doubling 8.7. For 4 x 4096 positions it is 16, 18 to 22 and 74 ms.
On GPUs, where a step of so few numbers costs as much as one of many, it goes by doubling inside chunks of positions, and then
over the chunks' ends in the same way; there a compiler sees plain products and sums.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from allometry.model.blocks._eager import in_eager_cpu

CHUNK = 16  # positions that doubling covers; four doublings
WHOLE = ("cpu", "meta")  # devices on which a compiler and the meter see the recurrence as one operation


def scan(
    keep: Float[Tensor, "batch length *channels"], enters: Float[Tensor, "batch length *channels"]
) -> Float[Tensor, "batch length *channels"]:
    """h_t = keep_t h_{t-1} + enters_t, in fp32 or better. What keep_0 is does not matter. Two FLOPs for each number."""
    return _Scan.apply(*_alike(keep, enters))


def average(
    share: Float[Tensor, "batch length *channels"], x: Float[Tensor, "batch length *channels"]
) -> Float[Tensor, "batch length *channels"]:
    """h_t = h_{t-1} + share_t (x_t - h_{t-1}): a running average, in which the newest has its share. Two FLOPs for each number."""
    share, x = _alike(share, x)
    return _Average.apply(share, x) if in_eager_cpu(x) else _Scan.apply(1 - share, share * x)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, keep: Float[Tensor, "batch length *channels"], enters: Float[Tensor, "batch length *channels"]
    ) -> Float[Tensor, "batch length *channels"]:
        state = _run(keep, enters)
        ctx.save_for_backward(keep, state)
        return state

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "batch length *channels"]) -> tuple[Tensor, Tensor]:
        keep, state = ctx.saved_tensors
        of_enters = _run(keep, gradient, back=True)
        return _before(state).mul_(of_enters), of_enters


class _Average(torch.autograd.Function):
    """`average` in fewer passes over memory; with d = dL/d(share x), dL/dshare_t = d_t (x_t - h_{t-1}) and dL/dx = share d."""

    @staticmethod
    def forward(
        ctx: Any, share: Float[Tensor, "batch length *channels"], x: Float[Tensor, "batch length *channels"]
    ) -> Float[Tensor, "batch length *channels"]:
        state = torch.empty_like(x, memory_format=torch.contiguous_format)
        torch.mul(share[:, 0], x[:, 0], out=state[:, 0])
        rows = zip(pairwise(state.unbind(1)), share.unbind(1)[1:], x.unbind(1)[1:], strict=True)
        for (before, here), part, new in rows:
            torch.lerp(before, new, part, out=here)
        ctx.save_for_backward(share, x, state)
        return state

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "batch length *channels"]) -> tuple[Tensor, Tensor]:
        share, x, state = ctx.saved_tensors
        of_both = by_position(1 - share, gradient, back=True)
        of_share = x.clone(memory_format=torch.contiguous_format)
        of_share[:, 1:] -= state[:, :-1]
        return of_share.mul_(of_both), of_both.mul_(share)


@torch.library.custom_op("allometry::recurrence", mutates_args=())
def recurrence(keep: Tensor, enters: Tensor, back: bool) -> Tensor:
    """`by_position` as an operation that torch.compile takes as it is, and that the meter counts."""
    return by_position(keep, enters, back)


@recurrence.register_fake
def _(keep: Tensor, enters: Tensor, back: bool) -> Tensor:
    return torch.empty_like(enters, memory_format=torch.contiguous_format)


@register_flop_formula(torch.ops.allometry.recurrence)
def _flops(keep: torch.Size, enters: torch.Size, back: bool, **_: object) -> int:
    return 2 * enters.numel()


def by_position(keep: Tensor, enters: Tensor, back: bool = False) -> Tensor:
    """h_t = keep_t h_{t-1} + enters_t; or `back`, h_t = keep_{t+1} h_{t+1} + enters_t."""
    state = enters.clone(memory_format=torch.contiguous_format)
    order = slice(None, None, -1 if back else 1)
    for (before, here), kept in zip(pairwise(state.unbind(1)[order]), keep.unbind(1)[1:][order], strict=True):
        here.addcmul_(kept, before)
    return state


def by_doubling(keep: Tensor, enters: Tensor, back: bool = False) -> Tensor:
    """The same in some log(length) steps, with work linear in the length."""
    if back:
        return by_doubling(torch.cat([keep[:, :1], keep[:, 1:].flip(1)], 1), enters.flip(1)).flip(1)
    length = enters.shape[1]
    missing = -length % CHUNK if length > CHUNK else 0
    to_the_end = [0, 0] * (enters.ndim - 2) + [0, missing]
    keep, state = (F.pad(x, to_the_end).unflatten(1, (-1, min(CHUNK, length))) for x in (keep, enters))
    span = 1  # (keep, state) of a position say what it makes of the state `span` positions before, within its chunk
    while span < state.shape[2]:
        joined = torch.addcmul(state[:, :, span:], keep[:, :, span:], state[:, :, :-span])
        state = torch.cat([state[:, :, :span], joined], 2)
        keep = torch.cat([keep[:, :, :span], keep[:, :, span:] * keep[:, :, :-span]], 2)
        span *= 2
    if length > CHUNK:
        ends = by_doubling(keep[:, :-1, -1], state[:, :-1, -1])
        state = torch.cat([state[:, :1], torch.addcmul(state[:, 1:], keep[:, 1:], ends[:, :, None])], 1)
    return state.flatten(1, 2)[:, :length]


def _run(keep: Tensor, enters: Tensor, back: bool = False) -> Tensor:
    if in_eager_cpu(enters):
        return by_position(keep, enters, back)
    return recurrence(keep, enters, back) if enters.device.type in WHOLE else by_doubling(keep, enters, back)


def _before(state: Tensor) -> Tensor:
    """h_{t-1} at t, and 0 at first; a copy."""
    return F.pad(state[:, :-1], [0, 0] * (state.ndim - 2) + [1, 0])


def _alike(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one type that is fp32 or better."""
    dtype = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    return first.to(dtype), second.to(dtype)

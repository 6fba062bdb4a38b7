"""States that are read and written by vectors of the input: the state-space dual form (Dao and Gu 2024, arXiv:2405.21060).

For each head, with a state h of [state head] and scalars that the input gives,

    h_t = exp(decay_t) h_{t-1} + enters_t write_t x_t^T;    y_t = read_t h_t,    decay_t <= 0;
    out = (y + skip x) silu(gate).

Positions go in chunks. Within one, y = (L * read write^T) (enters x) with L_{t,r} = exp(sum of decay over r < . <= t) where
r <= t: products of matrices, of which read write^T serves all heads. What a chunk leaves, and what it finds, are one state per
head and chunk, passed on by a short recurrence. So time and memory grow with the length, and nothing has the size
length x state x width. Exponents are sums of decays over a part of a chunk, so at most 0: nothing overflows, a decay of -1e4
(a reset) leaves what comes after it exact, and a state that is kept whole is.

On CPU the derivative is written by hand. With g = dL/dy, and D the gradient of the state after a chunk,

    v = (L * read write^T)^T g + (decay to the end) write D;    dx = enters v + skip g;    denters = x . v;
    d(read write^T) = sum over heads of L * (g (enters x)^T);
    ddecay_t = sum over s >= t in the chunk of (g_s . y_s - enters_s x_s . v_s) + D . (state after it).

What a position reads of its own input would cancel in the last line, so it goes with the skip, and L has no diagonal.

There the exponents of a chunk are differences of its running sum: in double precision, of which the difference of the rounded
sums is exact where it matters, and the remainders, near 0, are factors of rows.

On one thread of a busy Xeon (AVX-512, no AMX; 16 x 256 positions, 8 heads of 64 channels, states of 64, fp32, CPU time) it takes
27 ms forward and 58 backward, and about a fifth more for 1 x 4096; chunks of 32 take as long, and of 128 longer.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from allometry.model.blocks._eager import in_eager_cpu
from allometry.model.blocks._scan import scan

CHUNK = 64  # positions: products within chunks grow with it, passed states fall
LOWEST = -60.0  # of exponents: 1e-26 is nothing beside what is added to it, and below 1e-38 a CPU takes 200 times as long
CACHED = 1 << 18  # numbers of x in work at a time: 1 MiB in fp32


def state_space(
    x: Float[Tensor, "batch length heads head"],
    read: Float[Tensor, "batch length state"],
    write: Float[Tensor, "batch length state"],
    decay: Float[Tensor, "batch length heads"],
    enters: Float[Tensor, "batch length heads"],
    skip: Float[Tensor, " heads"],
    gate: Float[Tensor, "batch length heads head"],
) -> Float[Tensor, "batch length heads head"]:
    """out of the equation above, from h = 0. decay and enters are fp32 or better; on CPU so is all the rest."""
    length = x.shape[1]
    chunk = min(CHUNK, length)
    if missing := -length % chunk:  # positions that keep and let in nothing else, behind the end
        x, read, write, decay, enters, gate = (
            F.pad(part, (0, 0) * (part.ndim - 2) + (0, missing)) for part in (x, read, write, decay, enters, gate)
        )
    if in_eager_cpu(x):
        return _StateSpace.apply(x, read, write, decay, enters, skip, gate)[:, :length]
    y = in_products(x, read, write, decay, enters) + x * skip[:, None]
    return (y * F.silu(gate))[:, :length]


def flops(length: int, heads: int, head: int, state: int) -> int:
    """Of the products of `state_space`, and of passing the states on, for one sequence."""
    chunk, inner = min(CHUNK, length), heads * head
    padded = length + -length % chunk
    passed = padded // chunk - 1
    return 2 * padded * chunk * (state + inner) + passed * state * inner * (4 * chunk + 2)


def in_products(
    x: Float[Tensor, "batch length heads head"],
    read: Float[Tensor, "batch length state"],
    write: Float[Tensor, "batch length state"],
    decay: Float[Tensor, "batch length heads"],
    enters: Float[Tensor, "batch length heads"],
) -> Float[Tensor, "batch length heads head"]:
    """y, for autograd, a compiler and the meter. The length is a multiple of the chunk."""
    chunk = min(CHUNK, x.shape[1])
    parts = (x, read, write, decay, enters)
    x, read, write, decay, enters = (part.unflatten(1, (-1, chunk)) for part in parts)
    enter = x * enters[..., None]
    between = _sums_between(decay.mT)  # [batch chunks heads chunk chunk]
    weights = (read @ write.mT)[:, :, None] * between.exp()
    y = (weights @ enter.transpose(2, 3)).transpose(2, 3)
    if x.shape[1] > 1:  # chunks
        to_end = between[..., -1, :].mT.exp()
        left = (write[:, :-1].mT @ (enter * to_end[..., None])[:, :-1].flatten(3)).unflatten(3, x.shape[3:])
        states = scan(decay.sum(2)[:, :-1, None, :, None].exp().expand_as(left), left)
        found = (read[:, 1:] @ states.flatten(3).to(read.dtype)).unflatten(3, x.shape[3:])
        y = y + F.pad(found * decay[:, 1:].cumsum(2).exp()[..., None], (0, 0) * 3 + (1, 0))
    return y.flatten(1, 2)


def _sums_between(decay: Float[Tensor, "*axes chunk"]) -> Float[Tensor, "*axes chunk chunk"]:
    """[t, r]: the sum of decay over r < . <= t, -inf where r > t. Sums of a few numbers, no differences of sums."""
    chunk = decay.shape[-1]
    earlier = torch.ones(chunk, chunk, dtype=torch.bool, device=decay.device).tril()
    after = decay[..., None].expand(*decay.shape, chunk).masked_fill(~earlier.tril(-1), 0)
    return after.cumsum(-2).masked_fill(~earlier, -torch.inf)


class _StateSpace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            out, *kept = _forward(*_alike(*given))
        ctx.save_for_backward(*given, *kept)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        *given, y, between, before = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            found = _backward(gradient.to(y.dtype), *_alike(*given), y, between, before)
        return tuple(of_part.to(part.dtype) for of_part, part in zip(found, given, strict=True))


def _alike(*parts: Tensor) -> list[Tensor]:
    dtype = torch.float32
    for part in parts:
        dtype = torch.promote_types(dtype, part.dtype)
    return [part.to(dtype) for part in parts]


def _factors(decay: Tensor, chunk: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """[chunks-of-all-sequences chunk heads]: the decays' running sum, rounded; exp of what that leaves out, and its inverse;
    exp of the sums from the start of the chunk, and to its end."""
    exact = decay.unflatten(1, (-1, chunk)).flatten(0, 1).double().cumsum(1)
    rounded = exact.to(decay.dtype)
    rest = (exact - rounded).to(decay.dtype)
    from_start, to_end = (sums.clamp_min(LOWEST).to(decay.dtype).exp() for sums in (exact, exact[:, -1:] - exact))
    return rounded, rest.exp(), (-rest).exp(), from_start, to_end


def _forward(
    x: Tensor, read: Tensor, write: Tensor, decay: Tensor, enters: Tensor, skip: Tensor, gate: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """out, y, L and the state before each chunk, where there are several."""
    (batch, length, heads, head), state = x.shape, read.shape[2]
    chunk = min(CHUNK, length)
    rounded, up, down, from_start, to_end = _factors(decay, chunk)
    parts = (x, read, write, enters, gate)
    x, read, write, enters, gate = (part.unflatten(1, (-1, chunk)).flatten(0, 1) for part in parts)
    units, inner = len(x), heads * head
    if length > chunk:  # what a chunk leaves goes where the next one, if of the same sequence, finds it
        left, weights = x.new_empty(units + 1, state, inner), (enters * to_end)[..., None]
        for some in _groups(units, chunk * inner):
            torch.bmm(write[some].mT, (x[some] * weights[some]).flatten(2), out=left[1:][some])
        before = left[:-1]
        states = before.view(batch, -1, state, heads, head)
        states[:, 0] = 0
        _pass_on(states[:, 1:], from_start[:, -1].view(batch, -1, 1, heads, 1)[:, 1:-1])
    else:
        before = x.new_empty(0)
    out, between = x.new_empty(2, *x.shape), x.new_empty(units, heads, chunk, chunk)
    out, y = out.unbind()
    sums, weights, direct = rounded.mT.contiguous(), (enters * down)[..., None], _own(read, write) * enters + skip
    for some in _groups(units, chunk * inner):
        here, mixed = between[some], y[some]
        torch.sub(sums[some, :, :, None], sums[some, :, None], out=here)
        here.clamp_min_(LOWEST).exp_().tril_(-1)
        products = here * torch.bmm(read[some], write[some].mT)[:, None]
        within = torch.bmm(products.flatten(0, 1), _by_head(x[some], weights[some])).view(-1, heads, chunk, head)
        torch.mul(within.transpose(1, 2), up[some, ..., None], out=mixed)
        if length > chunk:
            mixed.addcmul_(torch.bmm(read[some], before[some]).view_as(mixed), from_start[some, ..., None])
        torch.addcmul(mixed, x[some], direct[some, ..., None], out=out[some]).mul_(F.silu(gate[some]))
    return out.view(batch, length, heads, head), y, between, before


def _backward(
    gradient: Tensor, x: Tensor, read: Tensor, write: Tensor, decay: Tensor, enters: Tensor, skip: Tensor,
    gate: Tensor, y: Tensor, between: Tensor, before: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The gradients with respect to x, read, write, decay, enters, skip and gate."""
    (batch, length, heads, head), state = x.shape, read.shape[2]
    chunk = min(CHUNK, length)
    _, up, down, from_start, to_end = _factors(decay, chunk)
    parts = (gradient, x, read, write, enters, gate)
    gradient, x, read, write, enters, gate = (part.unflatten(1, (-1, chunk)).flatten(0, 1) for part in parts)
    units, inner = len(x), heads * head
    passes = length > chunk
    of_y, of_x, of_gate = x.new_empty(3, *x.shape)
    of_states = x.new_empty(units + 1, state, inner) if passes else before  # before each chunk, and so after the one before
    for some in _groups(units, chunk * inner):
        torch.mul(gradient[some], F.silu(gate[some]), out=of_y[some])
        if passes:
            found = (of_y[some] * from_start[some, ..., None]).flatten(2)
            torch.bmm(read[some].mT, found, out=of_states[some])
    if passes:
        after = of_states[1:].view(batch, -1, state, heads, head)
        after[:, -1] = 0
        _pass_on(after[:, :-1], from_start[:, -1].view(batch, -1, 1, heads, 1)[:, 1:-1], back=True)
    of_after = of_states[1:]
    own, of_read, of_write = _own(read, write), torch.empty_like(read), torch.empty_like(write)
    along, of_enters, through = enters.new_empty(3, *enters.shape)
    direct = own * enters + skip
    for some in _groups(units, chunk * inner):
        g, here, out = of_y[some], x[some], of_x[some]
        by_head, entered = _by_head(g, up[some, ..., None]), _by_head(here, (enters[some] * down[some])[..., None])
        products = between[some] * torch.bmm(read[some], write[some].mT)[:, None]
        within = torch.bmm(products.flatten(0, 1).mT, by_head).view(-1, heads, chunk, head)
        torch.mul(within.transpose(1, 2), down[some, ..., None], out=out)
        of_products = torch.bmm(by_head, entered.mT).view_as(products).mul_(between[some]).sum(1)
        torch.bmm(of_products, write[some], out=of_read[some])
        torch.bmm(of_products.mT, read[some], out=of_write[some])
        if passes:
            out.addcmul_(torch.bmm(write[some], of_after[some]).view_as(out), to_end[some, ..., None])
            of_read[some] += torch.bmm((g * from_start[some, ..., None]).flatten(2), before[some].mT)
            leaves = (here * (enters[some] * to_end[some])[..., None]).flatten(2)
            of_write[some] += torch.bmm(leaves, of_after[some].mT)
        through[some] = (g * here).sum(-1)
        of_enters[some] = (here * out).sum(-1)
        along[some] = (g * y[some]).sum(-1).addcmul_(enters[some], of_enters[some], value=-1)
        out.mul_(enters[some, ..., None]).addcmul_(g, direct[some, ..., None])
        of_gated = torch.addcmul(y[some], here, direct[some, ..., None]).mul_(gradient[some])
        torch.ops.aten.silu_backward(of_gated, gate[some], grad_input=of_gate[some])
    of_own = (through * enters).sum(-1, keepdim=True)
    of_read.addcmul_(of_own, write)
    of_write.addcmul_(of_own, read)
    of_enters.addcmul_(own, through)
    along = along.view(batch, -1, chunk, heads)
    if passes:
        along[:, :-1, -1] += (after[:, :-1] * before.view_as(after)[:, 1:]).sum((2, 4))
    of_decay = along.flip(2).cumsum(2).flip(2)
    of_parts = (of_x, of_read, of_write, of_decay.flatten(0, 1), of_enters, of_gate)
    *of_parts, of_gate = (part.view(batch, length, *part.shape[2:]) for part in of_parts)
    return *of_parts, through.sum((0, 1)), of_gate


def _own(read: Tensor, write: Tensor) -> Tensor:
    """How much of what a position writes it reads at once."""
    return (read * write).sum(-1, keepdim=True)


def _pass_on(states: Tensor, kept: Tensor, back: bool = False) -> None:
    """In place, h_c += kept_{c-1} h_{c-1}; or `back`, h_c += kept_{c+1} h_{c+1}. kept has the numbers that are met."""
    order = slice(None, None, -1 if back else 1)
    for (before, here), share in zip(pairwise(states.unbind(1)[order]), kept.unbind(1)[order], strict=True):
        here.addcmul_(share, before)


def _by_head(x: Tensor, weights: Tensor) -> Tensor:
    """[units chunk heads head] times weights, as matrices [chunk head] of each unit and head."""
    units, chunk, heads, head = x.shape
    found = torch.empty(units, heads, chunk, head, dtype=x.dtype)
    torch.mul(x, weights, out=found.transpose(1, 2))
    return found.flatten(0, 1)


def _groups(units: int, each: int) -> list[slice]:
    """Chunks to take at a time, so that what is made of them stays in the cache."""
    size = max(1, CACHED // each)
    return [slice(first, min(first + size, units)) for first in range(0, units, size)]

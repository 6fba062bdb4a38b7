"""mLSTM (Beck et al. 2024, arXiv:2405.04517, section 2.3): an LSTM whose cell is a matrix, which stores values under keys.

Gates see the input alone, so that positions can be computed together. A chunk of them is compared pair by pair, as attention
is; what lies before it comes from the matrix as it stood at the chunk's start, which a scan hands from chunk to chunk.

Exponentials are kept in range by a stabiliser: with m_t the largest of the logarithms of the weights that position t gives to
itself and to its past, and of 0, all weights of t are exponentials of numbers that are at most 0. It drops out of the equation
exactly, so no derivative goes through it, and its own rounding is none in the result; it sees no later position. The paper's is
not held above 0, and then the 1 of the denominator, exp(-m_t), has no bound. In fp32 a weight is as exact as the sum of log f
over a chunk: to 1e-5 while that is above -100, to 2e-4 where all 64 logits are -50.

This is the memory. Of what the paper's block wraps around it, the twice wider inner stream with its convolution, its skip and its
block-diagonal projections, and the norm of each head are left out: norms and channel part are those of the residual stack that
all families here share, and a norm right after it would undo the denominator, which a head's outputs at a position have in common.
Gates read the input of the layer, as in the paper's equations.

Forget gates start at the published linspace(3, 6) over the heads, T from 21 to 404, and weights of both gates at 0, as in the
authors' code. Input gates start at 1/T, there near 1: without that norm, sums of T random products, divided by another that may
cancel, give outputs with an rms of 2.5 and a largest of 27 where attention's have 0.1 and 3.5 (width 256, random inputs). At 1/T
the weights of a head add up to 1; the rms is 0.06 and the largest 0.3.

On one thread of a busy Xeon (AVX-512, no AMX; 8 x 256 positions, width 256, 8 heads, fp32, forward and backward, least CPU time of
5, an indication): 81 ms, where attention takes 54 and torch.nn.LSTM 67, all with their projections.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model._timescale import scale_of
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, check_heads, spread
from allometry.model.blocks._linear import BiasedLinear, Linear
from allometry.model.blocks._scan import scan
from allometry.model.gates.equations import output_gating

CHUNK = 64  # positions that are compared pair by pair
LEAST = 1e-20  # beside a largest weight of 1, a smaller n . q is a sum of zeros


class MatrixMemory(Block):
    """q, k, v, o, i, f = W x_t + b; h_t = C_t q / max(|n_t . q|, 1) for each head; out = (sigma(o) h) W_out, with

    C_t = sigma(f) C_{t-1} + exp(i) v k^T / sqrt(head), n_t = sigma(f) n_{t-1} + exp(i) k / sqrt(head); i, f are a head's numbers.

    In quarks: v k^T are output gatings, added to the matrix C of weights (additive synaptic), which q reads (synaptic gating); f, i
    and o are output gatings.
    Parameters 5 width^2 + 2 heads width + 4 width + 2 heads. FLOPs per token, with chunks of c: 10 width^2 + 4 heads width; for
    each head 2 c (2 head + 1) within the chunk, and 2 head (head + 1) (2 + 1/c) for the matrix in all chunks but one. Linear in
    the length.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self)

    def build(self, outputs: int) -> nn.Module:
        return _MatrixMemory(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        head, chunk = self.width // self.heads, min(CHUNK, length)
        chunks = -(-length // chunk)
        weights, rows = 5 * self.width**2 + 2 * self.heads * self.width, 4 * self.width + 2 * self.heads
        matrix = head * (head + 1)
        kernel = 2 * chunks * chunk**2 * (2 * head + 1) + 2 * (chunks - 1) * matrix * (2 * chunk + 1)
        flops = 2 * weights * length + self.heads * kernel
        return Cost(parameters=weights + rows, flops=flops, state=self.heads * (matrix + 1))


class _MatrixMemory(nn.Module):
    def __init__(self, spec: MatrixMemory, outputs: int) -> None:
        super().__init__()
        width = spec.width
        self.heads = spec.heads
        self.into = BiasedLinear(width, 4 * width + 2 * spec.heads)  # rows q, k, v, o, i, f
        self.out = Linear(width, width)
        spread(self.into.weight, width)
        spread(self.out.weight, width, outputs)
        with torch.no_grad():
            self.into.weight[4 * width :] = 0
        published = torch.linspace(3, 6, spec.heads, dtype=torch.float64, device="cpu")
        self.clocks()["forget"].write(scale_of(published))

    def clocks(self) -> dict[str, Clock]:
        return {"forget": HeadClock(self.into.bias, self.heads)}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        width = x.shape[-1]
        parts, opens, gates = self.into(x).split([3 * width, width, 2 * self.heads], -1)
        exact = torch.promote_types(parts.dtype, torch.float32)
        query, key, value = parts.to(exact).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        lets_in, forget = gates.to(exact).unflatten(-1, (2, -1)).permute(2, 0, 3, 1)
        with torch.autocast(
            "cpu", enabled=False
        ):  # matrices too small for a bf16 kernel of a CPU; a GPU makes its own of them
            read = remembered(query, key, value, lets_in, F.logsigmoid(forget))
        return self.out(output_gating(opens.sigmoid(), read.transpose(1, 2).flatten(2)))


class HeadClock(Clock):
    """sigma(f) = 1 - 1/T keeps; exp(i) = 1/T lets in, as written here after the chrono paper's equation 16. T is read from f."""

    def __init__(self, bias: Tensor, heads: int) -> None:
        self.bias, self.units, self.lets_in = bias, heads, slice(len(bias) - 2 * heads, len(bias) - heads)
        self.forget = BiasClock(bias, keeps=slice(len(bias) - heads, len(bias)))

    @torch.no_grad()
    def write(self, scale: Float[Tensor, " units"]) -> None:
        self.forget.write(scale)
        self.bias[self.lets_in] = -scale.log().to(self.bias)

    def read(self) -> Float[Tensor, " units"]:
        return self.forget.read()


def remembered(
    query: Float[Tensor, "batch heads length head"],
    key: Float[Tensor, "batch heads length head"],
    value: Float[Tensor, "batch heads length head"],
    lets_in: Float[Tensor, "batch heads length"],
    keeps: Float[Tensor, "batch heads length"],
) -> Float[Tensor, "batch heads length head"]:
    """h of the class's equation, by chunks; both gates as logarithms."""
    length, head = query.shape[2:]
    chunk = min(CHUNK, length)
    value = F.pad(value, (0, 1), value=1.0)  # the last column becomes n . q
    query, key, value, lets_in, keeps = (_chunks(part, chunk) for part in (query, key, value, lets_in, keeps))
    faded = keeps.cumsum(-1)  # since the chunk's start
    enters = lets_in - faded
    before, after, largest = stabilisers(faded.detach(), enters.detach())
    reads = faded - largest - math.log(head) / 2  # the root of head goes with it
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=query.device).triu(1)
    weights = (reads[..., None] + enters[..., None, :]).masked_fill(later, -math.inf).exp()
    total = ((query @ key.mT) * weights) @ value
    if total.shape[2] > 1:
        through = faded[..., -1] - after
        adds = (enters + through[..., None]).exp()[:, :, :-1, :, None]
        added = (adds * key[:, :, :-1]).mT @ value[:, :, :-1]  # [batch heads chunks-1 head head+1]
        kept = (before + through).exp()[:, :, :-1, None, None].expand_as(added)
        matrix = scan(kept.flatten(0, 1), added.flatten(0, 1)).unflatten(0, added.shape[:2])
        past = (query[:, :, 1:] @ matrix) * (reads + before[..., None]).exp()[:, :, 1:, :, None]
        total = torch.cat([total[:, :, :1], total[:, :, 1:] + past], 2)
    sums, weight = total[..., :-1], total[..., -1:].abs()
    one = (-largest).exp().clamp_min(LEAST)[..., None]
    return (sums / torch.maximum(weight, one)).flatten(2, 3)[:, :, :length]


def stabilisers(
    faded: Float[Tensor, "batch heads chunks chunk"], enters: Float[Tensor, "batch heads chunks chunk"]
) -> tuple[
    Float[Tensor, "batch heads chunks"], Float[Tensor, "batch heads chunks"], Float[Tensor, "batch heads chunks chunk"]
]:
    """m before a chunk, after it, and at its positions: m_t = max(log f_t + m_{t-1}, log i_t, 0), with m_0 = 0."""
    gone = faded[..., -1].cumsum(-1)  # since the start of all; its rounding moves m, which drops out
    after = gone + ((faded[..., -1] + enters.amax(-1)).clamp_min(0) - gone).cummax(-1).values
    before = F.pad(after[..., :-1], (1, 0))
    largest = faded + torch.maximum(before[..., None], enters.cummax(-1).values)
    return before, after, largest.clamp_min(0)


def _chunks(x: Float[Tensor, "batch heads length *rest"], chunk: int) -> Float[Tensor, "batch heads chunks chunk *rest"]:
    """Chunks of positions, with zeros after the end."""
    missing = -x.shape[2] % chunk
    if missing:
        x = F.pad(x, [0, 0] * (x.ndim - 3) + [0, missing])
    return x.unflatten(2, (-1, chunk))


def reference(layer: _MatrixMemory, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time, with the paper's stabiliser: its equations 19 to 27."""
    heads, (batch, length, width) = layer.heads, x.shape
    head = width // heads
    rows = [width] * 4 + [heads] * 2
    into, bias = layer.into.weight.split(rows), layer.into.bias.split(rows)
    cell, weight = x.new_zeros(batch, heads, head, head), x.new_zeros(batch, heads, head)
    largest = x.new_full((batch, heads), -math.inf)
    outputs = []
    for t in range(length):
        q, k, v, o, i, f = (x[:, t] @ w.T + b for w, b in zip(into, bias, strict=True))
        q, k, v = (part.unflatten(-1, (heads, head)) for part in (q, k / math.sqrt(head), v))
        keep = largest + F.logsigmoid(f)
        largest = torch.maximum(keep, i)
        keep, let_in = (keep - largest).exp(), (i - largest).exp()
        cell = keep[..., None, None] * cell + let_in[..., None, None] * v[..., :, None] * k[..., None, :]
        weight = keep[..., None] * weight + let_in[..., None] * k
        read = torch.einsum("bhvk,bhk->bhv", cell, q)
        by = torch.maximum(torch.einsum("bhk,bhk->bh", weight, q).abs(), (-largest).exp())
        outputs.append(output_gating(o.sigmoid(), (read / by[..., None]).flatten(1)))
    return torch.stack(outputs, dim=1) @ layer.out.weight.T

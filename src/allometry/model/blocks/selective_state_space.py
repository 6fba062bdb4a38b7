"""The selective state space of Mamba-2 (Dao and Gu 2024, arXiv:2405.21060; Gu and Dao 2023, arXiv:2312.00752), seeing the past.

delta, the time step, is the clock of Tallec and Ollivier (2018, arXiv:1804.11188): how much of its own time a state lives
through between two positions. softplus makes it a gate: with rate 1 a state keeps exp(-softplus(z)) = 1 - sigma(z).

Kept of the published block: one scalar decay for each head, one pair of vectors `read` and `write` (their C and B; x is as
there, their A is -rate, their dt delta) for all heads, a short filter and SiLU before the state, a gate by SiLU and a norm of
all channels after it, the skip, biases of filter and time step alone, and the start: delta log-uniform, rates uniform.
Departs from it in the step: the published code multiplies what enters by delta, its text holds the input still over the step
(zero-order hold), which is (1 - exp(-delta rate)) / rate. Here it is the text's: then a signal whose symbols are repeated k
times, with delta / k, has exactly the states of the signal itself, which the product does not give. Left out are groups of
heads with vectors of their own, bounds of delta, and states to begin from. Weights begin with variance 1 / fan-in, as all here.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._linear import Linear
from allometry.model.blocks._norm import RMSNorm
from allometry.model.blocks._short_convolution import short_convolution
from allometry.model.blocks._state_space import flops, state_space

KERNEL = 4  # taps of the short filter
FASTEST, SLOWEST = 0.1, 0.001  # of the time steps at the start
RATES = (1.0, 16.0)  # at the start


class SelectiveStateSpace(Block):
    """gate, (x, write, read), z = u W_in in rows; x, write, read <- silu(b + short filter of each channel);
    delta = softplus(z + b), keep = exp(-rate delta) for each head;
    h_t = keep_t h_{t-1} + (1 - keep_t) / rate write_t x_t^T;  y_t = read_t h_t + skip x_t;  out = RMSNorm(y silu(gate)) W_out.

    In quarks: keep and silu(gate) are output gatings; write x^T too, added to a matrix of weights (additive synaptic), which read
    reads (synaptic gating).

    x and gate have `inner` channels in `heads` heads, read and write `state`; rate, skip and b are numbers of a head.
    Parameters width (3 inner + 2 state + heads) + 5 (inner + 2 state) + inner + 3 heads. FLOPs per token 2 width (3 inner +
    2 state + heads) + 8 (inner + 2 state), those within a chunk of c positions, 2 c (inner + state), and from the second chunk
    on 4 inner state + 2 inner state / c to pass the states on. Linear in the length.
    """

    reads: ClassVar[str] = SEQUENCE

    inner: int
    heads: int
    state: int  # numbers that each channel of x is kept in

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inner % self.heads:
            raise ValueError(
                f"SelectiveStateSpace(heads={self.heads}) cannot split inner={self.inner} evenly. "
                f"Choose an inner width that is a multiple of {self.heads}."
            )

    @property
    def filtered(self) -> int:
        """Channels of x, write and read."""
        return self.inner + 2 * self.state

    def build(self, outputs: int) -> nn.Module:
        return _SelectiveStateSpace(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square = self.width * (2 * self.inner + self.filtered + self.heads)
        taps = KERNEL * self.filtered
        mixed = flops(length, self.heads, self.inner // self.heads, self.state)
        return Cost(
            parameters=square + taps + self.filtered + self.inner + 3 * self.heads,
            flops=2 * (square + taps) * length + mixed,
            state=self.inner * self.state + (KERNEL - 1) * self.filtered,
        )


class _SelectiveStateSpace(nn.Module):
    def __init__(self, spec: SelectiveStateSpace, outputs: int) -> None:
        super().__init__()
        self.heads, self.rows = spec.heads, (spec.inner, spec.filtered, spec.heads)
        self.parts = (spec.inner, spec.state, spec.state)
        self.into = Linear(spec.width, sum(self.rows))
        self.taps = nn.Parameter(torch.empty(spec.filtered, KERNEL))
        self.taps_bias = nn.Parameter(torch.zeros(spec.filtered))
        self.log_rate = nn.Parameter(torch.empty(spec.heads).uniform_(*RATES).log())
        steps = torch.empty(spec.heads).uniform_(math.log(SLOWEST), math.log(FASTEST)).exp()
        self.step_bias = nn.Parameter(_inverse_softplus(steps))
        self.skip = nn.Parameter(torch.ones(spec.heads))
        self.norm = RMSNorm(spec.inner)
        self.out = Linear(spec.inner, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.taps, KERNEL)
        spread(self.out.weight, spec.inner, outputs)

    def clocks(self) -> dict[str, Clock]:
        """Of the heads."""
        return {"step": StepClock(self.step_bias, self.log_rate)}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        gate, filtered, step = self.into(x).split(self.rows, dim=-1)
        x, write, read = short_convolution(filtered, self.taps, self.taps_bias).split(self.parts, dim=-1)
        decay, enters = self.held(step)
        x, gate = (part.unflatten(-1, (self.heads, -1)) for part in (x, gate))
        return self.out(self.norm(state_space(x, read, write, decay, enters, self.skip, gate).flatten(2)))

    def held(
        self, step: Float[Tensor, "batch length heads"]
    ) -> tuple[Float[Tensor, "batch length heads"], Float[Tensor, "batch length heads"]]:
        """log keep = -rate delta, and (1 - keep) / rate, which is delta where that is small."""
        rate = self.log_rate.exp()
        decay = -rate * F.softplus(step + self.step_bias)
        return decay, -torch.expm1(decay) / rate


class StepClock(Clock):
    """Of units that keep exp(-rate softplus(b)): T = 1 / (1 - keep). b changes, and the rate stays."""

    def __init__(self, bias: Float[Tensor, " units"], log_rate: Float[Tensor, " units"]) -> None:
        self.bias, self.log_rate, self.units = bias, log_rate, len(bias)

    @torch.no_grad()
    def write(self, scale: Float[Tensor, " units"]) -> None:
        step = -torch.log1p(-1 / scale) / self.log_rate.to(scale).exp()
        self.bias.copy_(_inverse_softplus(step))

    @torch.no_grad()
    def read(self) -> Float[Tensor, " units"]:
        return -1 / torch.expm1(-self.log_rate.double().exp() * F.softplus(self.bias.double()))


def _inverse_softplus(x: Float[Tensor, " units"]) -> Float[Tensor, " units"]:
    """z with log(1 + exp(z)) = x, exact for small and for large x."""
    return x + torch.log(-torch.expm1(-x))


def reference(layer: _SelectiveStateSpace, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position and one tap at a time."""
    inner, state, _ = layer.parts
    head = inner // layer.heads
    gate, raw, step = (x @ layer.into.weight.T).split(layer.rows, dim=-1)
    rate = layer.log_rate.exp()
    hidden = x.new_zeros(len(x), layer.heads, state, head)
    rows = []
    for t in range(x.shape[1]):
        sums = layer.taps_bias + sum(
            raw[:, t - KERNEL + 1 + j] * layer.taps[:, j] for j in range(KERNEL) if t - KERNEL + 1 + j >= 0
        )
        signal, write, read = (sums * sums.sigmoid()).split(layer.parts, dim=-1)
        signal = signal.unflatten(-1, (layer.heads, head))
        keep = torch.exp(-rate * torch.log1p(torch.exp(step[:, t] + layer.step_bias)))
        new = torch.einsum("bh,bs,bhp->bhsp", (1 - keep) / rate, write, signal)
        hidden = keep[..., None, None] * hidden + new
        y = torch.einsum("bs,bhsp->bhp", read, hidden) + layer.skip[:, None] * signal
        gated = y.flatten(1) * gate[:, t] * gate[:, t].sigmoid()
        rows.append(gated / (gated.square().mean(-1, keepdim=True) + 1e-6).sqrt() * layer.norm.scale)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

"""sLSTM (Beck et al. 2024, arXiv:2405.04517, section 2.2): an LSTM with exponential input gates, whose state is an average.

An input with a large gate outweighs all that is stored, which a sigmoid cannot do. The state is divided by the sum of its weights,
n. Memories mix within a head alone: the recurrent weights are block-diagonal. Forget gates start at the published power law, other
biases and the recurrent weights at 0, as in the authors' code.

This is the memory. Of what the paper's block wraps around it, the causal convolution that feeds the gates, the norm of each head
and the gated feed-forward part with its own factor are left out: norms and channel part are those of the residual stack that all
families here share, c / n lies between -1 and 1 without a norm, and a convolution is a mixer of its own. As other mixers here it
ends in a projection. Input weights are full, as in the paper's equations; those of the code are block-diagonal.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model._timescale import scale_of
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, check_heads, spread
from allometry.model.blocks._linear import BiasedLinear, Linear
from allometry.model.blocks._normalising import normalising
from allometry.model.gates.equations import output_gating

FORGETS = ("sigmoid", "exponential")


class ScalarMemory(Block):
    """i, f, z, o = W x_t + R h_{t-1} + b; h_t = sigma(o) c_t / n_t; out = h W_out, with

    c_t = f' c_{t-1} + exp(i) tanh(z), n_t = f' n_{t-1} + exp(i), f' = sigma(f) or exp(f). R is block-diagonal by head.
    Output gatings by f', exp(i), sigma(o) and 1 / n.
    Parameters 5 width^2 + 4 width^2 / heads + 4 width. FLOPs per token 10 width^2 + 8 width^2 / heads.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int
    forget: str = "sigmoid"  # sigmoid | exponential
    place: float = (
        0.0  # of the layer among the layers, 0 the first to 1 the last: the exponent of the power law goes with it
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self)
        if self.forget not in FORGETS:
            raise ValueError(f"ScalarMemory(forget={self.forget!r}) is not known. Choose one of {', '.join(FORGETS)}.")

    def build(self, outputs: int) -> nn.Module:
        return _ScalarMemory(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 5 * self.width**2 + 4 * self.width**2 // self.heads
        return Cost(parameters=weights + 4 * self.width, flops=2 * weights * length, state=3 * self.width)


class _ScalarMemory(nn.Module):
    def __init__(self, spec: ScalarMemory, outputs: int) -> None:
        super().__init__()
        width, head = spec.width, spec.width // spec.heads
        self.exponential = spec.forget == "exponential"
        self.into = BiasedLinear(width, 4 * width)  # rows i, f, z, o, each of all heads
        self.recurrent = nn.Parameter(torch.zeros(spec.heads, head, 4 * head))
        self.out = Linear(width, width)
        spread(self.into.weight, width)
        spread(self.out.weight, width, outputs)
        self.clocks()["forget"].write(published(head, spec.place).repeat(spec.heads))

    def clocks(self) -> dict[str, Clock]:
        """f' = 1 - 1/T. Of the average, a share f' n_{t-1} / n_t is kept: with constant gates it comes to f', whatever i is."""
        keeps = slice(self.out.in_features, 2 * self.out.in_features)
        return {"forget": (ExponentialClock if self.exponential else BiasClock)(self.into.bias, keeps)}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        sums = (
            self.into(x).unflatten(-1, (4, len(self.recurrent), -1)).permute(1, 3, 0, 2, 4)
        )  # length heads batch gate head
        states = normalising(sums.flatten(3).to(self.recurrent.dtype).contiguous(), self.recurrent, self.exponential)[0]
        return self.out(states.permute(2, 0, 1, 3).flatten(2))


class ExponentialClock(Clock):
    """A gate exp(b) that keeps, in units of a bias: T = 1 / (1 - exp(b)).

    From b = 0 on nothing fades: the sum of weights grows for ever, the state is an average of all the past, and T is infinite.
    """

    def __init__(self, bias: Tensor, keeps: slice) -> None:
        self.bias, self.keeps, self.units = bias, keeps, len(bias[keeps])

    @torch.no_grad()
    def write(self, scale: Float[Tensor, " units"]) -> None:
        self.bias[self.keeps] = torch.log1p(-1 / scale).to(self.bias)

    @torch.no_grad()
    def read(self) -> Float[Tensor, " units"]:
        bias = self.bias[self.keeps].double()
        return torch.where(bias < 0, -1 / torch.expm1(bias), torch.inf)


def published(head: int, place: float) -> Float[Tensor, " head"]:
    """The time scales of a head's units: sigma^-1(f) = 5 - 12 u^(0.3 + 1.3 place) for u from 0 to 1, so T from 149 to 1.001."""
    return scale_of(5 - 12 * torch.linspace(0, 1, head, dtype=torch.float64, device="cpu") ** (0.3 + 1.3 * place))


def reference(layer: _ScalarMemory, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time, with the paper's stabiliser: its equations 15 to 17."""
    mixing = [torch.block_diag(*of_gate) for of_gate in layer.recurrent.unflatten(-1, (4, -1)).unbind(-2)]
    into, bias = layer.into.weight.chunk(4), layer.into.bias.chunk(4)
    hidden = cell = weight = torch.zeros_like(x[:, 0])
    largest = torch.full_like(hidden, -torch.inf)
    rows = []
    for t in range(x.shape[1]):
        i, f, z, o = (x[:, t] @ w.T + b + hidden @ r for w, b, r in zip(into, bias, mixing, strict=True))
        keep = largest + (f if layer.exponential else nn.functional.logsigmoid(f))
        largest = torch.maximum(keep, i)
        cell = (keep - largest).exp() * cell + (i - largest).exp() * z.tanh()
        weight = (keep - largest).exp() * weight + (i - largest).exp()
        hidden = output_gating(o.sigmoid(), cell) / weight
        rows.append(hidden)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

"""The gated feed-forward part (Dauphin et al. 2016, arXiv:1612.08083; Shazeer 2020, arXiv:2002.05202).

The activation acts on the first half of the product into the hidden units, as on `wi_0` of T5 1.1.
"""

import functools
from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import Block, Cost, spread
from allometry.model.blocks._linear import Linear
from allometry.model.gates.equations import output_gating

ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "gelu": functools.partial(F.gelu, approximate="tanh"),  # GEGLU; the tanh form is T5's
    "silu": F.silu,  # SwiGLU
    "sigmoid": torch.sigmoid,  # GLU
    "relu": F.relu,  # ReGLU
    "identity": lambda x: x,  # the bilinear form
}
GRAIN, NARROW = 8, 64  # hidden units are a multiple of this, where the width is no less than that


class GatedFeedForward(Block):
    """y = (act(x W_gate) * x W_signal) W_out, no biases. Parameters 3 * width * hidden; FLOPs per token 6 * width * hidden."""

    hidden: int
    activation: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"GatedFeedForward(activation={self.activation!r}) is none of: {', '.join(ACTIVATIONS)}.")

    def build(self, outputs: int) -> nn.Module:
        return _GatedFeedForward(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 3 * self.width * self.hidden
        return Cost(parameters=weights, flops=2 * weights * length)


def matched_hidden(width: int) -> int:
    """Hidden units that give three matrices the weights of two with 4 * width: two thirds as many, to a multiple of 8.

    Below a width of 64, where that would be far off, to a whole number.

    >>> matched_hidden(768), matched_hidden(256), matched_hidden(20), matched_hidden(1)
    (2048, 680, 53, 3)
    """
    grain = GRAIN if width >= NARROW else 1
    return grain * round(8 * width / 3 / grain)


class _GatedFeedForward(nn.Module):
    def __init__(self, spec: GatedFeedForward, outputs: int) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[spec.activation]
        self.into = Linear(spec.width, 2 * spec.hidden)  # the gate's rows first
        self.out = Linear(spec.hidden, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.out.weight, spec.hidden, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        gate, signal = self.into(x).chunk(2, dim=-1)
        return self.out(output_gating(self.activation(gate), signal))  # type: ignore[no-any-return]

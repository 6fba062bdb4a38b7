"""Gated recurrence: the class of networks that a warping of time leaves nearly as it is (arXiv:1804.11188, equations 8 and 10).

The gate stands for the speed of time, which it reads from input and state. One gate for all units is equation 8, with equation 9
for the gate; a gate for each is equation 10, in which a unit has a time scale of its own. What a warping changes, by the theorem,
are the parameters of the gate; those of the candidate stay, and stand apart here so that they can be frozen.

The candidate's recurrent weights start orthogonal and the gate at 1/3.7, where the LSTM's forget gate starts.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._forgetting import Sums, forgetting
from allometry.model.blocks._linear import Linear
from allometry.model.gates.equations import output_gating

GATES = ("each", "one")


class GatedRecurrence(Block):
    """h_t = (1 - g_t) h_{t-1} + g_t tanh(W x_t + R h_{t-1} + b), g_t = sigma(W_g x_t + R_g h_{t-1} + b_g); out = h W_out.

    Two output gatings for each unit, by g and 1 - g.
    With a gate for each unit: parameters 5 width^2 + 2 width, FLOPs per token 10 width^2. With one: 3 width^2 + 3 width + 1, and
    6 width^2 + 4 width.
    """

    reads: ClassVar[str] = SEQUENCE

    gate: str = "each"  # each: a gate for each unit | one: a gate for all of them

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gate not in GATES:
            raise ValueError(f"GatedRecurrence(gate={self.gate!r}) is not known. Choose one of {', '.join(GATES)}.")

    def gates(self) -> int:
        return self.width if self.gate == "each" else 1

    def build(self, outputs: int) -> nn.Module:
        return _GatedRecurrence(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        rows = self.width + self.gates()
        weights = 2 * rows * self.width + self.width**2
        return Cost(parameters=weights + rows, flops=2 * weights * length, state=self.width)


class _GatedRecurrence(nn.Module):
    def __init__(self, spec: GatedRecurrence, outputs: int) -> None:
        super().__init__()
        self.candidate = Sums(spec.width, spec.width)
        self.gate = Sums(spec.width, spec.gates())
        self.out = Linear(spec.width, spec.width)
        nn.init.orthogonal_(self.candidate.recurrent)
        nn.init.constant_(self.gate.into.bias, -1.0)
        spread(self.out.weight, spec.width, outputs)

    def clocks(self) -> dict[str, Clock]:
        """g = 1/T."""
        return {"gate": BiasClock(self.gate.into.bias, lets_in=slice(None))}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(forgetting(x, self.candidate, self.gate))


def reference(layer: _GatedRecurrence, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""
    state, rows = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        gate = layer.gate(x[:, t], state).sigmoid()
        state = output_gating(1 - gate, state) + output_gating(gate, layer.candidate(x[:, t], state).tanh())
        rows.append(state)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

"""Activation gating: the activation is multiplied by the attending signal. An outer bias, not gated, makes a larger class of it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.gates import equations
from allometry.model.gates.neurons import Neurons


class ActivationGating(Neurons):
    """O = f(g S), or f(b' + g S) with `outer`, the number of units that have such a bias."""

    def __init__(self, attended: Neurons, attending: nn.Module, outer: int = 0, copies: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.attended, self.attending, self.fire = attended, attending, attended.fire
        self.bias = nn.Parameter(torch.zeros(*copies, outer)) if outer else None

    def sums(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        gated = equations.activation_gating(self.attending(x), self.attended.sums(x))
        return gated if self.bias is None else gated + self.bias[..., None, :]

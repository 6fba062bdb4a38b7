"""Additive synaptic: the attending signal is added to a weight. It is an ordinary synapse with a gated one beside it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import spread
from allometry.model.gates import equations
from allometry.model.gates.neurons import Neurons, Units
from allometry.model.gates.synaptic_gating import by_weight, check, read, with_bias


class AdditiveSynaptic(Neurons):
    """S_k = sum_j (w_kj + c_kj g) x_j + b_k over the `synapses` that are attended, and w_kj x_j over the others.

    Synapses and `per` are those of `SynapticGating`.
    """

    def __init__(self, attended: Units, attending: nn.Module, synapses: tuple[int, ...], per: str = "unit") -> None:
        super().__init__()
        check(attended, synapses, per)
        self.attended, self.attending, self.fire = attended, attending, attended.fire
        self.synapses, self.per = synapses, per
        self.strength = nn.Parameter(torch.empty(*attended.weight.shape[:-1], len(synapses)))
        spread(self.strength, attended.weight.shape[-1])

    def sums(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        inputs, weight = with_bias(self.attended, x)
        plain = [j for j in range(inputs.shape[-1]) if j not in self.synapses]
        gate = by_weight(self.attending(x), self.per, weight.shape[-2], len(self.synapses))
        dynamic = equations.additive_synaptic(weight[..., None, :, self.synapses], self.strength[..., None, :, :], gate)
        return inputs[..., plain] @ weight[..., plain].mT + read(dynamic, inputs[..., self.synapses])

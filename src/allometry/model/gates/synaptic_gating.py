"""Synaptic gating: some synapses of a layer are multiplied by attending signals, so that their weights depend on the input."""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.gates import equations
from allometry.model.gates.neurons import Neurons, Units

PER: Final = {"all": "one signal", "unit": "one of each unit", "synapse": "one of each input", "each": "one of each weight"}


class SynapticGating(Neurons):
    """S_k = sum_j (g w_kj) x_j + b_k over the `synapses` that are gated, and w_kj x_j over the others.

    A synapse is the place of an input among the inputs; that of the bias is `inputs`. `per` says which of them share a signal:
    `all` of them (the attending module gives 1 number), those of a `unit` (units), those of a `synapse` over all units (synapses),
    or `each` has its own (units x synapses, unit by unit). Memory: rows x units x gated synapses.
    """

    def __init__(self, attended: Units, attending: nn.Module, synapses: tuple[int, ...], per: str = "unit") -> None:
        super().__init__()
        check(attended, synapses, per)
        self.attended, self.attending, self.fire = attended, attending, attended.fire
        self.synapses, self.per = synapses, per

    def sums(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        inputs, weight = with_bias(self.attended, x)
        plain = [j for j in range(inputs.shape[-1]) if j not in self.synapses]
        dynamic = equations.synaptic_gating(
            by_weight(self.attending(x), self.per, weight.shape[-2], len(self.synapses)),
            weight[..., None, :, self.synapses],
        )
        return inputs[..., plain] @ weight[..., plain].mT + read(dynamic, inputs[..., self.synapses])


def check(attended: Units, synapses: tuple[int, ...], per: str) -> None:
    """Refuse synapses that are not there, and an unknown way to share."""
    if per not in PER:
        raise ValueError(f"per={per!r} is not known. Choose one of {', '.join(f'{k} ({v})' for k, v in PER.items())}.")
    last = attended.weight.shape[-1] - (attended.bias is None)
    if not synapses or len(set(synapses)) != len(synapses) or not all(0 <= j <= last for j in synapses):
        raise ValueError(f"synapses={synapses} are not places of inputs, each once. Give numbers from 0 to {last}.")


def with_bias(attended: Units, x: Float[Tensor, "*axes inputs"]) -> tuple[Tensor, Tensor]:
    """The inputs with a 1 behind them, and the weights with the bias, which is a synapse from it."""
    if attended.bias is None:
        return x, attended.weight
    return torch.cat([x, torch.ones_like(x[..., :1])], -1), torch.cat([attended.weight, attended.bias[..., None]], -1)


def by_weight(
    gate: Float[Tensor, "*places signals"], per: str, units: int, synapses: int
) -> Float[Tensor, "*places some gated"]:
    """The signals beside the weights that they act on, an axis of length 1 where weights share one."""
    wanted = {"all": 1, "unit": units, "synapse": synapses, "each": units * synapses}[per]
    if gate.shape[-1] != wanted:
        raise ValueError(
            f"per={per!r} takes {PER[per]}, {wanted} here, and the attending module gives {gate.shape[-1]} signals."
        )
    if per == "synapse":
        return gate[..., None, :]
    return gate.unflatten(-1, (-1, synapses)) if per == "each" else gate[..., None]


def read(
    dynamic: Float[Tensor, "*places units gated"], inputs: Float[Tensor, "*axes gated"]
) -> Float[Tensor, "*places units"]:
    """Each row's own weights times its inputs."""
    return (dynamic * inputs[..., None, :]).sum(-1)

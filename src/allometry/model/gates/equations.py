"""The six quarks as equations, `allometry/quark.py`. Blocks use these names, so that a reader sees which quark a line is.

Each is one addition or one product (additive synaptic: one of each), and shapes broadcast as these do.
"""

from torch import Tensor


def multiplexing(activation: Tensor, signal: Tensor) -> Tensor:
    """S + signal, where the signal is c g: before the activation function."""
    return activation + signal


def output_gating(gate: Tensor, output: Tensor) -> Tensor:
    """g O: all synapses from the unit are gated."""
    return gate * output


def synaptic_gating(gate: Tensor, weight: Tensor) -> Tensor:
    """g w: one synapse is gated."""
    return gate * weight


def activation_gating(gate: Tensor, activation: Tensor) -> Tensor:
    """g S: before the activation function."""
    return gate * activation


def additive_output(output: Tensor, signal: Tensor) -> Tensor:
    """O + signal, where the signal is c g: after the activation function."""
    return output + signal


def additive_synaptic(weight: Tensor, strength: Tensor, gate: Tensor) -> Tensor:
    """w + c g."""
    return weight + strength * gate

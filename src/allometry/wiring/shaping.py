"""Activation functions from a linear unit and a gate that reads the same sum. The input is one number, and S = 2 x - 1."""

from allometry.wiring._wired import Gated, Wired, inputs, unit

WEIGHT, BIAS = 2.0, -1.0
GATES = {"ReLU": "step", "|S|": "sign", "S^2": "linear", "SiLU": "sigmoid"}


def gated(name: str) -> Wired:
    """S gated by H(S), sgn(S), S or sigmoid(S)."""
    x = inputs(1)
    linear = unit(x, [WEIGHT], BIAS)
    gate = linear if name == "S^2" else unit(x, [WEIGHT], BIAS, GATES[name])
    return Wired(name, "a linear unit gated by its own sum", 1, (Gated(gate, linear),))


def rectified(name: str) -> Wired:
    """ReLU and |S| by units that are ReLUs themselves."""
    x = inputs(1)
    up, down = (unit(x, [sign * WEIGHT], sign * BIAS, "relu") for sign in (1, -1))
    return Wired(name, "ReLU units", 1, (up if name == "ReLU" else unit((up, down), (1, 1)),))

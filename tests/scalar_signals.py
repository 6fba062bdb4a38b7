"""Counting by definition: networks written in Python numbers that know whether they depend on the input, one product at a time.

Arrays are numpy's of objects, so `@` is a loop of products and sums. In a product of two signals the left one is the gate.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor


class Tally:
    """What was multiplied so far."""

    def __init__(self) -> None:
        self.gates: set[int] = set()
        self.gatings = self.static = self.shaping = 0


class Number:
    """A number; `root`: the number that it is a function of, itself where that is no single one; None for a parameter."""

    def __init__(self, value: float, tally: Tally, root: Any = None) -> None:
        self.value, self.tally, self.root = value, tally, root

    @classmethod
    def signal(cls, value: float, tally: Tally) -> "Number":
        number = cls(value, tally)
        number.root = number
        return number

    def function(self, f: Callable[[float], float]) -> "Number":
        return Number(f(self.value), self.tally, self.root)

    def __mul__(self, other: Any) -> "Number":
        if not isinstance(other, Number):
            return self.function(lambda value: value * other)
        value, tally = self.value * other.value, self.tally
        if self.root is None or other.root is None:
            tally.static += 1
            return Number(value, tally, self.root or other.root)
        if self.root is other.root:
            tally.shaping += 1
            return Number(value, tally, self.root)
        tally.gatings += 1
        tally.gates.add(id(self.root))
        _ALIVE.append(self.root)
        return Number.signal(value, tally)

    def __add__(self, other: Any) -> "Number":
        if not isinstance(other, Number):
            return self.function(lambda value: value + other)
        value = self.value + other.value
        if self.root is None or other.root is None or self.root is other.root:
            return Number(value, self.tally, self.root or other.root)
        return Number.signal(value, self.tally)

    def __neg__(self) -> "Number":
        return self.function(lambda value: -value)

    def __sub__(self, other: Any) -> "Number":
        return self + -other

    def __rsub__(self, other: Any) -> "Number":
        return -self + other

    __radd__, __rmul__ = __add__, __mul__

    def exp(self) -> "Number":
        return self.function(math.exp)

    def tanh(self) -> "Number":
        return self.function(math.tanh)


_ALIVE: list[Any] = []  # roots keep their ids


def each(f: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    return np.frompyfunc(lambda number: number.function(f), 1, 1)(x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return each(lambda value: 1 / (1 + math.exp(-value)), x)


def inverse(x: np.ndarray) -> np.ndarray:
    return each(lambda value: 1 / value, x)


def signals(x: Tensor, tally: Tally) -> np.ndarray:
    return np.frompyfunc(lambda value: Number.signal(float(value), tally), 1, 1)(x.double().numpy())


def parameters(x: Tensor, tally: Tally) -> np.ndarray:
    return np.frompyfunc(lambda value: Number(float(value), tally), 1, 1)(x.detach().double().numpy())


def values(x: np.ndarray) -> np.ndarray:
    return np.frompyfunc(lambda number: number.value, 1, 1)(x).astype(float)


def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray, epsilon: float) -> np.ndarray:
    width = x.shape[-1]
    centred = x - (x.sum(-1) * (1 / width))[:, None]
    variance = (centred * centred).sum(-1) * (1 / width)
    return each(lambda value: 1 / math.sqrt(value + epsilon), variance)[:, None] * centred * gain + bias


def softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row)
    return inverse(np.array([powers.sum()], dtype=object)) * powers


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, causal: bool) -> np.ndarray:
    """Of one head, [length head]; a causal one never makes the products with the future."""
    rows = []
    for t in range(len(query)):
        seen = slice(t + 1 if causal else None)
        scores = np.array([query[t] @ other for other in key[seen]], dtype=object) * len(query[t]) ** -0.5
        rows.append(softmax(scores) @ value[seen])
    return np.stack(rows)

"""What wired functions are made of: inputs, units of the standard model, two kinds of gates. A `Wired` is the list of its outputs.

Values are float64, exact for all numbers that the circuits here meet. Nodes are shared: a node that two others read is one node.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from allometry.spec import Spec

FIRES: Final[dict[str, Callable[[ndarray], ndarray]]] = {
    "linear": lambda s: s,
    "step": lambda s: (s >= 0).astype(float),  # {0, 1}
    "sign": lambda s: np.where(s >= 0, 1.0, -1.0),  # {-1, +1}
    "relu": lambda s: np.maximum(s, 0.0),
    "sigmoid": lambda s: 1 / (1 + np.exp(-s)),
    "square": lambda s: s * s,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """Something that has an output."""


@dataclasses.dataclass(frozen=True, eq=False)
class Input(Node):
    place: int  # the column


@dataclasses.dataclass(frozen=True, eq=False)
class Synapse:
    """weight * source, or (gate * weight) * source: synaptic gating."""

    source: Node
    weight: float = 1.0
    gate: Node | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Unit(Node):
    """f(sum of synapses + bias)."""

    synapses: tuple[Synapse, ...]
    bias: float = 0.0
    fire: str = "linear"


@dataclasses.dataclass(frozen=True, eq=False)
class Gated(Node):
    """gate * value: output gating."""

    gate: Node
    value: Node


class Size(Spec):
    """What a circuit takes."""

    units: int  # that are not linear: threshold gates and others
    sums: int  # linear units
    gatings: int  # scalar multiplications of two signals, of outputs or of synapses
    signals: int  # different signals that gate
    parameters: int  # synapses, and biases that are not 0
    depth: int  # units and gatings on the longest way
    gating_depth: int  # gatings on the way that has most of them


@dataclasses.dataclass(frozen=True, eq=False)
class Wired:
    """A function of rows of numbers, and how it is wired: call it on rows of inputs."""

    function: str
    how: str
    inputs: int
    outputs: tuple[Node, ...]

    def __call__(self, rows: Float[ndarray, "rows inputs"]) -> Float[ndarray, "rows outputs"]:
        if rows.shape[1] != self.inputs:
            raise ValueError(f"{self.function} has {self.inputs} inputs and got {rows.shape[1]} columns.")
        known: dict[Node, ndarray] = {}
        for node in ordered(self.outputs):
            known[node] = _value(node, known, rows)
        return np.stack([known[node] for node in self.outputs], axis=1)

    @property
    def size(self) -> Size:
        nodes = ordered(self.outputs)
        units = [node for node in nodes if isinstance(node, Unit)]
        synapses = [synapse for unit in units for synapse in unit.synapses]
        gated = [node for node in nodes if isinstance(node, Gated)]
        on_synapses = [synapse.gate for synapse in synapses if synapse.gate is not None]
        depth: dict[Node, tuple[int, int]] = {}
        for node in nodes:
            before = [depth[other] for other in reads(node)] or [(0, 0)]
            steps, gatings = max(d for d, _ in before), max(g for _, g in before)
            has_gate = isinstance(node, Gated) or (isinstance(node, Unit) and any(s.gate is not None for s in node.synapses))
            depth[node] = steps + (not isinstance(node, Input)), gatings + has_gate
        return Size(
            units=sum(unit.fire != "linear" for unit in units),
            sums=sum(unit.fire == "linear" for unit in units),
            gatings=len(gated) + len(on_synapses),
            signals=len({node.gate for node in gated} | set(on_synapses)),
            parameters=len(synapses) + sum(unit.bias != 0 for unit in units),
            depth=max(depth[node][0] for node in self.outputs),
            gating_depth=max(depth[node][1] for node in self.outputs),
        )


def inputs(number: int) -> list[Node]:
    return [Input(place) for place in range(number)]


def unit(sources: Iterable[Node], weights: Iterable[float], bias: float = 0.0, fire: str = "linear") -> Unit:
    """A unit with plain synapses; those of weight 0 are left out."""
    pairs = zip(sources, weights, strict=True)
    return Unit(tuple(Synapse(source, float(weight)) for source, weight in pairs if weight), float(bias), fire)


def conjunction(sources: Sequence[Node], signs: Sequence[int]) -> Unit:
    """1 where all 0/1 sources of sign +1 are 1 and all of sign -1 are 0."""
    return unit(sources, signs, 0.5 - sum(sign > 0 for sign in signs), "step")


def reads(node: Node) -> list[Node]:
    """What a node takes its value from."""
    if isinstance(node, Gated):
        return [node.gate, node.value]
    if isinstance(node, Unit):
        return [one for s in node.synapses for one in (s.source, s.gate) if one is not None]
    return []


def ordered(outputs: Iterable[Node]) -> list[Node]:
    """All nodes, each behind what it reads."""
    found: dict[Node, None] = {}
    todo = [(node, False) for node in reversed(tuple(outputs))]
    while todo:
        node, ready = todo.pop()
        if node in found:
            continue
        if ready:
            found[node] = None
        else:
            todo += [(node, True)] + [(other, False) for other in reads(node)]
    return list(found)


def _value(node: Node, known: dict[Node, ndarray], rows: ndarray) -> ndarray:
    if isinstance(node, Input):
        return rows[:, node.place].astype(float)
    if isinstance(node, Gated):
        return known[node.gate] * known[node.value]
    assert isinstance(node, Unit)
    total = np.full(len(rows), node.bias)
    for synapse in node.synapses:
        weight = synapse.weight if synapse.gate is None else known[synapse.gate] * synapse.weight
        total = total + weight * known[synapse.source]
    return FIRES[node.fire](total)

"""Graph tasks whose examples are made by a formula, from their seed and their number: many graphs of several sizes at once."""

import dataclasses
import functools
import math
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num, UInt64
from torch import Tensor

from allometry.data._by_formula import ByFormula
from allometry.data._random import HELD_OUT, below, random_bits, uniform
from allometry.data._task import HeldOut
from allometry.flow import Graphs, Refusal
from allometry.graph import Graph, Wiring, batch

SelfTask = TypeVar("SelfTask", bound="GeneratedGraphs")

CELLS = 2**20  # pairs of nodes that are made at once: larger batches are made in parts
MEASURED, COUNTED = (
    2**40,
    2000,
)  # number of the first graph that class frequencies are counted in (its seed is no run's); how many
RELABELLED = 2**43  # added to a place in the stream: what its order is drawn from


class Arrays(NamedTuple):
    """Graphs filled up to the largest. Axes of edges: [graph, sender, receiver]."""

    n_node: Int[np.ndarray, " graphs"]
    joined: Bool[np.ndarray, "graphs nodes nodes"]  # false where one of the two is no node
    nodes: Float[np.ndarray, "graphs nodes channels"]
    edges: Float[np.ndarray, "graphs nodes nodes channels"]
    globals: Float[np.ndarray, "graphs channels"]
    of_nodes: Num[np.ndarray, "graphs nodes *outputs"] | None = None  # a class, or numbers; None where it is not asked
    of_edges: Int[np.ndarray, "graphs nodes nodes"] | None = None


class GeneratedGraphs(ByFormula):
    """Graphs of `least` to `most` nodes, all sizes equally likely. A member states `io`, `chance`, `floors` and `examples`.

    Worlds larger than those trained on are `edit(least=..., most=...)`. A family that minds the order of nodes can be taught that
    it means nothing with `relabel`, which takes another order for each place in the stream: a graph that comes again, where there
    are only so many `graphs`, comes in another one. What is held out is as it is without both.

    A graph of the usual size takes 0.01 to 0.07 ms in batches of 32 on one thread, one that moves 0.1 to 0.2 (least of five means).
    """

    least: int = 8  # nodes of the smallest graph
    most: int = 16  # and of the largest
    graphs: int = 0  # that a stream goes round in, in their order; 0: none comes twice
    relabel: bool = False  # nodes in an order drawn anew for each place in the stream

    smallest: ClassVar[int] = 2  # nodes without which nothing is asked

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.least < self.smallest:
            raise Refusal(f"{name}(least={self.least}) asks nothing. Take at least {self.smallest} nodes.")
        if self.most < self.least:
            raise Refusal(f"{name}(least={self.least}, most={self.most}) has no sizes. Take most of at least {self.least}.")
        if self.graphs < 0:
            raise Refusal(f"{name}(graphs={self.graphs}) has none to learn from. Take some, or 0 for graphs without end.")

    @property
    def io(self) -> Graphs:
        raise NotImplementedError

    @property
    def chance(self) -> float:
        raise NotImplementedError

    @property
    def floors(self) -> dict[str, float]:
        """What trivial players attain, by name. Figures show the larger of `correct` and `copied`, shares of right answers."""
        raise NotImplementedError

    def examples(self, seed: int, numbers: Int[np.ndarray, " graphs"]) -> Arrays:
        """The graphs of these numbers; each depends on the seed and its own number alone."""
        raise NotImplementedError

    def batch(self, seed: int, first: int, count: int) -> tuple[tuple[Graph], Graph]:
        """Graphs `first` to `first + count - 1` of the endless stream of this seed, and the answers, of the same wiring.

        An answer is a class (int64) or some numbers (float32), at nodes, edges or graphs; None where nothing is asked. Edges stand
        in the order of their receivers, so that what a node receives stands together.
        """
        size = max(1, CELLS // self.most**2)
        parts = [
            batched(self._shown(seed, np.arange(at, min(at + size, first + count))))
            for at in range(first, first + count, size)
        ]
        if len(parts) == 1:
            return (parts[0][0],), parts[0][1]
        inputs = batch(part for part, _ in parts)
        answers = batch(part for _, part in parts)
        return (inputs,), dataclasses.replace(answers, wiring=inputs.wiring)

    def held_out(self, sequences: int = 96) -> HeldOut:
        """The first graphs of a seed that no run can have: each is a document of its own, and counts as one."""
        inputs, targets = self.endless.batch(HELD_OUT, 0, sequences)
        return HeldOut(
            inputs=inputs,
            targets=targets,
            weights=torch.ones(sequences, 1),
            document=torch.arange(sequences),
            documents=sequences,
            document_bytes=torch.zeros(sequences),
        )

    @property
    def endless(self: SelfTask) -> SelfTask:
        """The same task without `graphs` and `relabel`: what floors are counted in and what is held out."""
        return self.edit(graphs=0, relabel=False)

    def _shown(self, seed: int, places: Int[np.ndarray, " graphs"]) -> Arrays:
        """What stands at these places of the stream."""
        arrays = self.examples(seed, places % self.graphs if self.graphs else places)
        if not self.relabel:
            return arrays
        (keys,) = draws(seed, places + RELABELLED, (self.most,))
        return in_any_order(arrays, keys)

    def _sizes(
        self, bits: UInt64[np.ndarray, " graphs"]
    ) -> tuple[Int[np.ndarray, " graphs"], Bool[np.ndarray, "graphs nodes"]]:
        """How many nodes each graph has, and which places are nodes."""
        n_node = self.least + below(self.most - self.least + 1, bits)
        return n_node, np.arange(self.most) < n_node[:, None]

    def _mean(self, power: int) -> float:
        """Mean of a power of the number of nodes. Exact."""
        return sum(n**power for n in range(self.least, self.most + 1)) / (self.most - self.least + 1)


def ordered(arrays: Arrays, order: Int[np.ndarray, "graphs nodes"]) -> Arrays:
    """The same graphs with their nodes in this order: place i has what place `order[i]` had. Empty places stay behind."""
    graph = np.arange(len(order))[:, None]
    pair = (graph[..., None], order[:, :, None], order[:, None])
    return arrays._replace(
        joined=arrays.joined[pair],
        nodes=arrays.nodes[graph, order],
        edges=arrays.edges[pair],
        of_nodes=None if arrays.of_nodes is None else arrays.of_nodes[graph, order],
        of_edges=None if arrays.of_edges is None else arrays.of_edges[pair],
    )


def in_any_order(arrays: Arrays, keys: UInt64[np.ndarray, "graphs nodes"]) -> Arrays:
    """The same graphs with their nodes in the order of these random numbers."""
    real = np.arange(keys.shape[1]) < arrays.n_node[:, None]
    return ordered(arrays, np.where(real, uniform(keys), 2.0).argsort(1, kind="stable"))


class GraphLabels(GeneratedGraphs):
    """Yes or no (1 or 0) at nodes, at edges, or at both; every graph has at least one yes."""

    @property
    def counts(self) -> dict[str, tuple[float, float]]:
        """How many no and yes a graph has on average, of what is asked: of "nodes", of "edges".

        Exact where a member says so; else counted once in 2000 graphs of a seed of their own.
        """
        return _counted(self.endless)

    @property
    def chance(self) -> float:
        """Loss of a player that knows how frequent the classes are and sees nothing, nats: the mean over what is asked."""
        return sum(_entropy(yes / (no + yes)) for no, yes in self.counts.values()) / len(self.counts)

    @property
    def floors(self) -> dict[str, float]:
        """What the more frequent class of each kind, said always, attains.

        `correct` is the share of all answers that are right, nodes and edges together; `solved` the share of graphs in which all
        are. Where that class is "no", none is.
        """
        counts = self.counts.values()
        right = sum(max(one) for one in counts) / sum(sum(one) for one in counts)
        return {"correct": right, "solved": 0.0 if any(no >= yes for no, yes in counts) else _solved_by_yes(self.endless)}


def labels(yes: Bool[np.ndarray, "*axes"]) -> Int[np.ndarray, "*axes"]:
    """1 where it holds."""
    return yes.astype(np.int64)


def draws(
    seed: int, numbers: Int[np.ndarray, " graphs"], *shapes: tuple[int, ...]
) -> list[UInt64[np.ndarray, "graphs ..."]]:
    """Random numbers in these shapes for each graph."""
    sizes = [math.prod(shape) for shape in shapes]
    bits = random_bits(seed, numbers, sum(sizes))
    parts = np.split(bits, np.cumsum(sizes)[:-1], axis=1)
    return [part.reshape(len(numbers), *shape) for part, shape in zip(parts, shapes, strict=True)]


def _entropy(share: float) -> float:
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)


@functools.lru_cache(maxsize=64)
def _counted(task: GraphLabels) -> dict[str, tuple[float, float]]:
    _, targets = task.batch(HELD_OUT, MEASURED, COUNTED)
    found = {}
    for kind in ("nodes", "edges"):
        if (answers := getattr(targets, kind)) is not None:
            yes = int(answers.sum())
            found[kind] = ((len(answers) - yes) / COUNTED, yes / COUNTED)
    return found


@functools.lru_cache(maxsize=64)
def _solved_by_yes(task: GraphLabels) -> float:
    _, targets = task.batch(HELD_OUT, MEASURED, COUNTED)
    no = torch.zeros(COUNTED, dtype=torch.int64)
    for kind, group in (("nodes", targets.wiring.nodes_of), ("edges", targets.wiring.edges_of)):
        if (answers := getattr(targets, kind)) is not None:
            no.index_add_(0, group.index, 1 - answers)
    return float((no == 0).double().mean())


def batched(arrays: Arrays) -> tuple[Graph, Graph]:
    """What is read and what is asked, without what was filled up."""
    real = np.arange(arrays.joined.shape[1]) < arrays.n_node[:, None]
    graph, receiver, sender = np.nonzero(arrays.joined.swapaxes(1, 2))
    first = arrays.n_node.cumsum() - arrays.n_node
    wiring = Wiring(
        *(
            torch.from_numpy(part)
            for part in (
                first[graph] + sender,
                first[graph] + receiver,
                arrays.n_node,
                np.bincount(graph, minlength=len(real)),
            )
        )
    )
    edge = (graph, sender, receiver)
    features = {"nodes": arrays.nodes[real], "edges": arrays.edges[edge], "globals": arrays.globals}
    answers = {
        name: _tensor(asked[places])
        for name, asked, places in (("nodes", arrays.of_nodes, real), ("edges", arrays.of_edges, edge))
        if asked is not None
    }
    return Graph(wiring, **{name: _tensor(feature) for name, feature in features.items()}), Graph(wiring, **answers)


def _tensor(array: Num[np.ndarray, "..."]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32) if array.dtype.kind == "f" else array)

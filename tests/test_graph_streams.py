"""Streams of graphs that come again, and whose nodes stand in another order each time: of every task of graphs."""

import pytest
import torch
from graph_samples import same_bits

from allometry.data._generated_graphs import GeneratedGraphs
from allometry.data.springs import Springs
from allometry.find import member, names
from allometry.flow import Refusal
from allometry.graph import Graph

FOLDER = "allometry.data"
TASKS = [
    kind() for kind in (member(FOLDER, name) for name in names(FOLDER)) if issubclass(kind, GeneratedGraphs)
]  # fmt: skip
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)


def same(one: tuple[Graph, Graph], other: tuple[Graph, Graph]) -> bool:
    """What is read and what is asked."""
    return all(map(same_bits, one, other))


def read(task: GeneratedGraphs, seed: int, first: int, count: int) -> tuple[Graph, Graph]:
    (inputs,), targets = task.batch(seed, first, count)
    return inputs, targets


def whatever_the_order(inputs: Graph, targets: Graph) -> list[list[list[float]]]:
    """What each graph says of its nodes and edges, sorted: a node with its answer, an edge with its answer and its two nodes."""
    found = []
    for one, asked in zip(inputs, targets, strict=True):
        nodes = [part.reshape(len(part), -1).double() for part in (one.nodes, asked.nodes) if part is not None]
        node = torch.cat(nodes, 1)
        edges = [part.reshape(len(part), -1).double() for part in (one.edges, asked.edges) if part is not None]
        edge = torch.cat([*edges, node[one.senders], node[one.receivers]], 1)
        found.append(sorted(node.tolist()) + sorted(edge.tolist()))
    return found


@every_task
def test_relabelled_graphs_are_the_same_graphs(task) -> None:
    plain, other = read(task, 3, 50, 9), read(task.edit(relabel=True), 3, 50, 9)
    assert whatever_the_order(*plain) == whatever_the_order(*other)
    assert not same(plain, other)
    assert torch.equal(plain[0].globals, other[0].globals)
    assert bool((other[0].receivers.diff() >= 0).all())
    other[0].wiring.check()


@every_task
def test_a_stream_goes_round_in_its_graphs(task) -> None:
    """Without `relabel` bit by bit; with it in another order each time, which seed and place alone decide."""
    few = task.edit(graphs=4)
    assert same(read(few, 1, 0, 4), read(few, 1, 4, 4))
    assert same(read(few, 1, 2, 4), read(few, 1, 6, 4))
    assert same(read(few, 1, 0, 4), read(task, 1, 0, 4))
    assert not same(read(few, 1, 0, 4), read(few, 2, 0, 4))
    shuffled = few.edit(relabel=True)
    first, second = read(shuffled, 1, 0, 4), read(shuffled, 1, 4, 4)
    assert whatever_the_order(*first) == whatever_the_order(*second)
    assert not same(first, second)
    together = read(shuffled, 1, 3, 3)
    for i in range(3):
        assert same(read(shuffled, 1, 3 + i, 1), (together[0][i], together[1][i]))


@every_task
def test_what_is_held_out_and_its_floors_are_as_without(task) -> None:
    other, plain = task.edit(graphs=2, relabel=True), task
    held, same_held = other.held_out(6), plain.held_out(6)
    assert same((held.inputs[0], held.targets), (same_held.inputs[0], same_held.targets))
    assert other.chance == plain.chance
    assert other.floors == plain.floors
    assert other.io == plain.io
    assert other.fingerprint != plain.fingerprint


def test_every_order_is_as_likely_as_another() -> None:
    """Three masses in a chain, whose two ends are fixed: each of the three places holds the free one a third of the time."""
    (inputs,), _ = Springs(least=3, most=3, relabel=True).batch(0, 0, 6000)
    free = (inputs.nodes[:, 4] == 0).view(-1, 3).double().mean(0)
    assert (free - 1 / 3).abs().max() < 4 * (2 / 9 / 6000) ** 0.5  # four standard errors
    ends = inputs.nodes[:, 0].view(-1, 3).argsort(1)
    orders = (ends * torch.tensor([9, 3, 1])).sum(1).unique(return_counts=True)[1]
    assert len(orders) == 6
    assert (orders - 1000).abs().max() < 4 * (1000 * 5 / 6) ** 0.5


def test_a_stream_of_fewer_than_no_graphs_is_refused() -> None:
    with pytest.raises(Refusal, match="graphs without end"):
        Springs(graphs=-1)

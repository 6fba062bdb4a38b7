"""Graphs for the tests: small ones with every irregularity, and random ones for properties."""

import torch
from torch import Tensor

import allometry as al
from allometry.flow import Graphs
from allometry.graph import FEATURES

DOUBLE = torch.float64


def irregular(nodes: int = 5, edges: int = 3, whole: int = 2, seed: int = 0, typed: bool = False) -> al.Graph:
    """Four graphs: parallel edges, a self-edge and an isolated node; none of anything; one node alone; edges not by receiver."""
    draw = torch.Generator().manual_seed(seed)
    senders, receivers = [0, 2, 0, 1, 6, 8, 5, 8, 7], [1, 1, 1, 1, 7, 5, 8, 6, 6]
    n_node, n_edge = [4, 0, 1, 4], [4, 0, 0, 5]
    types = {
        "edge_types": torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 1]),
        "node_types": torch.tensor([1, 1, 0, 0, 1, 0, 1, 0, 0]),
    }
    return al.graph(
        senders,
        receivers,
        n_node,
        n_edge,
        nodes=torch.randn(9, nodes, dtype=DOUBLE, generator=draw) if nodes else None,
        edges=torch.randn(9, edges, dtype=DOUBLE, generator=draw) if edges else None,
        globals=torch.randn(4, whole, dtype=DOUBLE, generator=draw) if whole else None,
        **(types if typed else {}),
    )


def randomly(seed: int, largest: int = 7, nodes: int = 5, edges: int = 3, whole: int = 2) -> al.Graph:
    """One to four graphs of up to so many nodes, none included, with edges drawn with replacement, self-edges included."""
    draw = torch.Generator().manual_seed(seed)

    def number(below: int) -> int:
        return int(torch.randint(below, (1,), generator=draw))

    n_node = [number(largest + 1) for _ in range(1 + number(4))]
    n_edge = [number(3 * size) if size else 0 for size in n_node]
    ends, first = [], 0
    for size, links in zip(n_node, n_edge, strict=True):
        ends.append(first + torch.randint(max(size, 1), (2, links), generator=draw))
        first += size
    senders, receivers = torch.cat(ends, 1)
    return al.graph(
        senders,
        receivers,
        n_node,
        n_edge,
        nodes=torch.randn(sum(n_node), nodes, dtype=DOUBLE, generator=draw),
        edges=torch.randn(sum(n_edge), edges, dtype=DOUBLE, generator=draw),
        globals=torch.randn(len(n_node), whole, dtype=DOUBLE, generator=draw),
    )


PARTS = ("senders", "receivers", "n_node", "n_edge", *FEATURES, "node_types", "edge_types")


def same_bits(first: al.Graph, second: al.Graph) -> bool:
    """The wiring, every feature and the types, in every bit, with their types of numbers; what the one lacks the other lacks."""
    each = [(getattr(first, name), getattr(second, name)) for name in PARTS]
    if any((one is None) != (other is None) for one, other in each):
        return False
    return all(one is None or (one.dtype == other.dtype and torch.equal(one, other)) for one, other in each)


def apart(first: al.Graph, second: al.Graph) -> float:
    """The largest difference of the features of two batches."""
    return max(distance(getattr(first, name), getattr(second, name)) for name in ("nodes", "edges", "globals"))


def distance(first: Tensor | None, second: Tensor | None) -> float:
    if first is None or second is None:
        assert first is second
        return 0.0
    assert first.shape == second.shape
    return float((first - second).detach().abs().max()) if first.numel() else 0.0


def read_by(io: Graphs, seed: int = 0, nodes: tuple[int, ...] = (), most: int = 3) -> al.Graph:
    """What an IO reads: two graphs of its usual size, or some of so many nodes each, with `most` edges for each node at random."""
    draw = torch.Generator().manual_seed(seed)
    sizes = nodes or (io.length, io.length)
    ends, first = [], 0
    for size in sizes:
        ends.append(first + torch.randint(size, (2, most * size), generator=draw))
        first += size
    rows = {"nodes": (first, io.nodes), "edges": (most * first, io.edges), "globals": (len(sizes), io.globals)}
    features = {name: torch.randn(shape, dtype=DOUBLE, generator=draw) for name, shape in rows.items() if shape[1]}
    return al.graph(*torch.cat(ends, 1), sizes, [most * size for size in sizes], **features)

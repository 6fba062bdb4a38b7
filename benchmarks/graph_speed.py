"""Speed of the graph-network block on CPU against torch-geometric's MetaLayer and jraph: forward and backward, in fp32.

One graph of 20,000 nodes and 200,000 edges in any order, 64 channels each; updates are MLPs of two layers of 64, the same for all.
Three comparisons:

    block        edge, node and global update, with sums and with maxima, to all weights and features
    aggregation  the sum and the maximum of the edges of each node alone, against torch-geometric's scatter; beside it what memory
                 alone takes: all edges are read once and their gradient is written once, with nothing computed between
    edges        our block with ten times the edges, with as many nodes to an edge: time for an edge

Our wiring is prepared once and kept, as training on the same graphs does: the sorting of the edges is in no round. So both first
comparisons have rows with a new wiring in each step, as where no graph comes twice; the others prepare nothing.

All forms run in one process, step by step in turn, and a round has a ratio for each. The request that our training loop makes of
the allocator holds for all of them. Run where torch-geometric 2.8.1 and jraph 0.0.6.dev0 are installed; what is not is left out.

    python benchmarks/graph_speed.py               # some 4 minutes
    python benchmarks/graph_speed.py --rounds 1 --edges 2000                  # dry
"""

import argparse
import importlib.util
import os
import statistics
from collections.abc import Callable

import torch
from _peers_graph import jraph_step, meta_layer, scattered
from _result import keep
from _turns import in_turn
from torch import nn

import allometry as al
from allometry.graph import Graph, Groups, Wiring
from allometry.model.graph_network._reduce import REDUCERS
from allometry.model.graph_network._update import Mlp
from allometry.train.allocator import keep_freed_memory

WIDTH, DEGREE = 64, 10
TIMES = (1, 10)  # edges of the graphs of the third comparison, as times those of the first two
READS = {"edge": 4, "node": 3, "globals": 3}  # attributes side by side
BARS = {"block, sum": 2.0, "block, max": 2.5, "aggregation, sum": 4.0, "aggregation, max": 4.0}
JRAPH_BAR = 1.5
MEMORY = "memory alone"
NEW = "allometry with a new wiring in each step"
Step = Callable[[], None]


def drawn(edges: int) -> al.Graph:
    nodes = edges // DEGREE
    features = {name: torch.randn(rows, WIDTH) for name, rows in (("nodes", nodes), ("edges", edges), ("globals", 1))}
    return al.graph(*torch.randint(nodes, (2, edges)), nodes, **features)


def block_of(reduce: str) -> al.GraphBlock:
    mlps = [Mlp([WIDTH, WIDTH], READS[name] * WIDTH) for name in READS]
    return al.GraphBlock(*mlps, received=reduce, of_edges=reduce, of_nodes=reduce)


def twins(block: al.GraphBlock) -> dict[str, nn.Module]:
    """The same MLPs of a concatenation."""
    each = {name: getattr(block, name) for name in READS}
    return {name: nn.Sequential(mlp.first.linear, nn.ReLU(), mlp.others[0]) for name, mlp in each.items()}


def ours(block: al.GraphBlock, graph: al.Graph, new: bool = False) -> Step:
    leaves = {name: getattr(graph, name).clone().requires_grad_() for name in ("nodes", "edges", "globals")}

    def step() -> None:
        block.zero_grad()
        for leaf in leaves.values():
            leaf.grad = None
        wiring = Wiring(graph.senders, graph.receivers, graph.n_node, graph.n_edge) if new else graph.wiring
        out = block(Graph(wiring, **leaves))
        (out.nodes.sum() + out.edges.sum() + out.globals.sum()).backward()

    return step


def metas(block: al.GraphBlock, graph: al.Graph, reduce: str) -> Step:
    layer, ends = meta_layer(twins(block), reduce), torch.stack([graph.senders, graph.receivers])
    leaves = [getattr(graph, name).clone().requires_grad_() for name in ("nodes", "edges", "globals")]
    of = graph.wiring.nodes_of.index

    def step() -> None:
        layer.zero_grad()
        for leaf in leaves:
            leaf.grad = None
        nodes, edges, whole = layer(leaves[0], ends, leaves[1], leaves[2], of)
        (nodes.sum() + edges.sum() + whole.sum()).backward()

    return step


def jraphs(block: al.GraphBlock, graph: al.Graph, reduce: str) -> Step:
    weights = {name: [(part[0].weight, part[0].bias), (part[2].weight, part[2].bias)] for name, part in twins(block).items()}
    names = ("nodes", "edges", "globals", "senders", "receivers", "n_node", "n_edge")
    return jraph_step(weights, {name: getattr(graph, name) for name in names}, reduce)


def alone(graph: al.Graph, reduce: Callable) -> Step:
    x, seed = graph.edges.clone().requires_grad_(), torch.randn_like(graph.nodes)

    def step() -> None:
        x.grad = None
        reduce(x).backward(seed)

    return step


def memory_of(graph: al.Graph) -> Step:
    """The least that forward and backward of any aggregation do."""
    x = graph.edges

    def step() -> None:
        x.sum()
        torch.empty_like(x).fill_(1.0)

    return step


def measure(steps: dict[str, Step], rounds: int) -> dict[str, dict[str, float]]:
    """Medians over rounds: milliseconds, and how many times longer than ours, which is the first."""
    seconds = in_turn(steps, rounds)
    mark = next(iter(seconds.values()))

    def ratio(taken: list[tuple[float, float]], clock: int) -> float:
        return round(statistics.median(own[clock] / of[clock] for own, of in zip(taken, mark, strict=True)), 3)

    return {
        form: {
            "milliseconds": round(1e3 * statistics.median(wall for wall, _ in taken), 2),
            "processor_milliseconds": round(1e3 * statistics.median(processor for _, processor in taken), 2),
            "times_ours": ratio(taken, 0),
            "times_our_processor": ratio(taken, 1),
        }
        for form, taken in seconds.items()
    }


def compared(graph: al.Graph, reduce: str) -> dict[str, dict[str, Step]]:
    block = block_of(reduce)
    of = Groups(graph.receivers, graph.wiring.nodes)
    blocks = {"allometry": ours(block, graph), NEW: ours(block, graph, new=True)}
    sums = {
        "allometry": alone(graph, lambda x: REDUCERS[reduce](x, of)),
        NEW: alone(graph, lambda x: REDUCERS[reduce](x, Groups(graph.receivers, graph.wiring.nodes))),
    }
    if importlib.util.find_spec("torch_geometric"):
        scatter = scattered(reduce)
        blocks["torch-geometric"] = metas(block, graph, reduce)
        sums["torch-geometric"] = alone(graph, lambda x: scatter(x, graph.receivers, graph.wiring.nodes))
    if importlib.util.find_spec("jraph"):
        blocks["jraph"] = jraphs(block, graph, reduce)
    sums[MEMORY] = memory_of(graph)
    return {f"block, {reduce}": blocks, f"aggregation, {reduce}": sums}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--edges", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    graph, figures, found = drawn(asked.edges), [], {}
    for reduce in ("sum", "max"):
        for name, steps in compared(graph, reduce).items():
            found[name] = {"load": round(os.getloadavg()[0], 1), "forms": (rows := measure(steps, asked.rounds))}
            for form, row in list(rows.items())[1:]:
                figure = {"figure": f"{name}: {form} takes", "measured": row["times_ours"], "unit": "x our time"}
                figure |= {"processor": row["times_our_processor"]}
                if form not in (MEMORY, NEW):
                    bar = JRAPH_BAR if form == "jraph" else BARS[name]
                    figure |= {"bar": f"at least {bar:g}", "holds": row["times_ours"] >= bar}
                figures.append(figure)
    growth = {}
    for edges in (asked.edges * times for times in TIMES):
        row = measure({"allometry": ours(block_of("sum"), drawn(edges))}, max(1, asked.rounds // 3))["allometry"]
        growth[edges] = 1e6 * row["processor_milliseconds"] / edges
    least = growth[asked.edges * TIMES[0]]
    for edges, nanoseconds in growth.items():
        figures.append(
            {
                "figure": f"an edge of {edges:,}",
                "measured": nanoseconds,
                "unit": "ns of processor",
                "times": nanoseconds / least,
            }
        )
    keep(figures, rounds=asked.rounds, threads=asked.threads, edges=asked.edges, width=WIDTH, comparisons=found)


if __name__ == "__main__":
    main()

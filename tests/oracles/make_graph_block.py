"""Writes graph_block.npz: jraph's GraphNetwork and torch-geometric's MetaLayer with given weights, in float64.

    pip install jraph==0.0.6.dev0 jax torch-geometric==2.8.1 && python tests/oracles/make_graph_block.py

Weights are those of the concatenations of the paper: edge [e, v_r, v_s, u], node [received, v, u], globals [edges, nodes, u]. jraph
calls its functions with (e, sent, received, u), (v, sent, received, u) and (nodes, edges, u), MetaLayer (source, target, e, u).
Its aggregates are torch-geometric's own (scatter). The batch has an empty graph, one node alone, parallel edges and a self-edge.
"""

import os
from importlib.metadata import version
from pathlib import Path

os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import jraph
import numpy as np
import torch
from torch_geometric.nn import MetaLayer
from torch_geometric.utils import scatter

N_NODE, N_EDGE = np.array([4, 0, 1, 4]), np.array([4, 0, 0, 5])
SENDERS, RECEIVERS = np.array([0, 2, 0, 1, 6, 8, 5, 8, 7]), np.array([1, 1, 1, 1, 7, 5, 8, 6, 6])
NODES, EDGES, WHOLE, HIDDEN = 5, 3, 2, 8
WIDTHS = {"edge": (EDGES + 2 * NODES + WHOLE, 6), "node": (6 + NODES + WHOLE, 4), "globals": (6 + 4 + WHOLE, 5)}
REDUCERS = {
    "sum": jraph.segment_sum,
    "mean": jraph.segment_mean,
    "max": lambda data, index, count: jraph.segment_max_or_constant(data, index, count, constant=0.0),
    "min": lambda data, index, count: jraph.segment_min_or_constant(data, index, count, constant=0.0),
}
SCATTER = {"sum": "sum", "mean": "mean", "max": "max", "min": "min"}


def drawn() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    found = {
        "nodes": draw.normal(size=(N_NODE.sum(), NODES)),
        "edges": draw.normal(size=(N_EDGE.sum(), EDGES)),
        "globals": draw.normal(size=(len(N_NODE), WHOLE)),
    }
    for name, (inputs, outputs) in WIDTHS.items():
        found |= {
            f"{name} 0 weight": draw.normal(size=(HIDDEN, inputs)) / inputs**0.5,
            f"{name} 0 bias": draw.normal(size=HIDDEN),
            f"{name} 1 weight": draw.normal(size=(outputs, HIDDEN)) / HIDDEN**0.5,
            f"{name} 1 bias": draw.normal(size=outputs),
        }
    for name, rows, width in (("nodes", N_NODE.sum(), 4), ("edges", N_EDGE.sum(), 6), ("globals", len(N_NODE), 5)):
        found[f"seed {name}"] = draw.normal(size=(rows, width))
    return found


def of_jraph(given: dict[str, np.ndarray], reduce: str) -> dict[str, np.ndarray]:
    seeds = {name: jnp.asarray(given[f"seed {name}"]) for name in ("nodes", "edges", "globals")}

    def loss(leaves: dict[str, jax.Array]) -> tuple[jax.Array, jraph.GraphsTuple]:
        def mlp(name: str, *parts: jax.Array) -> jax.Array:
            x = jnp.concatenate(parts, -1)
            x = jax.nn.relu(x @ leaves[f"{name} 0 weight"].T + leaves[f"{name} 0 bias"])
            return x @ leaves[f"{name} 1 weight"].T + leaves[f"{name} 1 bias"]

        network = jraph.GraphNetwork(
            update_edge_fn=lambda e, sent, received, u: mlp("edge", e, received, sent, u),
            update_node_fn=lambda v, sent, received, u: mlp("node", received, v, u),
            update_global_fn=lambda nodes, edges, u: mlp("globals", edges, nodes, u),
            aggregate_edges_for_nodes_fn=REDUCERS[reduce],
            aggregate_nodes_for_globals_fn=REDUCERS[reduce],
            aggregate_edges_for_globals_fn=REDUCERS[reduce],
        )
        out = network(
            jraph.GraphsTuple(
                nodes=leaves["nodes"], edges=leaves["edges"], globals=leaves["globals"], senders=jnp.asarray(SENDERS),
                receivers=jnp.asarray(RECEIVERS), n_node=jnp.asarray(N_NODE), n_edge=jnp.asarray(N_EDGE),
            )
        )  # fmt: skip
        return sum((getattr(out, name) * seed).sum() for name, seed in seeds.items()), out

    leaves = {name: jnp.asarray(array) for name, array in given.items() if not name.startswith("seed")}
    gradients, out = jax.grad(loss, has_aux=True)(leaves)
    found = {f"jraph {reduce} {name}": np.asarray(getattr(out, name)) for name in seeds}
    return found | {f"jraph {reduce} gradient {name}": np.asarray(gradient) for name, gradient in gradients.items()}


def of_meta_layer(given: dict[str, np.ndarray], reduce: str) -> dict[str, np.ndarray]:
    leaves = {n: torch.tensor(array).requires_grad_() for n, array in given.items() if not n.startswith("seed")}
    nodes_of = torch.arange(len(N_NODE)).repeat_interleave(torch.tensor(N_NODE))

    class Model(torch.nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def mlp(self, *parts: torch.Tensor) -> torch.Tensor:
            x = torch.cat(parts, -1)
            x = torch.nn.functional.linear(x, leaves[f"{self.name} 0 weight"], leaves[f"{self.name} 0 bias"]).relu()
            return torch.nn.functional.linear(x, leaves[f"{self.name} 1 weight"], leaves[f"{self.name} 1 bias"])

    class Edge(Model):
        def forward(self, source, target, edge_attr, u, batch):
            return self.mlp(edge_attr, target, source, u[batch])

    class Node(Model):
        def forward(self, x, edge_index, edge_attr, u, batch):
            return self.mlp(scatter(edge_attr, edge_index[1], 0, len(x), SCATTER[reduce]), x, u[batch])

    class Whole(Model):
        def forward(self, x, edge_index, edge_attr, u, batch):
            of_edges = scatter(edge_attr, batch[edge_index[0]], 0, len(u), SCATTER[reduce])
            return self.mlp(of_edges, scatter(x, batch, 0, len(u), SCATTER[reduce]), u)

    layer = MetaLayer(Edge("edge"), Node("node"), Whole("globals"))
    ends = torch.tensor(np.stack([SENDERS, RECEIVERS]))
    nodes, edges, whole = layer(leaves["nodes"], ends, leaves["edges"], leaves["globals"], nodes_of)
    out = {"nodes": nodes, "edges": edges, "globals": whole}
    loss = sum((out[name] * torch.tensor(given[f"seed {name}"])).sum() for name in out)
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    found = {f"metalayer {reduce} {name}": value.detach().numpy() for name, value in out.items()}
    return found | {f"metalayer {reduce} gradient {name}": g.numpy() for name, g in zip(leaves, gradients, strict=True)}


def main() -> None:
    given = drawn()
    arrays = {**given, "n_node": N_NODE, "n_edge": N_EDGE, "senders": SENDERS, "receivers": RECEIVERS}
    for reduce in REDUCERS:
        arrays |= of_jraph(given, reduce) | of_meta_layer(given, reduce)
    versions = ", ".join(f"{name} {version(name)}" for name in ("jraph", "jax", "torch-geometric", "torch"))
    place = Path(__file__).with_name("graph_block.npz")
    np.savez_compressed(place, versions=versions, **arrays)
    print(place.stat().st_size, versions)


if __name__ == "__main__":
    main()

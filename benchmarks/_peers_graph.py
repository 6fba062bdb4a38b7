"""The graph networks of other libraries, with the MLPs of `graph_speed.py`: torch-geometric's MetaLayer and scatter, and jraph."""

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn


def meta_layer(mlps: dict[str, nn.Module], reduce: str) -> nn.Module:
    """The full block of Battaglia et al. by MetaLayer; each module is called with what it reads, side by side."""
    from torch_geometric.nn import MetaLayer
    from torch_geometric.utils import scatter

    class Edge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = mlps["edge"]

        def forward(self, source: Tensor, target: Tensor, edge_attr: Tensor, u: Tensor, batch: Tensor) -> Tensor:
            return self.mlp(torch.cat([edge_attr, target, source, u[batch]], 1))

    class Node(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = mlps["node"]

        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, u: Tensor, batch: Tensor) -> Tensor:
            return self.mlp(torch.cat([scatter(edge_attr, edge_index[1], 0, len(x), reduce), x, u[batch]], 1))

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = mlps["globals"]

        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, u: Tensor, batch: Tensor) -> Tensor:
            of_edges = scatter(edge_attr, batch[edge_index[0]], 0, len(u), reduce)
            return self.mlp(torch.cat([of_edges, scatter(x, batch, 0, len(u), reduce), u], 1))

    return MetaLayer(Edge(), Node(), Whole())


def scattered(reduce: str) -> Callable[[Tensor, Tensor, int], Tensor]:
    from torch_geometric.utils import scatter

    return lambda x, index, count: scatter(x, index, 0, count, reduce)


def jraph_step(
    weights: dict[str, list[tuple[Tensor, Tensor]]], arrays: dict[str, Tensor], reduce: str
) -> Callable[[], None]:
    """A compiled forward and backward pass of jraph.GraphNetwork, to weights and features; `arrays` as in al.graph."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import jax.numpy as jnp
    import jraph

    by = {"sum": jraph.segment_sum, "max": lambda *a: jraph.segment_max_or_constant(*a, constant=0.0)}[reduce]
    leaves = {
        name: [(jnp.asarray(w.detach().numpy()), jnp.asarray(b.detach().numpy())) for w, b in of]
        for name, of in weights.items()
    }
    held = {name: jnp.asarray(array.detach().numpy()) for name, array in arrays.items()}
    features = {name: held.pop(name) for name in ("nodes", "edges", "globals")}

    def loss(leaves: dict, features: dict, wiring: dict) -> jax.Array:
        def mlp(name: str, *read: jax.Array) -> jax.Array:
            x = jnp.concatenate(read, -1)
            for weight, bias in leaves[name][:-1]:
                x = jax.nn.relu(x @ weight.T + bias)
            return x @ leaves[name][-1][0].T + leaves[name][-1][1]

        network = jraph.GraphNetwork(
            lambda e, sent, received, u: mlp("edge", e, received, sent, u),
            lambda v, sent, received, u: mlp("node", received, v, u),
            lambda nodes, edges, u: mlp("globals", edges, nodes, u),
            by, by, by,
        )  # fmt: skip
        out = network(jraph.GraphsTuple(**features, **wiring))
        return out.nodes.sum() + out.edges.sum() + out.globals.sum()

    step = jax.jit(jax.grad(loss, (0, 1)))
    return lambda: jax.block_until_ready(step(leaves, features, held))

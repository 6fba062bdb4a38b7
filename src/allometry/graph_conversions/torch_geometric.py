"""torch-geometric: Data, Batch or a list of them to a batch, and a batch to a Batch (read in 2.8.1).

```text
x [nodes ...]   edge_index [2, edges]: senders above, receivers below   edge_attr [edges ...]   u [graphs ...]
node_type [nodes]   edge_type [edges]
```

Three traps of a Batch. It has no number of edges for each graph, and its edges may stand in any order: an edge is of the graph of
its sender, and edges are sorted by it. Its `batch` vector knows nothing of empty graphs at the end: how many there are is read from
`ptr`, from the rows of u, or from the Batch. It has no convention for globals: we take u, as MetaLayer's documentation.
Data is read by its attributes, so torch-geometric itself is only needed to write.
"""

from typing import Any

import torch
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import Graph, are_whole, batch, graph
from allometry.graph_conversions._convertible import Names
from allometry.graph_conversions._needed import needed


def from_torch_geometric(data: Any, nodes: Names = None, edges: Names = None, globals: Names = None) -> Graph:
    """A batch. `nodes=("x", "pos")` reads these side by side. Unless asked, x, edge_attr and u are read where they are."""
    if isinstance(data, list | tuple):
        return batch(from_torch_geometric(one, nodes, edges, globals) for one in data)
    ends = getattr(data, "edge_index", None)
    if ends is None and getattr(data, "edge_types", None) is not None:
        raise Refusal(
            "Data with types of nodes and edges (HeteroData) is not read. `data.to_homogeneous()` has them as node_type and "
            "edge_type."
        )
    if ends is None and getattr(data, "adj_t", None) is not None:
        raise Refusal("The edges are in adj_t, which is not read. Give edge_index (torch_geometric.utils.to_edge_index).")
    of_nodes, whole = _features(data, nodes, "x"), _features(data, globals, "u")
    if ends is None:
        like = next((part for part in (of_nodes, whole) if part is not None), None)
        ends = torch.zeros(2, 0, dtype=torch.int64, device=None if like is None else like.device)
    ends = ends if ends.numel() else ends.to(torch.int64)  # no numbers are of any type
    if ends.ndim != 2 or len(ends) != 2 or not are_whole(ends):
        raise Refusal(
            f"edge_index is {ends.dtype} of shape {list(ends.shape)}. It takes whole numbers of shape [2, edges], "
            "senders above receivers."
        )
    n_node = _sizes(data, whole).to(ends.device)
    of_edges, edge_types = _features(data, edges, "edge_attr"), getattr(data, "edge_type", None)
    nodes_of = torch.arange(len(n_node), device=ends.device).repeat_interleave(n_node)
    outside = ((ends < 0) | (ends >= len(nodes_of))).any(0).nonzero()
    if len(outside):
        k = int(outside[0])
        raise Refusal(f"Edge {k} is {ends[0, k]} to {ends[1, k]}, and there are {len(nodes_of)} nodes, from 0.")
    edges_of = nodes_of[ends[0]]
    if bool((edges_of[1:] < edges_of[:-1]).any()):
        order = edges_of.argsort(stable=True)
        ends = ends[:, order]
        of_edges, edge_types = (None if part is None else part[order] for part in (of_edges, edge_types))
    return graph(
        ends[0],
        ends[1],
        n_node,
        torch.bincount(edges_of, minlength=len(n_node)),
        nodes=of_nodes,
        edges=of_edges,
        globals=whole,
        node_types=getattr(data, "node_type", None),
        edge_types=edge_types,
    )


def to_torch_geometric(graphs: Graph) -> Any:
    """A Batch, of which `to_data_list()` gives a Data for each graph."""
    data = needed("torch_geometric.data")
    if not len(graphs):
        raise Refusal("torch-geometric has no Batch of no graphs. Give one at least.")
    return data.Batch.from_data_list([_data(one, data.Data) for one in graphs])


def _data(one: Graph, make: Any) -> Any:
    rows = {
        "x": one.nodes, "edge_attr": one.edges, "u": one.globals, "node_type": one.node_types, "edge_type": one.edge_types,
    }  # fmt: skip
    there = {name: value for name, value in rows.items() if value is not None}
    return make(edge_index=torch.stack([one.senders, one.receivers]), num_nodes=one.wiring.nodes, **there)


def _sizes(data: Any, whole: Tensor | None) -> Tensor:
    """Nodes of each graph."""
    starts, of = getattr(data, "ptr", None), getattr(data, "batch", None)
    if starts is not None:
        return starts.diff()
    if of is None:
        return torch.tensor([int(data.num_nodes or 0)])
    if bool((of[1:] < of[:-1]).any()):
        raise Refusal(
            "The nodes of the Batch do not stand graph by graph: `batch` falls. Sort them, and edge_index with them."
        )
    known = len(whole) if whole is not None else int(getattr(data, "num_graphs", 0) or 0)
    return torch.bincount(of, minlength=known)


def _features(data: Any, names: Names, usual: str) -> Tensor | None:
    if names is None:
        return getattr(data, usual, None)
    values = []
    if not names:
        raise Refusal(f"No name was given. Give one or several, or None for '{usual}' where it is.")
    for name in [names] if isinstance(names, str) else names:
        value = getattr(data, name, None)
        if value is None:
            raise Refusal(f"The data has no '{name}'.")
        values.append(value[:, None] if value.ndim == 1 else value)
    return torch.cat(values, -1)

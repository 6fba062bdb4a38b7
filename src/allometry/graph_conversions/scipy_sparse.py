"""scipy.sparse: adjacency matrices, one or a list, to a batch and back.

Entry [i, j] is an edge from i to j, as in scipy.sparse.csgraph, and its value, as a float, is the edge's one channel. An entry that
is stored is an edge, a stored 0 too; two of one place, which only the COO format has, are two edges. Matrices of `to_scipy` are COO
for that: their `tocsr()` adds parallel edges up.
"""

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import Graph, graph
from allometry.graph_conversions._arrays import array
from allometry.graph_conversions._typeless import typeless


def from_scipy(matrices: Any, nodes: Tensor | None = None, globals: Tensor | None = None) -> Graph:
    """A batch; `nodes` has the rows of all matrices, one after another."""
    each = [matrices] if sparse.issparse(matrices) else list(matrices)
    for number, one in enumerate(each):
        if not sparse.issparse(one) or one.ndim != 2 or one.shape[0] != one.shape[1]:
            shape = list(getattr(one, "shape", []))
            raise Refusal(
                f"Matrix {number} is {type(one).__name__} of shape {shape}. Give a sparse one, square; others: from_dense."
            )
        if one.dtype.kind == "c":
            raise Refusal(f"Matrix {number} holds complex numbers. Give real ones: matrix.real, or abs(matrix).")
    entries = [one.tocoo() for one in each]
    first = np.cumsum([0, *(one.shape[0] for one in each)])
    ends = np.concatenate(
        [np.zeros((2, 0), np.int64)]
        + [np.stack([one.row, one.col]).astype(np.int64) + at for one, at in zip(entries, first, strict=False)],
        axis=1,
    )
    weights = [torch.from_numpy(np.array(one.data)) for one in entries]
    weights = [one if one.is_floating_point() else one.to(torch.get_default_dtype()) for one in weights]
    return graph(
        torch.from_numpy(ends[0]),
        torch.from_numpy(ends[1]),
        [one.shape[0] for one in each],
        [one.nnz for one in entries],
        nodes=nodes,
        edges=torch.cat(weights)[:, None] if weights else None,
        globals=globals,
    )


def to_scipy(graphs: Graph, channel: int | None = None) -> list[Any]:
    """A coo_array for each graph, of the edges' one channel or of the one that is asked; of ones without edge features."""
    typeless(graphs, "A matrix")
    edges = graphs.edges
    if edges is None:
        weights = torch.ones(graphs.wiring.edges)
    else:
        edges = edges.reshape(len(edges), edges.shape[1:].numel())
        if channel is None and edges.shape[1] != 1:
            raise Refusal(f"Edges have {edges.shape[1]} channels and an entry has one number. Say which, as channel=0.")
        if not -edges.shape[1] <= (channel or 0) < edges.shape[1]:
            raise Refusal(f"channel={channel} is none of the {edges.shape[1]} channels of the edges. They count from 0.")
        weights = edges[:, channel or 0]
    found = []
    for one in graphs.edit(nodes=None, edges=weights):
        ends = one.senders.cpu().numpy(), one.receivers.cpu().numpy()
        found.append(sparse.coo_array((array(one.edges), ends), shape=(one.wiring.nodes,) * 2))  # type: ignore[union-attr]
    return found

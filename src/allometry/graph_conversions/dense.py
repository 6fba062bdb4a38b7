"""Padded arrays [batch, length, channels] with a mask, and an adjacency [batch, sender, receiver], to a batch and back.

```text
adjacency   bool      true is an edge
            integers  so many edges, which have no features
            floats    what is not 0 is an edge, with the number as its channel unless `edges` are given
            missing   no edges; a set
```

A mask may have holes: nodes are numbered in their order. Edges come by sender, then receiver. Gradients flow through both ways.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import Graph, graph
from allometry.graph_conversions._typeless import typeless


class Dense(NamedTuple):
    """Where the mask is false all is 0."""

    nodes: Tensor | None  # [batch length *channels]
    mask: Tensor  # Bool[batch length]
    adjacency: Tensor  # Int[batch length length]: the number of edges from one to another
    edges: Tensor | None  # [batch length length *channels]
    globals: Tensor | None


def from_dense(
    nodes: Tensor | None,  # [batch length channels ...], and so on: other shapes are refused in words
    mask: Tensor | None = None,  # [batch length]; true, or 1, is a node
    adjacency: Tensor | None = None,  # [batch length length]
    edges: Tensor | None = None,  # [batch length length ...]
    globals: Tensor | None = None,  # [batch ...]
) -> Graph:
    """A batch. Raises Refusal for an edge of what is no node, and for arrays of other shapes."""
    if nodes is not None and nodes.ndim < 3:
        raise Refusal(
            f"nodes are of shape {list(nodes.shape)}. They are [batch, length, channels]; one graph is nodes[None], and one number "
            "at each node nodes[..., None]."
        )
    if mask is None:
        if nodes is None:
            raise Refusal("Neither nodes nor a mask was given, so there is no number of nodes. Give one of them.")
        mask = torch.ones(nodes.shape[:2], dtype=torch.bool, device=nodes.device)
    if mask.ndim != 2:
        raise Refusal(f"The mask is of shape {list(mask.shape)}. It is [batch, length].")
    mask = _boolean(mask)
    batch, length = mask.shape
    for name, array, shape in (
        ("nodes", nodes, (batch, length)),
        ("adjacency", adjacency, (batch, length, length)),
        ("edges", edges, (batch, length, length)),
    ):
        exact = name == "adjacency"
        if array is not None and (array.shape if exact else array.shape[: len(shape)]) != shape:
            raise Refusal(
                f"{name} {'is' if exact else 'are'} of shape {list(array.shape)}. Of {batch} graphs with {length} places it "
                f"{'is' if exact else 'begins with'} {list(shape)}."
            )
    if adjacency is not None and adjacency.is_complex():
        raise Refusal("The adjacency holds complex numbers. It takes booleans, counts or weights.")
    if adjacency is None:
        if edges is not None:
            raise Refusal("Edges without an adjacency were given. Say which pairs are edges; all: torch.ones(batch, n, n).")
        adjacency = mask.new_zeros(*mask.shape, mask.shape[1])
    of, sender, receiver = adjacency.nonzero(as_tuple=True)
    outside = (~(mask[of, sender] & mask[of, receiver])).nonzero()
    if len(outside):
        k = int(outside[0])
        raise Refusal(
            f"adjacency[{of[k]}, {sender[k]}, {receiver[k]}] is an edge, and one of its ends is masked. Make it 0."
        )
    found = adjacency[of, sender, receiver]
    if not found.is_floating_point() and bool((found < 0).any()):
        raise Refusal("An adjacency of whole numbers counts edges, and one is negative. Weights are floats.")
    if edges is not None:
        parallel = (found > 1).nonzero() if not found.is_floating_point() else ()
        if len(parallel):
            k = int(parallel[0])
            raise Refusal(
                f"adjacency[{of[k]}, {sender[k]}, {receiver[k]}] counts {found[k]} edges, and `edges` has place for features "
                "of one. Give one, or no features."
            )
        features = edges[of, sender, receiver]
    elif found.is_floating_point():
        features = found[:, None]
    else:
        features, many = None, found.to(torch.int64)
        of, sender, receiver = (part.repeat_interleave(many) for part in (of, sender, receiver))
    place = mask.flatten().cumsum(0).view(mask.shape) - 1
    return graph(
        place[of, sender],
        place[of, receiver],
        mask.sum(1),
        torch.bincount(of, minlength=len(mask)),
        nodes=None if nodes is None else nodes[mask],
        edges=features,
        globals=globals,
    )


def _boolean(mask: Tensor) -> Tensor:
    """Of booleans, or of 0 and 1 in whole numbers, as tokenizers give it."""
    if mask.dtype == torch.bool:
        return mask
    if mask.is_floating_point() or mask.is_complex() or bool(((mask != 0) & (mask != 1)).any()):
        raise Refusal(f"The mask is {mask.dtype} and not of 0 and 1 alone. True, or the whole number 1, is a node.")
    return mask.bool()


def to_dense(graphs: Graph, length: int | None = None) -> Dense:
    """Arrays as long as the largest graph, or as `length`."""
    typeless(graphs, "A padded array")
    wiring = graphs.wiring
    largest = int(wiring.n_node.max()) if len(wiring.n_node) else 0
    length = largest if length is None else length
    if length < largest:
        raise Refusal(f"length={length} is less than the {largest} nodes of the largest graph.")
    place = wiring.nodes_of.place
    at = (wiring.edges_of.index, place[wiring.senders], place[wiring.receivers])
    empty = wiring.senders.new_zeros(len(graphs), length, length)
    adjacency = empty.index_put(at, torch.ones_like(wiring.senders), accumulate=True)
    parallel = (adjacency[at] > 1).nonzero()
    if graphs.edges is not None and len(parallel):
        k = int(parallel[0])
        raise Refusal(
            f"Graph {at[0][k]} has {adjacency[at][k]} edges from {at[1][k]} to {at[2][k]}, and an array has place for the features "
            "of one. Leave them out with `graph.edit(edges=None)`, or add them up before."
        )
    mask = torch.arange(length, device=wiring.n_node.device) < wiring.n_node[:, None]

    def filled(rows: Tensor | None, places: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor | None:
        return None if rows is None else rows.new_zeros(*shape, *rows.shape[1:]).index_put(places, rows)

    nodes = filled(graphs.nodes, (wiring.nodes_of.index, place), mask.shape)
    return Dense(nodes, mask, adjacency, filled(graphs.edges, at, adjacency.shape), graphs.globals)

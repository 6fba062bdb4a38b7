"""Convolutional network over the adjacency of a graph as an image (LeCun et al. 1989), with a pixel for each pair of nodes.

A pixel holds how many edges join its pair, the sum of their features, and what its row's node, its column's node and the graph
are; those on the diagonal are marked. Kernels of 3 x 3 are shared over all places, so that pairs are near where their nodes are
near in the order given (Battaglia et al. 2018, arXiv:1806.01261, table 1, convolutional): locality in an order that means
nothing. A node reads its pixel on the diagonal and the means of its row and column, an edge its pixel. Graphs of all sizes are
read; around one are zeros. Residual, with a norm of the channels before each layer, as the sequence families.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Graphs, Refusal
from allometry.graph import Graph
from allometry.model._padded import Padded
from allometry.model._relational import Read, RelationalFamily, States
from allometry.model._tally import Tally
from allometry.model.blocks._block import spread
from allometry.model.blocks._linear import BiasedLinear, Reading
from allometry.model.blocks._norm import RMSNorm
from allometry.model.graph_network import _sum


class GridCnn(RelationalFamily):
    """x <- x + convolution(ReLU(norm x)), layer after layer, over pairs of nodes."""

    claims: ClassVar[frozenset[str]] = frozenset({"any_length"})

    kernel: int = 3  # pixels of a side, an odd number

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise Refusal(f"GridCnn(kernel={self.kernel}) has no middle. Choose an odd kernel.")

    def body(self, io: Graphs) -> nn.Module:
        return _GridCnn(self, io)

    def count(self, io: Graphs, tally: Tally) -> None:
        nodes, pixels, width = io.length, io.length**2, self.width
        Read.count(io.edit(of_edges=0, of_nodes=1), width, tally)
        tally.linear(nodes, io.nodes or 1, width, end=True)
        tally.linear(pixels, 1 + (io.edges or 1), width, end=True)
        tally.weights(width)
        for _ in range(self.depth):
            tally.weights(width)
            tally.linear(pixels, self.kernel**2 * width, width)
        tally.weights(width)
        tally.linear(nodes, 3 * width, width)


class _GridCnn(nn.Module):
    def __init__(self, spec: GridCnn, io: Graphs) -> None:
        super().__init__()
        width = spec.width
        self.read = Read(io.edit(of_edges=0, of_nodes=1), width)
        self.read_senders, self.read_pairs = Reading(io.nodes or 1, width), Reading(1 + (io.edges or 1), width)
        self.diagonal = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(_Layer(spec) for _ in range(spec.depth))
        self.norm = RMSNorm(width)
        self.node = BiasedLinear(3 * width, width)
        nn.init.normal_(self.diagonal)

    def forward(self, graph: Graph) -> States:
        read, padded = self.read(graph), Padded.of(graph.wiring)
        assert graph.nodes is not None
        rows = padded.filled(read.nodes + _sum.spread(read.globals, graph.wiring.nodes_of))
        columns = padded.filled(self.read_senders(graph.nodes))
        pair = padded.pair(graph.wiring)
        x = self.read_pairs(padded.pairs(graph, pair)) + rows[:, :, None] + columns[:, None]
        x = x + torch.eye(padded.length, dtype=x.dtype, device=x.device)[..., None] * self.diagonal
        mask = padded.mask(x)
        there = mask[:, :, None, None] * mask[:, None, :, None]
        for layer in self.layers:
            x = layer(x, there)
        x = self.norm(x) * there
        size = graph.n_node.clamp(min=1).to(x.dtype)[:, None, None]
        lines = [x.diagonal(dim1=1, dim2=2).mT, x.sum(2) / size, x.sum(1) / size]
        nodes = self.node(torch.cat(lines, -1)[padded.graph, padded.place])
        whole = (lines[1].sum(1) / size[:, 0]) + read.globals
        return States(nodes, _sum.spread(x.flatten(0, 2), pair), whole)


class _Layer(nn.Module):
    def __init__(self, spec: GridCnn) -> None:
        super().__init__()
        self.norm = RMSNorm(spec.width)
        self.convolution = nn.Conv2d(spec.width, spec.width, spec.kernel, padding=spec.kernel // 2)
        spread(self.convolution.weight, spec.kernel**2 * spec.width, spec.depth)

    def forward(
        self, x: Float[Tensor, "graphs length length width"], there: Float[Tensor, "graphs length length 1"]
    ) -> Float[Tensor, "graphs length length width"]:
        seen = F.relu(self.norm(x)) * there
        return x + self.convolution(seen.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

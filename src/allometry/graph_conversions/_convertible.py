"""What a `Graph` inherits: its conversions, each loaded when it is asked for. Nothing of the other libraries is loaded before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from allometry.graph import Graph
    from allometry.graph_conversions.dense import Dense

Names = str | Sequence[str] | None


class Convertible:
    """Batches to and from torch-geometric, networkx, scipy and padded arrays. Senders are sources, receivers targets."""

    @staticmethod
    def from_networkx(graphs: Any, nodes: Names = None, edges: Names = None, globals: Names = None) -> "Graph":
        """A batch of one networkx graph of any class, or of a list. See `allometry.graph_conversions.networkx`."""
        from allometry.graph_conversions.networkx import from_networkx

        return from_networkx(graphs, nodes, edges, globals)

    def to_networkx(
        self: Any, nodes: str | Sequence[str] = "features", edges: str | Sequence[str] = "features"
    ) -> list[Any]:  # list[networkx.MultiDiGraph]
        """A MultiDiGraph for each graph of the batch. See `allometry.graph_conversions.networkx`."""
        from allometry.graph_conversions.networkx import to_networkx

        return to_networkx(self, nodes, edges)

    @staticmethod
    def from_torch_geometric(data: Any, nodes: Names = None, edges: Names = None, globals: Names = None) -> "Graph":
        """A batch of a Data, a Batch, or a list of them. See `allometry.graph_conversions.torch_geometric`."""
        from allometry.graph_conversions.torch_geometric import from_torch_geometric

        return from_torch_geometric(data, nodes, edges, globals)

    def to_torch_geometric(self: Any) -> Any:  # torch_geometric.data.Batch
        """A Batch; its `[i]` is a Data. See `allometry.graph_conversions.torch_geometric`."""
        from allometry.graph_conversions.torch_geometric import to_torch_geometric

        return to_torch_geometric(self)

    @staticmethod
    def from_scipy(matrices: Any, nodes: Tensor | None = None, globals: Tensor | None = None) -> "Graph":
        """A batch of one sparse adjacency matrix or of a list. See `allometry.graph_conversions.scipy_sparse`."""
        from allometry.graph_conversions.scipy_sparse import from_scipy

        return from_scipy(matrices, nodes, globals)

    def to_scipy(self: Any, channel: int | None = None) -> list[Any]:  # list[scipy.sparse.coo_array]
        """An adjacency matrix for each graph of the batch. See `allometry.graph_conversions.scipy_sparse`."""
        from allometry.graph_conversions.scipy_sparse import to_scipy

        return to_scipy(self, channel)

    @staticmethod
    def from_dense(
        nodes: Tensor | None,  # [batch, length, channels]
        mask: Tensor | None = None,  # Bool[batch, length], or 0 and 1
        adjacency: Tensor | None = None,  # [batch, length, length]
        edges: Tensor | None = None,  # [batch, length, length, channels]
        globals: Tensor | None = None,
    ) -> "Graph":
        """A batch of padded arrays. See `allometry.graph_conversions.dense`."""
        from allometry.graph_conversions.dense import from_dense

        return from_dense(nodes, mask, adjacency, edges, globals)

    def to_dense(self: Any, length: int | None = None) -> "Dense":
        """Padded arrays: (nodes, mask, adjacency, edges, globals). See `allometry.graph_conversions.dense`."""
        from allometry.graph_conversions.dense import to_dense

        return to_dense(self, length)

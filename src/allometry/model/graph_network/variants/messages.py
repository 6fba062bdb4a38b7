"""Networks that pass messages along edges, each the block with parts left out (Battaglia et al. 2018, section 4.2 and appendix).

Where a paper gives a message that its edges do not keep, it is the block's `message`: the edges of the input are there for the next
step too.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from allometry.model.graph_network._block import Asked, GraphBlock
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._reduce import Reducer
from allometry.model.graph_network._update import Gru, Update, update
from allometry.model.graph_network.stack import GraphStack


def full(edge: Asked, node: Asked, globals: Asked) -> GraphBlock:
    """The full block: e' = edge(e, v_r, v_s, u), v' = node(sum of e', v, u), u' = globals(sum of e', sum of v', u)."""
    return GraphBlock(edge, node, globals)


def mpnn(message: Asked, node: Asked, globals: Asked = None) -> GraphBlock:
    """Message-passing network (Gilmer et al. 2017, arXiv:1704.01212): m = message(e, v_r, v_s), v' = node(sum of m, v),
    u' = globals(sum of v')."""
    return GraphBlock(
        message=message,
        node=node,
        globals=globals,
        message_reads=("edges", "receivers", "senders"),
        node_reads=("received", "nodes"),
        globals_reads=("nodes",),
    )


def interaction_network(edge: Asked, node: Asked, globals: Asked = None) -> GraphBlock:
    """Battaglia et al. 2016 (arXiv:1612.00222): e' = edge(e, v_r, v_s), v' = node(sum of e', v, u), u' = globals(sum of v', u)."""
    return GraphBlock(edge, node, globals, edge_reads=("edges", "receivers", "senders"), globals_reads=("nodes", "globals"))


def comm_net(edge: nn.Module, encoder: Asked, node: Asked) -> nn.Sequential:
    """CommNet (Sukhbaatar et al. 2016, arXiv:1605.07736): e' = edge(v_s), v' = node(mean of e', encoder(v)). Two blocks.

    The first makes messages and encodes nodes, neither from the other; in the second they meet.
    """
    apart = GraphBlock(OfSender(edge), encoder, edge_reads=("senders",), node_reads=("nodes",))
    return nn.Sequential(apart, GraphBlock(node=node, node_reads=("received", "nodes"), received="mean"))


def structure2vec(edge: Asked, node: Asked, steps: int = 1) -> nn.Sequential:
    """Dai et al. 2016 (arXiv:1603.05629): e' = edge(sum of e before, v_s), some steps of it; then v' = node(sum of e', v).

    Before an edge are those to its sender, but not from its receiver: what a node says to another has nothing that came from there.
    Aggregation comes first here, which Algorithm 1 has not; the block's `before` is there for it.
    """
    message = GraphBlock(edge, edge_reads=("before", "senders"))
    return nn.Sequential(GraphStack(message, steps), GraphBlock(node=node, node_reads=("received", "nodes")))


def ggs_nn(messages: Sequence[nn.Module], node: Gru, steps: int, readout: Reducer | None = None) -> nn.Sequential:
    """Gated graph network (Li et al. 2016, arXiv:1511.05493): m = messages[type](v_s), v' = GRU(sum of m, v), steps with
    one set of weights; then u = readout(nodes), as `GatedSum`.

    There is a message for each of the graph's `edge_types`; one alone is for all edges.
    """
    step = GraphBlock(
        message=OfSender(messages[0]) if len(messages) == 1 else [OfSender(one) for one in messages],
        node=node,
        message_reads=("senders",),
        node_reads=("received", "nodes"),
    )
    each = nn.Sequential(GraphStack(step, steps))
    return (
        each
        if readout is None
        else each.append(GraphBlock(globals=nn.Identity(), globals_reads=("nodes",), of_nodes=readout))
    )


def gcn(node: Asked) -> GraphBlock:
    """Graph convolution (Kipf & Welling 2017, arXiv:1609.02907): v' = node(sum of e v_s), e the normalised weight of an edge.

    The weights and the edges from nodes to themselves are the graph's: `Graph.from_scipy` reads D^-1/2 (A + I) D^-1/2.
    """
    return GraphBlock(message=Weighed(), node=node, message_reads=("edges", "senders"), node_reads=("received",))


class OfSender(Update):
    """A function of one node, for each edge that it sends: computed once for each node, where there are more edges than nodes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = update(module)

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> Tensor:
        (sender,) = inputs
        if sender.groups is None or len(sender.groups.index) < sender.groups.count:
            return self.module(inputs, None)  # type: ignore[no-any-return]
        return Input(sender.name, self.module([Input(sender.name, sender.value)], None), sender.groups).rows()


class Weighed(Update):
    """The message e_k v_s: a node's attribute, times that of the edge."""

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> Tensor:
        weights, senders = inputs
        return weights.rows() * senders.rows()

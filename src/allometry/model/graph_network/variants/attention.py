"""Networks whose nodes receive a weighted mean (Battaglia et al. 2018, section 4.2: non-local networks and their kin).

```text
v'_i = node(sum of a_k b_k / sum of a_k)     over the edges k that i receives, for each head; a node that receives none gets 0
```

They differ in a_k = a(v_r, v_s) and b_k = b(v_s) alone. Heads stand side by side: a function of some heads gives heads * channels.
Functions of one node are computed once for each node, not once for each edge.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.graph import Graph
from allometry.model.graph_network._attention import shares
from allometry.model.graph_network._block import Asked, GraphBlock
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._reduce import Attention
from allometry.model.graph_network._update import Mlp, Update, update

PAIR = ("receivers", "senders")


def nlnn(similarity: nn.Module, value: nn.Module, node: Asked) -> GraphBlock:
    """Non-local network (Wang et al. 2018, arXiv:1711.07971): log a = similarity(v_r, v_s), one for each head; b = value(v_s)."""
    return _attending(Weighted(similarity, value), node)


def self_attention(query: nn.Module, key: nn.Module, value: nn.Module, heads: int = 1, node: Asked = None) -> GraphBlock:
    """Vaswani et al. 2017 (arXiv:1706.03762): log a = query(v_r) . key(v_s) / sqrt(channels), b = value(v_s)."""
    return _attending(ScaledDot(query, key, value, heads), node)


def relative_positions(
    query: nn.Module,
    key: nn.Module,
    value: nn.Module,
    heads: int = 1,
    node: Asked = None,
    offsets: Sequence[str] = ("values",),  # which have the edge added: of "keys", "values"
) -> GraphBlock:
    """Shaw et al. 2018 (arXiv:1803.02155): self-attention with b = e + value(v_s), the edge telling where s is from r.

    An edge is as wide as one head, and is added to each, or as all of them. Shaw's own has "keys" too: key(v_s) + e.
    """
    return _attending(ScaledDot(query, key, value, heads, offsets), node, ("edges", *PAIR))


def vain(embedding: nn.Module, value: nn.Module, node: Asked, heads: int = 1) -> GraphBlock:
    """Vertex attention (Hoshen 2017, arXiv:1706.06122): log a = -|f(v_r) - f(v_s)|^2, b = value(v_s), v' = node(mean, v)."""
    return _attending(Weighted(Distance(embedding, heads), value), node, reads=("received", "nodes"))


def gat(width: int, heads: int = 1, embedding: nn.Module | None = None, node: Asked = None) -> GraphBlock:
    """Graph attention (Velickovic et al. 2018, arXiv:1710.10903): log a = LeakyReLU(p . f(v_r) + q . f(v_s)), b = f(v_s), one f.

    f is linear unless another is given. The edges from nodes to themselves, which the paper has, are the graph's.
    """
    return _attending(Additive(Mlp([heads * width]) if embedding is None else embedding, width, heads), node)


def attention_weights(block: GraphBlock, graph: Graph) -> Float[Tensor, "edges heads"]:
    """a_k / sum of a, of each edge and head: how much of what a node receives comes by this edge."""
    if not isinstance(block.received, Attention):
        raise Refusal(
            "This block has no attention: its nodes do not receive by `Attention()`. Give one of a variant that does."
        )
    found: list[Tensor] = []
    hook = block.received.register_forward_hook(lambda _, given, __: found.append(shares(given[0][0], given[1])))
    try:
        block(graph)
    finally:
        hook.remove()
    return found[0]


class Weighted(Update):
    """The message (log a_k, b_k) of any similarity of the two ends of an edge."""

    def __init__(self, similarity: nn.Module, value: nn.Module) -> None:
        super().__init__()
        self.similarity, self.value = update(similarity), update(value)

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> tuple[Tensor, Tensor]:
        _, senders = inputs
        logits = self.similarity(inputs, None)
        return logits, _at(_headed(_of_nodes(self.value, senders), logits.shape[-1]), senders)


class ScaledDot(Update):
    """The message of self-attention, with the edge added to keys or values."""

    def __init__(self, query: nn.Module, key: nn.Module, value: nn.Module, heads: int, offsets: Sequence[str] = ()) -> None:
        super().__init__()
        for name in offsets:
            if name not in ("keys", "values"):
                raise Refusal(f'offsets={offsets!r} has \'{name}\'. Edges are added to "keys", to "values", or to both.')
        self.query, self.key, self.value = update(query), update(key), update(value)
        self.heads, self.offsets = heads, offsets

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> tuple[Tensor, Tensor]:
        *edges, receivers, senders = inputs
        query, key, value = (
            _at(_headed(_of_nodes(of, end), self.heads), end)
            for of, end in ((self.query, receivers), (self.key, senders), (self.value, senders))
        )
        if self.offsets:
            if not edges:
                raise Refusal("Relative positions are read from edges, and the graph has none. Give it `edges`.")
            offset = edges[0].value.unflatten(-1, (-1, query.shape[-1]))
            key = key + offset if "keys" in self.offsets else key
            value = value + offset if "values" in self.offsets else value
        return (query * key).sum(-1) / query.shape[-1] ** 0.5, value


class Distance(Update):
    """-|f(v_r) - f(v_s)|^2."""

    def __init__(self, embedding: nn.Module, heads: int) -> None:
        super().__init__()
        self.embedding, self.heads = update(embedding), heads

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> Tensor:
        receivers, senders = inputs
        found = _headed(_of_nodes(self.embedding, receivers), self.heads)
        return -(_at(found, receivers) - _at(found, senders)).square().sum(-1)


class Additive(Update):
    """The message (LeakyReLU(p . f(v_r) + q . f(v_s)), f(v_s)), slope 0.2: the paper's p . [f(v_r), f(v_s)] in two parts, each
    once for a node, as f is."""

    def __init__(self, embedding: nn.Module, width: int, heads: int) -> None:
        super().__init__()
        self.embedding, self.heads = update(embedding), heads
        self.of_receiver, self.of_sender = (nn.Parameter(torch.empty(heads, width)) for _ in range(2))
        for weights in (self.of_receiver, self.of_sender):
            nn.init.xavier_uniform_(weights)

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> tuple[Tensor, Tensor]:
        receivers, senders = inputs
        found = _headed(_of_nodes(self.embedding, senders), self.heads)
        of_receiver, of_sender = ((found * weights).sum(-1) for weights in (self.of_receiver, self.of_sender))
        logits = nn.functional.leaky_relu(_at(of_receiver, receivers) + _at(of_sender, senders), 0.2)
        return logits, _at(found, senders)


def _attending(message: Update, node: Asked, ends: Sequence[str] = PAIR, reads: Sequence[str] = ("received",)) -> GraphBlock:
    """The block of a message of pairs; without a node update the mean itself is the node."""
    node = nn.Identity() if node is None else node
    return GraphBlock(message=message, node=node, message_reads=ends, node_reads=reads, received=Attention())


def _of_nodes(of: Update, end: Input) -> Tensor:
    return of([Input(end.name, end.value)], None)  # type: ignore[return-value]


def _at(rows: Tensor, end: Input) -> Tensor:
    """Of the node at one end of each edge."""
    return Input(end.name, rows, end.groups).rows()


def _headed(x: Tensor, heads: int) -> Tensor:
    if x.shape[-1] % heads:
        raise Refusal(f"Width {x.shape[-1]} does not split into {heads} heads. Give a multiple of it.")
    return x.unflatten(-1, (heads, -1))

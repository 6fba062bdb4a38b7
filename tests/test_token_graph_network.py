"""The graph network on sequences with each kind of edges: against the reference, and a graph block on the graph of those edges."""

import pytest
import torch
import torch.nn.functional as F

import allometry as al
from allometry.flow import Refusal, Tokens
from allometry.model.blocks.message_passing import MessagePassing, reference
from allometry.train.meter import check, count

WAYS = [
    {"edges": edges, "reduce": reduce}
    for edges in ("chain", "window:5", "window:40", "complete")
    for reduce in ("attention", "mean")
]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(way.values()))


def layer_of(way) -> torch.nn.Module:
    torch.manual_seed(0)
    return MessagePassing(width=8, heads=2, **way).build(2).double()


@every_way
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "both sides"])
def test_it_equals_the_equation_with_all_gradients(way, causal, monkeypatch) -> None:
    """Where all pairs are met, some receivers at a time."""
    monkeypatch.setattr("allometry.model.blocks.message_passing.CACHED", 0)
    way = way | {"causal": causal}
    layer, x = layer_of(way), torch.randn(2, 17, 8, dtype=torch.float64, requires_grad=True)
    seed, leaves = torch.randn(2, 17, 8, dtype=torch.float64), [x, *layer.parameters()]
    keep = None if causal else torch.tensor([[True] * 17, [True] * 9 + [False] * 8])
    fast, slow = layer(x, keep), reference(layer, x, keep)
    assert (fast - slow).abs().max() < 1e-12
    ours, theirs = (torch.autograd.grad((out * seed).sum(), leaves) for out in (fast, slow))
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 1e-10


class _Message(torch.nn.Module):
    """The block's function of edges: attribute, receiver, sender side by side."""

    def __init__(self, layer: torch.nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.width = layer, width

    def forward(self, read: torch.Tensor) -> torch.Tensor:
        edge, receiver, sender = read.split(self.width, -1)
        return F.gelu(self.layer.receive(receiver) + self.layer.send(sender) + edge)


@pytest.mark.parametrize("edges", ["chain", "window:5", "complete"])
def test_it_is_a_graph_block_on_the_graph_of_its_edges(edges) -> None:
    """The same wiring given to `GraphBlock`, with attributes of edges for distances and the mean as the reducer."""
    layer, length = layer_of({"edges": edges, "reduce": "mean"}), 9
    x = torch.randn(length, 8, dtype=torch.float64)
    pairs = [(s, t) for t in range(length) for s in range(t) if t - s <= (layer.reach or length)]
    senders, receivers = torch.tensor(pairs).T
    away = (receivers - senders).double()
    attributes = (
        layer.edges[layer.reach - away.long()]
        if layer.reach
        else torch.stack([1 / away, away.log()], 1) @ layer.edges
    )  # fmt: skip
    graph = al.graph(senders, receivers, length, nodes=x, edges=attributes)
    block = al.GraphBlock(
        node=layer.out,
        message=_Message(layer, 8),
        message_reads=("edges", "receivers", "senders"),
        node_reads=("received",),
        received="mean",
    )
    assert (block(graph).nodes - layer(x[None])[0]).abs().max() < 1e-12


@every_way
def test_its_formula_agrees_with_the_count(way) -> None:
    spec, io = al.family("token_graph_network")(width=24, depth=2, heads=2, **way), Tokens(vocab=13, length=20)
    assert check(spec, io, count(spec, io)) == "agrees with the count"


@every_way
def test_a_token_moves_what_its_edges_reach_and_no_more(way) -> None:
    """Two layers: nothing before it, and after it all within twice the reach."""
    torch.manual_seed(0)
    spec, tokens = al.family("token_graph_network")(width=8, depth=2, heads=2, **way), torch.arange(24)[None] % 5
    model, other = spec.build(Tokens(vocab=5, length=24)).double(), tokens.clone()
    other[0, 6] += 1
    with torch.no_grad():
        moved = (model(tokens) - model(other)).abs().amax(-1)[0] > 0
    reach = 2 * (spec.mixer(0).reach or 24)
    assert moved.tolist() == [6 <= place <= 6 + reach for place in range(24)]


@pytest.mark.parametrize("way", [{"edges": "window:0"}, {"edges": "ring"}, {"reduce": "sum"}], ids=repr)
def test_an_unknown_option_is_refused(way) -> None:
    with pytest.raises(Refusal, match="is not known"):
        MessagePassing(width=8, heads=2, **way)

"""Families beside the graph network, with all options: literal loops and torch.nn twins in double precision, formulas, refusals.

What every family of graphs is held to (claims, gradients, examples that do not mix, empty graphs) is in test_graph_families.py.
"""

import pytest
import torch
import torch.nn.functional as F
from graph_samples import apart, read_by
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import allometry as al
from allometry.flow import Graphs, Refusal
from allometry.model._family import non_embedding_parameters

IO = Graphs(nodes=3, edges=2, globals=2, of_nodes=2, of_edges=3, of_graphs=2, length=6, links=12)
CASES = [
    ("deep_set", {}),
    ("deep_set", {"reduce": "max"}),
    ("relation_network", {}),
    ("relation_network", {"to": "nodes", "reduce": "mean"}),
    ("graph_transformer", {"heads": 2}),
    ("graph_transformer", {"heads": 2, "edges": "bias"}),
    ("graph_transformer", {"heads": 2, "edges": "none"}),
    ("node_rnn", {}),
    ("node_rnn", {"room": 9}),
    ("grid_cnn", {}),
    ("grid_cnn", {"kernel": 5}),
    ("padded_mlp", {}),
    ("padded_mlp", {"room": 9}),
]
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda part: str(part))


def spec_of(name: str, options: dict):
    return al.family(name)(width=8, depth=2, **options)


def graphs() -> al.Graph:
    """Six nodes with parallel edges, self-edges and edges not by receiver; one alone; three with two edges."""
    draw = torch.Generator().manual_seed(0)
    ends = [[0, 3, 0, 5, 2, 2, 1, 4, 4, 7, 9], [1, 1, 1, 0, 2, 5, 3, 3, 4, 8, 7]]
    rows = {"nodes": (10, 3), "edges": (11, 2), "globals": (3, 2)}
    features = {k: torch.randn(v, dtype=torch.float64, generator=draw) for k, v in rows.items()}
    return al.graph(*ends, [6, 1, 3], [9, 0, 2], **features)


def through(update: nn.Module, *parts: Tensor) -> Tensor:
    """A perceptron on what it reads, side by side."""
    x = torch.cat(parts, -1)
    for layer in (update.first.linear, *update.others):
        x = F.relu(layer(x))
    return update.norm(x)


def pair_of(graph: al.Graph, receiver: int, sender: int) -> Tensor:
    """How many edges join a pair, and the sum of their features."""
    found = [graph.edges[k] for k in range(len(graph.edges)) if (graph.receivers[k], graph.senders[k]) == (receiver, sender)]
    return torch.cat([torch.tensor([len(found)]), sum(found, torch.zeros(2))]).double()


def pooled(reduce: str, rows: list[Tensor]) -> Tensor:
    return {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}[reduce](torch.stack(rows), 0)


def deep_set(spec, body: nn.Module, graph: al.Graph):
    nodes = [through(body.each, body.read.nodes(x)) for x in graph.nodes]
    whole = through(body.whole, pooled(spec.reduce, nodes), body.read.globals(graph.globals[0]))
    return nodes, [body.read.edges(x) for x in graph.edges], whole


def relation_network(spec, body: nn.Module, graph: al.Graph):
    u = body.read.globals(graph.globals[0])
    each = [through(body.each, body.read.nodes(x)) for x in graph.nodes]
    many = range(len(each))
    relations = {
        (i, j): through(body.relation, body.read_pairs(pair_of(graph, i, j)), each[i], each[j], u)
        for i in many
        for j in many
    }
    whole = through(body.whole, pooled(spec.reduce, list(relations.values())), u)
    nodes = each
    if spec.to == "nodes":
        nodes = [through(body.node, pooled(spec.reduce, [relations[i, j] for j in many]), each[i]) for i in many]
    return nodes, [relations[int(r), int(s)] for r, s in zip(graph.receivers, graph.senders, strict=True)], whole


def graph_transformer(spec, body: nn.Module, graph: al.Graph):
    u = body.read.globals(graph.globals[0])
    x = body.read.nodes(graph.nodes) + u
    size, head = len(x), spec.width // spec.heads
    for layer in body.layers:
        normed, rows = layer.mixer_norm(x), []
        query, key, value = F.linear(normed, layer.query_key_value.weight).view(size, 3, spec.heads, head).unbind(1)
        for i in range(size):
            taken, heard = [], []
            for h in range(spec.heads):
                scores = torch.stack([query[i, h] @ key[j, h] / head**0.5 for j in range(size)])
                if layer.bias is not None:
                    scores = scores + torch.stack([layer.bias(pair_of(graph, i, j))[h] for j in range(size)])
                shares = scores.softmax(0)
                taken.append(sum(shares[j] * value[j, h] for j in range(size)))
                heard.append(sum(shares[j] * pair_of(graph, i, j) for j in range(size)))
            row = torch.cat(taken)
            rows.append(row if layer.taken is None else row + layer.taken(torch.cat(heard)))
        x = x + layer.out(torch.stack(rows))
        x = x + layer.channel(layer.channel_norm(x)[None])[0]
    x = body.norm(x)
    edges = [body.read.edges(one) for one in graph.edges]
    return list(x), edges, x.mean(0) + u


def node_rnn(spec, body: nn.Module, graph: al.Graph):
    room, u, rows = spec.room or IO.length, body.read.globals(graph.globals[0]), []
    size = len(graph.nodes)
    for i in range(size):
        row = []
        for away in range(1 - room, room):
            other = i + away
            for ends in ((i, other), (other, i)):  # edges that come, edges that go
                row.append(pair_of(graph, *ends) if 0 <= other < size else torch.zeros(3).double())
        rows.append(torch.cat(row))
    x = body.read.nodes(graph.nodes) + body.read_rows(torch.stack(rows)) + u
    for layer in body.layers:
        twin = nn.LSTM(spec.width, spec.width, bidirectional=True).double()
        weights = [f"{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        both = ((layer.forth, ""), (layer.back, "_reverse"))
        twin.load_state_dict({f"{name}{end}": getattr(lstm, name) for lstm, end in both for name in weights})
        x = x + layer.out(twin(layer.norm(x))[0])
    x = body.norm(x)
    return list(x), [body.read.edges(one) for one in graph.edges], x.mean(0) + u


def grid_cnn(spec, body: nn.Module, graph: al.Graph):
    u, size = body.read.globals(graph.globals[0]), len(graph.nodes)
    pixels = [
        [
            body.read_pairs(pair_of(graph, i, j))
            + body.read.nodes(graph.nodes[i])
            + body.read_senders(graph.nodes[j])
            + u
            + (i == j) * body.diagonal
            for j in range(size)
        ]
        for i in range(size)
    ]
    x = torch.stack([torch.stack(row) for row in pixels])
    for layer in body.layers:
        seen = F.relu(layer.norm(x)).permute(2, 0, 1)
        x = x + F.conv2d(seen, *layer.convolution.parameters(), padding=spec.kernel // 2).permute(1, 2, 0)
    x = body.norm(x)
    nodes = [body.node(torch.cat([x[i, i], x[i].mean(0), x[:, i].mean(0)])) for i in range(size)]
    edges = [x[r, s] for r, s in zip(graph.receivers, graph.senders, strict=True)]
    return nodes, edges, x.mean((0, 1)) + u


def answers_of(model: nn.Module, states, graph: al.Graph) -> al.Graph:
    """From the states, one element at a time."""
    nodes, edges, u = states
    ends = list(zip(edges, graph.receivers, graph.senders, strict=True))

    def answer(name: str, rows: list[tuple[Tensor, ...]]) -> Tensor:
        said = [model.outputs[f"of_{name}"](through(model.decoders[f"of_{name}"], *row)) for row in rows]
        return torch.stack(said) if said else torch.zeros(0, 3).double()

    return graph.edit(
        nodes=answer("nodes", [(x, u) for x in nodes]),
        edges=answer("edges", [(e, nodes[r], nodes[s], u) for e, r, s in ends]),
        globals=answer("globals", [(u,)]),
    )


def padded_mlp(spec, model: nn.Module, graph: al.Graph) -> al.Graph:
    room, size = spec.room or IO.length, len(graph.nodes)
    read = [torch.cat([torch.ones(1), graph.nodes[i]]) if i < size else torch.zeros(4) for i in range(room)]
    read += [pair_of(graph, i, j) if max(i, j) < size else torch.zeros(3) for i in range(room) for j in range(room)]
    inside = through(model.inside, F.relu(model.read(torch.cat([*(part.double() for part in read), graph.globals[0]]))))
    said = {name.removeprefix("of_"): output(inside) for name, output in model.outputs.items()}
    edges = [said["edges"].view(room, room, 3)[r, s] for r, s in zip(graph.receivers, graph.senders, strict=True)]
    return graph.edit(
        nodes=said["nodes"].view(room, 2)[:size],
        edges=torch.stack(edges) if edges else torch.zeros(0, 3).double(),
        globals=said["globals"][None],
    )


LITERAL = {one.__name__: one for one in (deep_set, relation_network, graph_transformer, node_rnn, grid_cnn)}


@every_case
def test_it_equals_its_equations_one_element_at_a_time(name, options) -> None:
    """In a batch of graphs of several sizes, against each graph by itself."""
    torch.manual_seed(0)
    spec, together = spec_of(name, options), graphs()
    model = spec.build(IO).double()
    with torch.no_grad():
        said = model(together)
        for k, graph in enumerate(together):
            if name == "padded_mlp":
                slow = padded_mlp(spec, model, graph)
            else:
                slow = answers_of(model, LITERAL[name](spec, model.body, graph), graph)
            assert apart(said[k], slow) < 1e-12


def test_its_attention_is_that_of_torch() -> None:
    """torch.nn.MultiheadAttention with the bias of the edges as its mask."""
    torch.manual_seed(0)
    layer = spec_of("graph_transformer", {"heads": 2, "edges": "bias"}).build(IO).double().body.layers[0]
    twin = nn.MultiheadAttention(8, 2, bias=False, batch_first=True).double()
    twin.load_state_dict({"in_proj_weight": layer.query_key_value.weight, "out_proj.weight": layer.out.weight})
    x, pairs = torch.randn(3, 5, 8).double(), torch.randn(3, 5, 5, 3).double()
    normed, mask = layer.mixer_norm(x), layer.bias(pairs).permute(0, 3, 1, 2).flatten(0, 1)
    after = x + twin(normed, normed, normed, attn_mask=mask, need_weights=False)[0]
    assert (
        layer(x, pairs, torch.zeros(3, 1, 1, 5).double()) - after - layer.channel(layer.channel_norm(after))
    ).abs().max() < 1e-12


@every_case
def test_the_formula_holds_for_each_option(name, options) -> None:
    spec = spec_of(name, options)
    model, form = spec.build(IO).double(), spec.closed_form(IO)
    assert form.parameters == sum(p.numel() for p in model.parameters())
    assert form.non_embedding_parameters == non_embedding_parameters(model, IO.outputs)
    with FlopCounterMode(display=False) as mode, torch.no_grad():
        model(read_by(IO, nodes=(IO.length,), most=IO.links // IO.length))
    assert form.forward_flops_per_token * IO.length == pytest.approx(mode.get_total_flops(), rel=1e-9)


@pytest.mark.parametrize("name", ["padded_mlp", "node_rnn"])
def test_a_graph_without_room_is_refused_and_one_with_room_is_not(name) -> None:
    larger = read_by(IO, nodes=(9, 2))
    with pytest.raises(Refusal, match="Build it with room=9"):
        spec_of(name, {}).build(IO).double()(larger)
    assert bool(spec_of(name, {"room": 9}).build(IO).double()(larger).nodes.isfinite().all())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("deep_set", {"reduce": "median"}),
        ("relation_network", {"to": "edges"}),
        ("graph_transformer", {"heads": 2, "edges": "all"}),
    ],
)
def test_an_unknown_option_is_refused(name, options) -> None:
    with pytest.raises(Refusal, match="is not known"):
        spec_of(name, options)


def test_a_kernel_without_a_middle_is_refused() -> None:
    with pytest.raises(Refusal, match="odd kernel"):
        spec_of("grid_cnn", {"kernel": 4})

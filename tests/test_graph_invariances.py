"""What must not matter to encode-process-decode does not, over random graphs, as it does not to one block (test_graph_block.py):
the order of nodes, edges and graphs, what else is in the batch, which end of an edge is called what, edges that come twice.

Sums over another order differ in the last bits; a maximum does not, so with max all is equal to the bit where the layers are too
(`Rowwise`: a product of matrices may round a row by its place).
"""

import copy

import pytest
import torch
from graph_samples import DOUBLE, apart, distance, randomly
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import allometry as al
from allometry.flow import Graphs
from allometry.graph import batch
from allometry.model.graph_network._reduce import REDUCERS
from allometry.model.graph_network._update import Mlp
from allometry.model.graph_network.independent import Independent

seeds = st.integers(0, 10**6)
few = settings(max_examples=3, deadline=None)  # each of several graphs, and of every reducer
FEATURES = ("nodes", "edges", "globals")
IO = Graphs(nodes=5, edges=3, globals=2, of_nodes=2, of_edges=3, of_graphs=4)
NAMES = [*REDUCERS, "pna"]
MODELS: dict[tuple, nn.Module] = {}


class Rowwise(nn.Module):
    """A perceptron of a layer, each row by itself."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / inputs**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None] * self.weight).sum(-1).tanh()


def process(reduce: str, flow: str = "full", steps: int = 3) -> nn.Module:
    """Encode-process-decode of small widths; locally, graphs are not asked."""
    key = (reduce, flow, steps)
    if key not in MODELS:
        torch.manual_seed(0)
        io = IO.edit(of_graphs=0) if flow == "local" else IO
        MODELS[key] = al.EncodeProcessDecode.sized(io, 4, reduce=reduce, flow=flow, steps=steps).double().eval()
    return MODELS[key]


def rowwise(composed: bool) -> nn.Module:
    """A block, or encode-process-decode, of maxima and layers that know no place."""
    torch.manual_seed(0)
    by_max = dict.fromkeys(("received", "of_edges", "of_nodes"), "max")
    if not composed:
        return al.GraphBlock(Rowwise(15, 4), Rowwise(11, 4), Rowwise(10, 4), **by_max).double()
    encoder, decoder = (Independent(*(Rowwise(n, 4) for n in inputs)) for inputs in ((3, 5, 2), (4, 4, 4)))
    core = al.GraphBlock(Rowwise(32, 4), Rowwise(20, 4), Rowwise(16, 4), **by_max)
    return al.EncodeProcessDecode(encoder, core, decoder, {name: Rowwise(4, 2) for name in FEATURES}, steps=3).double()


def order_of(sizes: Tensor, draw: torch.Generator) -> Tensor:
    """Another order of the rows of each graph: new row i was row order[i]."""
    firsts = (sizes.cumsum(0) - sizes).tolist()
    parts = [first + torch.randperm(size, generator=draw) for first, size in zip(firsts, sizes.tolist(), strict=True)]
    return torch.cat(parts)


def reordered(graph: al.Graph, nodes: Tensor, edges: Tensor) -> al.Graph:
    place = nodes.argsort()
    return al.graph(
        place[graph.senders[edges]], place[graph.receivers[edges]], graph.n_node, graph.n_edge,
        nodes=graph.nodes[nodes], edges=graph.edges[edges], globals=graph.globals,
    )  # fmt: skip


def difference_by_order(model: nn.Module, graph: al.Graph, seed: int) -> float:
    """How far answers are apart when nodes, edges and graphs stand in another order."""
    draw = torch.Generator().manual_seed(seed)
    nodes, edges = order_of(graph.n_node, draw), order_of(graph.n_edge, draw)
    said, other = model(graph), model(reordered(graph, nodes, edges))
    by_element = apart(said.edit(nodes=said.nodes[nodes], edges=said.edges[edges]), other)
    turns = torch.randperm(len(graph), generator=draw).tolist()
    return max(by_element, apart(batch([said[g] for g in turns]), model(batch([graph[g] for g in turns]))))


@pytest.mark.parametrize("reduce", NAMES)
@few
@given(seeds)
def test_the_order_of_nodes_edges_and_graphs_does_not_matter(reduce, seed) -> None:
    assert difference_by_order(process(reduce), randomly(seed), seed) < 1e-9  # std near equal rows magnifies the last bits


@pytest.mark.parametrize("composed", [False, True], ids=["block", "composed"])
@few
@given(seeds)
def test_with_max_no_order_and_no_company_matters_by_a_bit(composed, seed) -> None:
    model, graph = rowwise(composed), randomly(seed)
    assert difference_by_order(model, graph, seed) == 0
    alone = model(graph)
    assert apart(model(batch([graph, randomly(seed + 1)]))[: len(graph)], alone) == 0
    assert apart(batch([model(one) for one in graph]), alone) == 0


@pytest.mark.parametrize("reduce", NAMES)
@few
@given(seeds)
def test_a_batch_is_a_loop_over_its_graphs_and_padding_is_nothing(reduce, seed) -> None:
    graph, padding, model = randomly(seed), randomly(seed + 1), process(reduce)
    said = model(graph)
    assert apart(said, batch([model(one) for one in graph])) < 1e-9
    nothing = padding.edit(**{name: getattr(padding, name) * torch.nan for name in FEATURES})
    assert apart(said, model(batch([graph, nothing]))[: len(graph)]) < 1e-9


def within(graph: al.Graph, steps: int) -> Tensor:
    """Which node j reaches which node i, [i j], in at most so many edges, by powers of the adjacency."""
    once = torch.eye(graph.wiring.nodes, dtype=DOUBLE)
    once[graph.receivers, graph.senders] = 1
    return torch.linalg.matrix_power(once, steps) > 0


def smooth(steps: int, whole: bool) -> al.EncodeProcessDecode:
    """Of mean messages and layers that are nowhere flat, as a ReLU is: what can reach an answer moves it."""
    torch.manual_seed(0)

    def mlp() -> Mlp:
        return Mlp([4], activation="tanh", last=True)

    reads = {} if whole else {"edge_reads": ("edges", "receivers", "senders"), "node_reads": ("received", "nodes")}
    encoder = Independent(mlp(), mlp(), mlp() if whole else None)
    core = al.GraphBlock(mlp(), mlp(), mlp() if whole else None, **reads, received="mean", of_edges="mean", of_nodes="mean")
    outputs = {"nodes": nn.Identity(), "edges": nn.Identity()}
    return al.EncodeProcessDecode(encoder, core, nn.Identity(), outputs, steps=steps).double()


def seen(model: nn.Module, graph: al.Graph, name: str) -> Tensor:
    """Which node's input, [answer node], has a slope with which answer: of a sum of its numbers, at the given place."""
    nodes = graph.nodes.clone().requires_grad_()
    answers = (getattr(model(graph.edit(nodes=nodes)), name) * torch.tensor([1.0, 1.3, 0.7, 1.9])).sum(1)
    slopes = [torch.autograd.grad(one, nodes, retain_graph=True)[0].abs().amax(1) > 0 for one in answers]
    return torch.stack(slopes) if slopes else torch.zeros(0, len(nodes), dtype=torch.bool)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 4), seeds)
def test_the_light_cone_of_m_steps_is_exact(steps, seed) -> None:
    """The slope of node i by node j is 0 exactly beyond m edges, and not 0 within; an edge hears its ends a step before."""
    graph, model = randomly(seed), smooth(steps, whole=False)
    assert torch.equal(seen(model, graph, "nodes"), within(graph, steps))
    heard = within(graph, steps - 1)
    assert torch.equal(seen(model, graph, "edges"), heard[graph.senders] | heard[graph.receivers])


@pytest.mark.parametrize("reduce", NAMES)
@few
@given(seeds)
def test_beyond_the_light_cone_nothing_is_moved(reduce, seed) -> None:
    """Every reducer: a node that is too far away may be anything, to the bit."""
    graph, model = randomly(seed), process(reduce, "local", 2)
    if not graph.wiring.nodes:
        return
    j = seed % graph.wiring.nodes
    other = graph.nodes.clone()
    other[j] += 10
    moved = (model(graph.edit(nodes=other)).nodes - model(graph).nodes).abs().amax(1)
    assert (moved[~within(graph, 2)[:, j]] == 0).all()
    assert moved[j] > 0


@few
@given(seeds)
def test_with_globals_all_of_a_graph_is_seen_after_two_steps_and_nothing_of_another(seed) -> None:
    graph = randomly(seed)
    of = graph.wiring.nodes_of.index
    assert torch.equal(seen(smooth(2, whole=True), graph, "nodes"), of[:, None] == of)


def turned(model: nn.Module) -> nn.Module:
    """The model whose edges read senders for receivers, and whose nodes hear the edges that they send."""
    other = copy.deepcopy(model)
    (block,) = other.process.cores
    with torch.no_grad():
        weight = block.edge.first.linear.weight
        edge, receiver, sender, whole = weight.split(weight.shape[1] // 4, 1)
        weight.copy_(torch.cat([edge, sender, receiver, whole], 1))
    block.reads["node"] = ("sent", "nodes", "globals")
    block.sent = block.received
    return other


@pytest.mark.parametrize("reduce", NAMES)
@few
@given(seeds)
def test_turning_all_edges_round_and_the_roles_too_is_nothing(reduce, seed) -> None:
    graph, model = randomly(seed), process(reduce)
    features = {name: getattr(graph, name) for name in FEATURES}
    other = al.graph(graph.receivers, graph.senders, graph.n_node, graph.n_edge, **features)
    assert apart(model(graph), turned(model)(other)) < 1e-9


def test_the_direction_of_an_edge_matters() -> None:
    graph, model = randomly(0), process("sum", "local", 1)
    chain = al.graph([0, 1], [1, 2], 3, nodes=graph.nodes[:3], edges=graph.edges[:2])
    back = al.graph([1, 2], [0, 1], 3, nodes=chain.nodes, edges=chain.edges)
    assert apart(model(chain.edit(globals=graph.globals[:1])), model(back.edit(globals=graph.globals[:1]))) > 1e-3


def twice(graph: al.Graph, chosen: list[list[int]]) -> al.Graph:
    """Each graph with some of its edges once more, at the end."""
    parts = []
    for one, again in zip(graph, chosen, strict=True):
        rows = torch.tensor([*range(one.wiring.edges), *again], dtype=torch.int64)
        parts.append(
            al.graph(one.senders[rows], one.receivers[rows], one.n_node, [len(rows)],
                     nodes=one.nodes, edges=one.edges[rows], globals=one.globals)
        )  # fmt: skip
    return batch(parts)


@pytest.mark.parametrize("reduce", REDUCERS)
@few
@given(seeds)
def test_every_edge_twice_moves_sums_alone(reduce, seed) -> None:
    graph, model = randomly(seed), process(reduce)
    double = twice(graph, [list(range(int(edges))) for edges in graph.n_edge])
    said, other = model(graph), model(double)
    firsts = [edges[: len(edges) // 2] for edges in other.edges.split(double.n_edge.tolist())]
    same = max(distance(said.edges, torch.cat(firsts)), apart(said.edit(edges=None), other.edit(edges=None)))
    assert (same < 1e-9) == (reduce != "sum" or graph.wiring.edges == 0)


@few
@given(seeds)
def test_one_edge_twice_gives_a_sum_one_copy_more_and_leaves_extremes(seed) -> None:
    graph = randomly(seed)
    chosen = [[0] if one.wiring.edges else [] for one in graph]
    double = twice(graph, chosen)
    firsts = (graph.n_edge.cumsum(0) - graph.n_edge)[graph.n_edge > 0]
    copies = torch.zeros(graph.wiring.nodes, 3, dtype=DOUBLE).index_add(0, graph.receivers[firsts], graph.edges[firsts])
    for reduce in ("sum", "mean", "max", "min"):
        block = al.GraphBlock(node=nn.Identity(), node_reads=("received",), received=reduce)
        one, two = block(graph).nodes, block(double).nodes
        if reduce == "sum":
            assert (two - one - copies).abs().amax() < 1e-12 if len(one) else True
        elif reduce == "mean":
            several = torch.bincount(graph.receivers, minlength=graph.wiring.nodes)[graph.receivers[firsts]] > 1
            assert bool(((one - two).abs().amax(1) > 1e-12).any() if len(one) else False) == bool(several.any())
        else:
            assert torch.equal(one, two)


CUT = [
    ("globals", {"edge_reads": ("edges", "receivers", "senders"), "node_reads": ("received", "nodes")}),
    ("edges", {"edge_reads": ("receivers", "senders", "globals")}),
    (
        "nodes",
        {"edge_reads": ("edges", "globals"), "node_reads": ("received", "globals"), "globals_reads": ("edges", "globals")},
    ),
]


@pytest.mark.parametrize(("unread", "reads"), CUT, ids=[name for name, _ in CUT])
@few
@given(seeds)
def test_what_no_flag_reads_has_no_gradient(unread, reads, seed) -> None:
    """Three steps of a core: the input that its flags leave out has a gradient of 0 exactly, and the others do not."""
    graph = randomly(seed)
    torch.manual_seed(0)
    encoder = Independent(*(Mlp([4], inputs) for inputs in (3, 5, 2)))
    core = al.GraphBlock(Mlp([4]), Mlp([4]), None if unread == "globals" else Mlp([4]), **reads)
    model = al.EncodeProcessDecode(encoder, core, nn.Identity(), {"nodes": nn.Identity()}, steps=3).double()
    leaves = {name: getattr(graph, name).clone().requires_grad_() for name in FEATURES}
    answer = model(graph.edit(**leaves)).nodes.square().sum()
    found = torch.autograd.grad(answer, list(leaves.values()), allow_unused=True, materialize_grads=True)
    moved = {name for name, one in zip(leaves, found, strict=True) if one.numel() and one.abs().max() > 0}
    assert unread not in moved
    if graph.wiring.edges:
        assert moved == set(FEATURES) - {unread}

"""The contract of every family that reads graphs, found in the folder: no member is named in its tests.

It differs from that of sequences (test_families.py): there are no positions to be causal about and nothing is generated. Instead
the names of nodes do not matter where a family claims so ("equivariant"), graphs of other sizes are read ("any_length"), and a node
is told who is joined to it ("messages"). Each is refuted where it is not claimed.
"""

import pytest
import torch
from graph_samples import apart, read_by
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import allometry as al
from allometry.find import member, names
from allometry.flow import REFERENCES, Graphs, Pairs, Refusal, Series, Tokens
from allometry.graph import batch
from allometry.model._family import LARGEST, SMALLEST, TOLERANCE, non_embedding_parameters, parameters_at

FOLDER = "allometry.model.families"
FAMILIES = [family for family in (member(FOLDER, name) for name in names(FOLDER)) if Graphs in family.kinds]
FEATURES = ("nodes", "edges", "globals")
SMALL = Graphs(nodes=3, edges=2, globals=0, of_nodes=2, of_edges=3, of_graphs=2, length=7, links=21)
IOS = [
    REFERENCES[Graphs],
    SMALL,
    Graphs(nodes=0, edges=0, globals=4, of_graphs=5, length=3, links=9),
    Graphs(nodes=5, edges=2, globals=2, of_nodes=2, loss="squared", length=5, links=15),
]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
every_io = pytest.mark.parametrize("io", IOS, ids=repr)


def model_of(family, io=SMALL, size=3, seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return family.at(size, Graphs).build(io).double().eval()


def loss_of(answers: al.Graph, targets: dict[str, Tensor]) -> Tensor:
    """The mean of the means over what is asked."""
    losses = [nn.functional.cross_entropy(getattr(answers, name), target) for name, target in targets.items()]
    return torch.stack(losses).mean()


def targets_of(io: Graphs, graph: al.Graph, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    rows = {"nodes": graph.wiring.nodes, "edges": graph.wiring.edges, "globals": len(graph)}
    asked = {name: n for name, n in zip(FEATURES, (io.of_nodes, io.of_edges, io.of_graphs), strict=True) if n}
    return {name: torch.randint(outputs, (rows[name],), generator=draw) for name, outputs in asked.items()}


def takes_any_length(family) -> bool:
    model = model_of(family)
    try:
        with torch.no_grad():
            together = model(read_by(SMALL, nodes=(7, 23)))
    except (RuntimeError, ValueError):
        return False
    return apart(together[0], model(read_by(SMALL, nodes=(7, 23))[0])) < 1e-9


def names_of_nodes_do_not_matter(family) -> bool:
    model, graph = model_of(family), read_by(SMALL, nodes=(7,))
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    place = order.argsort()
    other = al.graph(place[graph.senders], place[graph.receivers], 7, nodes=graph.nodes[order], edges=graph.edges)
    said = model(graph)
    return apart(said.edit(nodes=said.nodes[order]), model(other)) < 1e-9


def nodes_hear_who_is_joined_to_them(family) -> bool:
    """Of three nodes that are alike, one receives an edge: it answers otherwise than one that receives none."""
    graph = al.graph([0], [1], 3, nodes=torch.ones(3, 3, dtype=torch.float64), edges=torch.ones(1, 2, dtype=torch.float64))
    said = model_of(family)(graph).nodes
    return names_of_nodes_do_not_matter(family) and bool((said[1] - said[2]).abs().max() > 1e-6)


CLAIMS = {
    "any_length": takes_any_length,
    "equivariant": names_of_nodes_do_not_matter,
    "messages": nodes_hear_who_is_joined_to_them,
}


@every_family
@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_are_true_and_complete(family, claim) -> None:
    assert CLAIMS[claim](family) == (claim in family.claims)


@every_family
def test_a_claim_is_one_that_can_be_measured(family) -> None:
    assert {*family.claims} <= {*CLAIMS} or {*family.kinds} != {Graphs}


@every_family
def test_the_dial_meets_its_parameters(family) -> None:
    sizes = [family.at(size, Graphs).matched_parameters(REFERENCES[Graphs]) for size in range(SMALLEST, LARGEST + 1)]
    assert sizes == sorted(sizes)
    misses = [abs(n / parameters_at(size) - 1) for size, n in enumerate(sizes, SMALLEST)]
    assert max(misses[3:]) <= TOLERANCE
    assert max(misses) <= 0.25
    with pytest.raises(Refusal, match="not on the ladder"):
        family.at(LARGEST + 1, Graphs)


@every_family
def test_a_kind_of_input_that_it_cannot_read_is_refused(family) -> None:
    for io in {Tokens: REFERENCES[Tokens], Pairs: REFERENCES[Pairs], Series: REFERENCES[Series]}.values():
        if not isinstance(io, family.kinds):
            with pytest.raises(Refusal, match=r"reads (graphs alone|no series)"):
                family.at(3, Graphs).build(io)


def test_a_family_that_reads_no_graphs_says_so() -> None:
    for name in names(FOLDER):
        family = member(FOLDER, name)
        if Graphs not in family.kinds:
            with pytest.raises(Refusal, match="reads no graphs"):
                family.check(SMALL)


@every_family
@every_io
@pytest.mark.parametrize("size", [1, 6])
def test_the_formula_agrees_with_the_count(family, io, size) -> None:
    """One graph of the IO's usual size, on the CPU, since a wiring is numbers."""
    spec = family.at(size, Graphs)
    model, form = spec.build(io).double().eval(), spec.closed_form(io)
    assert form.parameters == sum(p.numel() for p in model.parameters())
    assert form.non_embedding_parameters == non_embedding_parameters(model, io.outputs)
    mode = FlopCounterMode(display=False)
    with mode, torch.no_grad():
        model(read_by(io, nodes=(io.length,), most=io.links // io.length))
    assert form.forward_flops_per_token * io.length == pytest.approx(mode.get_total_flops(), rel=1e-9)


@every_family
def test_a_size_is_the_same_model_on_any_data(family) -> None:
    others = [SMALL, SMALL.edit(nodes=0, edges=9, globals=4), SMALL.edit(of_nodes=11, of_edges=1, length=100, links=900)]
    assert len({family.at(4, Graphs).matched_parameters(io) for io in others}) == 1


@every_family
@every_io
def test_a_model_on_meta_has_the_names_and_shapes_of_one_on_cpu(family, io) -> None:
    spec = family.at(4, Graphs)
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in spec.build(io).state_dict().items()}
    assert shapes == {name: p.shape for name, p in spec.build(io).state_dict().items()}


@every_family
@every_io
def test_answers_are_of_what_is_asked_and_of_the_same_graph(family, io) -> None:
    kind = torch.float32 if not (io.nodes or io.edges) else torch.float64
    graph = read_by(io).to(kind)
    out = model_of(family, io).to(kind)(graph)
    assert out.wiring is graph.wiring
    for name, outputs in zip(FEATURES, (io.of_nodes, io.of_edges, io.of_graphs), strict=True):
        rows = {"nodes": graph.wiring.nodes, "edges": graph.wiring.edges, "globals": len(graph)}[name]
        found = getattr(out, name)
        assert (None if found is None else tuple(found.shape)) == ((rows, outputs) if outputs else None)


@every_family
def test_examples_do_not_mix(family) -> None:
    model, graph = model_of(family), read_by(SMALL, nodes=(4, 7, 1))
    assert apart(model(graph), batch([model(one) for one in graph])) < 1e-10


@every_family
def test_every_parameter_learns(family) -> None:
    model, graph = model_of(family).train(), read_by(SMALL, nodes=(7, 7, 7, 7))
    loss_of(model(graph), targets_of(SMALL, graph)).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]


@every_family
def test_the_same_seed_gives_the_same_model_and_another_seed_another(family) -> None:
    graph = read_by(SMALL)
    first, again, other = (model_of(family, seed=seed)(graph) for seed in (0, 0, 1))
    assert apart(first, again) == 0
    assert apart(first, other) > 1e-3


@every_family
def test_bf16_is_close_to_fp32(family) -> None:
    graph = read_by(SMALL).to(torch.float32)
    model = model_of(family, size=4).float()
    with torch.no_grad():
        exact = model(graph).nodes.log_softmax(-1)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(graph).nodes.float().log_softmax(-1)
    assert (exact - rough).abs().mean() < 0.02  # nats


@pytest.mark.parametrize("family", [f for f in FAMILIES if "messages" not in f.claims], ids=lambda f: f.__name__)
def test_it_learns_a_few_graphs(family) -> None:
    """Which nodes are above 0, and which edges come from one: what each family can say of graphs that it sees again and again."""
    io = Graphs(nodes=1, edges=0, globals=0, of_nodes=2, of_edges=2, length=8, links=16)
    graph = read_by(io, 0, (8, 5, 1) * 3, most=2)
    graph = graph.edit(nodes=graph.nodes.float())
    above = (graph.nodes[:, 0] > 0).long()
    torch.manual_seed(0)
    model = family.at(4, Graphs).build(io)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = loss_of(model(graph), {"nodes": above, "edges": above[graph.senders]})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@every_family
def test_a_graph_without_nodes_and_one_without_edges_are_answered(family) -> None:
    """Beside others, and alone; with gradients that are numbers."""
    for sizes, links in (((0, 2, 0), 3), ((0,), 0), ((1,), 0), ((), 0)):
        ends = torch.randint(max(1, sum(sizes)), (2, links), generator=torch.Generator().manual_seed(0))
        features = {"nodes": torch.randn(sum(sizes), 3).double(), "edges": torch.randn(links, 2).double()}
        graph = al.graph(*ends, sizes, [links if size else 0 for size in sizes], **features)
        model = model_of(family).train()
        said = model(graph)
        sum(getattr(said, name).sum() for name in FEATURES).backward()
        assert all(bool(getattr(said, name).isfinite().all()) for name in FEATURES)
        assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("family", [f for f in FAMILIES if "messages" in f.claims], ids=lambda f: f.__name__)
def test_it_learns_who_has_a_marked_neighbour(family) -> None:
    """A node is asked whether an edge comes to it from a marked node, at sizes it has not seen: messages have to arrive."""
    io = Graphs(nodes=1, edges=0, globals=0, of_nodes=2)

    def drawn(seed: int, sizes: tuple[int, ...]) -> tuple[al.Graph, Tensor]:
        graph = read_by(io, seed, sizes, most=1)
        marked = (graph.nodes > 0.5).float()
        heard = torch.zeros(len(marked)).index_add(0, graph.receivers, marked[graph.senders, 0])
        return graph.edit(nodes=marked), (heard > 0).long()

    torch.manual_seed(0)
    model = family.at(4, Graphs).build(io)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    while len(losses) < 24 or (len(losses) < 100 and losses[-1] > losses[0] / 12):
        graph, asked = drawn(len(losses), (3, 7, 14) * 4)
        loss = loss_of(model(graph), {"nodes": asked})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    if "any_length" in family.claims:
        graph, asked = drawn(1000, (30,) * 4)
        assert loss_of(model.eval()(graph), {"nodes": asked}).item() < losses[0] / 2


# Options of one family


@pytest.mark.parametrize("changes", [
    {"cores": "separate"}, {"reduce": "pna"}, {"reduce": "max"}, {"flow": "independent"}, {"decoded": "all"},
    {"flow": "local", "decoded": "all"}, {"flow": "message"}, {"answers": "every", "reduce": "softmax"},
    {"answers": "later"},
], ids=repr)  # fmt: skip
def test_the_options_of_the_graph_network(changes) -> None:
    """The formula holds for each, each can be written down, and steps may be others at the test."""
    flow = changes.get("flow")
    io = SMALL.edit(of_edges=0 if flow == "message" else 3, of_graphs=0 if flow == "local" else 2)
    spec = al.family("graph_network")(width=6, depth=3, steps=3, **changes)
    model, form = spec.build(io).double().eval(), spec.closed_form(io)
    assert form.parameters == sum(p.numel() for p in model.parameters())
    assert form.non_embedding_parameters == non_embedding_parameters(model, io.outputs)
    mode = FlopCounterMode(display=False)
    with mode, torch.no_grad():
        model(read_by(io, nodes=(7,)))
    assert form.forward_flops_per_token * io.length == pytest.approx(mode.get_total_flops(), rel=1e-9)
    graph = read_by(io)
    assert apart(model(graph), model(graph, steps=spec.steps)) == 0
    assert apart(model(graph), model(graph, steps=1)) > 1e-6
    said = model.train()(graph)
    if (answers := changes.get("answers")) is not None:
        assert len(said) == {"every": 3, "later": 2}[answers]
        assert apart(said[-1], model.eval()(graph)) <= 1e-12
    else:
        assert isinstance(said, al.Graph)


@pytest.mark.parametrize(
    "changes", [{"cores": "two"}, {"reduce": "median"}, {"flow": "back"}, {"answers": "none"}], ids=repr
)
def test_an_unknown_option_is_refused(changes) -> None:
    with pytest.raises(Refusal, match="is not known"):
        al.family("graph_network")(width=6, depth=3, **changes)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"steps": -3}, {"width": 0}, {"depth": 0}], ids=repr)
def test_a_network_of_nothing_is_refused_when_it_is_named(changes) -> None:
    with pytest.raises(Refusal, match=r"is no network\. Take at least 1"):
        al.family("graph_network")(**{"width": 6, "depth": 3} | changes)


@every_family
def test_another_width_than_the_model_was_built_for_is_refused(family) -> None:
    model, graph = model_of(family), read_by(SMALL, nodes=(7, 5))
    for other in (graph.edit(nodes=graph.nodes[:, 1:]), graph.to(torch.float32)):
        with pytest.raises(Refusal, match=r"was given|are torch\.float32"):
            model(other)

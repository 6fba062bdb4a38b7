"""Blocks put together: each composition is the loop that it says it is; steps, memory and rollouts are as promised."""

import copy

import pytest
import torch
from graph_samples import DOUBLE, apart, irregular, randomly
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import allometry as al
from allometry.flow import Graphs, Refusal
from allometry.graph import Wiring
from allometry.model.graph_network._beside import beside
from allometry.model.graph_network._reduce import Attention
from allometry.model.graph_network._update import Gru, Lstm, Mlp
from allometry.model.graph_network.encode_process_decode import FLOWS, perceptron
from allometry.model.graph_network.independent import Independent, IndependentRecurrent
from allometry.model.graph_network.recurrent import unrolled
from allometry.model.graph_network.rollout import rollout

seeds = st.integers(0, 10**6)
few = settings(max_examples=4, deadline=None)
FEATURES = ("nodes", "edges", "globals")
IO = Graphs(nodes=5, edges=3, globals=2, of_nodes=2, of_edges=3, of_graphs=4)
WIDTH = 6


def core(width: int = WIDTH, reads: int = 2, **more) -> al.GraphBlock:
    """A full block of `reads` graphs of a width side by side."""
    wide = reads * width
    widths = 4 * wide, width + 2 * wide, 2 * width + wide
    return al.GraphBlock(*(perceptron(width, 2, inputs) for inputs in widths), **more)


def encoder() -> Independent:
    return Independent(*(perceptron(WIDTH, 2, inputs) for inputs in (3, 5, 2)))


def seeded(make, seed: int = 0):
    torch.manual_seed(seed)
    return make().double()


def model_of(**more) -> al.EncodeProcessDecode:
    return seeded(lambda: al.EncodeProcessDecode.sized(IO, WIDTH, **more))


def total(*graphs: al.Graph) -> Tensor:
    """A number that depends on all that came out, and on each otherwise."""
    parts = [getattr(graph, name) for graph in graphs for name in FEATURES if getattr(graph, name) is not None]
    return sum((part * torch.linspace(1, 2, part.numel(), dtype=part.dtype).view_as(part)).sum() for part in parts)


# Without flow


@few
@given(seeds)
def test_independent_updates_are_those_of_each_element(seed) -> None:
    graph, block = randomly(seed), seeded(encoder)
    out = block(graph)
    for name, update in (("edges", block.edge), ("nodes", block.node), ("globals", block.globals)):
        rows = getattr(graph, name)
        x = update.others[0](update.first.linear(rows).relu()).relu()
        torch.testing.assert_close(getattr(out, name), update.norm(x), rtol=1e-12, atol=1e-12)
    assert Independent(node=block.node)(graph).edges is graph.edges


@pytest.mark.parametrize(("cell", "twin"), [(Gru, nn.GRUCell), (Lstm, nn.LSTMCell)])
def test_the_independent_recurrent_block_is_a_cell_of_torch_for_each_element(cell, twin) -> None:
    graphs, shapes = [irregular(seed=seed) for seed in range(3)], {"edges": 3, "nodes": 5, "globals": 2}
    block = seeded(lambda: IndependentRecurrent(*(cell(4, inputs) for inputs in shapes.values())))
    hidden, said = None, []
    for graph in graphs:
        out, hidden = block(graph, hidden)
        said.append(out)
        assert apart(block.shown(hidden), out) == 0
    for name, inputs in shapes.items():
        own, known = block.cells[f"of_{name}"], twin(inputs, 4).double()
        weights = own.into.linear.weight, own.hidden.weight, own.into.linear.bias, own.hidden.bias
        for parameter, weight in zip(known.parameters(), weights, strict=True):
            parameter.data = weight.detach()
        state = None
        for graph, out in zip(graphs, said, strict=True):
            state = known(getattr(graph, name), state)
            shown = state[0] if cell is Lstm else state
            torch.testing.assert_close(getattr(out, name), shown, rtol=1e-12, atol=1e-12)
    with pytest.raises(Refusal, match="reads globals, and the graph has none"):
        block(irregular(whole=0))
    with pytest.raises(Refusal, match="cell of nodes is Mlp, which has no state"):
        IndependentRecurrent(node=Mlp([4]))


# Stacks


@few
@given(seeds, st.integers(1, 5))
def test_a_stack_is_its_cores_after_one_another(seed, steps) -> None:
    graph = seeded(encoder)(randomly(seed))
    one, other = seeded(lambda: core(reads=1)), seeded(lambda: core(reads=1), 1)
    shared, separate, wanted, turns = al.GraphStack(one, steps), al.GraphStack([one, other]), graph, graph
    for step in range(steps):
        wanted, turns = one(wanted), (one, other)[step % 2](turns)
    assert apart(shared(graph), wanted) == 0
    assert apart(separate(graph, steps=steps), turns) == 0
    assert apart(separate(graph), other(one(graph))) == 0
    assert sum(1 for _ in shared.each(graph)) == steps
    shared.steps = steps + 1
    assert apart(shared(graph), one(wanted)) == 0
    assert len(list(shared.parameters())) == len(list(one.parameters()))


def test_with_skip_each_core_reads_the_first_graph_too() -> None:
    graph, block = seeded(encoder)(irregular()), seeded(core)
    wanted = block(beside(graph, block(beside(graph, block(beside(graph, graph))))))
    assert apart(al.GraphStack(block, 3, skip=True)(graph), wanted) == 0
    edges_stay = al.GraphStack(al.GraphBlock(node=Mlp([WIDTH])).double(), 3, skip=True)(graph)
    assert edges_stay.edges is graph.edges
    with pytest.raises(Refusal, match="9 nodes cannot stand beside one of 3"):
        beside(graph, al.graph([], [], 3))


def test_what_a_public_part_asks_for_is_public() -> None:
    """A recurrent network is built, run along graphs and rolled out with public names alone, and batches are joined."""
    gn, whole = al.graph_networks, irregular()
    gate = gn.IndependentRecurrent(gn.Gru(3), gn.Gru(4), gn.Gru(2))
    network = al.RecurrentGraphNetwork(
        gn.independent(gn.Mlp([3]), gn.Mlp([4]), gn.Mlp([2])), gn.full(gn.Mlp([3]), gn.Mlp([4]), gn.Mlp([2])),
        gn.independent(gn.Mlp([3]), gn.Mlp([5]), gn.Mlp([2])), gate,
    ).double()  # fmt: skip
    answers, hidden = gn.unrolled(network, [whole, whole])
    assert apart(answers[1], network(whole, network(whole)[1])[0]) == 0
    assert hidden.nodes.shape == (9, 4)
    states, _ = gn.rollout(
        lambda graph: network(graph)[0], whole, 2, lambda graph, answer, step: graph.edit(nodes=answer.nodes)
    )
    assert len(states) == 3
    assert isinstance(gn.gat(4).received, gn.Attention)
    assert apart(al.batch(list(whole)), whole) == 0


def test_graphs_that_are_joined_otherwise_cannot_stand_side_by_side() -> None:
    """As many nodes and edges are not the same ones; the same wiring made twice is."""
    graph = irregular()
    turned = al.graph(graph.receivers, graph.senders, graph.n_node, graph.n_edge, nodes=graph.nodes)
    moved = al.graph([0, 2, 0, 1, 6, 8, 5, 8, 7], [1, 1, 1, 1, 7, 5, 8, 6, 6], [4, 1, 0, 4], [4, 0, 0, 5], nodes=graph.nodes)
    for other in (turned, moved):
        assert not graph.wiring.same(other.wiring)
        with pytest.raises(Refusal, match="joined otherwise"):
            beside(graph, other)
    assert graph.wiring.same(irregular(seed=1).wiring)
    assert beside(graph, irregular(seed=1)).wiring is graph.wiring
    ends = torch.zeros(1, dtype=torch.int64)
    assert not Wiring(ends, ends, ends, ends).same(Wiring(*[ends.to("meta")] * 4))


def held_by(forward) -> tuple[Tensor, int]:
    """A loss, and the bytes that are still held for its backward pass, itself included."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        loss = forward()
    return loss, sum(event.nbytes() for event in profile.kineto_results.events() if event.name() == "[memory]")


@pytest.mark.parametrize("cores", [1, 10])
def test_checkpointing_gives_the_same_gradients_in_less_memory(cores) -> None:
    draw = torch.Generator().manual_seed(0)
    ends = torch.randint(500, (2, 3000), generator=draw)
    features = {name: torch.randn(rows, 16, generator=draw) for name, rows in zip(FEATURES, (500, 3000, 1), strict=True)}
    graph = al.graph(*ends, 500, **features)
    graph.wiring.received.rows.sum()  # sorted before, not while it is measured
    graph.wiring.sent.rows.sum()
    model = al.EncodeProcessDecode.sized(Graphs(nodes=16, edges=16, globals=16, of_nodes=2, of_edges=2), cores=cores)
    gradients, held = [], []
    for keeps in (False, True):
        model.process.checkpoint = keeps
        loss, bytes_held = held_by(lambda: total(model.train()(graph)))
        held.append(bytes_held)
        gradients.append(torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True, allow_unused=True))
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
    assert held[1] < held[0] / 2.5  # what is kept of each step is one graph; encoder and decoder keep all


# Encode, process, decode


@pytest.mark.parametrize("cores", [1, 2])
@few
@given(seeds)
def test_encode_process_decode_is_its_loop(cores, seed) -> None:
    graph, model = randomly(seed), model_of(cores=cores, steps=4, every_step=True)
    first = last = model.encoder(graph)
    wanted = []
    for step in range(4):
        last = model.process.cores[step % cores](beside(first, last))
        decoded = model.decoder(last)
        wanted.append(decoded.edit(**{name: model.outputs[f"of_{name}"](getattr(decoded, name)) for name in FEATURES}))
    said = model.train()(graph)
    model.answered = 3
    assert [apart(one, other) <= 1e-12 for one, other in zip(model(graph), wanted[2:], strict=True)] == [True] * 2
    assert max(apart(one, other) for one, other in zip(said, wanted, strict=True)) <= 1e-12  # decoded at once
    model.eval()
    assert apart(model(graph), wanted[-1]) == 0
    assert apart(model(graph, steps=2), wanted[1]) == 0
    model.steps = 3
    assert (apart(model(graph), wanted[2]), model.steps) == (0, 3)
    model.every_step = False
    assert apart(model.train()(graph), wanted[2]) == 0


def test_weights_start_as_those_of_the_demos_do() -> None:
    """A normal distribution of variance 1 / inputs without what lies beyond two deviations, which leaves 0.88 of the deviation."""
    model = seeded(lambda: al.EncodeProcessDecode.sized(IO, 64, start="sonnet"))
    for layer in (layer for layer in model.modules() if isinstance(layer, nn.Linear)):
        scaled = layer.weight * layer.in_features**0.5
        assert scaled.abs().max() <= 2 + 1e-6
        assert abs(scaled.std() / 0.88 - 1) < 4 / scaled.numel() ** 0.5
        assert not layer.bias.any()


@pytest.mark.parametrize("missing", [("nodes",), ("edges",), ("globals",), FEATURES])
def test_what_a_graph_lacks_is_read_as_a_single_1(missing) -> None:
    io = IO.edit(**dict.fromkeys(missing, 0))
    model = seeded(lambda: al.EncodeProcessDecode.sized(io, WIDTH))
    graph = irregular()
    rows = {name: torch.ones(len(getattr(graph, name)), 1, dtype=DOUBLE) for name in missing}
    lacking = graph.edit(**dict.fromkeys(missing))
    if missing == FEATURES:
        model.float()
        rows = {name: value.float() for name, value in rows.items()}
    out = model(lacking)
    assert [out.nodes.shape, out.edges.shape, out.globals.shape] == [(9, 2), (9, 3), (4, 4)]
    assert apart(out, model(graph.edit(**rows))) == 0


@pytest.mark.parametrize(("n_node", "n_edge"), [([], []), ([0], [0]), ([3, 0], [0, 0]), ([0, 0, 1], [0, 0, 2])])
def test_graphs_of_nothing(n_node, n_edge) -> None:
    ends = torch.zeros(sum(n_edge), dtype=torch.int64)
    rows = {"nodes": (sum(n_node), 5), "edges": (sum(n_edge), 3), "globals": (len(n_node), 2)}
    graph = al.graph(ends, ends, n_node, n_edge, **{name: torch.ones(shape) for name, shape in rows.items()})
    for reduce in ("sum", "max", "pna"):
        model = al.EncodeProcessDecode.sized(IO, WIDTH, reduce=reduce, steps=3)
        out = model(graph)
        assert [len(getattr(out, name)) for name in FEATURES] == [rows[name][0] for name in FEATURES]
        total(out).backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())


def test_each_flow_is_what_it_says() -> None:
    """Who reads whom, in one step: which input moves which answer."""
    graph = irregular()
    wanted = {  # by answer: nodes, edges, globals; edges are updated first, then nodes, then globals
        "full": ({"nodes", "edges", "globals"}, {"nodes", "edges", "globals"}, {"nodes", "edges", "globals"}),
        "local": ({"nodes", "edges"}, {"nodes", "edges"}, None),
        "message": ({"nodes", "edges", "globals"}, None, {"nodes", "edges", "globals"}),
        "independent": ({"nodes", "edges", "globals"}, {"edges", "globals"}, {"nodes", "edges", "globals"}),
    }
    assert wanted.keys() == FLOWS.keys()
    for flow, reaches in wanted.items():
        asked = {f"of_{name}": 0 if reach is None else 2 for name, reach in zip(("nodes", "edges", "graphs"), reaches)}  # noqa: B905
        model = seeded(
            lambda flow=flow, asked=asked: al.EncodeProcessDecode.sized(IO.edit(**asked), WIDTH, flow=flow, steps=1)
        )
        leaves = {name: getattr(graph, name).clone().requires_grad_() for name in FEATURES}
        out = model(graph.edit(**leaves))
        for name, reach in zip(FEATURES, reaches, strict=True):
            if reach is None:
                assert getattr(out, name) is None
                continue
            answer = getattr(out, name).square().sum()
            gradients = torch.autograd.grad(answer, list(leaves.values()), retain_graph=True, allow_unused=True)
            assert {n for n, g in zip(leaves, gradients, strict=True) if g is not None and g.abs().max() > 0} == reach, flow


def test_faults_are_named() -> None:
    with pytest.raises(Refusal, match="'local' has no globals, and they are asked"):
        model_of(flow="local")
    with pytest.raises(Refusal, match="edges are asked"):
        model_of(flow="message")
    with pytest.raises(Refusal, match="flow='round' is not known"):
        model_of(flow="round")
    with pytest.raises(Refusal, match="decoded='some' is not known"):
        model_of(decoded="some")
    with pytest.raises(Refusal, match="Outputs of graphs were asked"):
        al.EncodeProcessDecode(encoder(), core(), encoder(), {"graphs": nn.Identity()})
    with pytest.raises(Refusal, match="0 steps"):
        model_of()(irregular(), steps=0)
    for steps in (0, -3):
        with pytest.raises(Refusal, match=f"{steps} steps"):
            model_of(steps=steps)
        with pytest.raises(Refusal, match=f"{steps} steps"):
            al.GraphStack(core(), steps)
    with pytest.raises(Refusal, match="answered=-1 is no step"):
        model_of(answered=-1)
    with pytest.raises(Refusal, match="no core"):
        al.GraphStack([])


# Recurrent networks and rollouts


def network(gate: type | None, substeps: int = 1) -> al.RecurrentGraphNetwork:
    cells = gate and (lambda: IndependentRecurrent(*(gate(WIDTH, WIDTH) for _ in range(3))))
    decoder = lambda: Independent(*(Mlp([2], WIDTH) for _ in range(3)))  # noqa: E731
    return seeded(lambda: al.RecurrentGraphNetwork(encoder(), core(), decoder(), cells and cells(), substeps=substeps))


@pytest.mark.parametrize("gate", [None, Gru, Lstm])
def test_a_recurrent_network_is_its_equations(gate) -> None:
    model, graphs = network(gate, substeps=2), [irregular(seed=seed) for seed in range(3)]
    answers, hidden = unrolled(model, graphs)
    zeros = {
        name: torch.zeros(len(getattr(graphs[0], name)), WIDTH * (2 if gate is Lstm else 1), dtype=DOUBLE)
        for name in FEATURES
    }
    state = graphs[0].edit(**zeros)
    for graph, said in zip(graphs, answers, strict=True):
        encoded = model.encoder(graph)
        shown = state.edit(**{name: getattr(state, name)[:, :WIDTH] for name in FEATURES})
        proposed = model.process.cores[0](beside(encoded, model.process.cores[0](beside(encoded, shown))))
        if gate is None:
            state = shown = proposed
        else:
            shown, state = model.gate(proposed, state)
        assert apart(said, model.decoder(shown)) == 0
    assert apart(hidden, state) == 0
    again, middle = unrolled(model, graphs[:1])  # what is carried is all that the past matters by
    rest, end = unrolled(model, graphs[1:], middle)
    assert [apart(one, other) for one, other in zip(answers, again + rest, strict=True)] == [0.0] * 3
    assert apart(hidden, end) == 0
    total(*answers).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    with pytest.raises(Refusal, match="no graphs"):
        unrolled(model, [])


def test_the_past_is_remembered_and_the_future_not_known() -> None:
    model, graphs = network(Gru), [irregular(seed=seed) for seed in range(3)]
    answers, _ = unrolled(model, graphs)
    other, _ = unrolled(model, [graphs[0], irregular(seed=9), graphs[2]])
    assert [apart(one, two) > 1e-9 for one, two in zip(answers, other, strict=True)] == [False, True, True]


def test_encode_process_decode_is_a_recurrent_network_that_reads_one_graph() -> None:
    graph, model = irregular(), model_of(steps=5, every_step=True)
    recurrent = al.RecurrentGraphNetwork(model.encoder, model.process.cores[0], model.decoder)
    said, _ = unrolled(recurrent, [graph] * 5, model.encoder(graph))
    for step, wanted in enumerate(model.train()(graph)):
        answer = {name: model.outputs[f"of_{name}"](getattr(said[step], name)) for name in FEATURES}
        assert apart(graph.edit(**answer), wanted) <= 1e-12


def test_a_rollout_feeds_answers_back_and_may_change_globals() -> None:
    """A point that falls under a force that is another at each step, whose places are known."""

    class Velocity(nn.Module):
        def forward(self, graph: al.Graph) -> al.Graph:
            pull = graph.globals[graph.wiring.nodes_of.index]
            return graph.edit(nodes=graph.nodes[:, 1:] + pull)

    forces = torch.tensor([[1.0], [-2.0], [4.0], [0.0]], dtype=DOUBLE)
    start = al.graph([], [], 2, nodes=torch.zeros(2, 2, dtype=DOUBLE), globals=forces[:1])
    start.nodes.requires_grad_()

    def advance(graph: al.Graph, answer: al.Graph, step: int) -> al.Graph:
        moved = graph.nodes[:, :1] + answer.nodes
        return graph.edit(nodes=torch.cat([moved, answer.nodes], 1), globals=forces[step + 1 : step + 2])

    states, answers = rollout(Velocity(), start, 3, advance)
    velocities = forces[:3].cumsum(0)
    assert [one.nodes[0].tolist() for one in answers] == velocities.tolist()
    assert [one.nodes[1, 0].item() for one in states] == [0.0, *velocities.cumsum(0)[:, 0].tolist()]
    (slope,) = torch.autograd.grad(states[-1].nodes[0, 0], start.nodes)  # x_3 = x_0 + 3 v_0 + ...
    assert slope.tolist() == [[1.0, 3.0], [0.0, 0.0]]
    with pytest.raises(Refusal, match="0 steps"):
        rollout(Velocity(), start, 0, advance)


# Attention


class Heads(nn.Module):
    """From [receiver, sender]: logits q.k / sqrt(d) and values v of each head, by the weights of torch's layer."""

    def __init__(self, twin: nn.MultiheadAttention) -> None:
        super().__init__()
        self.twin = twin

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        receiver, sender = x.chunk(2, -1)
        (q, k, v), biases = self.twin.in_proj_weight.chunk(3), self.twin.in_proj_bias.chunk(3)
        parts = [
            nn.functional.linear(*of) for of in ((receiver, q, biases[0]), (sender, k, biases[1]), (sender, v, biases[2]))
        ]
        query, key, value = (part.unflatten(-1, (self.twin.num_heads, -1)) for part in parts)
        return (query * key).sum(-1) / query.shape[-1] ** 0.5, value


def complete(sizes: list[int], channels: int) -> al.Graph:
    """Every node sends to every node of its graph, itself included."""
    pairs, first = [], 0
    for size in sizes:
        pairs.append(first + torch.cartesian_prod(torch.arange(size), torch.arange(size)).view(-1, 2))
        first += size
    senders, receivers = torch.cat(pairs).T
    nodes = torch.randn(sum(sizes), channels, dtype=DOUBLE)
    return al.graph(senders, receivers, sizes, [size * size for size in sizes], nodes=nodes)


def test_attention_on_a_complete_graph_is_the_layer_of_torch() -> None:
    """Values and all gradients, heads and projections included, for graphs of several sizes in one batch."""
    torch.manual_seed(0)
    twin = nn.MultiheadAttention(12, 3, batch_first=True).double()
    nn.init.normal_(twin.in_proj_bias)
    graph = complete([5, 1, 0, 7], 12)
    block = al.GraphBlock(
        node=copy.deepcopy(twin.out_proj), message=Heads(copy.deepcopy(twin)), message_reads=("receivers", "senders"),
        node_reads=("received",), received=Attention(),
    )  # fmt: skip
    ours, theirs = graph.nodes.clone().requires_grad_(), graph.nodes.clone().requires_grad_()
    said = block(graph.edit(nodes=ours)).nodes
    rows = [part[None] for part in theirs.split(graph.n_node.tolist()) if len(part)]
    wanted = torch.cat([twin(part, part, part, need_weights=False)[0][0] for part in rows])
    assert (said - wanted).abs().max() <= 1e-12
    seed = torch.randn_like(said)
    mine = torch.autograd.grad(
        (said * seed).sum(), [ours, block.message.module.twin.in_proj_weight, block.node.module.weight]
    )
    known = torch.autograd.grad((wanted * seed).sum(), [theirs, twin.in_proj_weight, twin.out_proj.weight])
    for one, other in zip(mine, known, strict=True):
        assert (one - other).abs().max() <= 1e-12

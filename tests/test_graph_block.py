"""The block is Algorithm 1, written as loops; it is what jraph and MetaLayer give (tests/oracles); and its symmetries hold."""

import copy

import pytest
import torch
from graph_samples import DOUBLE, apart, irregular, randomly
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import allometry as al
from allometry.flow import Refusal
from allometry.graph import batch
from allometry.model.graph_network._block import READS
from allometry.model.graph_network._projection import Input, Projection
from allometry.model.graph_network._reduce import REDUCERS, Attention, PrincipalNeighbourhood
from allometry.model.graph_network._sum import summed
from allometry.model.graph_network._update import Gru, Lstm, Mlp, Update

seeds = st.integers(0, 10**6)
few = settings(max_examples=10, deadline=None)


class Flat(nn.Module):
    """An update as any user's module: of all that it reads as one tensor."""

    def __init__(self, mlp: Mlp) -> None:
        super().__init__()
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        return literal(self.mlp, x)


def literal(update: Mlp, x: Tensor) -> Tensor:
    """An MLP of a concatenation."""
    x = nn.functional.linear(x, update.first.linear.weight, update.first.linear.bias)
    for layer in update.others:
        x = layer(x.relu())
    return update.norm(x.relu() if update.last else x)


def deviation(rows: Tensor) -> Tensor:
    """Of one row it is 0, and so is its derivative, which the square root has not."""
    variance = (rows - rows.mean(0)).square().mean(0)
    return torch.where(variance > 0, variance, 1).sqrt() * (variance > 0)


def full(reduce: str = "sum", seed: int = 0, **more) -> al.GraphBlock:
    torch.manual_seed(seed)
    updates = Mlp([8, 6], norm=True, last=True), Mlp([7, 4]), Mlp([5])
    block = al.GraphBlock(*updates, received=reduce, sent=reduce, of_edges=reduce, of_nodes=reduce, **more).double()
    block(irregular())
    return block


def algorithm_1(block: al.GraphBlock, graph: al.Graph, reduce: str, sent: bool = False) -> al.Graph:
    """As in the paper: a loop over edges, one over nodes, one over graphs; arguments side by side in its order."""

    def by(rows: list[Tensor], width: int) -> Tensor:
        some = torch.stack(rows) if rows else torch.zeros(0, width, dtype=DOUBLE)
        if not rows:
            return torch.zeros(width, dtype=DOUBLE)
        return {
            "sum": lambda: some.sum(0), "mean": lambda: some.mean(0), "max": lambda: some.amax(0), "min": lambda: some.amin(0),
            "std": lambda: deviation(some),
            "softmax": lambda: (some.softmax(0) * some).sum(0),
        }[reduce]()  # fmt: skip

    node_of = [g for g, size in enumerate(graph.n_node.tolist()) for _ in range(size)]
    edge_of = [g for g, size in enumerate(graph.n_edge.tolist()) for _ in range(size)]
    v, e, u = graph.nodes, graph.edges, graph.globals
    pairs = list(zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True))
    edges = [literal(block.edge, torch.cat([e[k], v[r], v[s], u[edge_of[k]]])) for k, (r, s) in enumerate(pairs)]
    nodes = []
    for i in range(len(v)):
        reads = [by([edges[k] for k, (r, _) in enumerate(pairs) if r == i], 6)]
        if sent:
            reads.append(by([edges[k] for k, (_, s) in enumerate(pairs) if s == i], 6))
        nodes.append(literal(block.node, torch.cat([*reads, v[i], u[node_of[i]]])))
    whole = []
    for g in range(len(graph)):
        of_edges = by([edges[k] for k in range(len(edges)) if edge_of[k] == g], 6)
        of_nodes = by([nodes[i] for i in range(len(nodes)) if node_of[i] == g], 4)
        whole.append(literal(block.globals, torch.cat([of_edges, of_nodes, u[g]])))

    def rows(some: list[Tensor], width: int) -> Tensor:
        return torch.stack(some) if some else torch.zeros(0, width, dtype=DOUBLE)

    return graph.edit(edges=rows(edges, 6), nodes=rows(nodes, 4), globals=rows(whole, 5))


def total(graph: al.Graph) -> Tensor:
    """A number that depends on all that came out, and on each otherwise."""
    return sum((part * torch.linspace(1, 2, part.numel(), dtype=part.dtype).view_as(part)).sum() for part in
               (graph.nodes, graph.edges, graph.globals))  # fmt: skip


@pytest.mark.parametrize("reduce", REDUCERS)
@pytest.mark.parametrize("sent", [False, True])
def test_the_block_is_algorithm_1(reduce, sent) -> None:
    """With an empty graph, a node alone and parallel edges: values and gradients of weights and inputs, 1e-12."""
    graph = irregular()
    torch.manual_seed(0)
    reads = READS["node"] if sent else ("received", "nodes", "globals")
    block = al.GraphBlock(
        Mlp([8, 6], norm=True, last=True), Mlp([7, 4]), Mlp([5]), node_reads=reads,
        received=reduce, sent=reduce, of_edges=reduce, of_nodes=reduce,
    ).double()  # fmt: skip
    block(graph)
    leaves = [part.requires_grad_() for part in (graph.nodes, graph.edges, graph.globals)]
    ours, wanted = block(graph), algorithm_1(block, graph, reduce, sent)
    assert apart(ours, wanted) < 1e-12
    leaves += block.parameters()
    for mine, theirs in zip(*(torch.autograd.grad(total(out), leaves) for out in (ours, wanted)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("reduce", REDUCERS)
def test_a_force_is_the_gradient_of_an_energy_and_can_be_trained(reduce) -> None:
    """Second derivatives in weights and inputs are those of Algorithm 1."""
    graph, found = irregular(), []
    block = full(reduce, edge_reads=("edges", "receivers", "senders", "globals"))
    graph.nodes.requires_grad_()
    weights = [graph.nodes, *block.parameters()]
    for energy in (total(block(graph)), total(algorithm_1(block, graph, reduce))):
        (force,) = torch.autograd.grad(energy, graph.nodes, create_graph=True)
        found.append((force.detach(), *torch.autograd.grad(force.square().sum(), weights, materialize_grads=True)))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@few
@given(seeds)
def test_any_graph_is_algorithm_1(seed) -> None:
    graph = randomly(seed)
    block = full()
    assert apart(block(graph), algorithm_1(block, graph, "sum")) < 1e-12


def test_a_module_of_the_users_gets_the_same_side_by_side() -> None:
    block = full()
    twin = al.GraphBlock(*(Flat(copy.deepcopy(one)) for one in (block.edge, block.node, block.globals)))
    assert apart(block(irregular()), twin(irregular())) < 1e-12


def test_a_census_finds_each_activation_in_its_own_network() -> None:
    """One number for each number that an update makes before it; none is counted at another update."""
    graph, block = irregular(), full()
    found = al.census(block, (graph,)).modules
    shaping = {path: count for path, count in zip(found["module"], found["shaping"], strict=True) if "activation" in path}
    edges, nodes = graph.wiring.edges, graph.wiring.nodes  # of 8 and 6 channels, the last layer's too; of 7; none
    assert shaping == {"edge.activation": edges * (8 + 6), "node.activation": nodes * 7}


def test_a_projection_of_maps_is_one_of_their_places() -> None:
    """Attributes with an axis more: each place has the block of its own."""
    graph = irregular()
    maps = graph.edit(**{name: getattr(graph, name)[:, None].expand(-1, 2, -1) * torch.tensor([[1.0], [2.0]])
                         for name in ("nodes", "edges", "globals")})  # fmt: skip
    block = full(reduce="max")
    both = block(maps)
    for place in range(2):
        alone = block(graph.edit(**{name: getattr(maps, name)[:, place] for name in ("nodes", "edges", "globals")}))
        assert (
            apart(alone, both.edit(**{name: getattr(both, name)[:, place] for name in ("nodes", "edges", "globals")}))
            < 1e-12
        )


def permuted_nodes(graph: al.Graph, draw: torch.Generator) -> tuple[al.Graph, Tensor]:
    """The nodes of each graph in another order: new node i was node order[i]."""
    firsts = (graph.n_node.cumsum(0) - graph.n_node).tolist()
    order = [first + torch.randperm(size, generator=draw) for first, size in zip(firsts, graph.n_node.tolist(), strict=True)]
    order = torch.cat(order)
    place = order.argsort()
    other = al.graph(
        place[graph.senders], place[graph.receivers], graph.n_node, graph.n_edge,
        nodes=graph.nodes[order], edges=graph.edges, globals=graph.globals,
    )  # fmt: skip
    return other, order


@pytest.mark.parametrize("reduce", REDUCERS)
@few
@given(seeds)
def test_the_order_of_nodes_does_not_matter(reduce, seed) -> None:
    graph = randomly(seed)
    other, order = permuted_nodes(graph, torch.Generator().manual_seed(seed))
    block = full(reduce)
    one, two = block(graph), block(other)
    assert apart(one.edit(nodes=one.nodes[order]), two.edit()) < 1e-12


@pytest.mark.parametrize("reduce", REDUCERS)
@few
@given(seeds)
def test_the_order_of_edges_does_not_matter(reduce, seed) -> None:
    graph = randomly(seed)
    draw = torch.Generator().manual_seed(seed)
    firsts = (graph.n_edge.cumsum(0) - graph.n_edge).tolist()
    order = torch.cat(
        [first + torch.randperm(size, generator=draw) for first, size in zip(firsts, graph.n_edge.tolist(), strict=True)]
    )
    other = al.graph(
        graph.senders[order], graph.receivers[order], graph.n_node, graph.n_edge,
        nodes=graph.nodes, edges=graph.edges[order], globals=graph.globals,
    )  # fmt: skip
    block = full(reduce)
    one, two = block(graph), block(other)
    assert apart(one.edit(edges=one.edges[order]), two) < 1e-12


@few
@given(seeds)
def test_with_max_the_order_does_not_matter_by_a_bit(seed) -> None:
    """Rows that are not mixed: what max does with them is exact. (A product of matrices may round rows by their place.)"""
    graph = randomly(seed)
    other, order = permuted_nodes(graph, torch.Generator().manual_seed(seed))
    block = al.GraphBlock(node=nn.Identity(), message=nn.Identity(), received="max", message_reads=("edges", "senders"))
    assert torch.equal(block(graph).nodes[order], block(other).nodes)


@pytest.mark.parametrize("reduce", REDUCERS)
@few
@given(seeds)
def test_a_batch_is_a_loop_over_its_graphs_in_any_order(reduce, seed) -> None:
    graph = randomly(seed)
    block = full(reduce)
    assert apart(block(graph), batch([block(one) for one in graph])) < 1e-12
    backwards = batch([graph[g] for g in reversed(range(len(graph)))])
    out = block(backwards)
    assert apart(block(graph), batch([out[g] for g in reversed(range(len(graph)))])) < 1e-12


@pytest.mark.parametrize("reduce", REDUCERS)
@few
@given(seeds, seeds)
def test_a_padding_graph_changes_nothing(reduce, seed, other) -> None:
    graph, padding = randomly(seed), randomly(other)
    padding = padding.edit(
        nodes=padding.nodes * torch.nan, edges=padding.edges * torch.nan, globals=padding.globals * torch.nan
    )
    block = full(reduce)
    assert apart(block(graph), block(batch([graph, padding]))[: len(graph)]) < 1e-12


def wired(length: int) -> al.Graph:
    """A chain 0 -> 1 -> 2 ..., of one graph."""
    nodes = torch.randn(length, 5, dtype=DOUBLE)
    edges, whole = torch.randn(length - 1, 3, dtype=DOUBLE), torch.randn(1, 2, dtype=DOUBLE)
    return al.graph(range(length - 1), range(1, length), length, nodes=nodes, edges=edges, globals=whole)


@pytest.mark.parametrize("reduce", REDUCERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_without_globals_a_node_sees_as_far_as_there_are_steps(reduce, steps) -> None:
    graph = wired(6)
    torch.manual_seed(0)
    local = {"edge_reads": ("edges", "receivers", "senders"), "node_reads": ("received", "nodes")}
    blocks = nn.Sequential(
        *(al.GraphBlock(Mlp([8, 4]), Mlp([7, 4]), received=reduce, **local) for _ in range(steps))
    ).double()
    blocks(graph)
    jacobian = torch.autograd.functional.jacobian(lambda x: blocks(graph.edit(nodes=x)).nodes, graph.nodes)
    sees = jacobian.abs().amax((1, 3)) > 0
    distance = torch.arange(6)[:, None] - torch.arange(6)
    assert torch.equal(sees, (distance >= 0) & (distance <= steps) & ~((reduce == "std") & (distance > 0)))


def test_with_globals_all_is_seen_after_two_blocks() -> None:
    graph = wired(6)
    one, two = full(), al.GraphBlock(Mlp([4]), Mlp([4]), Mlp([4])).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: two(one(graph.edit(nodes=x))).nodes, graph.nodes)
    assert (jacobian.abs().amax((1, 3)) > 0).all()


@few
@given(seeds)
def test_turning_all_edges_round_and_the_roles_too_is_nothing(seed) -> None:
    graph = randomly(seed)
    torch.manual_seed(0)
    block = al.GraphBlock(Mlp([6]), Mlp([4]), edge_reads=("receivers",), node_reads=("received", "nodes")).double()
    turned = al.GraphBlock(block.edge, block.node, edge_reads=("senders",), node_reads=("sent", "nodes"))
    other = al.graph(graph.receivers, graph.senders, graph.n_node, graph.n_edge, nodes=graph.nodes, edges=graph.edges)
    assert apart(block(graph.edit(globals=None)), turned(other)) < 1e-12


@few
@given(seeds)
def test_every_edge_twice_doubles_sums_and_leaves_means_and_extremes(seed) -> None:
    graph = randomly(seed)
    twice = batch([
        al.graph(one.senders.repeat(2), one.receivers.repeat(2), one.n_node, one.n_edge * 2,
                 nodes=one.nodes, edges=one.edges.repeat(2, 1), globals=one.globals)
        for one in graph
    ])  # fmt: skip
    for reduce in REDUCERS:
        block = al.GraphBlock(node=nn.Identity(), node_reads=("received",), received=reduce)
        one, two = block(graph).nodes, block(twice).nodes
        torch.testing.assert_close(
            two, one * (2 if reduce == "sum" else 1), rtol=1e-12, atol=1e-9 if reduce == "std" else 1e-12
        )
        if reduce in ("max", "min"):
            assert torch.equal(one, two)


FLAGS = [(update, name) for update, names in READS.items() for name in names]


@pytest.mark.parametrize(("update", "unread"), FLAGS)
def test_what_is_not_read_has_no_gradient(update, unread) -> None:
    """One update that reads all but one thing; that thing reaches it by no other way, as the rest are identities of nothing."""
    graph = irregular()
    leaves = {name: getattr(graph, name).requires_grad_() for name in ("nodes", "edges", "globals")}
    reads = tuple(name for name in READS[update] if name != unread)
    rows = {"before": "edges", "received": "edges", "sent": "edges", "receivers": "nodes", "senders": "nodes"}
    torch.manual_seed(0)
    asked = {update: Mlp([4]), f"{update}_reads": reads}
    if update == "message":
        asked |= {"node": nn.Identity(), "node_reads": ("received",)}
    out = al.GraphBlock(**asked).double()(graph)
    answer = {"edge": out.edges, "message": out.nodes, "node": out.nodes, "globals": out.globals}[update]
    gradients = torch.autograd.grad(answer.square().sum(), list(leaves.values()), allow_unused=True)
    found = {
        name for name, gradient in zip(leaves, gradients, strict=True) if gradient is not None and gradient.abs().max() > 0
    }
    assert found == {rows.get(name, name) for name in reads}


def test_a_message_is_apart_from_the_state_of_its_edge() -> None:
    graph = irregular()
    torch.manual_seed(0)
    block = al.GraphBlock(Mlp([6]), Mlp([4]), Mlp([5]), message=Mlp([9]), message_reads=("edges", "senders")).double()
    out = block(graph)
    assert [out.edges.shape[1], out.nodes.shape[1]] == [6, 4]
    message = literal(block.message, torch.cat([out.edges, graph.nodes[graph.senders]], 1))
    heard = torch.zeros(9, 9, dtype=DOUBLE).index_add(0, graph.receivers, message)
    whole = graph.globals[graph.wiring.nodes_of.index]
    torch.testing.assert_close(out.nodes, literal(block.node, torch.cat([heard, graph.nodes, whole], 1)))


def test_an_update_for_each_type() -> None:
    graph = irregular(typed=True)
    torch.manual_seed(0)
    block = al.GraphBlock([Mlp([6]), Mlp([7, 6])], [Mlp([4]), Mlp([4])], Mlp([5])).double()
    out = block(graph)
    for kind in range(2):
        alone = al.GraphBlock(block.edge.each[kind])(graph).edges
        of = graph.edge_types == kind
        torch.testing.assert_close(out.edges[of], alone[of])
        after = graph.edit(edges=out.edges)
        of = graph.node_types == kind
        torch.testing.assert_close(out.nodes[of], al.GraphBlock(node=block.node.each[kind])(after).nodes[of])
    assert all(p.grad is not None for p in _backward(out, block))
    with pytest.raises(Refusal, match="no edge_types"):
        block(irregular())
    with pytest.raises(Refusal, match="0 to 2, and there are 2 updates"):
        block(graph.edit(edge_types=torch.tensor([0, 1, 2, 0, 0, 0, 0, 0, 0])))


def test_a_message_of_several_tensors_may_be_another_for_each_type() -> None:
    """Attention whose logits and values are of the type of the edge: as one message that knows the types."""

    class Pair(Update):
        def __init__(self) -> None:
            super().__init__()
            self.logits, self.values = Mlp([2]), Mlp([6])

        def forward(self, inputs, old=None) -> tuple[Tensor, Tensor]:
            return self.logits(inputs), self.values(inputs).unflatten(-1, (2, 3))

    class Chosen(Update):
        def forward(self, inputs, old=None) -> tuple[Tensor, ...]:
            first = (graph.edge_types == 0)[:, None]
            (a, x), (b, y) = (one(inputs) for one in pairs)
            return torch.where(first, a, b), torch.where(first[..., None], x, y)

    graph, pairs = irregular(typed=True), [Pair(), Pair()]
    say = {
        "node": nn.Identity(),
        "node_reads": ("received",),
        "message_reads": ("edges", "senders"),
        "received": Attention(),
    }
    block = al.GraphBlock(message=pairs, **say).double()
    ours, wanted = block(graph).nodes, al.GraphBlock(message=Chosen(), **say)(graph).nodes
    torch.testing.assert_close(ours, wanted, rtol=1e-13, atol=1e-13)
    weights = list(block.parameters())
    for mine, theirs in zip(*(torch.autograd.grad(out.square().sum(), weights) for out in (ours, wanted)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-13)
    with pytest.raises(Refusal, match="results of one tensor and of several"):
        al.GraphBlock(message=[Pair(), Mlp([6])], **say).double()(graph)


def _backward(out: al.Graph, block: nn.Module) -> list[nn.Parameter]:
    total(out).backward()
    return list(block.parameters())


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_recurrent_updates_are_the_cells_of_torch(kind) -> None:
    """The attribute is the state; the rest is read."""
    ours, twin = {"gru": (Gru(4), nn.GRUCell(11, 4)), "lstm": (Lstm(4), nn.LSTMCell(11, 4))}[kind]
    width = 4 if kind == "gru" else 8
    graph = irregular(nodes=width, edges=9)
    block = al.GraphBlock(node=ours).double()
    block(graph)
    twin.double()
    weights = ours.into.linear.weight, ours.hidden.weight, ours.into.linear.bias, ours.hidden.bias
    for parameter, weight in zip(twin.parameters(), weights, strict=True):
        parameter.data = weight.detach()
    heard = torch.zeros(9, 9, dtype=DOUBLE).index_add(0, graph.receivers, graph.edges)
    x = torch.cat([heard, graph.globals[graph.wiring.nodes_of.index]], 1)
    state = graph.nodes if kind == "gru" else graph.nodes.chunk(2, 1)
    wanted = twin(x, state) if kind == "gru" else torch.cat(twin(x, state), 1)
    torch.testing.assert_close(block(graph).nodes, wanted, rtol=1e-12, atol=1e-12)
    with pytest.raises(Refusal, match="given none"):
        block(graph.edit(nodes=None))


def test_attention_as_a_reducer_takes_a_pair_from_the_message() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x[:, :2], x[:, 2:].unflatten(1, (2, -1))

    graph = irregular(edges=0, whole=0, nodes=6)
    block = al.GraphBlock(
        node=nn.Identity(), message=Pair(), message_reads=("senders",), node_reads=("received",), received=Attention()
    )
    out = block(graph).nodes
    for i in range(9):
        v = graph.nodes[graph.senders[graph.receivers == i]]
        wanted = (v[:, :2].softmax(0)[..., None] * v[:, 2:].unflatten(1, (2, 2))).sum(0).flatten()
        torch.testing.assert_close(out[i], wanted)


@pytest.mark.parametrize("missing", ["nodes", "edges", "globals"])
def test_what_a_graph_does_not_have_is_not_read(missing) -> None:
    graph = irregular().edit(**{missing: None})
    torch.manual_seed(0)
    block = al.GraphBlock(Mlp([6]), Mlp([4]), Mlp([5])).double()
    out = block(graph)
    assert [out.edges.shape, out.nodes.shape, out.globals.shape] == [(9, 6), (9, 4), (4, 5)]
    with pytest.raises(Refusal, match=r"was given .*: edges 3"):
        block(irregular())


@pytest.mark.parametrize(("n_node", "n_edge"), [([], []), ([0], [0]), ([3, 0], [0, 0]), ([0, 0, 1], [0, 0, 2])])
def test_graphs_of_nothing(n_node, n_edge) -> None:
    ends = torch.zeros(sum(n_edge), dtype=torch.int64)
    features = {
        "nodes": torch.ones(sum(n_node), 5),
        "edges": torch.ones(sum(n_edge), 3),
        "globals": torch.ones(len(n_node), 2),
    }
    graph = al.graph(ends, ends, n_node, n_edge, **features)
    for reduce in [*REDUCERS, PrincipalNeighbourhood(1.0)]:
        block = (
            full(reduce).float() if isinstance(reduce, str) else al.GraphBlock(Mlp([6]), Mlp([4]), Mlp([5]), received=reduce)
        )
        out = block(graph)
        assert [len(out.edges), len(out.nodes), len(out.globals)] == [sum(n_edge), sum(n_node), len(n_node)]
        total(out).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in block.parameters())


def test_widths_may_be_given_and_must_then_be_met() -> None:
    block = al.GraphBlock(Mlp([6], inputs=3 + 5 + 5 + 2)).double()
    assert isinstance(block.edge.first.linear, nn.Linear)
    assert not isinstance(block.edge.first.linear, nn.LazyLinear)
    block(irregular())
    with pytest.raises(Refusal, match="of 15 inputs was given 16: edges 3, receivers 5, senders 5, globals 3"):
        block(irregular(whole=3))


def test_faults_are_named() -> None:
    with pytest.raises(
        Refusal, match=r"edge update cannot read 'nodes'\. It reads of: before, edges, receivers, senders, globals"
    ):
        al.GraphBlock(Mlp([4]), edge_reads=("nodes",))
    with pytest.raises(Refusal, match="globals have one update"):
        al.GraphBlock(globals=nn.ModuleList([Mlp([2]), Mlp([2])]))
    with pytest.raises(Refusal, match="No reducer was given"):
        al.GraphBlock(received=[])
    with pytest.raises(Refusal, match=r"Mlp\(64\) is no list of layers"):
        Mlp(64)
    with pytest.raises(Refusal, match="graph has none of them"):
        al.GraphBlock(Mlp([4]))(al.graph([0], [0], 1))
    with pytest.raises(Refusal, match="has no layer"):
        Mlp([])
    with pytest.raises(Refusal, match="It is one of: relu"):
        Mlp([4], activation="mish")


def test_projections_are_their_derivative() -> None:
    graph = irregular()
    layer = Projection(15, 4).double()
    leaves = [part.requires_grad_() for part in (graph.nodes, graph.edges, graph.globals)]

    def of(nodes: Tensor, edges: Tensor, whole: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        wiring = graph.wiring
        reads = [
            Input("e", edges),
            Input("r", nodes, wiring.received),
            Input("s", nodes, wiring.sent),
            Input("u", whole, wiring.edges_of),
        ]
        layer.linear.weight, layer.linear.bias = weight, bias
        return layer(reads)

    weight, bias = layer.linear.weight.detach().requires_grad_(), layer.linear.bias.detach().requires_grad_()
    del layer.linear.weight, layer.linear.bias
    assert torch.autograd.gradcheck(of, (*leaves, weight, bias))
    assert torch.autograd.gradgradcheck(of, (*leaves, weight, bias), fast_mode=True)


def test_second_derivatives_go_through_a_cast_to_the_precision_of_the_weights() -> None:
    """Under autocast, where inputs may be of fewer bits; without it they are refused."""
    graph = irregular()
    nodes, edges = graph.nodes.float().requires_grad_(), graph.edges.float().requires_grad_()
    layer, found = Projection(2 * 5 + 3, 2).double(), []
    received, sent = graph.wiring.received, graph.wiring.sent
    for way in ("ours", "plain"):
        if way == "ours":
            with torch.autocast("cpu", torch.bfloat16):
                out = layer([Input("edges", edges), Input("receivers", nodes, received), Input("senders", nodes, sent)])
        else:
            out = layer.linear(torch.cat([edges, nodes[received.index], nodes[sent.index]], 1).double())
        slopes = torch.autograd.grad(out.sin().sum(), (nodes, edges), create_graph=True)
        second = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), (nodes, edges, layer.linear.weight))
        found.append((*slopes, *second))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_under_autocast_sums_stay_in_the_precision_of_the_weights() -> None:
    block, graph = full().float(), irregular().to(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = block(graph)
        total(out).backward()
    for name in ("nodes", "edges", "globals"):
        torch.testing.assert_close(getattr(out, name).float(), getattr(block(graph), name), rtol=0.1, atol=0.1)
    assert all(p.grad.dtype == torch.float32 for p in block.parameters())


@pytest.mark.parametrize("reads", [("receivers", "senders"), ("edges",)], ids=str)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda x: x.double(),
            r"are torch\.float64 and the update is torch\.float32\. Move one of them: graph\.to\(torch\.float32\)",
        ),
        (lambda x: x.long(), r"are torch\.int64 and the update is torch\.float32\. .*float\(\) first"),
        (lambda x: x[:, 0], r"reads rows of channels, all of one rank, and was given \w+ \[\d\]"),
    ],
)
def test_numbers_of_another_type_and_rows_without_channels_are_refused(reads, change, says) -> None:
    """Whether they are gathered or not: those that were all gathered were rounded."""
    graph = al.graph([0, 1], [1, 2], 3, nodes=torch.ones(3, 2), edges=torch.ones(2, 2))
    block = al.GraphBlock(edge=Mlp([2]), edge_reads=reads)
    block(graph)
    with pytest.raises(Refusal, match=says):
        block(graph.edit(nodes=change(graph.nodes), edges=change(graph.edges)))


def test_rows_of_several_ranks_are_refused() -> None:
    graph = al.graph([0, 1], [1, 2], 3, nodes=torch.ones(3, 2, 2), edges=torch.ones(2, 2))
    with pytest.raises(Refusal, match=r"edges \[2, 2\], receivers \[3, 2, 2\], senders \[3, 2, 2\]"):
        al.GraphBlock(edge=Mlp([2]))(graph)


@few
@given(seeds)
def test_a_sum_of_the_edges_before_is_that_over_their_pairs(seed) -> None:
    """With parallel edges and edges from nodes to themselves; the sum itself makes no pairs, so a star costs what its edges do."""
    graph = randomly(seed)
    graph = graph.edit(edges=graph.edges.detach().requires_grad_())
    linear, paired = (
        al.GraphBlock(edge=nn.Identity(), edge_reads=("before",), before=by)
        for by in ("sum", lambda rows, groups: summed(rows, groups))
    )
    found = linear(graph).edges
    assert "before" not in vars(graph.wiring)
    wanted = paired(graph).edges
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)
    weights = torch.randn(found.shape, dtype=found.dtype, generator=torch.Generator().manual_seed(seed))
    gradients = [torch.autograd.grad((one * weights).sum(), graph.edges)[0] for one in (found, wanted)]
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=1e-12)

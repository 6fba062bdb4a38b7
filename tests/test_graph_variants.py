"""Every variant is its paper's equations, written as loops over edges, nodes and graphs: values and all gradients, 1e-12."""

import itertools
from collections.abc import Callable

import pytest
import torch
from graph_samples import DOUBLE, irregular, randomly
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor, nn

import allometry as al
from allometry.flow import Refusal
from allometry.graph import batch
from allometry.model.graph_network._reduce import Attention

gn = al.graph_networks
Mlp = gn.Mlp
NODES, EDGES, WHOLE, HEADS, WIDTH = 5, 3, 2, 2, 3  # as the graphs of graph_samples; WIDTH of a head


class Loops:
    """A batch as the lists that a loop needs, and the learned functions as functions of a concatenation."""

    def __init__(self, graph: al.Graph) -> None:
        self.graph, self.e, self.v, self.u = graph, graph.edges, graph.nodes, graph.globals
        self.edges = list(zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True))
        self.node_of = [g for g, size in enumerate(graph.n_node.tolist()) for _ in range(size)]
        self.edge_of = [g for g, size in enumerate(graph.n_edge.tolist()) for _ in range(size)]

    def each_edge(self, of: Callable) -> list[Tensor]:
        return [of(k, r, s) for k, (r, s) in enumerate(self.edges)]

    def each_node(self, of: Callable) -> list[Tensor]:
        return [of(i) for i in range(len(self.v))]

    def each_graph(self, of: Callable) -> list[Tensor]:
        return [of(g) for g in range(len(self.graph))]

    def received(self, i: int) -> list[int]:
        return [k for k, (r, _) in enumerate(self.edges) if r == i]

    def whole(self, rows: list[Tensor], of: list[int], g: int, width: int) -> Tensor:
        return total([row for row, owner in zip(rows, of, strict=True) if owner == g], width)


def total(rows: list[Tensor], width: int) -> Tensor:
    """A sum that nothing is 0 of."""
    return sum(rows, torch.zeros(width, dtype=DOUBLE))


def phi(update: nn.Module, *parts: Tensor) -> Tensor:
    """A learned function of a concatenation. Here they are MLPs of the library, or plain modules."""
    while hasattr(update, "module"):
        update = update.module
    x = torch.cat(parts)
    if not isinstance(update, Mlp):
        return update(x)
    x = nn.functional.linear(x, update.first.linear.weight, update.first.linear.bias)
    for layer in update.others:
        x = layer(x.relu())
    return x


def gru(cell: nn.Module, x: Tensor, h: Tensor) -> Tensor:
    """Cho et al. 2014, in the form of cuDNN."""
    a, b = nn.functional.linear(x, cell.into.linear.weight, cell.into.linear.bias).chunk(3), cell.hidden(h).chunk(3)
    reset, keep = (a[0] + b[0]).sigmoid(), (a[1] + b[1]).sigmoid()
    return (1 - keep) * (a[2] + reset * b[2]).tanh() + keep * h


def weighted(loops: Loops, node: Callable, a: Callable, b: Callable) -> list[Tensor]:
    """sum of a_k b_k / sum of a_k for each head, then the node's function of all heads side by side."""

    def of(i: int) -> Tensor:
        heads = []
        for h in range(HEADS):
            over, under = torch.zeros(WIDTH, dtype=DOUBLE), torch.zeros((), dtype=DOUBLE)
            for k in loops.received(i):
                weight = a(h, k, *loops.edges[k])
                over, under = over + weight * b(h, k, loops.edges[k][1]), under + weight
            heads.append(over / under if loops.received(i) else over)
        return node(i, torch.cat(heads))

    return loops.each_node(of)


def head(x: Tensor, h: int) -> Tensor:
    return x[h * WIDTH : (h + 1) * WIDTH]


def of_full(m, g):
    e = g.each_edge(lambda k, r, s: phi(m.edge, g.e[k], g.v[r], g.v[s], g.u[g.edge_of[k]]))
    v = g.each_node(lambda i: phi(m.node, total([e[k] for k in g.received(i)], 4), g.v[i], g.u[g.node_of[i]]))
    whole = lambda j: (g.whole(e, g.edge_of, j, 4), g.whole(v, g.node_of, j, 6), g.u[j])  # noqa: E731
    return {"edges": e, "nodes": v, "globals": g.each_graph(lambda j: phi(m.globals, *whole(j)))}


def of_independent(m, g):
    return {
        "edges": g.each_edge(lambda k, r, s: phi(m.edge, g.e[k])),
        "nodes": g.each_node(lambda i: phi(m.node, g.v[i])),
        "globals": g.each_graph(lambda j: phi(m.globals, g.u[j])),
    }


def of_independent_recurrent(m, g):
    """Inputs of 1, 2 and 1 numbers and states of 2, 3 and 1."""
    return {
        "edges": g.each_edge(lambda k, r, s: gru(m.edge.cell, g.e[k, :1], g.e[k, 1:])),
        "nodes": g.each_node(lambda i: gru(m.node.cell, g.v[i, :2], g.v[i, 2:])),
        "globals": g.each_graph(lambda j: gru(m.globals.cell, g.u[j, :1], g.u[j, 1:])),
    }


def of_mpnn(m, g):
    messages = g.each_edge(lambda k, r, s: phi(m.message, g.e[k], g.v[r], g.v[s]))
    v = g.each_node(lambda i: phi(m.node, total([messages[k] for k in g.received(i)], 4), g.v[i]))
    return {"edges": list(g.e), "nodes": v, "globals": g.each_graph(lambda j: phi(m.globals, g.whole(v, g.node_of, j, 6)))}


def of_nlnn(m, g):
    message = m.message
    a = lambda h, k, r, s: phi(message.similarity, g.v[r], g.v[s])[h].exp()  # noqa: E731
    b = lambda h, k, s: head(phi(message.value, g.v[s]), h)  # noqa: E731
    return {"nodes": weighted(g, lambda i, heard: phi(m.node, heard), a, b)}


def of_self_attention(m, g, to=()):
    q, key, value = m.message.query, m.message.key, m.message.value

    def a(h, k, r, s):
        keyed = head(phi(key, g.v[s]), h) + (g.e[k] if "keys" in to else 0)
        return (head(phi(q, g.v[r]), h) @ keyed / WIDTH**0.5).exp()

    b = lambda h, k, s: head(phi(value, g.v[s]), h) + (g.e[k] if "values" in to else 0)  # noqa: E731
    return {"nodes": weighted(g, lambda i, heard: phi(m.node, heard), a, b)}


def of_vain(m, g):
    f, value = m.message.similarity.embedding, m.message.value
    a = lambda h, k, r, s: (-(head(phi(f, g.v[r]) - phi(f, g.v[s]), h) ** 2).sum()).exp()  # noqa: E731
    b = lambda h, k, s: head(phi(value, g.v[s]), h)  # noqa: E731
    return {"nodes": weighted(g, lambda i, heard: phi(m.node, heard, g.v[i]), a, b)}


def of_gat(m, g):
    score = m.message
    f = lambda i, h: head(phi(score.embedding, g.v[i]), h)  # noqa: E731

    def a(h, k, r, s):
        x = torch.cat([score.of_receiver[h], score.of_sender[h]]) @ torch.cat([f(r, h), f(s, h)])
        return (x if x > 0 else 0.2 * x).exp()

    return {"nodes": weighted(g, lambda i, heard: heard, a, lambda h, k, s: f(s, h))}


def of_relation_network(m, g):
    e = g.each_edge(lambda k, r, s: phi(m.edge, g.v[r], g.v[s]))
    return {"edges": e, "nodes": list(g.v), "globals": g.each_graph(lambda j: phi(m.globals, g.whole(e, g.edge_of, j, 4)))}


def of_deep_set(m, g):
    v = g.each_node(lambda i: phi(m.node, g.v[i], g.u[g.node_of[i]]))
    return {"edges": list(g.e), "nodes": v, "globals": g.each_graph(lambda j: phi(m.globals, g.whole(v, g.node_of, j, 6)))}


def of_point_net(m, g):
    v = g.each_node(lambda i: phi(m[1].node, phi(m[0].node, g.v[i])))

    def most(j):
        own = [row for row, of in zip(v, g.node_of, strict=True) if of == j]
        return torch.stack(own).amax(0) if own else torch.zeros(6, dtype=DOUBLE)

    return {"edges": list(g.e), "nodes": v, "globals": g.each_graph(lambda j: phi(m[1].globals, most(j)))}


def of_interaction_network(m, g):
    e = g.each_edge(lambda k, r, s: phi(m.edge, g.e[k], g.v[r], g.v[s]))
    v = g.each_node(lambda i: phi(m.node, total([e[k] for k in g.received(i)], 4), g.v[i], g.u[g.node_of[i]]))
    whole = g.each_graph(lambda j: phi(m.globals, g.whole(v, g.node_of, j, 6), g.u[j]))
    return {"edges": e, "nodes": v, "globals": whole}


def of_comm_net(m, g):
    e = g.each_edge(lambda k, r, s: phi(m[0].edge, g.v[s]))

    def node(i):
        heard = total([e[k] for k in g.received(i)], 4) / max(1, len(g.received(i)))
        return phi(m[1].node, heard, phi(m[0].node, g.v[i]))

    return {"edges": e, "nodes": g.each_node(node), "globals": list(g.u)}


def of_structure2vec(m, g):
    e = list(g.e)
    for _ in range(2):
        old = e
        e = g.each_edge(
            lambda k, r, s, old=old: phi(
                m[0].cores[0].edge,
                total([old[n] for n, (r_l, s_l) in enumerate(g.edges) if r_l == s and s_l != r], EDGES),
                g.v[s],
            )
        )
    return {"edges": e, "nodes": g.each_node(lambda i: phi(m[1].node, total([e[k] for k in g.received(i)], EDGES), g.v[i]))}


def of_ggs_nn(m, g):
    (step,) = m[0].cores
    v, types, readout = list(g.v), g.graph.edge_types.tolist(), m[1].of_nodes
    for _ in range(2):
        old = v
        messages = g.each_edge(lambda k, r, s, old=old: phi(step.message.each[types[k]], old[s]))
        v = g.each_node(lambda i, old=old, sent=messages: gru(step.node, total([sent[k] for k in g.received(i)], 4), old[i]))
    gated = [phi(readout.gate, row).sigmoid() * phi(readout.value, row) for row in v]
    return {"nodes": v, "globals": g.each_graph(lambda j: g.whole(gated, g.node_of, j, 2))}


def of_gcn(m, g):
    sums = lambda i: total([g.e[k, 0] * g.v[s] for k, (r, s) in enumerate(g.edges) if r == i], NODES)  # noqa: E731
    return {"nodes": g.each_node(lambda i: phi(m.node, sums(i)))}


def parts(count: int = 3, node: int = 4) -> list[Mlp]:
    """Functions of all heads side by side, and one for the node."""
    return [*(Mlp([7, HEADS * WIDTH]) for _ in range(count)), Mlp([8, node])]


VARIANTS = {
    "full": (lambda: gn.full(Mlp([8, 4]), Mlp([7, 6]), Mlp([5])), of_full),
    "independent": (lambda: gn.independent(Mlp([8, 4]), Mlp([6]), Mlp([5])), of_independent),
    "independent_recurrent": (
        lambda: gn.independent_recurrent(gn.Gru(2), gn.Gru(3), gn.Gru(1)), of_independent_recurrent,
    ),
    "mpnn": (lambda: gn.mpnn(Mlp([8, 4]), Mlp([7, 6]), Mlp([5])), of_mpnn),
    "nlnn": (lambda: gn.nlnn(Mlp([7, HEADS]), *parts(1)), of_nlnn),
    "self_attention": (lambda: gn.self_attention(*parts()[:3], HEADS, Mlp([4])), of_self_attention),
    "relative_positions": (
        lambda: gn.relative_positions(*parts()[:3], HEADS, Mlp([4])), lambda m, g: of_self_attention(m, g, ("values",)),
    ),
    "relative_positions of keys": (
        lambda: gn.relative_positions(*parts()[:3], HEADS, Mlp([4]), ("keys", "values")),
        lambda m, g: of_self_attention(m, g, ("keys", "values")),
    ),
    "vain": (lambda: gn.vain(*parts(2), HEADS), of_vain),
    "gat": (lambda: gn.gat(WIDTH, HEADS), of_gat),
    "relation_network": (lambda: gn.relation_network(Mlp([8, 4]), Mlp([5])), of_relation_network),
    "deep_set": (lambda: gn.deep_set(Mlp([8, 6]), Mlp([5])), of_deep_set),
    "point_net": (lambda: gn.point_net(Mlp([8]), Mlp([7, 6]), Mlp([5])), of_point_net),
    "interaction_network": (
        lambda: gn.interaction_network(Mlp([8, 4]), Mlp([7, 6]), Mlp([5])), of_interaction_network,
    ),
    "comm_net": (lambda: gn.comm_net(Mlp([8, 4]), Mlp([7, 3]), Mlp([6])), of_comm_net),
    "structure2vec": (lambda: gn.structure2vec(Mlp([8, EDGES]), Mlp([6]), 2), of_structure2vec),
    "ggs_nn": (
        lambda: gn.ggs_nn([Mlp([4]), Mlp([4])], gn.Gru(NODES), 2, gn.GatedSum(Mlp([2]), nn.Linear(NODES, 2))), of_ggs_nn,
    ),
    "gcn": (lambda: gn.gcn(Mlp([4])), of_gcn),
}  # fmt: skip
every_variant = pytest.mark.parametrize("name", VARIANTS)


def sample(name: str, graph: al.Graph) -> al.Graph:
    """What the variant reads: gcn has a weight for each edge."""
    types = torch.arange(graph.wiring.edges) % 2
    return graph.edit(edges=graph.edges[:, :1] if name == "gcn" else graph.edges, edge_types=types)


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = VARIANTS[name][0]().double()
    model(sample(name, irregular()))
    return model


def check(name: str, graph: al.Graph, gradients: bool) -> None:
    model, literal = built(name), VARIANTS[name][1]
    leaves = [part.detach().clone().requires_grad_() for part in (graph.nodes, graph.edges, graph.globals)]
    given_ = graph.edit(nodes=leaves[0], edges=leaves[1], globals=leaves[2])
    ours, wanted = model(given_), literal(model, Loops(given_))
    sums = []
    for field, rows in wanted.items():
        mine = getattr(ours, field)
        theirs = torch.stack(rows) if rows else torch.zeros_like(mine)
        assert mine.shape == theirs.shape
        assert not mine.numel() or (mine - theirs).abs().max() <= 1e-12
        seed = torch.linspace(1, 2, mine.numel(), dtype=DOUBLE).view_as(mine)
        sums.append(((mine * seed).sum(), (theirs * seed).sum()))
    if gradients:
        leaves += model.parameters()
        both = (sum(one) for one in zip(*sums, strict=True))
        for mine, theirs in zip(*(torch.autograd.grad(out, leaves, materialize_grads=True) for out in both), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@every_variant
def test_a_variant_is_its_equations_with_all_gradients(name) -> None:
    """A batch with an empty graph, a node alone, parallel edges and a self-edge."""
    check(name, sample(name, irregular()), gradients=True)


@every_variant
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_a_variant_is_its_equations_on_any_graph(name, seed) -> None:
    check(name, sample(name, randomly(seed, largest=5)), gradients=False)


@every_variant
@pytest.mark.parametrize("n_node", [[3, 0], [0, 0], []])
def test_without_edges_and_without_nodes(name, n_node) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    features = {"nodes": (sum(n_node), NODES), "edges": (0, EDGES), "globals": (len(n_node), WHOLE)}
    drawn = {field: torch.randn(shape, dtype=DOUBLE).requires_grad_() for field, shape in features.items()}
    graph = sample(name, al.graph(none, none, n_node, [0] * len(n_node), **drawn))
    check(name, graph, gradients=False)
    model = built(name)
    out = model(graph)
    sum(part.sum() for part in (out.nodes, out.edges, out.globals)).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


@every_variant
def test_no_part_stands_under_two_names(name) -> None:
    """Else it is counted twice, and files that keep each weight once (safetensors) refuse it."""
    model = built(name)
    assert len(model.state_dict()) == len(list(model.parameters()))
    assert len(list(model.named_modules(remove_duplicate=False))) == len(list(model.modules()))
    save(model.state_dict())


def test_a_learned_function_of_a_node_is_computed_once() -> None:
    calls: list[int] = []
    embedding = nn.Linear(NODES, HEADS * WIDTH, dtype=DOUBLE)
    embedding.register_forward_hook(lambda *_: calls.append(1))
    gn.gat(WIDTH, HEADS, embedding).double()(irregular())
    assert len(calls) == 1


def test_all_variants_are_here() -> None:
    functions = {name for name in gn.__all__ if name.islower()} - {"attention_weights", "rollout", "unrolled"}
    assert functions == {name.split()[0] for name in VARIANTS}


UNSEEN = ("message.similarity.others.0.bias", "message.similarity.embedding.others.0.bias", "message.key.others.0.bias")


def test_learned_functions_all_learn() -> None:
    """Every weight has a gradient that is not 0, but for what adds the same to all logits of a softmax."""
    for name in VARIANTS:
        model = built(name)
        out = model(sample(name, irregular()))
        sum(part.square().sum() for part in (out.nodes, out.edges, out.globals) if part.requires_grad).backward()
        for weight, parameter in model.named_parameters():
            assert parameter.grad is not None, (name, weight)
            assert parameter.grad.abs().max() > 1e-12 or weight in UNSEEN, (name, weight)


def complete(length: int, width: int) -> al.Graph:
    """Two graphs with an edge from each node to each, itself too."""
    torch.manual_seed(1)
    pairs = torch.tensor(list(itertools.product(range(length), repeat=2))).T
    return batch([al.graph(*pairs, length, nodes=torch.randn(length, width, dtype=DOUBLE)) for _ in range(2)])


def test_self_attention_of_a_complete_graph_is_that_of_torch() -> None:
    torch.manual_seed(0)
    width, heads = 12, 3
    twin = nn.MultiheadAttention(width, heads, batch_first=True).double()
    q, k, v = (nn.Linear(width, width).double() for _ in range(3))
    for number, linear in enumerate((q, k, v)):
        linear.weight.data = twin.in_proj_weight[number * width : (number + 1) * width].detach()
        linear.bias.data = torch.randn(width, dtype=DOUBLE)
        twin.in_proj_bias.data[number * width : (number + 1) * width] = linear.bias
    block = gn.self_attention(q, k, v, heads, twin.out_proj)
    graph = complete(5, width)
    x = graph.nodes.view(2, 5, width)
    wanted, _ = twin(x, x, x)
    torch.testing.assert_close(block(graph).nodes.view(2, 5, width), wanted, rtol=1e-12, atol=1e-12)


def test_an_edge_hears_those_before_it_and_not_the_way_back() -> None:
    """0 <-> 1 -> 2, twice 2 -> 1, and a self-edge at 1."""
    graph = al.graph([0, 1, 1, 2, 2, 1], [1, 0, 2, 1, 1, 1], 3, edges=2.0 ** torch.arange(6)[:, None])
    block = al.GraphBlock(nn.Identity(), edge_reads=("before",))
    assert block(graph).edges[:, 0].tolist() == [0, 8 + 16 + 32, 1 + 32, 0, 0, 1 + 8 + 16]
    most = al.GraphBlock(nn.Identity(), edge_reads=("before",), before="max")
    assert most(graph).edges[:, 0].tolist() == [0, 32, 32, 0, 0, 16]
    with pytest.raises(Refusal, match="edge update reads before, and the graph has none"):
        block(graph.edit(edges=None))


def test_on_a_tree_structure2vec_does_not_hear_its_own_echo() -> None:
    """Belief propagation's property: on 0 - 1 - 2 - 3 what 1 says to 0 does not depend on 0, however many steps."""
    ends = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    graph = al.graph(*ends, 4, nodes=torch.randn(4, 2, dtype=DOUBLE), edges=torch.zeros(6, 3, dtype=DOUBLE))
    torch.manual_seed(0)
    model = gn.structure2vec(Mlp([8, 3], activation="tanh"), Mlp([4]), steps=4).double()
    model(graph)
    slopes = torch.autograd.functional.jacobian(lambda x: model(graph.edit(nodes=x)).edges, graph.nodes).abs().amax((1, 3))
    assert (slopes > 0).tolist() == [
        [1, 0, 0, 0], [0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 1],
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["nlnn", "self_attention", "relative_positions", "vain", "gat"])
def test_attention_weights_are_those_of_the_mean(name) -> None:
    """They add up to one where a node receives; the means of the values by them are what its update reads."""
    graph, block = irregular(), built(name)
    weights = gn.attention_weights(block, graph)
    sums = torch.zeros(9, HEADS, dtype=DOUBLE).index_add(0, graph.receivers, weights)
    torch.testing.assert_close(sums, (graph.wiring.received.sizes > 0)[:, None].expand(-1, HEADS).double())
    heard, given_ = [], []
    block.node.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0][0].value))
    block.message.register_forward_hook(lambda _, inputs, out: given_.append(out[1]))
    block(graph)
    means = torch.zeros(9, HEADS, WIDTH, dtype=DOUBLE).index_add(0, graph.receivers, weights[..., None] * given_[0])
    torch.testing.assert_close(heard[0], means.flatten(1))
    with pytest.raises(Refusal, match="no attention"):
        gn.attention_weights(built("mpnn"), graph)


def test_a_mean_of_nothing_is_nothing() -> None:
    graph = al.graph([0], [1], 2, nodes=torch.randn(2, 4))
    assert gn.gat(3, heads=2)(graph).nodes[0].tolist() == [0] * 6


def test_faults_are_named() -> None:
    graph = irregular()
    with pytest.raises(Refusal, match="Width 5 does not split into 2 heads"):
        gn.self_attention(Mlp([5]), Mlp([5]), Mlp([5]), heads=2).double()(graph)
    with pytest.raises(Refusal, match='"keys", to "values", or to both'):
        gn.relative_positions(Mlp([4]), Mlp([4]), Mlp([4]), offsets=("queries",))
    with pytest.raises(Refusal, match=r"graph has none\. Give it `edges`"):
        gn.relative_positions(Mlp([4]), Mlp([4]), Mlp([4])).double()(graph.edit(edges=None))
    assert isinstance(gn.gat(4).received, Attention)

"""Batches to other libraries and back are themselves; what these libraries lose on the way is not lost."""

import ast
import inspect
import sys
from types import SimpleNamespace

import networkx
import numpy as np
import pytest
import torch
from graph_samples import DOUBLE, apart, irregular, randomly
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import allometry as al
import allometry.flow
import allometry.graph
import allometry.stage
from allometry.flow import Refusal
from allometry.graph import batch
from allometry.graph_conversions import _convertible
from allometry.graph_conversions._needed import needed

seeds = st.integers(0, 10**6)
few = settings(max_examples=20, deadline=None)
WIRING = ("senders", "receivers", "n_node", "n_edge")


def same(first: al.Graph, second: al.Graph) -> bool:
    """The same in every bit, order and type; what has no rows may be missing."""
    features = {
        name: None if value is None or not value.numel() else value
        for name in ("nodes", "edges", "globals")
        for value in [getattr(first, name)]
    }
    first = first.edit(**features)
    second = second.edit(**{name: None for name, value in features.items() if value is None})
    types = [(getattr(one, name) is None) for one in (first, second) for name in ("node_types", "edge_types")]
    return (
        apart(first, second) == 0
        and all(torch.equal(getattr(first, name), getattr(second, name)) for name in WIRING)
        and all(value is None or value.dtype == getattr(second, name).dtype for name, value in features.items())
        and types[:2] == types[2:]
    )


def ordered(graph: al.Graph) -> al.Graph:
    """Edges by sender, then receiver."""
    order = (graph.senders * (graph.wiring.nodes + 1) + graph.receivers).argsort(stable=True)
    edges = None if graph.edges is None else graph.edges[order]
    ends = graph.senders[order], graph.receivers[order]
    return al.graph(*ends, graph.n_node, graph.n_edge, nodes=graph.nodes, edges=edges, globals=graph.globals)


def simple(seed: int) -> al.Graph:
    """Random graphs without parallel edges."""
    graph = randomly(seed)
    pairs = list(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
    kept = [k for k, pair in enumerate(pairs) if pair not in pairs[:k]]
    n_edge = torch.bincount(graph.wiring.edges_of.index[kept], minlength=len(graph))
    ends = graph.senders[kept], graph.receivers[kept]
    return al.graph(*ends, graph.n_node, n_edge, nodes=graph.nodes, edges=graph.edges[kept], globals=graph.globals)


# networkx


@few
@given(seeds)
def test_networkx_and_back(seed) -> None:
    graph = randomly(seed)
    there = graph.to_networkx()
    assert [one.number_of_nodes() for one in there] == graph.n_node.tolist()
    assert [one.number_of_edges() for one in there] == graph.n_edge.tolist()
    assert same(graph, al.Graph.from_networkx(there))
    assert same(graph[0], al.Graph.from_networkx(there[0]))


def test_networkx_keeps_types_and_what_is_missing() -> None:
    graph = irregular(typed=True)
    again = al.Graph.from_networkx(graph.to_networkx())
    assert torch.equal(again.node_types, graph.node_types)
    assert torch.equal(again.edge_types, graph.edge_types)
    (one,) = irregular(typed=True)[3:].to_networkx()
    for i in one:
        one.nodes[i]["type"] = np.int64(i)
    assert al.Graph.from_networkx(one).node_types.tolist() == [0, 1, 2, 3]
    bare = al.graph([0, 1], [1, 1], [2, 0], [2, 0])
    again = al.Graph.from_networkx(bare.to_networkx())
    assert same(bare, again)
    assert again.nodes is again.edges is again.globals is None


@pytest.mark.parametrize("kind", ["Graph", "DiGraph", "MultiGraph", "MultiDiGraph"])
def test_each_class_of_networkx_is_its_adjacency(kind) -> None:
    """The number of edges from one to another; an undirected edge is two, a self-edge one, a parallel one another."""
    one = getattr(networkx, kind)()
    one.add_nodes_from("abcd")
    for sender, receiver in ["ab", "cb", "ab", "bb", "ba"]:
        one.add_edge(sender, receiver, weight=len(one.edges))
    graph = al.Graph.from_networkx(one, edges="weight")
    graph.wiring.check()
    counts = torch.zeros(4, 4, dtype=torch.int64)
    counts.index_put_((graph.senders, graph.receivers), torch.tensor(1), accumulate=True)
    wanted = networkx.to_numpy_array(one, nodelist="abcd", weight=None)
    assert (counts.numpy() == wanted).all()
    total = torch.zeros(4, 4).index_put((graph.senders, graph.receivers), graph.edges[:, 0], accumulate=True)
    assert (total.numpy() == networkx.to_numpy_array(one, nodelist="abcd", weight="weight")).all()


def test_named_attributes_of_networkx_stand_side_by_side() -> None:
    one = networkx.path_graph(3, create_using=networkx.DiGraph)
    for i in one:
        one.nodes[i].update(mass=i + 1, place=np.array([0.5, i], np.float32), still=i == 1)
    one.graph["gravity"] = 9.81
    networkx.set_edge_attributes(one, {(0, 1): 2, (1, 2): 0.5}, "weight")
    graph = al.Graph.from_networkx([one, one], nodes=["mass", "place", "still"], edges="weight", globals="gravity")
    row = [[1, 0.5, 0, 0], [2, 0.5, 1, 1], [3, 0.5, 2, 0]]
    assert graph.nodes.tolist() == row * 2
    assert graph.edges.tolist() == [[2], [0.5]] * 2
    assert graph.edges.dtype == torch.get_default_dtype()
    torch.testing.assert_close(graph.globals, torch.full((2, 1), 9.81))
    back = graph.to_networkx(nodes=["a", "b", "c", "d"], edges=["weight"])
    assert back[1].nodes[1] == {"a": 2, "b": 0.5, "c": 1, "d": 1}
    assert networkx.dijkstra_path_length(back[0], 0, 2) == 2.5
    again = al.Graph.from_networkx(back, nodes=list("abcd"), edges=["weight"])
    assert same(graph, again)


def test_what_is_made_is_a_copy() -> None:
    graph = simple(0)
    before = graph.edges.clone(), graph.nodes.clone()
    there, (matrix, *_) = graph.to_networkx(), graph.to_scipy(0)
    there[0].nodes[0]["features"][:] = 0
    matrix.data[:] = 0
    assert torch.equal(graph.edges, before[0])
    assert torch.equal(graph.nodes, before[1])


def test_a_path_of_networkx_is_that_of_the_batch() -> None:
    """Shortest paths of the weights, by networkx on the one side and scipy on the other."""
    graph = simple(3)
    graph = graph.edit(edges=graph.edges[:, :1].abs())
    for one, matrix in zip(graph.to_networkx(edges=["weight"]), graph.to_scipy(), strict=True):
        lengths = sparse.csgraph.dijkstra(matrix) if matrix.shape[0] else np.zeros((0, 0))
        for source, found in networkx.all_pairs_dijkstra_path_length(one):
            wanted = np.full(len(one), np.inf)
            wanted[list(found)] = list(found.values())
            np.testing.assert_allclose(lengths[source], wanted)


def test_networkx_faults_are_named() -> None:
    one = networkx.Graph([("a", "b")])
    one.nodes["a"]["mass"] = 1.0
    with pytest.raises(Refusal, match=r"'mass' is missing from 1 of 2 nodes, first number 1\. They have \['mass'\]"):
        al.Graph.from_networkx(one, nodes="mass")
    one.nodes["b"]["mass"] = "heavy"
    with pytest.raises(Refusal, match=r"'mass' of the nodes is no number and no array of one shape"):
        al.Graph.from_networkx(one, nodes="mass")
    one.nodes["b"]["mass"] = np.ones(2)
    with pytest.raises(Refusal, match="one shape"):
        al.Graph.from_networkx(one, nodes="mass")
    with pytest.raises(Refusal, match="2 names were given for features of shape"):
        irregular().to_networkx(nodes=["x", "y"])
    with pytest.raises(Refusal, match="No name of the nodes was given"):
        al.Graph.from_networkx(one, nodes=[])


def test_an_attribute_of_a_users_own_called_index_does_not_order_edges() -> None:
    one = networkx.DiGraph()
    one.add_edge("a", "b", index=1)
    one.add_edge("b", "c", index=0)
    assert al.Graph.from_networkx(one, edges="index").edges.tolist() == [[1], [0]]


def test_numbers_that_numpy_lacks_are_given_in_those_that_hold_them() -> None:
    graph = irregular()[0].edit(edges=None)
    rough = graph.edit(nodes=graph.nodes.to(torch.bfloat16), globals=None)
    (there,) = rough.to_networkx()
    assert torch.equal(al.Graph.from_networkx(there).nodes, rough.nodes.float())
    weights = rough.edit(edges=torch.arange(rough.wiring.edges, dtype=torch.bfloat16))
    assert weights.to_scipy()[0].data.tolist() == list(range(rough.wiring.edges))


# scipy


@few
@given(seeds)
def test_scipy_and_back_with_parallel_edges(seed) -> None:
    graph = randomly(seed, edges=1)
    there = graph.to_scipy()
    again = al.Graph.from_scipy(there, nodes=graph.nodes, globals=graph.globals)
    assert same(graph, again)
    for one, matrix in zip(graph, there, strict=True):
        total = torch.zeros(matrix.shape, dtype=DOUBLE)
        total.index_put_((one.senders, one.receivers), one.edges[:, 0], accumulate=True)
        np.testing.assert_allclose(matrix.toarray(), total.numpy(), atol=1e-14)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok"])
def test_every_form_of_a_matrix_is_read(form) -> None:
    matrix = sparse.random_array((6, 6), density=0.4, rng=np.random.default_rng(0))
    graph = al.Graph.from_scipy(matrix.asformat(form))
    (again,) = graph.to_scipy()
    assert graph.edges.dtype == DOUBLE
    assert (again.toarray() == matrix.toarray()).all()


def test_scipy_stored_zeros_are_edges_and_whole_numbers_weights() -> None:
    graph = al.Graph.from_scipy(
        [sparse.coo_matrix(([0, 3], ([0, 1], [1, 1])), shape=(3, 3)), sparse.csr_array((0, 0), dtype=int)]
    )
    assert [graph.n_node.tolist(), graph.n_edge.tolist()] == [[3, 0], [2, 0]]
    assert graph.edges.dtype == torch.get_default_dtype()
    assert graph.edges.tolist() == [[0], [3]]
    assert graph.edit(edges=None).to_scipy()[0].toarray().tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert len(al.Graph.from_scipy([])) == 0


def test_scipy_faults_are_named() -> None:
    with pytest.raises(Refusal, match=r"Matrix 1 is csr_array of shape \[2, 3\]"):
        al.Graph.from_scipy([sparse.eye_array(2), sparse.csr_array((2, 3))])
    with pytest.raises(Refusal, match=r"Matrix 0 is ndarray of shape \[2\]\. .*from_dense"):
        al.Graph.from_scipy(np.eye(2))
    with pytest.raises(Refusal, match=r"3 channels .* Say which, as channel=0"):
        irregular().to_scipy()
    assert (irregular().to_scipy(channel=2)[0].data == irregular()[0].edges[:, 2].numpy()).all()
    with pytest.raises(Refusal, match=r"no place for node_types. Leave them out with `graph.edit\(node_types=None\)`"):
        irregular(typed=True).to_scipy(0)
    with pytest.raises(Refusal, match="channel=5 is none of the 3 channels"):
        irregular().to_scipy(channel=5)
    with pytest.raises(Refusal, match="Matrix 0 holds complex numbers"):
        al.Graph.from_scipy(sparse.eye_array(2, dtype=complex))


# dense


@few
@given(seeds, st.integers(0, 2))
def test_dense_and_back(seed, more) -> None:
    graph = simple(seed)
    length = int(graph.n_node.max()) + more
    dense = graph.to_dense(length)
    assert dense.mask.sum(1).tolist() == graph.n_node.tolist()
    assert dense.nodes.shape == (len(graph), length, 5)
    assert dense.edges.shape == (len(graph), length, length, 3)
    for g, one in enumerate(graph):
        for sender, receiver, row in zip(one.senders, one.receivers, one.edges, strict=True):
            assert torch.equal(dense.edges[g, sender, receiver], row)
    assert int(dense.adjacency.sum()) == graph.wiring.edges
    assert not dense.nodes[~dense.mask].any()
    assert same(ordered(graph), al.Graph.from_dense(*dense))


@few
@given(seeds)
def test_dense_counts_parallel_edges(seed) -> None:
    graph = randomly(seed).edit(edges=None)
    assert same(ordered(graph), al.Graph.from_dense(*graph.to_dense()))


def test_dense_weights_and_holes() -> None:
    x = torch.arange(6.0).view(1, 3, 2).repeat(2, 1, 1)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    weights = torch.zeros(2, 3, 3)
    weights[0, 2, 0], weights[0, 0, 0] = 0.5, -1
    graph = al.Graph.from_dense(x, mask, weights)
    assert [graph.n_node.tolist(), graph.n_edge.tolist()] == [[2, 0], [2, 0]]
    assert [graph.senders.tolist(), graph.receivers.tolist()] == [[0, 1], [0, 0]]
    assert [graph.edges.tolist(), graph.nodes.tolist()] == [[[-1], [0.5]], [[0, 1], [4, 5]]]
    assert al.Graph.from_dense(None, mask, weights != 0).edges is None
    assert al.Graph.from_dense(x).n_edge.tolist() == [0, 0]
    assert al.Graph.from_dense(x).n_node.tolist() == [3, 3]


def test_gradients_flow_through_dense_arrays() -> None:
    graph = simple(1)
    dense = graph.to_dense()
    x, e = dense.nodes.clone().requires_grad_(), dense.edges.clone().requires_grad_()
    again = al.Graph.from_dense(x, dense.mask, dense.adjacency, e)
    (again.to_dense().nodes.square().sum() + again.to_dense().edges.square().sum()).backward()
    torch.testing.assert_close(x.grad, 2 * dense.nodes)
    torch.testing.assert_close(e.grad, 2 * dense.edges)


def test_dense_faults_are_named() -> None:
    with pytest.raises(Refusal, match="Graph 0 has 2 edges from 0 to 1"):
        irregular().to_dense()
    with pytest.raises(Refusal, match="length=3 is less than the 4 nodes"):
        irregular().edit(edges=None).to_dense(3)
    mask = torch.tensor([[True, False]])
    with pytest.raises(Refusal, match=r"adjacency\[0, 0, 1\] is an edge, and one of its ends is masked"):
        al.Graph.from_dense(None, mask, torch.tensor([[[False, True], [False, False]]]))
    with pytest.raises(Refusal, match="one is negative"):
        al.Graph.from_dense(None, mask, torch.tensor([[[-1, 0], [0, 0]]]))
    with pytest.raises(Refusal, match="Neither nodes nor a mask"):
        al.Graph.from_dense(None)
    with pytest.raises(Refusal, match="Edges without an adjacency"):
        al.Graph.from_dense(torch.ones(1, 2, 3), edges=torch.ones(1, 2, 2, 1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"adjacency": torch.ones(1, 3, 3)},
            r"adjacency is of shape \[1, 3, 3\]. Of 2 graphs with 5 places it is \[2, 5, 5\]",
        ),
        ({"adjacency": torch.ones(2, 3, 3)}, r"adjacency is of shape \[2, 3, 3\]"),
        ({"adjacency": torch.ones(5, 5)}, r"adjacency is of shape \[5, 5\]"),
        ({"adjacency": torch.ones(2, 5, 5, 1)}, r"adjacency is of shape \[2, 5, 5, 1\]"),
        ({"adjacency": torch.ones(2, 5, 5, dtype=torch.complex64)}, "complex"),
        ({"adjacency": torch.ones(2, 5, 5), "edges": torch.ones(2, 4, 5, 1)}, r"edges are .* it begins with \[2, 5, 5\]"),
        ({"mask": torch.ones(2, 4, dtype=torch.bool)}, r"nodes are of shape \[2, 5, 3\]. Of 2 graphs with 4 places"),
        ({"mask": torch.ones(5, dtype=torch.bool)}, r"mask is of shape \[5\]. It is \[batch, length\]"),
        ({"nodes": torch.ones(2, 5)}, r"nodes are of shape \[2, 5\]. They are \[batch, length, channels\]"),
        ({"globals": torch.ones(3, 1)}, "globals has shape"),
    ],
)
def test_dense_arrays_of_other_shapes_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        al.Graph.from_dense(**{"nodes": torch.ones(2, 5, 3)} | wrong)


@few
@given(seeds, st.sampled_from([torch.int64, torch.int32, torch.uint8]))
def test_a_mask_of_0_and_1_is_one_of_booleans(seed, dtype) -> None:
    graph = simple(seed)
    nodes, mask, adjacency, edges, whole = graph.to_dense()
    assert same(al.Graph.from_dense(nodes, mask.to(dtype), adjacency, edges, whole), ordered(graph))
    alone = al.Graph.from_dense(nodes, mask.to(dtype), globals=whole)
    assert torch.equal(alone.nodes, graph.nodes)
    assert alone.n_node.tolist() == graph.n_node.tolist()


def test_a_mask_of_other_numbers_is_refused() -> None:
    for mask, dtype in (
        (torch.tensor([[0, 2]]), "int64"),
        (torch.tensor([[-1, 0]]), "int64"),
        (torch.ones(1, 2), "float32"),
    ):
        with pytest.raises(Refusal, match=f"mask is torch.{dtype} and not of 0 and 1 alone"):
            al.Graph.from_dense(torch.ones(1, 2, 3), mask)


def test_features_of_edges_that_are_counted_twice_are_refused() -> None:
    """As on the way back: an array has place for the features of one."""
    counts, features = torch.tensor([[[0, 1], [2, 0]]]), torch.ones(1, 2, 2, 4)
    with pytest.raises(Refusal, match=r"adjacency\[0, 1, 0\] counts 2 edges, and `edges` has place for features of one"):
        al.Graph.from_dense(torch.ones(1, 2, 3), adjacency=counts, edges=features)
    assert al.Graph.from_dense(torch.ones(1, 2, 3), adjacency=counts).wiring.edges == 3
    assert al.Graph.from_dense(torch.ones(1, 2, 3), adjacency=counts.clamp(max=1), edges=features).wiring.edges == 2
    assert al.Graph.from_dense(torch.ones(1, 2, 3), adjacency=counts.float(), edges=features).wiring.edges == 2
    with pytest.raises(Refusal, match="one is negative"):
        al.Graph.from_dense(torch.ones(1, 2, 3), adjacency=-counts, edges=features)


# torch-geometric: its objects are read by their attributes, so that others stand for them; the real ones are at the end


def data(**attributes) -> SimpleNamespace:
    attributes.setdefault("num_nodes", len(attributes.get("x", attributes.get("batch", []))))
    return SimpleNamespace(**attributes)


def as_data(graph: al.Graph, order: torch.Tensor, **more) -> SimpleNamespace:
    """A Batch whose edges stand in some order."""
    ends = torch.stack([graph.senders, graph.receivers])[:, order]
    return data(x=graph.nodes, edge_index=ends, edge_attr=graph.edges[order], batch=graph.wiring.nodes_of.index, **more)


@few
@given(seeds)
def test_a_torch_geometric_batch_has_its_edges_sorted_and_keeps_empty_graphs_at_its_end(seed) -> None:
    graph = batch(
        [randomly(seed), al.graph([], [], 0, nodes=torch.zeros(0, 5), edges=torch.zeros(0, 3), globals=torch.ones(1, 2))]
    )
    graph = graph.edit(nodes=graph.nodes.double(), edges=graph.edges.double(), globals=graph.globals.double())
    ptr = torch.nn.functional.pad(graph.n_node.cumsum(0), (1, 0))
    order = torch.randperm(graph.wiring.edges, generator=torch.Generator().manual_seed(seed))
    for more in ({"ptr": ptr, "u": graph.globals}, {"u": graph.globals}, {"num_graphs": len(graph)}):
        again = al.Graph.from_torch_geometric(as_data(graph, order, **more))
        assert again.n_edge.tolist() == graph.n_edge.tolist()
        for one, two in zip(graph, again, strict=True):  # of equal edges the order is that of `order`
            rows = [
                sorted(torch.cat([part.senders[:, None], part.receivers[:, None], part.edges], 1).tolist())
                for part in (one, two)
            ]
            assert rows[0] == rows[1]
        assert torch.equal(again.nodes, graph.nodes)


def test_one_torch_geometric_data_and_lists_of_them() -> None:
    one = data(x=torch.ones(3, 2), pos=torch.zeros(3, 1), edge_index=torch.tensor([[0, 2], [1, 1]]), y=torch.ones(3))
    graph = al.Graph.from_torch_geometric([one, one])
    assert [graph.n_node.tolist(), graph.senders.tolist()] == [[3, 3], [0, 2, 3, 5]]
    assert graph.edges is graph.globals is None
    assert al.Graph.from_torch_geometric(one, nodes=("x", "pos", "y")).nodes.tolist() == [[1, 1, 0, 1]] * 3
    assert al.Graph.from_torch_geometric(data(x=torch.ones(3, 2))).n_edge.tolist() == [0]


def test_torch_geometric_faults_are_named() -> None:
    ends = torch.tensor([[0, 3], [1, 1]])
    with pytest.raises(Refusal, match="Edge 1 is 3 to 1, and there are 3 nodes"):
        al.Graph.from_torch_geometric(data(x=torch.ones(3, 2), edge_index=ends))
    with pytest.raises(Refusal, match=r"receivers\[0\] is 2, and edge 0 is of graph 0"):
        al.Graph.from_torch_geometric(data(batch=torch.tensor([0, 0, 1]), edge_index=torch.tensor([[0], [2]])))
    with pytest.raises(Refusal, match="graph by graph"):
        al.Graph.from_torch_geometric(data(batch=torch.tensor([1, 0, 0])))
    with pytest.raises(Refusal, match="no 'pos'"):
        al.Graph.from_torch_geometric(data(x=torch.ones(3, 2)), nodes=("x", "pos"))
    with pytest.raises(Refusal, match=r"edge_index is torch.int64 of shape \[3, 2\]. .* of shape \[2, edges\]"):
        al.Graph.from_torch_geometric(data(x=torch.ones(3, 2), edge_index=torch.tensor([[0, 1], [1, 2], [2, 0]])))
    with pytest.raises(Refusal, match=r"edge_index is torch\.float32"):
        al.Graph.from_torch_geometric(data(x=torch.ones(3, 2), edge_index=torch.ones(2, 2)))
    assert al.Graph.from_torch_geometric(data(x=torch.ones(3, 2), edge_index=torch.empty(2, 0))).wiring.edges == 0
    with pytest.raises(Refusal, match="to_homogeneous"):
        al.Graph.from_torch_geometric(SimpleNamespace(num_nodes=7, edge_types=[("a", "to", "b")]))
    with pytest.raises(Refusal, match="No name was given"):
        al.Graph.from_torch_geometric(data(x=torch.ones(3, 2)), nodes=())
    with pytest.raises(Refusal, match="adj_t"):
        al.Graph.from_torch_geometric(data(x=torch.ones(3, 2), edge_index=None, adj_t=torch.eye(3)))


def test_a_library_that_is_not_there_is_asked_for_in_words(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    with pytest.raises(Refusal, match=r"torch-geometric is not installed\. Do `pip install torch-geometric`"):
        irregular().to_torch_geometric()
    assert needed("networkx") is networkx


def test_torch_geometric_and_back() -> None:
    pytest.importorskip("torch_geometric")
    for seed in range(30):
        graph = batch([randomly(seed), randomly(seed + 100)[:1]])
        there = graph.to_torch_geometric()
        assert there.num_graphs == len(graph)
        assert there.validate()
        assert same(graph, al.Graph.from_torch_geometric(there))
        assert same(graph, al.Graph.from_torch_geometric(there.to_data_list()))
        assert same(graph[0], al.Graph.from_torch_geometric(there[0]))
    typed = irregular(typed=True)
    again = al.Graph.from_torch_geometric(typed.to_torch_geometric())
    assert same(typed, again)
    assert torch.equal(typed.edge_types, again.edge_types)
    with pytest.raises(Refusal, match="no Batch of no graphs"):
        al.graph([], [], [], []).to_torch_geometric()


def test_nothing_of_the_other_libraries_is_loaded_with_the_container() -> None:
    """What the files import at their top; what is inside functions is loaded when it is asked for."""
    loaded = set()
    for module in (allometry.graph, _convertible, allometry.flow, allometry.stage):
        for node in ast.parse(inspect.getsource(sys.modules[module.__name__])).body:
            if isinstance(node, ast.ImportFrom):
                loaded.add(node.module)
            elif isinstance(node, ast.Import):
                loaded |= {alias.name for alias in node.names}
    assert {name for name in loaded if name.startswith("allometry.graph_conv")} == {_convertible.__name__}
    assert not {"networkx", "torch_geometric", "scipy"} & {name.split(".")[0] for name in loaded}

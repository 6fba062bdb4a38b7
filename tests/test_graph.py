"""The container: what went in comes out, in any cut; faults are named; graphs of nothing are graphs."""

import numpy as np
import pytest
import torch
from graph_samples import apart, irregular, randomly
from hypothesis import given, settings
from hypothesis import strategies as st

import allometry as al
from allometry.flow import Refusal
from allometry.graph import Groups, Wiring, batch

seeds = st.integers(0, 10**6)
few = settings(max_examples=25, deadline=None)
WIRING = ("senders", "receivers", "n_node", "n_edge")


def same(first: al.Graph, second: al.Graph) -> bool:
    return apart(first, second) == 0 and all(torch.equal(getattr(first, name), getattr(second, name)) for name in WIRING)


@few
@given(seeds, st.integers(1, 5))
def test_a_batch_cut_and_joined_is_itself(seed, size) -> None:
    graph = randomly(seed)
    assert same(batch(list(graph)), graph)
    assert same(batch(graph.split(size)), graph)
    assert same(batch(graph.chunk(size)), graph)
    assert same(batch([graph[:size], graph[size:]]), graph)
    assert sum(len(part) for part in graph.split(size)) == len(graph)
    assert len(graph.chunk(size)) <= size


@few
@given(seeds)
def test_a_graph_of_a_batch_stands_alone(seed) -> None:
    graph = randomly(seed)
    for number, one in enumerate(graph):
        one.wiring.check()
        assert len(one) == 1
        assert one.wiring.nodes == int(graph.n_node[number])
        assert same(graph[number - len(graph)], one)


def test_types_go_with_their_rows() -> None:
    graph = irregular(typed=True)
    again = batch(list(graph))
    assert torch.equal(again.node_types, graph.node_types)
    assert torch.equal(again.edge_types, graph.edge_types)
    assert graph[3].edge_types.tolist() == [1, 0, 0, 1, 1]


@few
@given(st.lists(st.integers(0, 5), max_size=30))
def test_groups_are_their_definition(index) -> None:
    groups = Groups(torch.tensor(index, dtype=torch.int64), 7)
    for i in range(7):
        own = [k for k, of in enumerate(index) if of == i]
        rows = groups.rows[groups.starts[i] : groups.starts[i + 1]]
        assert rows.tolist() == own
        assert groups.place[rows].tolist() == list(range(len(own)))
        assert int(groups.sizes[i]) == len(own)
    assert (groups.order is None) == (index == sorted(index))


@pytest.mark.parametrize("groups", [5, 70_000, 2**40])
def test_rows_of_a_group_stand_in_their_own_order_however_many(groups) -> None:
    index = torch.randint(groups, (20_000,))
    assert torch.equal(Groups(index, groups).order, index.argsort(stable=True))


@pytest.mark.parametrize("make", [
    lambda: al.graph([], [], 0), lambda: al.graph([], [], []  , []), lambda: al.graph([], [], [0, 0], [0, 0]),
    lambda: al.graph([], [], 3), lambda: al.graph([0, 0], [0, 0], 1), lambda: al.graph([], [], 2, nodes=torch.zeros(2, 0)),
])  # fmt: skip
def test_graphs_of_nothing_are_graphs(make) -> None:
    graph = make()
    graph.wiring.check()
    assert same(graph[:], graph)
    assert same(batch([graph, graph])[: len(graph)], graph)
    assert len(graph.wiring.received.sizes) == graph.wiring.nodes
    assert len(graph.wiring.nodes_of.index) == graph.wiring.nodes
    assert graph.edges is None
    assert graph.globals is None


def test_no_features_are_not_no_nodes() -> None:
    graph = al.graph([0], [1], 2)
    assert graph.nodes is None
    assert graph.wiring.nodes == 2
    assert graph.edit(nodes=torch.ones(2, 3)).wiring is graph.wiring


FAULTS = [
    ({"senders": [0, 3], "receivers": [1, 1], "n_node": 3}, r"senders\[1\] is 3, and edge 1 is of graph 0, whose nodes are 0 to 2"),
    ({"senders": [0, 1], "receivers": [1, -1], "n_node": 3}, r"receivers\[1\] is -1"),
    ({"senders": [0, 1], "receivers": [1, 1], "n_node": [2, 2], "n_edge": [1, 1]}, r"senders\[1\] is 1, and edge 1 is of graph 1"),
    ({"senders": [0], "receivers": [1, 1], "n_node": 3}, "1 senders and 2 receivers"),
    ({"senders": [0], "receivers": [1], "n_node": [2, 1]}, "without n_edge"),
    ({"senders": [0], "receivers": [1], "n_node": [2, 1], "n_edge": [1]}, "n_node is of 2 graphs and n_edge of 1"),
    ({"senders": [0], "receivers": [1], "n_node": [2], "n_edge": [2]}, "n_edge counts 2 edges and there are 1"),
    ({"senders": [0], "receivers": [0], "n_node": [1, -1], "n_edge": [1, 0]}, "negative number"),
    ({"senders": [0], "receivers": [1], "n_node": 2, "nodes": torch.ones(3, 2)}, r"nodes has shape \[3, 2\]. It takes a row"),
    ({"senders": [0], "receivers": [1], "n_node": 2, "edge_types": torch.tensor([0, 1])}, "edge_types has shape"),
    ({"senders": [0.7, 1.9], "receivers": [1, 0], "n_node": 2}, r"senders is torch\.float32 of shape \[2\]. It takes whole"),
    ({"senders": [0, 1], "receivers": torch.tensor([1.0, 0.0]), "n_node": 2}, r"receivers is torch\.float32"),
    ({"senders": [0, 1], "receivers": np.array([1.0, 0.0]), "n_node": 2}, r"receivers is torch\.float64"),
    ({"senders": [False, True], "receivers": [1, 0], "n_node": 2}, r"senders is torch\.bool"),
    ({"senders": [0], "receivers": [1], "n_node": 2.5}, r"n_node is torch\.float32"),
    ({"senders": [0], "receivers": [1], "n_node": [2], "n_edge": [True]}, r"n_edge is torch\.bool"),
    ({"senders": 0, "receivers": 1, "n_node": 2}, r"senders is torch\.int64 of shape \[\]"),
    ({"senders": ["a"], "receivers": ["b"], "n_node": 2}, "senders holds what is no number"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "fault"), FAULTS, ids=[fault[:20] for _, fault in FAULTS])
def test_faults_are_named(parts, fault) -> None:
    with pytest.raises(Refusal, match=fault):
        al.graph(**parts)


@pytest.mark.parametrize("count", [
    2, [2], np.int64(2), np.array(2), np.array([2], np.uint8), torch.tensor(2), torch.tensor([2], dtype=torch.int32),
], ids=repr)  # fmt: skip
def test_whole_numbers_of_any_form_are_whole_numbers(count) -> None:
    ends = torch.tensor([0, 1], dtype=torch.int16), np.array([1, 0], np.int32)
    graph = al.graph(*ends, count, count)
    assert same(graph, al.graph([0, 1], [1, 0], 2))
    assert same(al.graph([], (), 2), al.graph(torch.zeros(0), np.zeros(0), count))


def test_a_wiring_takes_whole_numbers_in_one_row() -> None:
    rows, one = torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
    with pytest.raises(Refusal, match=r"senders is torch.int64 of shape \[1, 1\]"):
        Wiring(rows, rows, one, one).check()
    with pytest.raises(Refusal, match=r"n_node is torch\.float32"):
        Wiring(one - 1, one - 1, one.float(), one).check()


@pytest.mark.parametrize("given", ["senders", "receivers"])
@pytest.mark.parametrize("counts", [(2,), (torch.tensor([1, 1]), [1, 0])], ids=["one", "two"])
def test_a_wiring_is_where_its_ends_are(monkeypatch, given, counts) -> None:
    """On a device without numbers, where no check can look at them: it is another device than that of the counts, as a GPU is."""
    found = {}

    def check(wiring: Wiring) -> None:
        found.update({name: getattr(wiring, name).device.type for name in WIRING})
        raise Refusal("seen")

    monkeypatch.setattr(Wiring, "check", check)
    ends = {"senders": [0], "receivers": [0]} | {given: torch.zeros(1, dtype=torch.int64, device="meta")}
    with pytest.raises(Refusal, match="seen"):
        al.graph(**ends, **dict(zip(("n_node", "n_edge"), counts, strict=False)))
    assert found == dict.fromkeys(WIRING, "meta")


def test_to_changes_floating_features_alone_and_keeps_what_is_sorted() -> None:
    graph = irregular(typed=True).edit(globals=torch.arange(4))
    for double in (graph.to(torch.float32), graph.to("cpu", torch.float32), graph.to(dtype=torch.float32)):
        assert double.wiring is graph.wiring
        assert torch.equal(double.nodes, graph.nodes.float())
        assert torch.equal(double.edges, graph.edges.float())
        assert torch.equal(double.globals, graph.globals)
        assert torch.equal(double.edge_types, graph.edge_types)
    assert same(graph.to(torch.float64), graph)
    with pytest.raises(Refusal, match="no type of floating-point numbers"):
        graph.to(torch.int64)


def test_to_moves_all_and_stays_where_it_is(monkeypatch) -> None:
    graph = irregular(typed=True)
    assert graph.to("cpu").wiring is graph.wiring
    monkeypatch.setattr(Wiring, "nodes", 9)  # which the device has not
    far = graph.to("meta")
    assert {getattr(far, name).device.type for name in (*WIRING, "nodes", "edges", "globals", "edge_types")} == {"meta"}
    assert far.to("meta").wiring is far.wiring


def test_parts_on_several_devices_are_refused() -> None:
    ends, count = torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
    with pytest.raises(Refusal, match="senders on cpu, receivers on meta, n_node on cpu"):
        al.graph(ends, ends.to("meta"), 1)
    with pytest.raises(Refusal, match="n_edge on meta"):
        Wiring(ends, ends, count, count.to("meta")).check()
    graph = al.graph(ends, ends, 1)
    for name in ("nodes", "edges", "globals", "edge_types"):
        with pytest.raises(Refusal, match=f"{name} are on meta and the wiring on cpu"):
            graph.edit(**{name: count.to("meta")})


def test_a_batch_of_graphs_with_other_features_is_refused() -> None:
    with pytest.raises(Refusal, match="Graph 1 has no nodes and graph 0 has"):
        batch([al.graph([], [], 1, nodes=torch.ones(1, 2)), al.graph([], [], 1)])
    with pytest.raises(Refusal, match="at least one"):
        batch([])
    with pytest.raises(Refusal, match="steps of 1"):
        irregular()[::2]


def test_the_function_has_the_name_of_its_module() -> None:
    import allometry.graph

    assert len(allometry.graph([0], [0], 1)) == 1
    assert len(al.graph([0], [0], 1)) == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"node_types": torch.zeros(3)},
            r"node_types are torch\.float32 of shape \[3\]\. They take whole numbers from 0 in one row",
        ),
        ({"node_types": torch.zeros(3, 1, dtype=torch.int64)}, r"node_types are torch\.int64 of shape \[3, 1\]"),
        ({"edge_types": torch.ones(2, dtype=torch.bool)}, r"edge_types are torch\.bool"),
        ({"edge_types": [0, 1]}, "edge_types are given as list. They take a tensor"),
        ({"nodes": [[0.0], [1.0], [2.0]]}, "nodes are given as list. They take a tensor"),
    ],
)
def test_features_and_types_of_another_form_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        al.graph([0, 1], [1, 2], 3, **wrong)
    with pytest.raises(Refusal, match=says):
        al.graph([0, 1], [1, 2], 3).edit(**wrong)


def test_types_may_be_any_whole_numbers() -> None:
    assert al.graph([0, 1], [1, 2], 3, node_types=torch.zeros(3, dtype=torch.int32)).node_types.dtype == torch.int32


def test_graphs_of_several_widths_are_no_batch() -> None:
    one, other = (al.graph([], [], 2, nodes=torch.ones(2, width)) for width in (3, 4))
    with pytest.raises(Refusal, match=r"nodes have rows of shape \[3\] in graph 0 and \[4\] in graph 2"):
        batch([one, one, other])

"""Tasks on graphs: the contract of all, each against another library or a slow literal solver, and the numbers on record."""

import dataclasses
import inspect
import itertools
import json
import math

import networkx as nx
import numpy as np
import pytest
import torch
from graph_samples import same_bits

import allometry as al
from allometry.data._generated_graphs import GeneratedGraphs, GraphLabels
from allometry.data._motion import Motion, rollout_error
from allometry.data._random_graphs import distances, hops_in_tree, joined_to, share_of_geographic, spanning_trees
from allometry.data._task import HeldOut, Task
from allometry.data._ways import NONE, hops_from, shortest_way
from allometry.data.bellman_ford import BellmanFord
from allometry.data.breadth_first import BreadthFirst
from allometry.data.connected_components import ConnectedComponents
from allometry.data.insertion_sort import InsertionSort
from allometry.data.minimum import Minimum
from allometry.data.n_body import FORCES, NBody
from allometry.data.relays import RELATIONS, TOPOLOGIES, Relays
from allometry.data.shortest_path import ShortestPath
from allometry.data.sorting import Sorting
from allometry.data.springs import Springs
from allometry.find import member, names, resolve
from allometry.flow import Graphs, Refusal
from allometry.graph import Graph, graph
from allometry.model.graph_network.rollout import rollout
from allometry.spec import from_json
from allometry.train._solved import solved

FOLDER = "allometry.data"
KINDS = [kind for kind in (member(FOLDER, name) for name in names(FOLDER)) if issubclass(kind, GeneratedGraphs)]
OTHERS = [
    ShortestPath(trees=True),
    Springs(symmetric=False),
    NBody(force="coulomb"),
    ConnectedComponents(degree=4.0),
    Relays(pairs="unseen", shuffled=True),
]
TASKS = [*(kind() for kind in KINDS), *OTHERS]
every_task = pytest.mark.parametrize("task", TASKS, ids=repr)
every_label_task = pytest.mark.parametrize("task", [task for task in TASKS if isinstance(task, GraphLabels)], ids=repr)
every_motion = pytest.mark.parametrize("task", [task for task in TASKS if isinstance(task, Motion)], ids=repr)


def fields_of(task) -> list[str]:
    return [field.name for field in dataclasses.fields(task)]


def singles(task, seed: int, count: int):
    """The inputs and the answers of one graph after another."""
    (inputs,), targets = task.batch(seed, 0, count)
    return [(inputs[i], targets[i]) for i in range(count)]


def pairs_of(one: Graph, kept=None) -> list[tuple[int, int]]:
    """Sender and receiver of each edge, or of those kept."""
    found = zip(one.senders.tolist(), one.receivers.tolist(), strict=True)
    return [pair for pair, keep in zip(found, kept if kept is not None else itertools.repeat(True), strict=False) if keep]


# The contract


@every_task
def test_it_is_a_task_and_its_io_is_true(task) -> None:
    assert isinstance(task, Task)
    io = task.io
    assert isinstance(io, Graphs)
    held = task.held_out(20)
    assert isinstance(held, HeldOut)
    assert held.documents == len(held.document) == len(held.document_bytes) == len(held.weights) == len(held.targets) == 20
    for (inputs,), targets in (task.batch(0, 0, 8), (held.inputs, held.targets)):
        inputs.wiring.check()
        assert targets.wiring is inputs.wiring
        assert bool((inputs.receivers.diff() >= 0).all())
        assert task.least <= int(inputs.n_node.min()) <= int(inputs.n_node.max()) <= task.most
        for name, channels in (("nodes", io.nodes), ("edges", io.edges), ("globals", io.globals)):
            assert getattr(inputs, name).shape[1:] == (channels,)
            assert getattr(inputs, name).dtype == torch.float32
        for name, outputs in (("nodes", io.of_nodes), ("edges", io.of_edges), ("globals", io.of_graphs)):
            answers = getattr(targets, name)
            assert (answers is None) == (outputs == 0)
            if answers is None:
                continue
            if io.loss == "squared":
                assert answers.dtype == torch.float32
                assert answers.shape[1:] == (outputs,)
            else:
                assert answers.dtype == torch.int64
                assert 0 <= int(answers.min()) <= int(answers.max()) == outputs - 1
                assert answers.ndim == 1


@every_task
def test_a_graph_depends_on_seed_and_number_alone(task, monkeypatch) -> None:
    (inputs,), targets = task.batch(7, 30, 12)
    again = type(task)(**{name: getattr(task, name) for name in fields_of(task)})  # as after a restart
    for i in range(12):
        (one,), answer = again.batch(7, 30 + i, 1)
        assert same_bits(inputs[i], one)
        assert same_bits(targets[i], answer)
    assert not same_bits(inputs, task.batch(8, 30, 12)[0][0])
    assert not same_bits(inputs, task.batch(7, 31, 12)[0][0])
    assert same_bits(task.held_out(9).inputs[0], again.held_out(30).inputs[0][:9])
    monkeypatch.setattr("allometry.data._generated_graphs.CELLS", 5 * task.most**2)
    (parts,), answers = again.batch(7, 30, 12)
    assert same_bits(parts, inputs)
    assert same_bits(answers, targets)
    assert answers.wiring is parts.wiring


@every_task
def test_no_graph_comes_twice_and_none_is_scored(task) -> None:
    rows = [
        repr((one.nodes.tolist(), pairs_of(one), one.edges.tolist()))
        for part in (task.edit(least=task.most).batch(0, 0, 60)[0][0], task.edit(least=task.most).held_out(60).inputs[0])
        for one in part.split(1)
    ]
    assert len(set(rows)) == len(rows)


@every_task
def test_sizes_are_uniform_and_larger_worlds_are_an_edit(task) -> None:
    sizes = task.edit(least=6, most=9).batch(1, 0, 800)[0][0].n_node
    counts = torch.bincount(sizes, minlength=10)[6:].tolist()
    assert counts == pytest.approx([200] * 4, abs=4 * (800 * 3 / 16) ** 0.5)
    (large,), _ = task.edit(least=20, most=20).batch(1, 0, 2)
    assert large.n_node.tolist() == [20, 20]


def test_a_task_in_other_words_has_another_fingerprint() -> None:
    tasks = [*TASKS, *(task.edit(most=40) for task in TASKS)]
    assert len({task.fingerprint for task in tasks}) == len(set(tasks))
    for task in tasks:
        assert from_json(json.loads(json.dumps(task.to_json())), resolve) == task
    assert al.task("shortest_path")(trees=True) == ShortestPath(trees=True)


@every_label_task
def test_chance_and_floors_are_what_such_players_attain(task) -> None:
    """Frequencies of classes are those of another seed, so the loss of the player who says them is the chance."""
    (inputs,), targets = task.batch(5, 0, 1500)
    losses, right, answers, of = [], 0, 0, torch.ones(1500, dtype=torch.bool)
    for kind, (no, yes) in task.counts.items():
        asked = getattr(targets, kind)
        group = getattr(inputs.wiring, f"{kind}_of").index
        p = torch.tensor([no, yes], dtype=torch.float64) / (no + yes)
        losses.append(-p.log()[asked].mean().item())
        said = int(p.argmax())
        right, answers = right + int((asked == said).sum()), answers + len(asked)
        of &= torch.zeros(1500, dtype=torch.int64).index_add_(0, group, (asked != said).long()) == 0
        assert len(asked) / 1500 == pytest.approx(no + yes, rel=0.05)
        assert int(torch.zeros(1500, dtype=torch.int64).index_add_(0, group, asked).min()) > 0
    assert np.mean(losses) == pytest.approx(task.chance, rel=0.08)
    assert right / answers == pytest.approx(task.floors["correct"], abs=0.01)
    assert of.double().mean().item() == pytest.approx(task.floors["solved"], abs=0.03)
    assert task.chance < math.log(2)


@every_label_task
def test_the_usual_number_of_edges_is_about_right(task) -> None:
    large = task.edit(least=40, most=40)
    (inputs,), _ = large.batch(0, 0, 30)
    assert len(inputs.edges) / 30 == pytest.approx(large.io.links, rel=0.3)


@pytest.mark.parametrize(
    ("kind", "changes", "way_out"),
    [
        (Sorting, {"least": 1}, "at least 2 nodes"),
        (Springs, {"least": 2}, "at least 3 nodes"),
        (Minimum, {"least": 9, "most": 8}, "most of at least 9"),
        (ShortestPath, {"theta": 0.0}, "more than 0"),
        (ConnectedComponents, {"degree": 0.0}, "more than 0"),
        (BreadthFirst, {"p": 1.5}, "from 0 to 1"),
        (BellmanFord, {"p": -0.1}, "from 0 to 1"),
        (Springs, {"closest": 0.05}, "at least 0.1"),
        (Springs, {"step": 0.0}, "more than 0"),
        (NBody, {"force": "strong"}, "gravity, coulomb"),
        (NBody, {"softening": 0.0}, "more than 0"),
        (Relays, {"pairs": "some"}, "seen, unseen, all"),
    ],
)
def test_a_task_that_asks_nothing_is_refused(kind, changes, way_out) -> None:
    with pytest.raises(Refusal, match=way_out):
        kind(**changes)


# Trees and ways, against networkx


def test_trees_and_ways_are_those_of_networkx() -> None:
    draw = np.random.default_rng(0)
    real = np.arange(12) < np.array([12, 7, 2, 9])[:, None]
    distance = distances(draw.random((4, 12, 2)))
    order, parent = spanning_trees(distance, real)
    tree, hops = joined_to(parent, real), hops_in_tree(order, parent)
    first = real[:, :, None] & np.eye(12, dtype=bool)
    for i, nodes in enumerate(real.sum(1)):
        whole = nx.Graph()
        whole.add_nodes_from(range(nodes))
        whole.add_weighted_edges_from((a, b, distance[i, a, b]) for a, b in itertools.combinations(range(nodes), 2))
        known = nx.minimum_spanning_tree(whole)
        assert {tuple(sorted(pair)) for pair in np.argwhere(tree[i]).tolist()} == {tuple(sorted(e)) for e in known.edges}
        expected = dict(nx.all_pairs_shortest_path_length(known))
        assert hops[i, :nodes, :nodes].tolist() == [[expected[a][b] for b in range(nodes)] for a in range(nodes)]
    assert (hops_from(first, tree) == np.where(real[:, :, None] & real[:, None], hops, NONE)).all()
    source = np.array([3, 1, 0, 8])
    far, before = shortest_way(tree, distance, source)
    assert (np.isfinite(far) == real).all()
    assert (before[np.arange(4), source] == NONE).all()


def test_the_share_of_joined_nodes_is_exact() -> None:
    draw = np.random.default_rng(0)
    places, weights = draw.random((2, 200_000, 2)), draw.exponential(size=(2, 200_000))
    square = ((places[0] - places[1]) ** 2).sum(-1)
    for theta in (2.0, 20.0, 1000.0):
        share = (weights.sum(0) >= theta * square).mean()
        assert share == pytest.approx(share_of_geographic(theta), abs=4 * (share / 200_000) ** 0.5)


# Shortest path


DEMO = [ShortestPath(), ShortestPath(trees=True, least=2), ShortestPath(least=16, most=24, theta=60)]


@pytest.mark.parametrize("task", DEMO, ids=repr)
def test_graphs_and_ways_are_those_of_the_demo(task) -> None:
    """Built again by networkx from places and weights; the way is read from start to end."""
    for one, asked in singles(task, 3, 25):
        nodes = len(one.nodes)
        places, weights, (start, end) = (
            one.nodes[:, :2].double(),
            one.nodes[:, 2].double(),
            one.nodes[:, 3:].argmax(0).tolist(),
        )
        assert one.nodes[:, 3:].sum(0).tolist() == [1, 1]
        distance = torch.cdist(places, places).numpy()
        whole = nx.Graph()
        whole.add_weighted_edges_from((a, b, distance[a, b]) for a, b in itertools.combinations(range(nodes), 2))
        joined = set(nx.minimum_spanning_tree(whole).edges)
        if not task.trees:
            known = nx.geographical_threshold_graph(
                nodes, task.theta, pos=dict(enumerate(places.tolist())), weight=dict(enumerate(weights.tolist()))
            )
            joined |= set(known.edges)
        joined = {tuple(sorted(pair)) for pair in joined}
        assert sorted(pairs_of(one)) == sorted([*joined, *((b, a) for a, b in joined)])
        assert one.edges[:, 0].tolist() == pytest.approx([distance[pair] for pair in pairs_of(one)], abs=1e-6)
        way = nx.dijkstra_path(whole.edge_subgraph(joined), start, end)
        assert sorted(pairs_of(one, asked.edges.bool())) == sorted(
            itertools.pairwise(way)
        )  # from start to end, and not back
        assert asked.nodes.nonzero().flatten().tolist() == sorted(way)


def test_ends_are_drawn_uniformly_over_the_edges_between() -> None:
    """In trees the edges on the way are those between; each graph's are uniform from 1 to its diameter."""
    levels = []
    for one, asked in singles(ShortestPath(trees=True), 1, 500):
        tree = nx.Graph(pairs_of(one))
        levels.append((int(asked.edges.sum()) - 0.5) / nx.diameter(tree))
    assert np.mean(levels) == pytest.approx(0.5, abs=4 * (1 / 12 / 500) ** 0.5)
    assert np.std(levels) == pytest.approx(12**-0.5, abs=0.03)


@pytest.mark.parametrize(
    ("least", "most", "floor", "edges"), [(8, 16, 0.835, 3.30), (16, 32, 0.950, 3.47), (32, 64, None, 3.05)]
)
def test_the_floors_and_ways_on_record(least, most, floor, edges) -> None:
    """Measured on the demo's own generator. The record says not on how many graphs: its 0.835 lies 0.01 below ours, and networkx's
    own, asked again for 2,500 graphs, gave 0.849 +- 0.002."""
    _, targets = ShortestPath(least=least, most=most).batch(2, 0, 2000 if most < 64 else 600)
    count = len(targets)
    each = torch.zeros(count).index_add_(0, targets.wiring.edges_of.index, targets.edges.float())
    assert each.mean().item() == pytest.approx(edges, abs=4 * each.std().item() / count**0.5)
    if floor:
        assert 1 - ((2 * each.sum() + count) / (len(targets.nodes) + len(targets.edges))).item() == pytest.approx(
            floor, abs=0.015
        )


def test_ways_grow_with_size_in_trees_alone() -> None:
    def edges(**fields):
        return ShortestPath(**fields).batch(0, 0, 150)[1].edges.sum().item() / 150

    short, long = edges(trees=True), edges(trees=True, least=64, most=64)
    assert long > 3 * short
    assert edges(least=64, most=64) < 1.2 * edges()


# Sorting and CLRS, against numpy, scipy and literal solvers


@pytest.mark.parametrize(("least", "most", "floor"), [(8, 16, 0.9262), (16, 32, 0.9615)])
def test_the_floor_of_sorting_on_record(least, most, floor) -> None:
    assert Sorting(least=least, most=most).floors["correct"] == pytest.approx(floor, abs=5e-5)


@pytest.mark.parametrize("kind", [Sorting, Minimum, InsertionSort], ids=lambda kind: kind.__name__)
def test_numbers_are_sorted_as_by_numpy(kind) -> None:
    for one, asked in singles(kind(), 4, 30):
        values = one.nodes[:, -1].numpy()
        order = np.argsort(values, kind="stable").tolist()
        nodes = len(values)
        assert sorted(pairs_of(one)) == list(itertools.product(range(nodes), repeat=2))
        if kind is not InsertionSort:
            assert asked.nodes.nonzero().flatten().tolist() == [order[0]]
        if kind is not Minimum:
            loop = [(order[0], order[0])] if kind is InsertionSort else []
            assert sorted(pairs_of(one, asked.edges.bool())) == sorted([*itertools.pairwise(order), *loop])
        if kind is not Sorting:
            assert (np.diff(one.nodes[:, 0].numpy()) > 0).all()


def matrix(one: Graph) -> np.ndarray:
    """Edge features [sender, receiver], 0 where there is no edge."""
    found = np.zeros((len(one.nodes), len(one.nodes)))
    found[one.senders.numpy(), one.receivers.numpy()] = one.edges[:, 0].double().numpy()
    return found


def bfs_of_clrs(a: np.ndarray, s: int) -> list[int]:
    """The loop of CLRS: who was reached in the step before reaches its neighbours, by position."""
    reach, pointer = np.zeros(len(a)), np.arange(len(a))
    reach[s] = 1
    while True:
        before = reach.copy()
        for i, j in itertools.product(range(len(a)), repeat=2):
            if a[i, j] > 0 and before[i] == 1:
                if pointer[j] == j and j != s:
                    pointer[j] = i
                reach[j] = 1
        if (reach == before).all():
            return pointer.tolist()


def bellman_ford_of_clrs(a: np.ndarray, s: int) -> list[int]:
    """The loop of CLRS: all edges are relaxed until nothing changes."""
    d, pointer, mask = np.zeros(len(a)), np.arange(len(a)), np.zeros(len(a))
    mask[s] = 1
    while True:
        before, seen = d.copy(), mask.copy()
        for u, v in itertools.product(range(len(a)), repeat=2):
            if seen[u] == 1 and a[u, v] != 0:
                if mask[v] == 0 or before[u] + a[u, v] < d[v]:
                    d[v] = before[u] + a[u, v]
                    pointer[v] = u
                mask[v] = 1
        if (d == before).all() and (mask == seen).all():
            return pointer.tolist()


@pytest.mark.parametrize("p", [0.3, 0.5, 1.0])
@pytest.mark.parametrize(("kind", "literal"), [(BreadthFirst, bfs_of_clrs), (BellmanFord, bellman_ford_of_clrs)])
def test_pointers_are_those_of_the_loops_of_clrs(kind, literal, p) -> None:
    for one, asked in singles(kind(p=p), 6, 20):
        weights = matrix(one)
        source = int(one.nodes[:, 1].argmax())
        assert one.nodes[:, 1].sum() == 1
        assert (weights == weights.T).all()
        assert (np.diag(weights) == 0).all()
        assert {(i, i) for i in range(len(weights))} <= set(pairs_of(one))
        pointer = literal(weights, source)
        assert sorted(pairs_of(one, asked.edges.bool())) == sorted(zip(pointer, range(len(pointer)), strict=True))


def test_graphs_of_clrs_join_where_two_draws_are_both_yes() -> None:
    (inputs,), _ = BellmanFord(least=12, most=12).batch(0, 0, 400)
    lengths = inputs.edges[inputs.edges > 0]
    assert len(lengths) / (400 * 12 * 11) == pytest.approx(0.25, abs=4 * (2 * 0.25 * 0.75 / (400 * 132)) ** 0.5)
    assert (lengths.double() ** 2 - 1e-3).mean().item() == pytest.approx(
        0.25, abs=0.01
    )  # the mean of a product of two uniforms


def test_what_is_reached_is_the_component_of_networkx() -> None:
    for one, asked in singles(ConnectedComponents(), 2, 40):
        known = nx.Graph()
        known.add_nodes_from(range(len(one.nodes)))
        known.add_edges_from(pairs_of(one))
        component = nx.node_connected_component(known, int(one.nodes[:, 0].argmax()))
        assert asked.nodes.nonzero().flatten().tolist() == sorted(component)
        assert {(b, a) for a, b in pairs_of(one)} == set(pairs_of(one))
    (inputs,), _ = ConnectedComponents(least=40, most=40).batch(0, 0, 200)
    assert len(inputs.edges) / (200 * 40) == pytest.approx(1.5, abs=0.1)


# Motion


def literal_velocity(one: Graph, step: float, force: str) -> np.ndarray:
    """The next velocities of one graph, an edge at a time, from what the graph says alone."""
    nodes = one.nodes.double().numpy()
    pull = np.zeros((len(nodes), 2))
    constant = one.globals[0].double().numpy()
    for (s, r), edge in zip(pairs_of(one), one.edges.double().numpy(), strict=True):
        way = nodes[r, :2] - nodes[s, :2]
        if force == "spring":
            length = math.hypot(*way)
            pull[r] += -edge[0] * (length - edge[1]) / length * way
        else:
            sign = -1 if force == "gravity" else 1
            mass = nodes[r, 4] if force == "gravity" else 1.0
            pull[r] += sign * constant[0] * edge[0] / mass * way / (way @ way + 0.3**2) ** 1.5
    if force == "spring":
        pull += constant
        pull[nodes[:, 4] == 1] = 0
    return nodes[:, 2:4] + step * pull


@every_motion
def test_the_next_velocity_follows_from_what_is_given(task) -> None:
    force = task.force if isinstance(task, NBody) else "spring"
    for one, asked in singles(task, 8, 15):
        assert asked.nodes.numpy() == pytest.approx(
            literal_velocity(one, task.step, force), abs=2e-4
        )  # of what float32 holds


@every_motion
def test_a_perfect_model_rolls_out_without_error(task) -> None:
    """Fed its own answers for 50 steps; a body that nobody stops is chaotic, so near meetings are left out by the bound."""
    start, truth = task.rollout(3, 0, 4)
    force = task.force if isinstance(task, NBody) else "spring"

    def perfect(now: Graph) -> Graph:
        velocities = [torch.from_numpy(literal_velocity(one, task.step, force)).float() for one in now.split(1)]
        return now.edit(nodes=torch.cat(velocities))

    assert truth.shape == (51, len(start.nodes), 2)
    assert rollout_error(rollout(perfect, start, 50, task.advance).states, truth) < 1e-3
    still = rollout(lambda now: now.edit(nodes=torch.zeros(len(start.nodes), 2)), start, 50, task.advance).states
    rest = still[1:]
    assert rollout_error([rest[0], *rest], truth) == pytest.approx(float((truth.double() ** 2).sum(-1).mean()))
    assert all(torch.equal(state.nodes[:, :2], rest[0].nodes[:, :2]) for state in rest)  # what stands stays where it is
    (inputs,), targets = task.batch(3, 0, 4)  # its states are of the same trajectories
    assert same_bits(inputs.edit(nodes=inputs.nodes[:, 4:]), start.edit(nodes=start.nodes[:, 4:]))
    places = [(truth[:, i] - targets.nodes[i]).abs().sum(1).min().item() for i in range(len(targets.nodes))]
    assert max(places) < 1e-6


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("sizes", "zero", "persistence", "error"),
    [((5, 8, 0.2, 1.0), 7.28, 1.95, 0.25), ((4, 4, 0.5, 0.5), 2.11, 0.67, 0.1), ((9, 9, 0.5, 0.5), 11.6, 2.12, 0.3)],
    ids=["train", "4", "9"],
)
def test_the_floors_of_springs_on_record(sizes, zero, persistence, error, symmetric) -> None:
    """Pooled over nodes; those on record are of 3000 trajectories of the demo, and of 300 for 4 and 9 masses."""
    least, most, closest, farthest = sizes
    task = Springs(least=least, most=most, closest=closest, farthest=farthest, symmetric=symmetric)
    assert task.floors["zero"] == pytest.approx(zero, abs=2 * error)
    _, truth = task.rollout(0, 0, 1000, steps=49)
    square = (truth.double() ** 2).sum(-1)
    assert square[1:].mean().item() == pytest.approx(zero, abs=error)
    assert (truth.double().diff(dim=0) ** 2).sum(-1).mean().item() == pytest.approx(persistence, abs=0.1)
    assert task.floors["persistence"] == pytest.approx(persistence, abs=0.15)


def test_the_chance_of_motion_is_that_of_the_mean_velocity() -> None:
    for task in (Springs(), NBody()):
        _, targets = task.batch(4, 0, 1500)
        variance = targets.nodes.double().var(0, correction=0).mean().item()
        assert variance == pytest.approx(task.chance, rel=0.1)
        assert 2 * task.chance <= task.floors["zero"]


def test_chains_are_wired_and_fixed_as_in_the_demo() -> None:
    for symmetric, (one, asked) in itertools.chain(
        (((True, pair)) for pair in singles(Springs(), 0, 20)),
        ((False, pair) for pair in singles(Springs(symmetric=False), 0, 20)),
    ):
        nodes = len(one.nodes)
        fixed = one.nodes[:, 4].tolist()
        assert fixed == [1.0, *[0.0] * (nodes - 2), 1.0]
        steps = [(i, i + 1) for i in range(nodes - 1)]
        assert sorted(pairs_of(one)) == sorted((s, r) for a, b in steps for s, r in ((a, b), (b, a)) if not fixed[r])
        assert 45 <= one.edges[:, 0].min() <= one.edges[:, 0].max() <= 55
        assert one.globals[0, 0] == 0
        assert -11 <= one.globals[0, 1] <= -9
        k = dict(zip(pairs_of(one), one.edges[:, 0].tolist(), strict=True))
        both = [k[s, r] == k[r, s] for s, r in k if (r, s) in k]
        assert all(both) if symmetric else not any(both)
        assert (asked.nodes[[0, -1]] == 0).all()


def energy(task: Motion, system, places, velocities) -> np.ndarray:
    """Of each frame and graph, bodies of mass 1 or their own."""
    gaps = places[:, :, :, None] - places[:, :, None]
    square = (gaps**2).sum(-1)
    if isinstance(task, Springs):
        n = system.n_node[0]
        left = np.arange(n - 1)
        k = np.maximum(system.edges[:, left, left + 1, 0], system.edges[:, left + 1, left, 0])
        rest = np.maximum(system.edges[:, left, left + 1, 1], system.edges[:, left + 1, left, 1])
        springs = (k / 2 * (np.sqrt(square[:, :, left, left + 1]) - rest) ** 2).sum(-1)
        return (velocities**2).sum((-1, -2)) / 2 + springs - system.globals[:, 1] * places[..., 1].sum(-1)
    charge = system.nodes[..., 0]
    sign, mass = (-1, charge) if task.force == "gravity" else (1, np.ones_like(charge))
    pairs = system.edges[..., 0] / np.sqrt(square + task.softening**2) * ~np.eye(charge.shape[1], dtype=bool)
    moving = (mass[..., None] * velocities**2).sum((-1, -2)) / 2
    return moving + sign * system.globals[:, 0] * pairs.sum((-1, -2)) / 2


@pytest.mark.parametrize(
    "task", [Springs(least=6, most=6), *(NBody(least=4, most=4, force=force) for force in FORCES)], ids=repr
)
def test_energy_is_kept_as_the_step_shrinks(task) -> None:
    """To first order in the step: a tenth of it strays about a tenth as far. A direction's own k would not keep it."""
    strays = []
    for step in (0.01, 0.001):
        fine = task.edit(step=step)
        system = fine.system(1, np.arange(20))
        found = energy(fine, system, *fine.trajectory(system, round(1 / step)))
        strays.append(np.abs(found - found[0]).max(0).mean())
    assert 5 < strays[0] / strays[1] < 20
    assert strays[1] < 0.1


@pytest.mark.parametrize("force", FORCES)
def test_momentum_is_kept_exactly_among_bodies(force) -> None:
    task = NBody(least=3, most=9, force=force)
    system = task.system(0, np.arange(20))
    _, velocities = task.trajectory(system, 50)
    mass = system.nodes[..., 0] if force == "gravity" else np.abs(system.nodes[..., 0])
    momentum = (mass[..., None] * velocities).sum(2)
    assert np.abs(momentum - momentum[0]).max() < 1e-12
    assert np.abs(velocities - velocities[0]).max() > 0.1


# Solved


def test_solved_counts_whole_graphs_and_single_answers() -> None:
    wiring = graph([0, 1, 2], [1, 0, 2], [2, 1, 0], [2, 1, 0])
    targets = wiring.edit(nodes=torch.tensor([0, 1, 1]), edges=torch.tensor([1, -100, 0]))
    one_hot = torch.nn.functional.one_hot
    right = wiring.edit(nodes=one_hot(torch.tensor([0, 1, 1]), 2).float(), edges=one_hot(torch.tensor([1, 0, 0]), 2).float())
    found = solved(right, targets)
    assert (found.wrong.tolist(), found.asked.tolist()) == ([0, 0, 0], [3, 2, 0])
    wrong = right.edit(edges=one_hot(torch.tensor([0, 1, 0]), 2).float())
    assert solved(wrong, targets).wrong.tolist() == [1, 0, 0]
    with pytest.raises(Refusal, match="edges are asked, and there are no answers"):
        solved(right.edit(edges=None), targets)
    with pytest.raises(Refusal, match="squared error"):
        solved(right, targets.edit(nodes=torch.zeros(3, 2)))


@every_label_task
def test_who_always_says_no_solves_nothing(task) -> None:
    (inputs,), targets = task.batch(0, 0, 50)
    no = torch.tensor([1.0, 0.0])
    said = inputs.edit(nodes=no.expand(len(inputs.nodes), 2), edges=no.expand(len(inputs.edges), 2))
    found = solved(said, targets)
    assert (found.wrong > 0).all()
    if len(task.counts) == 2:
        assert 1 - float(found.wrong.sum() / found.asked.sum()) == pytest.approx(task.floors["correct"], abs=0.06)


def test_every_task_says_what_it_asks() -> None:
    """A drawing of the data in the file, and what nodes, edges and graph hold at the class."""
    for kind in KINDS:
        assert "```text" in (inspect.getmodule(kind).__doc__ or "")
        assert all(word in kind.__doc__.lower() for word in ("node: ", "edge", "graph: ", "asked of "))


# Relays, against a walk through the tree that multiplies permutation matrices


def shape_of(one: Graph) -> set[str]:
    """The shapes of trees that the wiring may be."""
    tree = nx.Graph(pairs_of(one))
    nodes = len(one.nodes)
    made = {
        "chain": nx.path_graph(nodes),
        "star": nx.star_graph(nodes - 1),
        "binary": nx.Graph((child, (child - 1) // 2) for child in range(1, nodes)),
    }
    return {name for name, known in made.items() if nx.is_isomorphic(tree, known)} or {"random"}


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("pairs", ["seen", "unseen"])
def test_states_are_what_the_relations_on_the_way_make_of_the_one_that_is_known(pairs, shuffled) -> None:
    matrices = np.eye(3)[RELATIONS]  # row: before, column: after
    assert all(np.array_equal(matrix @ matrix, np.eye(3)) for matrix in matrices)
    first = {"seen": 0, "unseen": 2}[pairs]
    in_order, met = 0, set()
    for one, asked in singles(Relays(pairs=pairs, shuffled=shuffled, least=6, most=14), 2, 60):
        tree, relation = nx.Graph(pairs_of(one)), dict(zip(pairs_of(one), one.edges.argmax(1).tolist(), strict=True))
        assert nx.is_tree(tree)
        assert (one.edges.sum(1) == 1).all()
        assert one.nodes.sum() == 1
        source = int(one.nodes.any(1).nonzero())
        for node in tree:
            state = one.nodes[source].double().numpy()
            for edge in itertools.pairwise(nx.shortest_path(tree, source, node)):
                assert relation[edge] == relation[edge[::-1]]
                state = state @ matrices[relation[edge]]
            assert int(asked.nodes[node]) == int(state.argmax())
        shapes = shape_of(one)
        assert any(
            set(relation.values()) <= {(TOPOLOGIES.index(shape) + first + k) % 4 for k in range(2)} for shape in shapes
        )
        met |= {(shape, kind) for shape in shapes for kind in relation.values()}
        in_order += all(min(tree[node]) < node for node in range(1, len(tree)))
    assert in_order == 60 if not shuffled else in_order < 20
    assert {shape for shape, _ in met} == set(TOPOLOGIES)
    assert {kind for _, kind in met} == set(range(4))


def test_players_of_relays_attain_their_floors() -> None:
    task = Relays(pairs="all")
    copied = [(asked.nodes == asked.nodes[one.nodes.any(1)]).double() for one, asked in singles(task, 3, 500)]
    assert torch.cat(copied).mean().item() == pytest.approx(task.floors["copied"], abs=0.03)
    assert np.mean([bool(right.all()) for right in copied]) == pytest.approx(task.floors["solved"], abs=0.02)
    states = torch.bincount(task.batch(3, 0, 2000)[1].nodes) / (2000 * 12)
    assert states.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)

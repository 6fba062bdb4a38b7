"""Training, scoring and counting on graphs: against losses by hand, whole against parts, and resumed against undisturbed."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from graph_samples import DOUBLE, irregular
from tiny_graphs import Edgeless, Flat, Reasoner, Sized, Stepwise, Turned

import allometry as al
from allometry.data._random import HELD_OUT
from allometry.flow import Budget, Graphs, Refusal
from allometry.graph import FEATURES
from allometry.study.score import FRAMES, _rollout
from allometry.train.answers import answers_to
from allometry.train.evaluate import evaluate
from allometry.train.example import built, example
from allometry.train.loop import Setting, _batches, tokens_in, train, train_step
from allometry.train.meter import count
from allometry.train.recipe import Recipe
from allometry.train.speed import latency, seconds_per_step

Paths, Sorting, Springs = al.task("shortest_path"), al.task("sorting"), al.task("springs")
PATHS = Paths(least=4, most=6)
ALL = Graphs(nodes=5, edges=3, globals=2, of_nodes=3, of_edges=2, of_graphs=4, length=6, links=9)


def model(family: type[Reasoner] = Reasoner, task: al.Spec = PATHS, width: int = 8):
    torch.manual_seed(0)
    return built(family(width=width), task.io)


def gradient(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([part.grad.flatten() for part in net.parameters() if part.grad is not None])


def by_hand(said: al.Graph, targets: al.Graph) -> float:
    """The mean of the means, a row at a time."""
    means = []
    for name in FEATURES:
        wanted = getattr(targets, name)
        if wanted is None:
            continue
        losses = []
        for scores, one in zip(getattr(said, name), wanted, strict=True):
            if one.is_floating_point():
                losses += ((scores.flatten() - one.flatten()) ** 2).tolist()
            elif one >= 0:
                losses.append(float(scores.exp().sum().log() - scores[one]))
        means += [sum(losses) / len(losses)] if losses else []
    return sum(means) / len(means)


def sample(io: Graphs = ALL, seed: int = 0) -> tuple[al.Graph, al.Graph]:
    """Irregular graphs, random answers to them, and targets of which some are not asked."""
    graph, draw = irregular(), torch.Generator().manual_seed(seed)
    rows = {"nodes": (9, io.of_nodes), "edges": (9, io.of_edges), "globals": (4, io.of_graphs)}
    said = {name: torch.randn(shape, dtype=DOUBLE, generator=draw) for name, shape in rows.items() if shape[1]}
    if io.loss == "squared":
        targets = {name: torch.randn(value.shape, dtype=DOUBLE, generator=draw) for name, value in said.items()}
    else:
        targets = {name: torch.randint(-1, value.shape[1], (len(value),), generator=draw) for name, value in said.items()}
    return graph.edit(**(dict.fromkeys(FEATURES) | said)), graph.edit(**(dict.fromkeys(FEATURES) | targets))


IOS = [ALL, ALL.edit(of_edges=0), ALL.edit(of_nodes=0, of_edges=0), ALL.edit(loss="squared"), ALL.edit(of_graphs=0)]


@pytest.mark.parametrize("io", IOS, ids=repr)
def test_the_loss_is_the_mean_of_the_means_over_what_is_asked(io) -> None:
    said, targets = sample(io)
    answers = answers_to(targets)
    objective, loss = answers.losses(answers.said(said, (said,)), targets, answers.asked(targets))
    assert float(loss) == pytest.approx(by_hand(said, targets), rel=1e-12)
    assert objective == loss


def test_of_several_steps_the_mean_is_trained_and_the_last_is_reported() -> None:
    (first, targets), (last, _) = sample(), sample(seed=1)
    answers = answers_to(targets)
    objective, loss = answers.losses(answers.said([first, last], (first,)), targets, answers.asked(targets))
    assert float(loss) == pytest.approx(by_hand(last, targets), rel=1e-12)
    assert float(objective) == pytest.approx((by_hand(first, targets) + by_hand(last, targets)) / 2, rel=1e-12)
    net = model(Stepwise)
    assert [type(net.train()(PATHS.batch(0, 0, 2)[0][0])), type(net.eval()(PATHS.batch(0, 0, 2)[0][0]))] == [list, al.Graph]


@pytest.mark.parametrize("parts", [2, 3, 8])
@pytest.mark.parametrize("family", [Reasoner, Stepwise])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(family, parts) -> None:
    """Graphs of a part ask more or less than those of another: nodes count by the whole batch."""
    (inputs,), targets = PATHS.batch(0, 0, 7)
    targets = targets.edit(nodes=targets.nodes.masked_fill(torch.arange(len(targets.nodes)) < 9, -1))
    found = []
    for some in (1, parts):
        net = model(family).double()
        loss = train_step(
            net,
            Recipe(rate=0.0).optimizer(net),
            ((inputs.to(torch.float64),), targets),
            setting=Setting(),
            clip=0.0,
            parts=some,
        )
        found.append((gradient(net), float(loss)))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-12, atol=1e-14)
    assert found[0][0].abs().max() > 1e-3
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-6)  # it is summed in fp32


def test_a_part_of_which_nothing_is_asked_adds_nothing() -> None:
    (inputs,), targets = PATHS.batch(0, 0, 2)
    nodes, edges = int(inputs.n_node[0]), int(inputs.n_edge[0])
    targets.nodes[:nodes], targets.edges[:edges] = -1, -1
    found = []
    for batch, parts in (((inputs, targets), 2), ((inputs[1], targets[1]), 1)):
        net = model()
        train_step(net, Recipe(rate=0.0).optimizer(net), ((batch[0],), batch[1]), setting=Setting(), clip=0.0, parts=parts)
        found.append(gradient(net))
    assert found[0].abs().max() > 1e-3
    assert torch.allclose(*found, atol=1e-6)


@pytest.mark.parametrize(("task", "below"), [(PATHS, 0.85), (Springs(least=3, most=5), 0.7)], ids=["classes", "numbers"])
def test_it_learns(task, below) -> None:
    net = model(Stepwise, task, width=16)
    optimizer = Recipe(rate=2e-2).optimizer(net)
    losses = [float(train_step(net, optimizer, task.batch(0, 8 * i, 8), setting=Setting())) for i in range(40)]
    assert sum(losses[-10:]) / 10 < below * min(task.chance, sum(losses[:10]) / 10)


def test_small_batches_fetched_together_are_those_of_their_steps() -> None:
    for step, (inputs, targets) in enumerate(
        _batches(lambda f, c: PATHS.batch(3, f, c), Budget(flops=1.0, steps=9, batch=8), 0)
    ):
        (expected,), answers = PATHS.batch(3, 8 * step, 8)
        for one, other in ((inputs[0], expected), (targets, answers)):
            assert torch.equal(one.senders, other.senders)
            assert torch.equal(one.nodes, other.nodes)
            assert torch.equal(one.edges, other.edges)


BUDGET = Budget(flops=1.0, steps=10, batch=5)


def points(setting: Setting):
    return train(model(), lambda f, c: PATHS.batch(0, f, c), Recipe(rate=1e-2), BUDGET, setting, 10.0)


def test_a_run_that_goes_on_is_the_run_undisturbed_and_counts_nodes(tmp_path) -> None:
    undisturbed = list(points(Setting()))
    nodes = itertools.accumulate(PATHS.batch(0, 5 * step, 5)[0][0].wiring.nodes for step in range(10))
    assert [point.tokens for point in undisturbed] == list(nodes)
    assert [point.flops for point in undisturbed] == [10.0 * point.tokens for point in undisturbed]
    setting = Setting(folder=tmp_path, checkpoint_seconds=0.0)
    first = list(itertools.islice(points(setting), 4))
    again = list(points(setting))
    assert again[0].step > 2
    found = {point.step: (point.loss, point.tokens) for point in [*first, *again]}
    assert found == {point.step: (point.loss, point.tokens) for point in undisturbed}


def test_running_out_of_memory_splits_a_batch_of_graphs() -> None:
    class Hungry(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = model()

        def forward(self, graph: al.Graph) -> al.Graph:
            if len(graph) > 2:
                raise torch.OutOfMemoryError("too much")
            return self.inside(graph)

    said: list[str] = []
    setting = Setting(notify=said.append)
    split = list(train(Hungry(), lambda f, c: PATHS.batch(0, f, c), Recipe(rate=1e-2), BUDGET, setting, 10.0))
    assert [text for text in said if "accumulated over 4 parts" in text]
    assert split[-1].loss == pytest.approx(list(points(Setting()))[-1].loss, rel=1e-3)


def scored_by(net: torch.nn.Module, task: al.Spec, graphs: int, batch: int = 7):
    held = task.held_out(graphs)
    return evaluate(net, held.inputs, held.targets, held.weights, held.document, Setting(), batch=batch), held


def test_the_score_is_that_of_all_graphs_at_once_and_of_each_by_hand() -> None:
    net, graphs = model().eval(), 30
    score, held = scored_by(net, PATHS, graphs)
    with torch.no_grad():
        said = net(held.inputs[0])
    assert score.loss == pytest.approx(by_hand(said, held.targets), rel=1e-5)
    right, solved = [], 0
    for place in range(graphs):
        one, wanted = said[place], held.targets[place]
        hits = [*(one.nodes.argmax(1) == wanted.nodes).tolist(), *(one.edges.argmax(1) == wanted.edges).tolist()]
        right += hits
        solved += all(hits)
    assert score.accuracy == pytest.approx(sum(right) / len(right), abs=1e-12)
    assert score.solved == solved / graphs
    assert len(score.documents) == graphs
    assert sum(score.documents) / graphs == pytest.approx(score.loss, rel=1e-12)
    assert score.positions == [pytest.approx(score.loss)]


def test_who_knows_the_answers_solves_all_and_who_errs_once_solves_all_but_one() -> None:
    (inputs,), targets = PATHS.batch(0, 0, 5)
    known = {name: F.one_hot(getattr(targets, name), 2).float() * 50 for name in ("nodes", "edges")}

    class Player(torch.nn.Module):
        def __init__(self, errs: bool) -> None:
            super().__init__()
            self.errs = errs

        def forward(self, graph: al.Graph) -> al.Graph:
            nodes = known["nodes"].clone()
            if self.errs:
                nodes[-1] = nodes[-1].flip(0)
            return graph.edit(nodes=nodes, edges=known["edges"])

    found = [
        evaluate(Player(errs), (inputs,), targets, torch.ones(5, 1), torch.arange(5), Setting(), batch=5)
        for errs in (False, True)
    ]
    assert [score.solved for score in found] == [1.0, 0.8]
    decisions = targets.wiring.nodes + targets.wiring.edges
    assert [score.accuracy for score in found] == [1.0, pytest.approx(1 - 1 / decisions)]
    assert found[0].loss < 1e-9


def test_the_scatter_of_documents_is_that_of_the_loss_over_draws_of_graphs() -> None:
    """The standard error from one set of graphs against the losses of many sets, within what 40 sets can tell."""
    net, graphs = model().eval(), 30
    found = []
    for place in range(40):
        (inputs,), targets = PATHS.batch(1, graphs * place, graphs)
        found.append(evaluate(net, (inputs,), targets, torch.ones(graphs, 1), torch.arange(graphs), Setting(), batch=graphs))
    losses = torch.tensor([score.loss for score in found])
    errors = torch.tensor([score.documents for score in found]).std(1) / math.sqrt(graphs)
    assert 0.65 < float(errors.mean() / losses.std()) < 1.5  # the spread of 40 is known to 11 %


def test_numbers_have_a_loss_and_no_share() -> None:
    task = Springs(least=3, most=5)
    net = model(task=task).eval()
    score, held = scored_by(net, task, 12)
    with torch.no_grad():
        assert score.loss == pytest.approx(by_hand(net(held.inputs[0]), held.targets), rel=1e-5)
    assert (score.accuracy, score.solved) == (None, None)


def test_a_rollout_is_measured_in_steps_of_persistence() -> None:
    """Who says that nothing changes errs as the task says, by its own frames; who knows the next velocities does not err."""
    task = Springs(least=3, most=4)

    class Stays(torch.nn.Module):
        def forward(self, graph: al.Graph) -> al.Graph:
            return graph.edit(nodes=graph.nodes[:, 2:4], edges=None, globals=None)

    _, truth = task.rollout(HELD_OUT, 0, 6, FRAMES)
    expected = float((truth[:1] - truth).double().square().sum(-1).mean()) / task.floors["persistence"]
    assert _rollout(Stays(), task, 6, Setting()) == pytest.approx(expected, rel=1e-6)
    assert expected > 1


def test_the_example_of_an_io_is_what_it_says() -> None:
    (inputs,), targets = example(ALL, 3)
    inputs.wiring.check()
    assert (len(inputs), inputs.wiring.nodes, inputs.wiring.edges) == (3, 18, 27)
    assert [getattr(inputs, name).shape[1] for name in FEATURES] == [5, 3, 2]
    assert [int(getattr(targets, name).max()) for name in FEATURES] == [2, 1, 3]
    assert torch.equal(inputs.receivers, inputs.receivers.sort().values)
    (bare,), numbers = example(Graphs(nodes=0, edges=0, globals=0, of_graphs=1, loss="squared"), 2)
    assert [getattr(bare, name) for name in FEATURES] == [None] * 3
    assert (numbers.nodes, numbers.globals.shape) == (None, (2, 1))
    assert tokens_in((inputs,)) == 18


def test_a_graph_network_is_counted_per_node_with_all_its_edges_and_steps() -> None:
    width, io = 8, PATHS.io
    nodes, edges = io.length, io.links
    before = torch.get_rng_state()
    counted = count(Reasoner(width=width), io)
    assert torch.equal(before, torch.get_rng_state())  # it draws weights of its own
    encode = 2 * width * (edges * io.edges + nodes * io.nodes)
    # What edges read of their nodes is projected once for each node; the graph's own feature too, once.
    core = 2 * width * (edges * width + 2 * nodes * width + io.globals) + 2 * width * (2 * nodes * width + io.globals)
    answer = 2 * width * (nodes * io.of_nodes + edges * io.of_edges)
    assert counted.forward_flops_per_token * nodes == encode + 2 * (core + answer)
    assert counted.length == nodes
    weights = width * (io.edges + 1) + width * (io.nodes + 1)
    weights += width * (3 * width + io.globals + 1) + width * (2 * width + io.globals + 1) + 4 * width
    assert counted.parameters == weights + (width + 1) * (io.of_nodes + io.of_edges)
    assert count(Sized(width=width), io).to_table() == counted.to_table()


@pytest.mark.parametrize(
    ("family", "says"),
    [
        (Edgeless, "gives no edges, and they are asked"),
        (Turned, "joined otherwise"),
        (Flat, "with Tensor. It gives a Graph"),
    ],
)
def test_what_is_no_answer_is_refused_in_words_before_anything_is_trained(family, says) -> None:
    with pytest.raises(Refusal, match=says):
        count(family(width=4), PATHS.io)


def test_speed_is_measured_on_graphs_of_the_usual_size() -> None:
    assert 0 < latency(model(), PATHS.io, Setting()) < 1
    assert 0 < seconds_per_step(model(Stepwise), PATHS.io, 2, Setting(), 0.0) < 1


def test_half_precision_is_scored_as_fp32() -> None:
    found = {}
    for precision in ("fp32", "bf16"):
        net = model()
        batch = PATHS.batch(0, 0, 8)
        loss = train_step(net, Recipe(rate=0.0).optimizer(net), batch, setting=Setting(precision=precision), clip=0.0)
        assert gradient(net).dtype == torch.float32
        found[precision] = float(loss)
    assert found["fp32"] != found["bf16"]
    assert found["bf16"] == pytest.approx(found["fp32"], rel=0.02)


def test_shapes_that_are_no_answers_are_refused() -> None:
    said, targets = sample()
    answers = answers_to(targets)
    with pytest.raises(Refusal, match=r"logits \[rows classes\]"):
        answers.losses([said.edit(nodes=said.nodes[:, 0])], targets, answers.asked(targets))
    numbers = targets.edit(nodes=torch.zeros(9, 2), edges=None, globals=None)
    with pytest.raises(Refusal, match="numbers are asked"):
        answers.losses([said], numbers, answers.asked(numbers))
    with pytest.raises(Refusal, match="no steps"):
        answers.said([], (said,))
    with pytest.raises(Refusal, match="answers 4 graphs of 9 nodes and 9 edges with 3 of 5 and 4"):
        answers.said(said[:3], (said,))


@pytest.mark.parametrize(("numbers", "classes"), [("nodes", "edges"), ("edges", "nodes"), ("globals", "nodes")])
def test_classes_and_numbers_at_once_are_refused_by_name(numbers, classes) -> None:
    """Whichever comes first: in the score as in training."""
    graph, targets = sample()
    rows = {"nodes": graph.wiring.nodes, "edges": graph.wiring.edges, "globals": len(graph)}
    asked = dict.fromkeys(FEATURES) | {classes: getattr(targets, classes), numbers: torch.ones(rows[numbers], 2)}
    mixed, kind = targets.edit(**asked), answers_to(targets)
    said = graph.edit(**{name: torch.zeros(rows[name], 4) for name in FEATURES})
    for ask in (lambda: kind.asked(mixed), lambda: kind.rows([said], mixed)):
        with pytest.raises(Refusal, match=f"Of {classes} classes are asked, and of {numbers} numbers"):
            ask()

"""An experiment on graphs: two arms, tested on larger worlds, from its file to the verdicts on its page."""

import dataclasses
import json
from multiprocessing.connection import Connection

import pytest
import torch
from rich.console import Console
from tiny_graphs import Edgeless, Reasoner

import allometry as al
from allometry.flow import Graphs, Refusal, alike
from allometry.progress import Quiet
from allometry.record.store import Folder
from allometry.report.experiment import write_experiment
from allometry.study import run_experiment as carrying
from allometry.study.entry import Place
from allometry.study.experiment import Arm, Expectation, Experiment, OtherTask
from allometry.study.pool import Pool
from allometry.study.run_experiment import checked, run_experiment
from allometry.study.worker import run_trial, score_tests, step_seconds

Paths, Sorting, Springs = al.task("shortest_path"), al.task("sorting"), al.task("springs")
PATHS = Paths(least=3, most=5)
LARGER = OtherTask(name="larger", task=Paths(least=8, most=12), at=12.0)
ARM = Arm(
    name="two steps",
    line="two steps",
    panel="ways",
    model=Reasoner(width=4, depth=2),
    task=PATHS,
    recipe=al.Recipe(rate=1e-2),
    steps=4,
    batch=3,
    at=5.0,
    axis="nodes",
    tests=(LARGER,),
)
MOTION = ARM.edit(name="springs", panel="springs", task=Springs(least=3, most=4), tests=(), at=None)
CLAIMS = (
    Expectation(text="It solves half.", arm="two steps", measure="solved", at_least=0.5),
    Expectation(text="Larger ones.", arm="two steps", against="one step", measure="unsolved:larger", at_most=1.0),
    Expectation(text="Answers.", arm="one step", measure="error:larger", at_most=0.9),
    Expectation(text="Rollouts.", arm="springs", measure="rollout", at_most=0.1),
)


class Here(Pool):
    """A pool whose one worker is this process."""

    def __init__(self, jobs: int, place: Place) -> None:
        self.place = place

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, messages):
        return [step_seconds(self.place, Deaf(), *message[1:]) for message in messages]

    def work(self, next_request, heard):
        while (request := next_request()) is not None:
            key, (kind, trial) = request
            yield key, {"trial": run_trial, "test": score_tests}[kind](self.place, Deaf(), trial)


class Deaf(Connection):
    """The worker's end of a wire at whose other end nobody listens."""

    _handle = None

    def __init__(self) -> None:
        pass

    def send(self, obj: object) -> None:
        pass


@pytest.fixture(scope="module")
def here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carrying, "Pool", Here)
        yield


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory, here):
    """The folder of the experiment, and what a dry run says of it."""
    folder = tmp_path_factory.mktemp("graphs")
    arms = (ARM, ARM.edit(name="one step", line="one step", model=Reasoner(width=4, depth=1)), MOTION)
    asked = Experiment(title="Ways", arms=arms, expectations=CLAIMS, seeds=3, sequences=6, device="cpu", jobs=1)
    rows = run_experiment(asked, folder / "dry", Quiet(Console()), dry_run=True)
    run_experiment(asked, folder / "run", Quiet(Console()))
    return folder / "run", rows, asked


def ends_of(folder, name: str) -> list[al.Spec]:
    content = json.loads((folder / "experiment.json").read_text())
    return [Folder(folder).end(run) for arm in content["arms"] if arm["name"] == name for run in arm["runs"]]


def test_every_arm_is_scored_on_its_own_graphs_and_on_larger_ones(carried_out) -> None:
    folder, _, _ = carried_out
    for name in ("two steps", "one step"):
        for end in ends_of(folder, name):
            assert end.status == "done"
            (test,) = end.facts["tests"]
            for found in (end.facts, test):
                assert 0 <= found["solved"] <= found["accuracy"] <= 1
                assert 6 * found["solved"] == pytest.approx(round(6 * found["solved"]))
                assert found["standard_error"] > 0
            assert test["loss"] != end.loss
    for end in ends_of(folder, "springs"):
        assert end.facts["accuracy"] is None
        assert end.facts["rollout"] is None or end.facts["rollout"] > 0


def test_a_dry_run_prices_it_by_nodes(carried_out) -> None:
    _, rows, asked = carried_out
    two, one, _ = rows
    assert two["seconds"] > 0
    assert 1 < two["flops"] / one["flops"] < 2
    assert asked.arms[0].tokens == 4 * 3 * PATHS.most


def test_claims_are_judged_by_what_the_answers_are_worth(carried_out) -> None:
    folder, _, _ = carried_out
    bundle, page = write_experiment(folder)
    solved, larger, _, rollout = bundle["expectations"]
    shares = [end.facts["solved"] for end in ends_of(folder, "two steps")]
    assert [value["value"] for value in solved["values"]] == shares
    assert solved["level"] == 1.0
    assert solved["verdict"] == ("holds" if min(shares) >= 0.5 else "refuted" if max(shares) < 0.5 else "cannot tell")
    assert [value["value"] for value in larger["others"]] == [
        1 - end.facts["tests"][0]["solved"] for end in ends_of(folder, "one step")
    ]
    assert rollout["unit"] == ""
    text = page.read_text()
    for words in ("share of graphs solved", "share of graphs not solved in the test larger", "persistence in one step"):
        assert words in text
    assert text.count(">solved") >= 2  # of the arms, and of the tests
    for drawn in ("beyond-0-wrong", "beyond-0-solved", "rollouts-1"):
        assert f'id="figure-{drawn}"' in text
    springs = next(arm for arm in bundle["arms"] if arm["name"] == "springs")
    assert [one["rollout"] for one in springs["outcomes"]] == [end.facts["rollout"] for end in ends_of(folder, "springs")]


def test_what_was_done_is_not_done_again_and_a_test_that_is_added_is_scored(carried_out) -> None:
    folder, _, asked = carried_out
    before = [end.loss for end in ends_of(folder, "two steps")]
    largest = OtherTask(name="largest", task=Paths(least=16, most=16, trees=True))
    same = OtherTask(name="same", task=PATHS, model=ARM.model)
    longer = OtherTask(name="more steps", task=PATHS, model=ARM.model.edit(depth=5))
    added = (largest, same, longer)
    more = asked.edit(arms=(asked.arms[0].edit(tests=(LARGER, *added)), *asked.arms[1:]))
    run_experiment(more, folder, Quiet(Console()))
    ends = ends_of(folder, "two steps")
    assert [end.loss for end in ends] == before
    for end in ends:
        tests = {test["name"]: test for test in end.facts["tests"]}
        assert [*tests] == ["larger", "largest", "same", "more steps"]
        assert tests["same"]["loss"] == end.loss  # the trained weights, in a model of the same family
        assert tests["more steps"]["loss"] != end.loss


def test_a_test_in_another_model_takes_the_weights_of_the_arm() -> None:
    for model, why in (
        (ARM.model.edit(width=5), "two steps in the test 'wide' cannot start from its training"),
        (PATHS, "its model of 'wide' is"),
    ):
        wrong = ARM.edit(tests=(OtherTask(name="wide", task=PATHS, model=model),))
        with pytest.raises(Refusal, match=why):
            checked(Experiment(title="wrong", arms=(wrong,)))


def test_a_test_may_differ_in_nodes_and_edges_and_in_nothing_else() -> None:
    assert alike(PATHS.io, LARGER.task.io)
    assert PATHS.io != LARGER.task.io
    other = dataclasses.replace(PATHS.io, of_nodes=3)
    assert not alike(PATHS.io, other)
    assert not alike(PATHS.io, al.Tokens(vocab=3, length=5))
    wrong = ARM.edit(tests=(OtherTask(name="sorting", task=Sorting()),))
    with pytest.raises(Refusal, match="its test 'sorting' asks"):
        checked(Experiment(title="wrong", arms=(wrong,)))


def test_weights_of_lazy_layers_are_compared_before_anything_is_trained() -> None:
    child = ARM.edit(name="child", parent="two steps", model=Reasoner(width=5))
    with pytest.raises(Refusal, match="cannot start from two steps"):
        checked(Experiment(title="wrong", arms=(ARM, child)))
    assert checked(Experiment(title="right", arms=(ARM, child.edit(model=ARM.model))))


def test_a_model_that_gives_no_edges_is_refused_before_anything_is_trained() -> None:
    before = torch.get_rng_state()
    with pytest.raises(Refusal, match="gives no edges, and they are asked"):
        checked(Experiment(title="wrong", arms=(ARM.edit(model=Edgeless(width=4)),)))
    assert torch.equal(before, torch.get_rng_state())


def test_a_test_without_room_for_its_graphs_is_refused_before_anything_is_trained() -> None:
    small = al.family("padded_mlp")(width=4, depth=1)
    before = torch.get_rng_state()
    with pytest.raises(Refusal, match=r"two steps: its test 'larger' cannot be made\. A graph of 1\d nodes .* built for 5"):
        checked(Experiment(title="wrong", arms=(ARM.edit(model=small),)))
    assert torch.equal(before, torch.get_rng_state())
    assert checked(Experiment(title="right", arms=(ARM.edit(model=small.edit(room=12)),)))


def test_an_expectation_names_a_test_that_is_there() -> None:
    with pytest.raises(Refusal, match="no test 'smaller'"):
        Experiment(title="wrong", arms=(ARM,), expectations=(CLAIMS[1].edit(against="", measure="solved:smaller"),))
    assert isinstance(ARM.io, Graphs)

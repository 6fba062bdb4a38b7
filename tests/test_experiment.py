"""Experiments: every seed of every arm is trained once, from its parent's weights where it has one; what is none is refused."""

import dataclasses
from multiprocessing.connection import Connection

import pytest
import torch
from safetensors.torch import load_file
from tiny import Fails

import allometry as al
from allometry.flow import Refusal
from allometry.record.store import Folder
from allometry.study.entry import Place
from allometry.study.experiment import Arm, Expectation, Experiment, OtherTask
from allometry.study.run_experiment import _count, _trials
from allometry.study.worker import try_out
from allometry.train.checkpoint import WEIGHTS

Warping, Adding = al.task("warping"), al.task("adding")
LONGER = OtherTask(name="longer", task=Warping(length=40, maximum=8), at=8.0)
GATED = Arm(
    name="gated",
    line="gated",
    panel="warping",
    model=al.OneLayer(width=4),
    task=Warping(length=20, maximum=4),
    recipe=al.Rmsprop(rate=1e-2),
    steps=12,
    batch=2,
    others=(LONGER,),
)
REFIT = GATED.edit(name="refit", parent="gated", model=GATED.model.edit(trained="gates"), task=LONGER.task)


class Wire(Connection):
    """The worker's end of a wire whose other end closes after some messages."""

    _handle = None

    def __init__(self, messages: float = 1e9) -> None:
        self.left = messages

    def send(self, obj: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError("the study is gone")


def trials(*arms: Arm, **more: object):
    asked = Experiment(title="tiny", arms=arms, sequences=8, **more)
    return _trials(asked, {arm.name: _count(arm) for arm in arms})


def carried_out(tmp_path, *arms: Arm, **more: object):
    """The ends of all runs, in their order, done one after another in this process."""
    place = Place(store=tmp_path, device="cpu", threads=1, checkpoint_seconds=0.0)
    found = trials(*arms, **more)
    for trial in found:
        try_out(place, Wire(), trial)
    return [(trial, Folder(tmp_path).end(trial.run.id)) for trial in found]


def test_a_refit_starts_from_the_weights_of_its_seed_and_moves_the_gate_alone(tmp_path) -> None:
    again = REFIT.edit(name="again", parent="refit", task=GATED.task)  # so that the weights of the refit are kept
    ended = carried_out(tmp_path, GATED, REFIT, again, seeds=2)
    assert all(end.status == "done" for _, end in ended)
    store = Folder(tmp_path)
    for seed in (0, 1):
        of_seed = {trial.arm: trial.run for trial, _ in ended if trial.run.seed == seed}
        assert of_seed["refit"].parent == of_seed["gated"].id
        before, after = (load_file(store.run_folder(of_seed[arm].id) / WEIGHTS) for arm in ("gated", "refit"))
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved
        assert all(name.startswith("cell.gate") for name in moved)


def test_a_trained_network_is_scored_on_its_own_task_and_on_the_others(tmp_path) -> None:
    ((_, end),) = carried_out(tmp_path, GATED, seeds=1)
    (other,) = end.facts["tests"]
    assert (other["name"], other["at"], other["chance"]) == ("longer", 8.0, LONGER.task.chance)
    for found in (end.facts, other):
        assert found["sequences"] == 8
        assert found["standard_error"] > 0
        assert 0 <= found["accuracy"] <= 1
    assert end.loss != other["loss"]


def test_the_loss_of_an_untrained_network_is_near_chance_and_numbers_have_no_accuracy(tmp_path) -> None:
    """The error of a sum of two is 1/6 around its mean; a network that says about 0 has 1 more."""
    still = GATED.edit(task=Adding(length=10), recipe=al.Rmsprop(rate=1e-9), others=(), steps=1)
    ((_, end),) = carried_out(tmp_path, still, seeds=1)
    assert "accuracy" not in end.facts
    assert Adding(length=10).chance < end.loss < 3


def test_a_run_stops_when_its_recipe_is_content_and_says_after_how_many_steps(tmp_path) -> None:
    content = GATED.edit(recipe=al.Rmsprop(rate=1e-2, until=100.0), steps=500)
    ((trial, end),) = carried_out(tmp_path, content, seeds=1, points=100)
    points = list(Folder(tmp_path).points(trial.run.id))
    assert [point.step for point in points] == [5]
    assert end.facts["steps"] == 5
    assert end.loss is not None


@pytest.mark.parametrize("messages", [0, 4, 11])
def test_a_killed_run_goes_on_and_ends_as_the_undisturbed_one(tmp_path, messages: int) -> None:
    (trial,) = trials(GATED, seeds=1, points=12)
    place = Place(store=tmp_path / "killed", device="cpu", threads=1, checkpoint_seconds=0.0)
    with pytest.raises(SystemExit):
        try_out(place, Wire(messages), trial)
    assert Folder(place.store).end(trial.run.id) is None
    try_out(place, Wire(), trial)
    whole = dataclasses.replace(place, store=tmp_path / "whole")
    try_out(whole, Wire(), trial)
    ends = [Folder(one.store).end(trial.run.id) for one in (place, whole)]
    assert ends[0].loss == ends[1].loss
    assert ends[0].facts["steps"] == ends[1].facts["steps"] == 12


def test_a_fault_of_a_network_ends_its_run_alone(tmp_path) -> None:
    """Its own words are the reason; the next arm runs."""
    broken = GATED.edit(name="broken", model=Fails(width=4, depth=1), batch=1)  # it fails in batches of one
    ended = carried_out(tmp_path, broken, GATED, seeds=1)
    assert [end.status for _, end in ended] == ["failed", "done"]
    assert "a fault of the user's own" in ended[0][1].reason


def test_what_cannot_be_built_is_refused_before_anything_runs() -> None:
    with pytest.raises(Refusal, match=r"^t_max 1\.5 is below"):
        trials(GATED.edit(model=al.OneLayer(width=4, t_max=1.5)))


def test_ids_tell_apart_what_is_trained_and_leave_out_what_is_only_scored() -> None:
    (run,) = (trial.run for trial in trials(GATED, seeds=1))
    same = (GATED.edit(others=()), GATED.edit(line="other", panel="p", at=3.0, axis="a", note="n"))
    assert {trials(arm, seeds=1)[0].run.id for arm in same} == {run.id}
    other = (
        GATED.edit(steps=13),
        GATED.edit(batch=3),
        GATED.edit(recipe=al.Rmsprop(rate=2e-2)),
        GATED.edit(task=Warping(length=20, maximum=5)),
        GATED.edit(model=al.OneLayer(width=4, t_max=9.0)),
    )
    ids = {trials(arm, seeds=1)[0].run.id for arm in other}
    assert len(ids) == 5
    assert run.id not in ids


def test_the_table_of_runs_reads_an_experiment(tmp_path) -> None:
    carried_out(tmp_path, GATED, seeds=2)
    frame = al.runs(tmp_path)
    assert frame["family"].tolist() == ["gated"] * 2
    assert (frame["D"] == 12 * 2 * 20).all()
    assert frame["loss"].notna().all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"arms": ()},
        {"arms": (GATED, GATED)},
        {"arms": (REFIT,)},
        {"arms": (REFIT, GATED)},
        {"arms": (GATED,), "seeds": 0},
        {"arms": (GATED,), "expectations": (Expectation(text="x", arm="rnn", at_most=1.0),)},
        {"arms": (GATED,), "expectations": (Expectation(text="x", arm="gated", against="rnn", at_most=1.0),)},
        {"arms": (GATED,), "expectations": (Expectation(text="x", arm="gated"),)},
        {"arms": (GATED,), "expectations": (Expectation(text="x", arm="gated", at_most=1.0, at_least=1.0),)},
        {"arms": (GATED,), "expectations": (Expectation(text="x", arm="gated", at_most=1.0, measure="speed"),)},
        {"arms": (GATED,), "expectations": (Expectation(text="x", arm="gated", at_most=1.0, measure="half_chance"),)},
    ],
)
def test_what_is_no_experiment_is_refused(wrong: dict) -> None:
    with pytest.raises(Refusal, match=r"\.$"):
        Experiment(title="wrong", **wrong)


def test_an_arm_takes_a_family_and_a_task() -> None:
    with pytest.raises(Refusal, match="must be an allometry"):
        trials(GATED.edit(model=al.Rmsprop(rate=1.0)))

"""Experiments: every seed of every arm is trained once, from its parent's weights where it has one; what is none is refused."""

import dataclasses
from multiprocessing.connection import Connection

import pytest
import torch
from safetensors.torch import load_file
from tiny import Bigram, Fails

import allometry as al
from allometry.flow import Refusal
from allometry.record.store import Folder
from allometry.study.entry import Place
from allometry.study.experiment import Arm, Expectation, Experiment, OtherTask
from allometry.study.run_experiment import _asked, _lacks, _runs, _trials, carry_out, checked
from allometry.study.worker import run_trial, score_tests
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
    tests=(LONGER,),
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
    asked = Experiment(title="tiny", arms=arms, **{"sequences": 8} | more)
    counts = checked(asked)
    return _trials(asked, counts, _runs(asked, counts))


def carried_out(tmp_path, *arms: Arm, **more: object):
    """The ends of all runs, in their order, done one after another in this process."""
    place = Place(store=tmp_path, device="cpu", threads=1, checkpoint_seconds=0.0)
    found = trials(*arms, **more)
    for trial in found:
        run_trial(place, Wire(), trial)
    return [(trial, Folder(tmp_path).end(trial.run.id)) for trial in found]


class Alone:
    """A pool of one worker in this process, which does what it is asked at once; or of several, which end in turn."""

    def __init__(self, folder, together: int = 1) -> None:
        self.place = Place(store=folder, device="cpu", threads=1, checkpoint_seconds=0.0)
        self.together, self.asked = together, []

    def work(self, next_request, heard):
        busy = []
        while True:
            while len(busy) < self.together and (request := next_request()) is not None:
                busy.append(request)
                self.asked.append((request[1][0], request[0].arm, request[0].run.seed))
            if not busy:
                return
            key, (kind, trial) = busy.pop(0)
            yield key, {"trial": run_trial, "test": score_tests}[kind](self.place, Wire(), trial)


class Notes:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def __getattr__(self, name: str):
        return lambda *_: None


def started(tmp_path, *arms: Arm, together: int = 1, **more: object):
    """One start of an experiment: what was asked of the workers, in order, and the notes."""
    store, pool, told = Folder(tmp_path), Alone(tmp_path, together), Notes()
    carry_out([trial for trial in trials(*arms, **more) if _lacks(trial, store)], store, pool, told, lambda: None)
    return pool.asked, told.notes


def test_a_refit_starts_from_the_weights_of_its_seed_and_moves_the_gate_alone(tmp_path) -> None:
    ended = carried_out(tmp_path, GATED, REFIT, seeds=2)
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


def test_the_time_scales_of_the_gates_are_kept_as_they_started_and_as_they_ended(tmp_path) -> None:
    slow = GATED.edit(model=al.OneLayer(width=8, t_max=30.0))
    plain = GATED.edit(name="rnn", model=al.OneLayer(width=8, cell="rnn"))
    (trial, end), (_, without) = carried_out(tmp_path, slow, plain, seeds=1)
    start, after = (end.facts["time_scales"][when]["cell.gate"] for when in ("start", "end"))
    assert 2 <= start[0] <= start[-1] <= 30
    model = trial.run.family.build(trial.run.io)
    model.load_state_dict(load_file(Folder(tmp_path).run_folder(trial.run.id) / WEIGHTS))
    assert after == pytest.approx(sorted(al.timescales(model).gates["scale"]), rel=1e-3)
    assert after != start
    assert without.facts["time_scales"] == {"start": {}, "end": {}}


def test_the_loss_of_an_untrained_network_is_near_chance_and_numbers_have_no_accuracy(tmp_path) -> None:
    """The error of a sum of two is 1/6 around its mean; a network that says about 0 has 1 more."""
    still = GATED.edit(task=Adding(length=10), recipe=al.Rmsprop(rate=1e-9), tests=(), steps=1)
    ((_, end),) = carried_out(tmp_path, still, seeds=1)
    assert end.facts["accuracy"] is None
    assert Adding(length=10).chance < end.loss < 3


def test_a_run_stops_when_its_recipe_is_content_and_says_after_how_many_steps(tmp_path) -> None:
    content = GATED.edit(recipe=al.Rmsprop(rate=1e-2, until=100.0, points=100), steps=500)
    ((trial, end),) = carried_out(tmp_path, content, seeds=1)
    points = list(Folder(tmp_path).points(trial.run.id))
    assert [point.step for point in points] == [5]
    assert end.facts["steps"] == 5
    assert end.loss is not None
    assert al.runs(tmp_path)["D"].tolist() == [5 * 2 * 20]  # what was read, not what was asked


@pytest.mark.parametrize("messages", [0, 4, 11])
def test_a_killed_run_goes_on_and_ends_as_the_undisturbed_one(tmp_path, messages: int) -> None:
    (trial,) = trials(GATED.edit(recipe=al.Rmsprop(rate=1e-2, points=12)), seeds=1)
    place = Place(store=tmp_path / "killed", device="cpu", threads=1, checkpoint_seconds=0.0)
    with pytest.raises(SystemExit):
        run_trial(place, Wire(messages), trial)
    assert Folder(place.store).end(trial.run.id) is None
    run_trial(place, Wire(), trial)
    whole = dataclasses.replace(place, store=tmp_path / "whole")
    run_trial(whole, Wire(), trial)
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
    same = (GATED.edit(tests=()), GATED.edit(line="other", panel="p", at=3.0, axis="a", note="n"))
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


def test_arms_that_are_drawn_twice_are_one_run_with_the_tests_of_both(tmp_path) -> None:
    other = OtherTask(name="shorter", task=Warping(length=20, maximum=3))
    twice = GATED.edit(name="again", panel="elsewhere", tests=(other,))
    (trial,) = trials(GATED, twice, seeds=1)
    assert [test.name for test in trial.tests] == ["longer", "shorter"]
    asked, _ = started(tmp_path, GATED, twice, seeds=2, together=2)
    assert asked == [("trial", "gated", 0), ("trial", "gated", 1)]


@pytest.mark.parametrize("together", [1, 3])
def test_a_child_waits_for_its_parent_and_the_first_seed_of_all_comes_first(tmp_path, together: int) -> None:
    asked, notes = started(tmp_path, GATED, REFIT, seeds=2, together=together)
    assert sorted(asked) == sorted(("trial", arm, seed) for arm in ("gated", "refit") for seed in (0, 1))
    for seed in (0, 1):
        assert asked.index(("trial", "gated", seed)) < asked.index(("trial", "refit", seed))
    assert notes == []
    assert started(tmp_path, GATED, REFIT, seeds=2, together=together) == ([], [])


def test_what_is_added_later_goes_on_from_what_is_there(tmp_path) -> None:
    """More seeds, arms that start from finished ones, and tests: each is asked once, and alone."""
    bare = GATED.edit(tests=())
    started(tmp_path, bare, seeds=1)
    loss = Folder(tmp_path).end(trials(bare, seeds=1)[0].run.id).loss
    assert started(tmp_path, bare, seeds=2)[0] == [("trial", "gated", 1)]
    assert started(tmp_path, GATED, seeds=2)[0] == [("test", "gated", 0), ("test", "gated", 1)]
    assert started(tmp_path, GATED, REFIT, seeds=2)[0] == [("trial", "refit", 0), ("trial", "refit", 1)]
    at_once = carried_out(tmp_path / "at once", GATED, seeds=1)[0][1]
    later = Folder(tmp_path).end(trials(GATED, seeds=1)[0].run.id)
    assert later.loss == loss
    assert later.facts["tests"] == at_once.facts["tests"]


def test_an_arm_may_have_fewer_seeds_than_others(tmp_path) -> None:
    asked, _ = started(tmp_path, GATED, REFIT.edit(seeds=1), seeds=2)
    assert [(arm, seed) for kind, arm, seed in asked if kind == "trial"] == [("gated", 0), ("refit", 0), ("gated", 1)]
    experiment = Experiment(title="tiny", arms=(GATED, REFIT.edit(seeds=1)), seeds=2)
    counts = checked(experiment)
    assert [len(arm["runs"]) for arm in _asked(experiment, counts, _runs(experiment, counts), "cpu")["arms"]] == [2, 1]


def test_an_arm_whose_parent_left_no_weights_is_left_out_and_said(tmp_path) -> None:
    started(tmp_path, GATED, seeds=1)
    (trial,) = trials(GATED, seeds=1)
    (Folder(tmp_path).run_folder(trial.run.id) / WEIGHTS).unlink()
    asked, (note,) = started(tmp_path, GATED, REFIT, seeds=1)
    assert asked == []
    assert trial.run.id in note
    assert "Delete that folder" in note


def test_a_test_that_a_network_cannot_take_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(Refusal, match=r"gated: its test 'longer' cannot be made\. ValueError: too long\."):
        checked(Experiment(title="x", arms=(GATED.edit(model=Short(width=4, depth=1)),)))


def test_a_test_that_fails_all_the_same_is_said_and_costs_the_run_nothing(tmp_path) -> None:
    """It reads 20 positions and no more, once it has weights."""
    short = GATED.edit(model=ShortWithWeights(width=4, depth=1))
    ((_, end),) = carried_out(tmp_path, short, seeds=1)
    assert end.status == "done"
    assert end.loss is not None
    (test,) = end.facts["tests"]
    assert test["loss"] is None
    assert "too long" in test["reason"]
    _, notes = started(tmp_path / "said", short, seeds=1)
    assert notes == ["gated · seed 0: its test 'longer' could not be made. ValueError: too long"]


class Short(Bigram):
    """Refuses more than 20 tokens."""

    def build(self, io):
        return torch.nn.Sequential(_AtMost20(), super().build(io))


class ShortWithWeights(Short):
    """The same where it is more than counted."""

    def build(self, io):
        model = super().build(io)
        model[0].counted = True
        return model


class _AtMost20(torch.nn.Module):
    counted = False  # whether tokens without memory may be longer

    def forward(self, tokens):
        if tokens.shape[1] > 20 and not (self.counted and tokens.device.type == "meta"):
            raise ValueError("too long")
        return tokens


CLAIM = Expectation(text="x", arm="gated", at_most=1.0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"arms": ()}, "None given"),
        ({"arms": (GATED, GATED)}, "names of their own"),
        ({"arms": (REFIT,)}, "no arm before it"),
        ({"arms": (REFIT, GATED)}, "no arm before it"),
        ({"arms": (GATED.edit(tests=(LONGER, LONGER)),)}, "two tests of one name"),
        ({"arms": (GATED.edit(steps=0),)}, "steps=0"),
        ({"arms": (GATED.edit(batch=0),)}, "batch=0"),
        ({"arms": (GATED.edit(seeds=4),)}, "asks for 4 seeds of an experiment that has 3"),
        ({"arms": (GATED.edit(seeds=1), REFIT)}, "refit has 3 seeds, and gated, which it starts from, 1"),
        ({"seeds": 0}, "seeds=0"),
        ({"sequences": 1}, "sequences=1"),
        ({"jobs": -1}, "jobs=-1"),
        ({"precision": "bf61"}, "fp32, bf16"),
        ({"expectations": (CLAIM.edit(arm="rnn"),)}, "rnn, which is no arm"),
        ({"expectations": (CLAIM.edit(against="rnn"),)}, "rnn, which is no arm"),
        ({"expectations": (CLAIM.edit(at_most=None),)}, "one of at_most and at_least"),
        ({"expectations": (CLAIM.edit(at_least=1.0),)}, "one of at_most and at_least"),
        ({"expectations": (CLAIM.edit(at_most=0.0),)}, "more than 0"),
        ({"expectations": (CLAIM.edit(measure="speed"),)}, "It is one of"),
        ({"expectations": (CLAIM.edit(measure="steps_to:few"),)}, "waits for no number"),
        ({"expectations": (CLAIM.edit(measure="test:shorter"),)}, "It has: longer"),
        ({"expectations": (CLAIM.edit(measure="recovered:longer"),)}, "Give it a parent"),
    ],
)
def test_what_is_no_experiment_is_refused(wrong: dict, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        Experiment(**{"title": "wrong", "arms": (GATED,)} | wrong)


class NoChance(Warping):
    """A task that does not say what chance is."""

    @property
    def chance(self) -> float:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        (GATED.edit(model=al.Rmsprop(rate=1.0)), "Give a family"),
        (GATED.edit(recipe=GATED.model), "Give Rmsprop"),
        (GATED.edit(task=GATED.model), "Give a task"),
        (GATED.edit(task=NoChance(length=20, maximum=4)), "Give a task"),
        (GATED.edit(tests=(OtherTask(name="sum", task=Adding(length=20)),)), "its test 'sum' asks"),
        (REFIT.edit(model=al.OneLayer(width=5)), "cannot start from gated"),
        (REFIT.edit(model=al.OneLayer(width=4, cell="leaky")), "absent"),
    ],
)
def test_what_would_show_after_hours_is_refused_before(arm: Arm, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        trials(GATED.edit(name="gated"), arm.edit(name="wrong"))

"""What a trained network of an experiment is worth: its held-out loss on its own task, and on the others that are asked.

Beside it stands on which time scales its gates work.
"""

import contextlib
import functools
import math
from typing import Any

import torch
from torch import nn

from allometry.data._motion import Motion, rollout_error
from allometry.data._random import HELD_OUT
from allometry.data._task import Task
from allometry.flow import IO, End, in_words
from allometry.graph import Graph
from allometry.model._family import Family
from allometry.model.chrono import clocks
from allometry.model.graph_network.rollout import rollout
from allometry.study.experiment import OtherTask
from allometry.study.trial import Trial
from allometry.train.answers import IN_GRAPHS
from allometry.train.evaluate import evaluate
from allometry.train.example import built
from allometry.train.loop import Setting, out_of

BATCH = 64  # sequences or graphs scored at a time
ROLLOUTS = 100  # trajectories at most
FRAMES = 50  # steps of each, as in the demo of graph_nets


def scored(model: nn.Module, trial: Trial, setting: Setting, seconds: float, facts: dict[str, Any]) -> End:
    """The end of a run that was trained."""
    own = _score(model, trial.task, trial.sequences, setting)
    if own["loss"] is None:
        return End(status="diverged", reason="the held-out loss is not finite", seconds=seconds, facts=facts)
    tests = [score_on(model, test, trial.sequences, setting) for test in trial.tests]
    return End(status="done", loss=own.pop("loss"), seconds=seconds, facts=facts | own | {"tests": tests})


def score_on(model: nn.Module, test: OtherTask, sequences: int, setting: Setting) -> dict[str, Any]:
    """One test as the record has it. A test that cannot be made has no loss, and its reason; the run keeps what it has."""
    known = {"name": test.name, "at": test.at, "chance": test.task.chance}  # type: ignore[attr-defined]
    try:
        return known | _score(_in(test.model, model, test.task.io, setting), test.task, sequences, setting)  # type: ignore[arg-type, attr-defined]
    except Exception as error:  # whatever a network of the user's own may raise on another task
        return known | {"loss": None, "reason": in_words(error)}


def _in(family: Family | None, trained: nn.Module, io: IO, setting: Setting) -> nn.Module:
    """The trained weights in the model of another family; without one the trained model."""
    if family is None:
        return trained
    model = built(family, io).to(setting.device)
    model.load_state_dict(trained.state_dict())
    return model


def time_scales(model: nn.Module) -> dict[str, list[float]]:
    """T of every unit by its gate's bias, steps, in rising order; nothing of a network without such gates."""
    with contextlib.suppress(Exception):  # gates of the user's own that cannot be read
        return {
            name: [float(f"{scale:.4g}") for scale in sorted(clock.read().tolist())] for name, clock in clocks(model).items()
        }
    return {}


def missing_tests(trial: Trial, end: End) -> list[OtherTask]:
    """The tests that a run which is done was not asked when it ended."""
    had = {test["name"] for test in end.facts.get("tests") or []}
    return [test for test in trial.tests if test.name not in had] if end.status == "done" else []


def _score(model: nn.Module, task: Task, sequences: int, setting: Setting) -> dict[str, float | int | None]:
    """Loss, its standard error over documents, the share of right answers where classes are asked, and how many sequences.

    Of graphs also the share that is solved, and of motion what a rollout errs.
    """
    held_out = task.held_out(sequences)
    weights, document = held_out.weights, held_out.document
    score = evaluate(model, held_out.inputs, held_out.targets, weights, document, setting, batch=BATCH)
    asked = torch.zeros(held_out.documents, dtype=torch.float64).index_add_(0, document, weights.sum(1).double())
    each = torch.tensor(score.documents, dtype=torch.float64) / asked
    found = {
        "loss": score.loss,
        "sequences": len(held_out.targets),
        "standard_error": float(each.std() / math.sqrt(len(each))),
        "accuracy": score.accuracy,
    }
    if isinstance(held_out.targets, Graph):
        found["solved"] = score.solved
    if isinstance(task, Motion):
        found["rollout"] = _rollout(model, task, min(sequences, ROLLOUTS), setting)
    return {name: value if value is None or math.isfinite(value) else None for name, value in found.items()}


def _rollout(model: nn.Module, task: Motion, count: int, setting: Setting) -> float:
    """Mean squared error of the velocities of a model that is fed its own answers, in units of what persistence errs in one step.

    Of `FRAMES` steps from the beginnings of held-out trajectories; not finite where the model flies off.
    """
    start, truth = task.rollout(HELD_OUT, 0, count, FRAMES)
    with torch.no_grad():
        states, _ = rollout(functools.partial(_answer, model, setting), start.to(setting.device), FRAMES, task.advance)
    return rollout_error(states, truth) / task.floors["persistence"]


def _answer(model: nn.Module, setting: Setting, now: Graph) -> Graph:
    return IN_GRAPHS.said(out_of(model, (now,), setting), (now,))[-1]  # type: ignore[no-any-return]

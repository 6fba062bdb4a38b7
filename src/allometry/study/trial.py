"""A Trial: one run of an experiment, with all that a worker needs to carry it out and to score it."""

import dataclasses
import math
from typing import Any

import numpy as np
from torch import nn

from allometry.data._task import Task
from allometry.flow import End, Run
from allometry.study.experiment import OtherTask
from allometry.train.evaluate import accuracy, evaluate
from allometry.train.loop import Setting

BATCH = 64  # sequences scored at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One seed of an arm."""

    arm: str
    run: Run
    task: Task
    labels: dict[str, Any]
    sequences: int  # held out
    points: int
    others: tuple[OtherTask, ...] = ()
    keep: bool = False  # the weights, for arms that start from this one

    @property
    def name(self) -> str:
        """What the progress bar calls it."""
        return f"{self.arm} · seed {self.run.seed}"

    @property
    def steps(self) -> int:
        return self.run.budget.steps


def scored(model: nn.Module, trial: Trial, setting: Setting, seconds: float, facts: dict[str, Any]) -> End:
    """The held-out loss of a trained network on its own task, and on the others that are asked."""
    own = _score(model, trial.task, trial.sequences, setting)
    if not math.isfinite(own["loss"]):
        return End(status="diverged", reason="the held-out loss is not finite", seconds=seconds, facts=facts)
    others = []
    for other in trial.others:
        found = _score(model, other.task, trial.sequences, setting)  # type: ignore[arg-type]
        chance = other.task.chance  # type: ignore[attr-defined]
        others.append({"name": other.name, "at": other.at, "chance": chance} | {k: _finite(v) for k, v in found.items()})
    return End(status="done", loss=own.pop("loss"), seconds=seconds, facts=facts | own | {"tests": others})


def _score(model: nn.Module, task: Task, sequences: int, setting: Setting) -> dict[str, Any]:
    """Loss, its standard error over sequences, the share of right answers where classes are asked, and how many sequences."""
    held_out = task.held_out(sequences)
    parts = (held_out.inputs, held_out.targets)
    score = evaluate(model, *parts, held_out.weights, held_out.document, setting, batch=BATCH)
    each = np.asarray(score.documents) / held_out.weights.sum(1).numpy()
    found = {"loss": score.loss, "sequences": len(each), "standard_error": float(each.std(ddof=1) / math.sqrt(len(each)))}
    if not held_out.targets.is_floating_point():
        found["accuracy"] = accuracy(model, *parts, setting)
    return found


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value

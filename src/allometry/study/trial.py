"""A Trial: one run of an experiment, with all that a worker needs to carry it out and to score it."""

import dataclasses
from typing import Any

from allometry.data._task import Task
from allometry.flow import Run
from allometry.study.experiment import OtherTask


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One seed of an arm, or of several that are the same run."""

    arm: str
    run: Run
    task: Task
    labels: dict[str, Any]
    sequences: int  # held out
    tests: tuple[OtherTask, ...] = ()

    @property
    def name(self) -> str:
        """What the progress bar calls it."""
        return f"{self.arm} · seed {self.run.seed}"

    @property
    def steps(self) -> int:
        return self.run.budget.steps

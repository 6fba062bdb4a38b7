"""The order in which the runs of a stage start."""

import heapq
import random

import pytest

from allometry.study.job import Job
from allometry.study.run import in_order


def job(seconds: float, budget: float = 1.0, seed: int = 0) -> Job:
    return Job(
        family="lstm", size=1, stage="score", budget=budget, flops=budget, steps=300, batch=1, rate=1e-3, seed=seed, vocab=2,
        length=8, data="", precision="fp32", labels={}, seconds=seconds,
    )  # fmt: skip


def wall(jobs: list[Job], workers: int) -> float:
    """Seconds until the last of some workers is done, each taking the next job when it is free."""
    free = [0.0] * workers
    for one in jobs:
        heapq.heapreplace(free, free[0] + one.seconds)
    return max(free)


def test_small_budgets_and_first_seeds_come_first() -> None:
    jobs = [job(seconds=1.0 + k, budget=budget, seed=seed) for budget in (3.0, 1.0) for seed in (1, 0) for k in range(3)]
    places = [(one.budget, one.seed) for one in in_order("score", jobs)]
    assert places == sorted(places)


@pytest.mark.parametrize("stage", ["tune", "bracket", "score"])
@pytest.mark.parametrize("workers", [2, 4])
def test_no_worker_waits_long_at_the_end(stage: str, workers: int) -> None:
    """Longest first is within 4/3 of the best possible (Graham 1969), which is at least the shared work and the longest run."""
    chance = random.Random(0)
    for _ in range(50):
        jobs = [job(seconds=chance.lognormvariate(0, 1)) for _ in range(chance.randint(1, 30))]
        seconds = [one.seconds for one in jobs]
        assert wall(in_order(stage, jobs), workers) <= 4 / 3 * max(
            sum(seconds) / workers, max(seconds), _pairs(seconds, workers)
        )


def _pairs(seconds: list[float], workers: int) -> float:
    """Of the `workers + 1` longest, two have to share a worker: another bound of the best possible."""
    longest = sorted(seconds, reverse=True)[: workers + 1]
    return longest[-1] + longest[-2] if len(longest) > workers else 0.0

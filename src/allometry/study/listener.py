"""Who is told how a study goes, and what it is told."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from allometry.study.plan import Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Programme:
    """What an experiment is about to do."""

    title: str
    arms: int
    seeds: int
    to_do: int  # runs
    done: int  # runs that ended in an earlier start
    flops: float  # of what is to be done
    jobs: int
    device: str


@runtime_checkable
class Work(Protocol):
    """One run, as far as a listener is concerned."""

    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def labels(self) -> dict[str, Any]:
        """`C` is its training FLOPs."""
        ...


@runtime_checkable
class Listener(Protocol):
    """Who is told how the study goes."""

    def planned(self, plan: Plan | Programme) -> None: ...
    def stage(self, name: str, jobs: Sequence[Work], done: int) -> None: ...
    def began(self, job: Work) -> None: ...
    def point(self, job: Work, step: int, loss: float, tokens: int, seconds: float) -> None: ...
    def ended(self, job: Work, status: str) -> None: ...
    def note(self, text: str) -> None: ...


def tells(listener: Listener) -> Callable[[Any, tuple[Any, ...]], None]:
    """What to do with what a worker says on the way to an answer (`pool.TALK`): tell the listener."""

    def heard(job: Any, message: tuple[Any, ...]) -> None:
        if message[0] == "note":
            listener.note(message[1])
        else:
            _, _, step, loss, tokens, seconds = message
            listener.point(job, step, loss, tokens, seconds)

    return heard

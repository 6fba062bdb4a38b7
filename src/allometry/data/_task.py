"""The contract of a task: what a model is asked, and how its answer is scored.

A member is one file in this folder whose class has these attributes. A task never sees a model.
"""

import dataclasses
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from allometry.flow import IO

IGNORED = -100  # a target that is not asked; torch's own number for it


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """What every run of a study is scored on: always the same, whatever the seed of a run."""

    inputs: tuple[Any, ...]  # of tokens [sequences length]; or source and target so far; or vectors; or one batch of graphs
    targets: Any  # [sequences targets]; or the answers to a batch of graphs
    weights: Float[Tensor, "sequences targets"]  # 1: it is scored; 0: a short document is filled up. A graph is one target
    document: Int[Tensor, " sequences"]  # which document a sequence is from, 0 to documents - 1
    documents: int
    document_bytes: Float[Tensor, " documents"]  # bytes of text that the scored targets of a document stand for


@runtime_checkable
class Task(Protocol):
    """An endless stream of examples for each seed, and a fixed set to be scored on."""

    @property
    def io(self) -> IO: ...

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the examples, apart from the seed and `io`."""
        ...

    @property
    def chance(self) -> float:
        """Loss of a player that knows nothing of what has to be read or remembered, per target, in the units of the loss."""
        ...

    def batch(self, seed: int, first: int, count: int) -> tuple[tuple[Any, ...], Any]:
        """Examples `first` to `first + count - 1` of the stream of this seed: inputs and targets, tensors or graphs.

        Example i does not depend on the batch it comes in, so a run resumes from a number.
        """
        ...

    def held_out(self, sequences: int = 96) -> HeldOut:
        """At most this many sequences to be scored on. Takes no seed, and none is in the stream."""
        ...

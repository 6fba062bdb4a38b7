"""A task whose examples are made by a formula, from their seed and their number: there is no file, and no end of them."""

import numpy as np
import torch
from jaxtyping import Num
from torch import Tensor

from allometry.data._by_formula import ByFormula
from allometry.data._random import HELD_OUT
from allometry.data._task import IGNORED, HeldOut
from allometry.flow import IO


class Generated(ByFormula):
    """A task of sequences. A member states `io`, `chance` and `examples`."""

    @property
    def io(self) -> IO:
        raise NotImplementedError

    @property
    def chance(self) -> float:
        raise NotImplementedError

    def examples(self, seed: int, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the examples of these numbers; each depends on the seed and its own number alone."""
        raise NotImplementedError

    def batch(self, seed: int, first: int, count: int) -> tuple[tuple[Tensor, ...], Num[Tensor, "batch targets"]]:
        """Examples `first` to `first + count - 1` of the endless stream of this seed."""
        inputs, targets = self.examples(seed, np.arange(first, first + count))
        return (torch.from_numpy(inputs),), torch.from_numpy(targets)

    def held_out(self, sequences: int = 96) -> HeldOut:
        """The first examples of a seed that no run can have."""
        return scored(*self.batch(HELD_OUT, 0, sequences))


def scored(inputs: tuple[Tensor, ...], targets: Num[Tensor, "sequences targets"]) -> HeldOut:
    """Examples to be scored on that are no text: each is a document of its own, and stands for no bytes."""
    return HeldOut(
        inputs=inputs,
        targets=targets,
        weights=(targets != IGNORED).float() if not targets.is_floating_point() else torch.ones_like(targets),
        document=torch.arange(len(targets)),
        documents=len(targets),
        document_bytes=torch.zeros(len(targets)),
    )

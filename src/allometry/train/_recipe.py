"""What the loop asks of a recipe: `recipe.py` (AdamW) and `rmsprop.py` are two; one of your own is a Spec with these attributes."""

from typing import Protocol, runtime_checkable

import torch
from torch import nn


@runtime_checkable
class AnyRecipe(Protocol):
    """How a run trains."""

    @property
    def clip(self) -> float:
        """Largest norm of the gradient; 0: it is not clipped."""
        ...

    @property
    def points(self) -> int:
        """Training losses kept of a run, each the mean of the steps since the one before."""
        ...

    @property
    def until(self) -> float | None:
        """The run has had enough, and stops, when the loss of a Point is at or below this."""
        ...

    def rate_at(self, step: int, steps: int) -> float: ...
    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer: ...

"""RMSprop (Tieleman and Hinton 2012), a recipe of the recurrent networks of the literature: no momentum, no decay of weights.

As torch.optim.RMSprop has it, whose `alpha` is the share of the old average, here `memory`. Not to be taken for momentum.
"""

import torch
from torch import nn

from allometry.flow import Refusal
from allometry.spec import Spec


class Rmsprop(Spec):
    """RMSprop at one rate, which may fall to zero at the end; and when to stop."""

    rate: float
    memory: float = 0.9  # of the average of squares, torch's alpha
    clip: float = 0.0  # largest norm of the gradient; 0: it is not clipped
    hold: float = 1.0  # share of the steps at the full rate; then it falls linearly to zero
    points: int = 200  # training losses kept of a run, each the mean of the steps since the one before
    until: float | None = None  # a run has had enough, and stops, when one of these is at or below this

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.rate > 0 and 0 <= self.memory < 1 and self.clip >= 0 and 0 <= self.hold <= 1 and self.points > 0):
            raise Refusal(
                f"{self!r} cannot train. It takes rate > 0, 0 <= memory < 1, clip >= 0, 0 <= hold <= 1, points > 0."
            )

    def rate_at(self, step: int, steps: int) -> float:
        """Learning rate of a step (from 0).

        >>> recipe = Rmsprop(rate=1.0, hold=0.5)
        >>> [recipe.rate_at(step, 8) for step in range(8)]
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        falling = max(1, steps - round(self.hold * steps))
        return self.rate * min(1.0, (steps - step) / falling) if self.hold < 1 else self.rate

    def optimizer(self, model: nn.Module) -> torch.optim.RMSprop:
        """RMSprop over the trainable parameters of a model."""
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return torch.optim.RMSprop(trained, lr=self.rate, alpha=self.memory)

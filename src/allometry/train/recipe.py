"""Recipe: how a run trains. AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101), warm-up, linear decay to zero, clipping.

Adam at one rate, as many papers have it, is `Recipe(rate, warmup=0.0, end=1.0, weight_decay=0.0, memory=0.999, clip=0.0)`.

The decay ends with the run's own budget: a run cut short of its schedule says nothing of its compute (arXiv:2203.15556).
"""

from typing import Any, ClassVar

import torch
from torch import nn

from allometry.spec import Spec


class Recipe(Spec):
    """AdamW with its schedule."""

    points: ClassVar[int] = 50
    until: ClassVar[float | None] = None  # the whole budget is trained

    rate: float  # the highest learning rate
    warmup: float = 0.1  # share of the steps, 0 to 1
    weight_decay: float = 0.1  # of matrices; scales, biases and embeddings do not decay
    momentum: float = 0.9  # AdamW's first beta
    memory: float = 0.99  # AdamW's second beta; batches here are small, so the average is long
    clip: float = 1.0  # largest norm of the gradient; 0: it is not clipped
    end: float = 0.0  # share of the highest rate that the decay ends at; 1: there is no decay

    def rate_at(self, step: int, steps: int) -> float:
        """Learning rate of a step (from 0): linear up to `rate` over the warm-up, then linear to its end after the last.

        >>> recipe = Recipe(rate=1.0, warmup=0.5)
        >>> [recipe.rate_at(step, 8) for step in range(8)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
        >>> [recipe.edit(end=0.5).rate_at(step, 8) for step in range(8)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 0.875, 0.75, 0.625]
        """
        rising = max(1, round(self.warmup * steps))
        left = (steps - step) / max(1, steps - rising)
        return self.rate * min((step + 1) / rising, left if self.end == 0 else self.end + (1 - self.end) * left)

    def optimizer(self, model: nn.Module) -> torch.optim.AdamW:
        """AdamW over the trainable parameters of a model, fused."""
        tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        trained = [p for p in model.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim >= 2 and id(p) not in tables]
        kept = [p for p in trained if p.ndim < 2 or id(p) in tables]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": kept, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        return torch.optim.AdamW(groups, lr=self.rate, betas=(self.momentum, self.memory), fused=True)

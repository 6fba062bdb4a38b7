"""Answers in tensors: logits of tokens or classes, or numbers, `Float[batch targets outputs]`."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor

from allometry.train._answers import Answers


class InTensors(Answers):
    """Targets `Int[batch targets]`, negative where none is asked, or `Float[batch targets]`."""

    def asked(self, targets: Num[Tensor, "batch targets"]) -> Tensor | int:
        return targets.numel() if targets.is_floating_point() else (targets >= 0).sum()

    def said(self, out: Any, inputs: tuple[Any, ...]) -> Float[Tensor, "batch targets outputs"]:
        return getattr(out, "logits", out).float()  # type: ignore[no-any-return]

    def losses(
        self, said: Float[Tensor, "batch targets outputs"], targets: Num[Tensor, "batch targets"], asked: Tensor | int
    ) -> tuple[Tensor, Tensor]:
        """The mean over the targets asked. A target that is not asked has no loss."""
        loss = losses_of(said, targets).mean() * (targets.numel() / asked)
        return loss, loss

    def rows(
        self, said: Float[Tensor, "batch targets outputs"], targets: Num[Tensor, "batch targets"]
    ) -> tuple[Tensor, ...]:
        """The loss of each target; where classes are asked, also whether it is right."""
        losses = losses_of(said, targets).cpu()
        return (losses,) if targets.is_floating_point() else (losses, (said.argmax(-1) == targets).cpu())

    def together(
        self, rows: tuple[Tensor, ...], weights: Float[Tensor, "batch targets"]
    ) -> tuple[Float[Tensor, "batch targets"], float | None, float | None]:
        losses, *right = rows
        return losses.double(), float((right[0] * weights).sum() / weights.sum()) if right else None, None

    def read(self, inputs: tuple[Tensor, ...]) -> int:
        """Which of the tokens are kept is no token."""
        return sum(part.shape[:2].numel() for part in inputs if part.dtype != torch.bool)


def losses_of(
    logits: Float[Tensor, "batch targets outputs"], targets: Num[Tensor, "batch targets"]
) -> Float[Tensor, "batch targets"]:
    """Cross-entropy of each target in nats, 0 of a target that is negative; of a number that is asked the square of the error."""
    if targets.is_floating_point():
        return (logits.reshape(targets.shape) - targets).square()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)

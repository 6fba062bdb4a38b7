"""Criterion: how far a law is from its points, as a sum over points that a fit makes small.

    sum of  weight * side(r) * Huber_delta(r),    r = ln L - ln prediction (or L - prediction)

Huber_delta(r) = r^2 / 2 up to delta, delta (|r| - delta / 2) beyond. `side` is `over` where the law over-predicts (r < 0).
Sums, not means: an optimiser that stops at a fixed small gain stops too early on means (Besiroglu et al., 2024).
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float

from allometry.flow import Refusal
from allometry.spec import Spec

LN, PLAIN = "ln loss", "loss"
TINY = 1e-300
LEAST = 1e-12  # of the loss: predictions below it count as this, as logarithms must stay finite


class Criterion(Spec):
    """`delta=None` is least squares, `delta=0` least absolute deviations; both are limits of Huber's criterion.

    The criterion of the package `chinchilla` 0.2.0 is `Criterion(delta=0, over=10, of="loss")`.
    """

    delta: float | None = 0.01  # in units of `of`
    over: float = 1.0  # over-prediction costs so many times what under-prediction costs
    of: str = LN  # "ln loss" (relative errors) | "loss" (absolute errors)

    def __post_init__(self) -> None:
        if self.of not in (LN, PLAIN) or self.over <= 0 or (self.delta is not None and not self.delta >= 0):
            raise Refusal(f"{self!r}: use of='{LN}' or '{PLAIN}', over > 0, and delta >= 0 or None.")
        super().__post_init__()

    @property
    def text(self) -> str:
        kind = "squares" if self.delta is None else f"Huber({self.delta:g})" if self.delta else "absolute deviations"
        more = f", over-prediction x {self.over:g}" if self.over != 1 else ""
        return f"sum of {kind} of {self.of}{more}"

    @no_type_check  # called at every step of a search
    def residual(
        self, loss: Float[np.ndarray, "*sets points"], predicted: Float[np.ndarray, "*sets points"]
    ) -> Float[np.ndarray, "*sets points"]:
        if self.of == LN:
            return np.log(loss) - np.log(np.maximum(predicted, LEAST * loss))
        return loss - predicted

    @no_type_check  # called at every step of a search
    def side(self, residual: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return np.where(residual < 0, self.over, 1.0)

    @no_type_check  # called at every step of a search
    def cost(self, residual: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        if self.delta is None:
            return self.side(residual) * residual**2 / 2
        if self.delta == 0:
            return self.side(residual) * np.abs(residual)
        return self.side(residual) * huber(residual, self.delta)


@no_type_check
def huber(residual: Float[np.ndarray, "..."], delta: float) -> Float[np.ndarray, "..."]:
    """`r^2 / 2` up to delta, `delta (|r| - delta / 2)` beyond."""
    size = np.abs(residual)
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))

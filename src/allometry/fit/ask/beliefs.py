"""Beliefs: means and a joint covariance of answers and of runs that could be made, and what a run would do to them.

All is normal here: after a run with loss y and its noise, Cov(u, v | y) = Cov(u, v) - Cov(u, y) Cov(v, y) / (Var(y) + noise^2).
"""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

CLIP = 3.0  # robust standard deviations
NODES, SHARES = np.polynomial.hermite_e.hermegauss(60)  # of a standard normal


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Beliefs:
    """Means and joint covariance of the answers (the first ones), then of the ln losses of all candidates."""

    mean: Float[np.ndarray, " answers"]
    covariance: Float[np.ndarray, "all all"]

    def contrast(self, kind: str) -> tuple[Float[np.ndarray, " answers"], float]:
        """What the answer is of the answers' columns, and its mean: for a winner, the leader against its closest challenger."""
        count = len(self.mean)
        if kind != "winner":
            return np.ones(count), float(self.mean[0])
        leader = int(self.mean.argmin())
        best, most = np.zeros(count), -1.0
        for other in range(count):
            trial = np.zeros(count)
            trial[other] += 1.0
            trial[leader] -= 1.0
            doubt = wrong(float(trial @ self.mean), self.doubt(trial))
            if other != leader and doubt > most:
                best, most = trial, doubt
        return best, float(best @ self.mean)

    def doubt(self, contrast: Float[np.ndarray, " answers"]) -> float:
        count = len(self.mean)
        return float(np.sqrt(max(0.0, contrast @ self.covariance[:count, :count] @ contrast)))

    def after(self, candidate: int, noise: float) -> "Beliefs":
        """What is believed once that candidate's loss is known, whatever it is."""
        row = self.covariance[len(self.mean) + candidate]
        total = row[len(self.mean) + candidate] + noise**2
        return dataclasses.replace(
            self, covariance=self.covariance - np.outer(row, row) / total if total > 0 else self.covariance
        )

    def gains(
        self, contrast: Float[np.ndarray, " answers"], noise: Float[np.ndarray, " all"]
    ) -> Float[np.ndarray, " candidates"]:
        """Doubt that each candidate takes away."""
        count, doubt = len(self.mean), self.doubt(contrast)
        together = contrast @ self.covariance[:count, count:]
        total = np.diag(self.covariance)[count:] + noise**2
        left = doubt**2 - np.divide(together**2, total, out=np.zeros_like(total), where=total > 0)
        return doubt - np.sqrt(np.maximum(left, 0.0))


def winsorised(draws: Float[np.ndarray, "draws all"]) -> Float[np.ndarray, "draws all"]:
    """Each column with its far values drawn in to the ends of what counts."""
    middle = np.median(draws, axis=0)
    spread = 1.4826 * np.median(np.abs(draws - middle), axis=0)
    # More than half of the draws may stand at a bound, as a floor at 0 does; the others still count.
    with np.errstate(invalid="ignore"):
        wide = CLIP * np.where(spread > 0, spread, draws.std(axis=0))
    return np.clip(draws, middle - wide, middle + wide)


def wrong(mean: float, doubt: float) -> float:
    """The probability that the sign of a normal is not that of its mean."""
    return float(ndtr(-abs(mean) / doubt)) if doubt > 0 else 0.0


def expected_wrong(mean: float, before: float, after: float) -> float:
    """The probability of a wrong call once the doubt has shrunk, over all means that may then be found."""
    moved = mean + np.sqrt(max(before**2 - after**2, 0.0)) * NODES
    if after <= 0:
        return 0.0
    return float(ndtr(-np.abs(moved) / after) @ SHARES / SHARES.sum())

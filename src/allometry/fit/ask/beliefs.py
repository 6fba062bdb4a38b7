"""Beliefs: means and a joint covariance of answers and of runs that could be made, and what a run would do to them.

All is normal here: after a run with loss y and its noise, Cov(u, v | y) = Cov(u, v) - Cov(u, y) Cov(v, y) / (Var(y) + noise^2).
"""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, owens_t

CLIP = 3.0  # robust standard deviations


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Beliefs:
    """Means and joint covariance of the answers (the first ones), then of the ln losses of all candidates.

    Runs that are not made yet move the means by amounts that nobody knows. So the means stay those of the start, and how far
    they may have moved is what the covariance has lost since then.
    """

    mean: Float[np.ndarray, " answers"]
    covariance: Float[np.ndarray, "all all"]
    first: Float[np.ndarray, "all all"]  # covariance before any candidate was known

    def contrast(self, kind: str) -> Float[np.ndarray, " answers"]:
        """What the answer is of the answers' columns: for a winner, the leader against its closest challenger."""
        count = len(self.mean)
        if kind != "winner":
            return np.ones(count)
        leader = int(self.mean.argmin())
        best, most = np.zeros(count), -1.0
        for other in range(count):
            trial = np.zeros(count)
            trial[other] += 1.0
            trial[leader] -= 1.0
            if other != leader and (chance := self.wrong(trial)) > most:
                best, most = trial, chance
        return best

    def doubt(self, contrast: Float[np.ndarray, " answers"]) -> float:
        return _doubt(self.covariance, contrast)

    def wrong(self, contrast: Float[np.ndarray, " answers"]) -> float:
        """The probability that the sign of a contrast will be called wrongly, once all that is counted here is known."""
        return expected_wrong(float(contrast @ self.mean), _doubt(self.first, contrast), self.doubt(contrast))

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


def _doubt(covariance: Float[np.ndarray, "all all"], contrast: Float[np.ndarray, " answers"]) -> float:
    count = len(contrast)
    return float(np.sqrt(max(0.0, contrast @ covariance[:count, :count] @ contrast)))


def wrong(mean: float, doubt: float) -> float:
    """The probability that the sign of a normal is not that of its mean."""
    return float(ndtr(-abs(mean) / doubt)) if doubt > 0 else 0.0


def expected_wrong(mean: float, before: float, after: float) -> float:
    """The probability of a wrong call once the doubt has shrunk, over all means that may then be found.

    The mean that will be found has variance before^2 - after^2 and is as far from the truth as `after` says. The two have
    opposite signs with probability 2 T(|mean| / before, after / sqrt(before^2 - after^2)), T as by Owen (1956).
    """
    if after <= 0:
        return 0.0
    if after >= before:
        return wrong(mean, before)
    return float(2 * owens_t(abs(mean) / before, after / np.sqrt(before**2 - after**2)))

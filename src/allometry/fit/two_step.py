"""Two steps to a task: loss from N and D, then accuracy from loss (Bhagia et al., 2024, arXiv:2412.04403).

Errors of the first step move along the sigmoid of the second; the draws of both carry them to the accuracy.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from allometry.fit.differences import interval
from allometry.fit.estimate import fit
from allometry.fit.fits import Fit


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TwoStep:
    """The two fits, and their chain."""

    first: Fit  # loss
    second: Fit  # accuracy

    def predict(self, **named: float) -> tuple[float, float, float]:
        """The accuracy of a new run and its interval. Raises TooFar beyond the reach of the first step."""
        for name, value in named.items():
            self.first.check_reach(name, value)
        loss = self.first.scattered(self.first.at(**named))
        pairs = {name: sample[: len(loss)] for name, sample in self.second.samples.items()}
        accuracy = np.asarray(self.second.law.predict(pairs, {"L": loss[: len(next(iter(pairs.values())))]}), dtype=float)
        drawn = self.second.scattered(accuracy, seed=1)
        low, high = interval(drawn[1:], self.first.level)
        return float(drawn[0]), float(low), float(high)


def two_step(
    table: pd.DataFrame,
    *,
    law: str = "chinchilla",
    columns: Mapping[str, str] | None = None,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.9,
    reach: float = 10.0,
) -> TwoStep:
    """Columns: the variables of `law`, `loss` and `accuracy` (a share). The sigmoid is fitted on the measured losses."""
    names = dict(columns or {})
    settings = {"by": None, "draws": draws, "level": level, "reach": reach}
    one = {role: name for role, name in names.items() if role != "accuracy"}
    first = fit(table, law=law, columns=one, seed=seed, **settings)["all"]
    loss, accuracy = names.get("loss", "loss"), names.get("accuracy", "accuracy")
    second = fit(table, law="downstream", columns={"L": loss, "accuracy": accuracy}, seed=seed + 1, **settings)["all"]
    return TwoStep(first=first, second=second)

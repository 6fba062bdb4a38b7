"""The share of right answers and its interval, of one model, several seeds of it, or a rule.

Wilson's interval, of as many answers as the examples are worth where those of one cluster (the two of a pair, texts of one
package) are right or wrong together. Their worth is measured as for samples of surveys (Korn and Graubard 1998, "Confidence
intervals for proportions with small expected number of positive counts estimated from survey data"). The variance of seeds is
added to that of texts, and Student's quantile is that of both (Satterthwaite 1946).
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

LEVEL = 0.9  # as all of a study's intervals


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The share of right answers, and its interval."""

    accuracy: float
    low: float
    high: float
    examples: int
    units: int  # clusters of examples
    worth: float  # independent answers that the examples are worth, at most their number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seeds:
    """How much the accuracy of a trained model differs from seed to seed, on the same texts."""

    variance: float
    freedom: int  # degrees, of its estimate


def accuracy(
    right: Sequence[bool] | Bool[np.ndarray, " examples"] | Float[np.ndarray, "seeds examples"],
    clusters: Sequence[str],
    level: float = LEVEL,
    seeds: Seeds | None = None,
) -> Accuracy:
    """The accuracy of some answers, of which those to one cluster are not independent; of several seeds, one row for each.

    The variance between clusters against that of independent answers says what the examples are worth: at most their number.
    Where all are right, or all wrong, nothing shows the variance, and a cluster is taken for one answer. Without `seeds` the
    interval is of texts alone: it says nothing of another seed.

    >>> pairs = accuracy([True] * 60 + [False] * 40, [str(number // 2) for number in range(100)], 0.95)
    >>> pairs.units, round(pairs.worth), round(pairs.low, 2), round(pairs.high, 2)
    (50, 49, 0.46, 0.73)
    """
    answers = np.atleast_2d(np.asarray(right, dtype=float))
    by_text = answers.mean(0)
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    share, examples = float(answers.mean()), len(by_text)
    worth = examples**2 / float((np.bincount(cluster) ** 2).sum())  # if all answers of a cluster were the same
    freedom = float(len(names) - 1)
    if len(names) > 1 and 0 < share < 1:
        rests = np.bincount(cluster, weights=by_text - share)
        of_texts = len(names) / freedom * float((rests**2).sum()) / examples**2
        of_seeds = seeds.variance / len(answers) if seeds else 0.0
        variance = of_texts + of_seeds
        worth = min(answers.size, share * (1 - share) / variance) if variance > 0 else float(examples)
        if seeds and of_seeds > 0:
            freedom = variance**2 / (of_texts**2 / freedom + of_seeds**2 / seeds.freedom)
    low, high = _wilson(share, worth, freedom, level)
    return Accuracy(accuracy=share, low=low, high=high, examples=examples, units=len(names), worth=worth)


def _wilson(share: float, worth: float, freedom: float, level: float) -> tuple[float, float]:
    """Wilson's interval with Student's quantile, as the variance is measured with so many degrees of freedom."""
    if freedom < 1:
        return 0.0, 1.0
    square = float(stats.t.ppf((1 + level) / 2, freedom)) ** 2
    middle = (share + square / (2 * worth)) / (1 + square / worth)
    half = math.sqrt(square) / (1 + square / worth) * math.sqrt(share * (1 - share) / worth + square / (4 * worth**2))
    return max(0.0, middle - half), min(1.0, middle + half)

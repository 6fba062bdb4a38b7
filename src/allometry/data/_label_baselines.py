"""What an answer without a model is worth: the most frequent label, and a bag of words.

An accuracy has a 95 % interval: Wilson's, of as many answers as the examples are worth where those of one unit (the two of a pair,
texts of one group) are right or wrong together. Their worth is measured as for samples of surveys (Korn & Graubard 1998,
"Confidence intervals for proportions with small expected number of positive counts estimated from survey data").
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8
from scipy import stats

from allometry.data._baseline import ORDER, Ngram
from allometry.data._labelled import WORDS, Example, Labelled

PENALTIES = (0.01, 0.1, 1.0, 10.0)  # scikit-learn's C, chosen on the dev part
ITERATIONS = 500
LEVEL = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The share of right answers, and its 95 % interval."""

    accuracy: float
    low: float
    high: float
    examples: int
    units: int
    worth: float  # independent answers that the examples are worth, at most their number


def accuracy(right: Sequence[bool] | Bool[np.ndarray, " examples"], units: Sequence[str]) -> Accuracy:
    """The accuracy of some answers, of which those of one unit are not independent.

    The variance between units against that of independent answers says what the examples are worth: at most their number.
    Where all are right, or all wrong, nothing shows the variance, and a unit is taken for one answer.

    >>> pairs = accuracy([True] * 60 + [False] * 40, [str(number // 2) for number in range(100)])
    >>> pairs.units, round(pairs.worth), round(pairs.low, 2), round(pairs.high, 2)
    (50, 49, 0.46, 0.73)
    """
    answers = np.asarray(right, dtype=float)
    names, unit = np.unique(np.asarray(units), return_inverse=True)
    share = float(answers.mean())
    sizes = np.bincount(unit)
    whole = len(answers) ** 2 / float((sizes**2).sum())  # worth if all answers of a unit were the same
    if len(names) == 1 or share in (0.0, 1.0):
        worth = whole
    else:
        rests = np.bincount(unit, weights=answers - share)
        variance = len(names) / (len(names) - 1) * float((rests**2).sum()) / len(answers) ** 2
        worth = min(float(len(answers)), share * (1 - share) / variance) if variance > 0 else float(len(answers))
    low, high = _wilson(share, worth, len(names))
    return Accuracy(accuracy=share, low=low, high=high, examples=len(answers), units=len(names), worth=worth)


def _wilson(share: float, worth: float, units: int) -> tuple[float, float]:
    """Wilson's interval with Student's quantile, as the variance is measured from so many units."""
    if units == 1:
        return 0.0, 1.0
    square = float(stats.t.ppf((1 + LEVEL) / 2, units - 1)) ** 2
    middle = (share + square / (2 * worth)) / (1 + square / worth)
    half = math.sqrt(square) / (1 + square / worth) * math.sqrt(share * (1 - share) / worth + square / (4 * worth**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def label_baselines(labelled: Labelled) -> dict[str, dict[str, Any]]:
    """The accuracy on the test part of the most frequent label of the train part, and of a bag of words learned from it."""
    test = labelled.parts["test"]
    units = [example.unit for example in test]
    most = int(np.bincount([example.label for example in labelled.parts["train"]]).argmax())
    answers, facts = _bag_of_words(labelled)
    truth = _truth(test)
    return {
        "majority": {
            **dataclasses.asdict(accuracy(truth == most, units)),
            "label": labelled.labels[most],
            "text": "the most frequent label of the train part, always",
        },
        "bag_of_words": {
            **dataclasses.asdict(accuracy(answers == truth, units)),
            **facts,
            "text": "logistic regression on the counts of words and signs",
        },
    }


def likelier(labelled: Labelled, right: str, train: UInt8[np.ndarray, " bytes"]) -> dict[str, Any]:
    """The accuracy on the test part of an n-gram model of some text that calls the likeliest text of each unit `right`."""
    test = labelled.parts["test"]
    texts = [np.frombuffer(example.text, np.uint8) for example in test]
    lengths = np.array([len(text) for text in texts])
    before = np.concatenate([np.arange(length) for length in lengths])
    nats = -np.log(Ngram(train).probabilities(np.concatenate(texts), before))
    costs = np.add.reduceat(nats, np.cumsum(lengths) - lengths)
    least: dict[str, float] = {}
    for example, cost in zip(test, costs, strict=True):
        least[example.unit] = min(cost, least.get(example.unit, math.inf))
    units = [example.unit for example in test]
    answers = costs <= np.array([least[unit] for unit in units])
    return {
        **dataclasses.asdict(accuracy(answers == (_truth(test) == labelled.labels.index(right)), units)),
        "train_bytes": len(train),
        "text": f"the likelier of both texts of a pair, by byte n-grams of the training text ({ORDER} bytes of context); "
        "a model that is asked of one text does not see the other",
    }


def _truth(examples: Sequence[Example]) -> Int[np.ndarray, " examples"]:
    return np.array([example.label for example in examples])


def _bag_of_words(labelled: Labelled) -> tuple[Int[np.ndarray, " test"], dict[str, float | int]]:
    """The answers to the test part of the C that is best on the dev part; the smallest of equals."""
    from sklearn.exceptions import ConvergenceWarning  # here, as it takes a second to load
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    texts = {part: [e.text.decode(errors="replace") for e in of] for part, of in labelled.parts.items()}
    counter = CountVectorizer(token_pattern=WORDS)
    counts = {"train": counter.fit_transform(texts["train"])} | {p: counter.transform(texts[p]) for p in ("dev", "test")}
    train, dev = _truth(labelled.parts["train"]), _truth(labelled.parts["dev"])
    best, scores = None, []
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a little short of the optimum answers as well
            model.fit(counts["train"], train)
        scores.append(float((model.predict(counts["dev"]) == dev).mean()))
        if scores[-1] > max(scores[:-1], default=-1.0):
            best = penalty, model
    assert best is not None
    penalty, model = best
    facts = {"penalty": penalty, "words": len(counter.vocabulary_), "dev_accuracy": max(scores)}
    return model.predict(counts["test"]), facts

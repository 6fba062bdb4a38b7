"""What an answer without a network is worth, each with its interval: the most frequent label, a bag of words, and one of pairs.

Words at a time tell nothing of an edit that exchanges two of them; two neighbours may. A model that does not pass the bag of
pairs has not shown that it reads further than that.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from allometry.data._accuracy import accuracy
from allometry.data._baseline import ORDER, Ngram
from allometry.data._labelled import WORDS, Example, Labelled

PENALTIES = (0.01, 0.1, 1.0, 10.0)  # scikit-learn's C, chosen on the dev part
ITERATIONS = 500


def label_baselines(labelled: Labelled) -> dict[str, dict[str, Any]]:
    """The accuracy on the test part of the most frequent label of the train part, and of bags of words learned from it."""
    test = labelled.parts["test"]
    clusters = [example.cluster for example in test]
    most = int(np.bincount([example.label for example in labelled.parts["train"]]).argmax())
    truth = _truth(test)
    bags = {
        "bag_of_words": (1, "the counts of words and signs"),
        "bag_of_pairs": (2, "these and of neighbouring pairs of them"),
    }
    found = {}
    for name, (longest, of) in bags.items():
        answers, facts = _bag_of_words(labelled, longest)
        scored = dataclasses.asdict(accuracy(answers == truth, clusters))
        found[name] = {**scored, **facts, "text": f"logistic regression on {of}"}
    return {
        "majority": {
            **dataclasses.asdict(accuracy(truth == most, clusters)),
            "label": labelled.labels[most],
            "text": "the most frequent label of the train part, always",
        },
        **found,
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
    answers = costs <= np.array([least[example.unit] for example in test])
    clusters = [example.cluster for example in test]
    return {
        **dataclasses.asdict(accuracy(answers == (_truth(test) == labelled.labels.index(right)), clusters)),
        "train_bytes": len(train),
        "text": f"the likelier of both texts of a pair, by byte n-grams of the training text ({ORDER} bytes of context); "
        "a model that is asked of one text does not see the other",
    }


def _truth(examples: Sequence[Example]) -> Int[np.ndarray, " examples"]:
    return np.array([example.label for example in examples])


def _bag_of_words(labelled: Labelled, longest: int) -> tuple[Int[np.ndarray, " test"], dict[str, float | int]]:
    """The answers to the test part of the C that is best on the dev part, the smallest of equals; from up to `longest` words."""
    from sklearn.exceptions import ConvergenceWarning  # here, as it takes a second to load
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    texts = {part: [e.text.decode(errors="replace") for e in of] for part, of in labelled.parts.items()}
    counter = CountVectorizer(token_pattern=WORDS, ngram_range=(1, longest))
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

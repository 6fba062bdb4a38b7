"""The study of trained capacity: its sets of functions, its training, its intervals, and that its page is what was measured."""

import importlib
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy import stats

from allometry.model.gates.neurons import hardened
from allometry.spec import content_id

STUDIES = Path(__file__).parents[1] / "studies"
RESULTS = STUDIES / "results" / "gating"

# Functions of n = 1, 2, 3 inputs: counts that two independent programs agree on.
COUNTED = {
    "threshold unit": (4, 14, 104),
    "two units, summed": (4, 16, 246),  # as many as conjunctions: it is the complement class
    "two units, free output unit": (4, 16, 254),
    "multiplexing": (4, 16, 256),
    "output gating, 0/1": (4, 16, 246),
    "output gating, -1/+1": (4, 16, 254),
    "synaptic gating, -1/+1": (4, 16, 252),
    "additive synaptic, -1/+1": (4, 16, 252),
    "activation gating, -1/+1, outer bias": (4, 16, 254),
}


@pytest.fixture(scope="module")
def study() -> Iterator[ModuleType]:
    sys.path.insert(0, str(STUDIES))
    yield importlib.import_module("gating")
    sys.path.remove(str(STUDIES))


def test_the_sets_have_the_known_sizes(study) -> None:
    assert {kind.name: tuple(len(kind.tables(n)) for n in (1, 2, 3)) for kind in study.KINDS} == COUNTED


def test_the_sets_of_four_inputs_keep_to_the_bounds(study) -> None:
    names = ("threshold unit", "output gating, 0/1", "output gating, -1/+1", "synaptic gating, -1/+1")
    kinds = {kind.name: set(kind.tables(4).tolist()) for kind in study.KINDS if kind.name in names}
    plain, both, product, synapse = (kinds[name] for name in names)
    assert len(plain) == 1882  # OEIS A000609
    assert 104**2 <= len(both) <= 1882 * 1883 // 2
    assert 104**2 <= len(product) <= 2 * (math.comb(941, 2) + 1)
    assert 14**2 <= len(synapse) <= 1882**2
    assert plain <= both & product & synapse


def test_the_sets_keep_to_the_inclusions(study) -> None:
    sets = {kind.name: set(kind.tables(3).tolist()) for kind in study.KINDS}
    both, product = sets["output gating, 0/1"], sets["output gating, -1/+1"]
    assert both | sets["two units, summed"] <= sets["multiplexing"]
    assert both | sets["two units, summed"] == sets["two units, free output unit"]
    assert product <= sets["activation gating, -1/+1, outer bias"]
    assert len(product ^ set(range(256))) == 2  # all but the two parities
    assert {0b10010110, 0b01101001}.isdisjoint(product)


def test_hard_circuits_with_random_weights_stay_inside_their_sets(study) -> None:
    """Real neurons against set algebra; of three inputs, and of two, where 4,000 of them reach every function of the set."""
    torch.manual_seed(0)
    for kind in study.KINDS:
        for n in (2, 3):
            model = kind.build(n, (1, 4000))
            for parameter in model.parameters():
                if parameter.requires_grad:
                    torch.nn.init.normal_(parameter, std=2.0)
            x = 2.0 * (torch.arange(2**n)[:, None] >> torch.arange(n) & 1) - 1
            with torch.no_grad():
                bits = study.outputs(kind, hardened(model), x)[0].long().numpy()
            reached = set((bits << np.arange(2**n)).sum(-1).tolist())
            assert reached <= set(kind.tables(n).tolist())
            if n == 2:
                assert len(reached) == len(kind.tables(2)), kind.name


def test_circuits_learn_as_many_numbers_as_they_say(study) -> None:
    for kind in study.KINDS:
        for n in (2, 4):
            learned = sum(p.numel() for p in kind.build(n, (5, 7)).parameters() if p.requires_grad)
            assert learned == 5 * 7 * kind.learned(n)


def test_training_finds_what_can_be_realised_and_nothing_else(study) -> None:
    kinds = {kind.name: kind for kind in study.KINDS}
    every = np.arange(16)
    steps: list[int] = []
    first, reached = study.train(kinds["output gating, -1/+1"], 2, every, 0.3, 8, 60, 0, steps.append)
    assert (first >= 0).any(0).all()
    assert (reached[:, 6] == 6).any()  # exclusive or
    assert sum(steps) == 70
    first, _ = study.train(kinds["threshold unit"], 2, every, 0.3, 2, 60, 0, steps.append)
    assert np.flatnonzero((first < 0).all(0)).tolist() == [6, 9]  # exclusive or and its complement
    again, _ = study.train(kinds["threshold unit"], 2, every, 0.3, 2, 60, 0, steps.append)
    assert (first == again).all()


def test_intervals(study) -> None:
    report = importlib.import_module("_gating_report")
    for found, trials in ((0, 20), (7, 20), (20, 20), (250, 256)):
        known = stats.binomtest(found, trials).proportion_ci(0.95, method="wilson")
        assert report.wilson(found / trials, trials)[1:] == pytest.approx((known.low, known.high), abs=1e-4)
    low, high = report.difference((0.7, 0.6, 0.8), (0.5, 0.4, 0.6))[1:]
    assert (low, high) == pytest.approx((0.2 - math.sqrt(0.02), 0.2 + math.sqrt(0.02)))


def test_the_interval_of_a_run_holds_the_truth(study) -> None:
    """Functions are drawn, each with a chance of its own, and 16 runs of each: some 95 of 100 intervals hold the mean chance."""
    report, draws, held = importlib.import_module("_gating_report"), np.random.default_rng(0), 0
    for _ in range(200):
        chances = draws.beta(1.5, 0.5, 100)
        first = np.where(draws.random((16, 100)) < chances, 10, -1)
        part = {"realised": 5000, "parts": {"own": {"tables": list(range(100)), "first": first}}}
        _, low, high = report.by_one(part, "own")
        held += low <= 0.75 <= high
    assert 180 <= held <= 198  # 190 +- 3 standard errors


def test_the_page_is_what_was_measured(study) -> None:
    """Stored parts answer the questions of the file as it is, no hard circuit left its set, and the page is made of them."""
    parts = []
    for n in study.STEPS:
        for kind in study.KINDS:
            question = json.loads(json.dumps(study.asked(kind, n)))
            part = json.loads((RESULTS / "parts" / f"{content_id(question)}.json").read_text())
            assert part["asked"] == question
            assert part["outside"] == 0
            parts.append(part)
    page = importlib.import_module("_gating_report").written(parts)
    assert page == (RESULTS / "report.md").read_text()
    document = (STUDIES.parent / "docs" / "gates.md").read_text()
    quoted = re.findall(r"[\d.]+ % \[[\d.]+, [\d.]+\]", document)
    assert len(quoted) == 6
    assert all(interval in page for interval in quoted)

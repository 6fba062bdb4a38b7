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


@pytest.fixture(scope="module")
def study() -> Iterator[ModuleType]:
    sys.path.insert(0, str(STUDIES))
    yield importlib.import_module("gating")
    sys.path.remove(str(STUDIES))


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


def test_the_end_of_training_is_looked_at(study) -> None:
    with pytest.raises(ValueError, match="multiple of 10"):
        study.train(study.KINDS[0], 2, np.arange(16), 0.3, 2, 65, 0, lambda steps: None)


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
            assert part["realised"] == len(kind.tables(n))
            own = kind.tables(n) if n == 3 else study.drawn(kind.tables(n), study.OWN, study.SEED + 3)
            assert part["parts"]["own"]["tables"] == own.tolist()  # the sets are those that it was trained on
            parts.append(part)
    page = importlib.import_module("_gating_report").written(parts)
    assert page == (RESULTS / "report.md").read_text()
    document = (STUDIES.parent / "docs" / "gates.md").read_text()
    quoted = re.findall(r"[\d.]+ % \[[\d.]+, [\d.]+\]", document)
    assert len(quoted) == 6
    assert all(interval in page for interval in quoted)


def test_the_documents_say_which_rates_lie_at_an_edge() -> None:
    report, page = (RESULTS / "report.md").read_text(), (STUDIES.parent / "docs" / "gates.md").read_text()
    rows = [line.split(" | ") for line in report.splitlines() if line.startswith("| ") and "(edge)" in line]
    said = page.partition("at an edge of the five tried")[2].partition("Those of the table")[0]
    assert len(rows) == 4
    assert "four lie at an edge" in page
    for name, rate in {(row[0].strip("| ").split(",")[0], row[-1].split()[0]) for row in rows}:
        assert name.removesuffix(" unit") in said
        assert rate in said

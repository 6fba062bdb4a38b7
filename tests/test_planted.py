"""Planted effects: a copy costs what it is billed, trains as the original, and the judge counts right and wrong alike."""

import pytest
import torch

from allometry.flow import Refusal, Tokens
from allometry.report.calibration import judged, share_interval, summary
from allometry.study.job import family_at
from allometry.study.planted import BILLED, EQUAL, plant
from allometry.train.meter import count

IO = Tokens(vocab=256, length=32)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"), family="transformer", studies=3, times=1.5, length=32)


@pytest.mark.parametrize("size", [1, 3])
def test_a_copy_is_the_same_model_and_billed_what_was_asked(studies, size):
    plain = count(family_at("transformer", size), IO)
    for study, times in ((studies[0], 1.0), (studies[1], 1.5)):
        copy = family_at(study.request.families[1], size)
        counted = count(copy, IO)
        assert counted.forward_flops_per_token == pytest.approx(times * plain.forward_flops_per_token, rel=1e-3)
        assert counted.parameters == plain.parameters
        assert counted.non_embedding_parameters == plain.non_embedding_parameters


def test_a_copy_has_weights_of_its_own_and_the_same_function_of_them(studies):
    models = []
    for family in (studies[1].request.families[0], studies[1].request.families[1]):
        torch.manual_seed(0)
        models.append(family_at(family, 2).build(IO))
    plain, copy = models
    assert any(not torch.equal(a, b) for a, b in zip(plain.parameters(), copy.parameters(), strict=True))
    copy.load_state_dict(plain.state_dict())
    tokens = torch.randint(0, 256, (2, 32), generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain(tokens), copy(tokens))


def test_every_study_has_seeds_of_its_own(studies):
    seeds = [study.request.seed for study in studies]
    assert len(set(seeds)) == len(seeds) == 6
    assert min(abs(a - b) for i, a in enumerate(seeds) for b in seeds[:i]) >= 10
    assert [study.kind for study in studies] == [EQUAL, BILLED] * 3


def test_another_calibration_in_the_folder_is_refused(studies):
    with pytest.raises(Refusal, match="something else"):
        plant(studies[0].folder.parent, family="transformer", studies=3, times=2.0, length=32)


def said(verdict, multiplier, **ends):
    """An answer in which the copy's compute is `multiplier` times the family's, within 20 %."""
    of_family = {"multiplier": 1 / multiplier, "multiplier_low": 1 / multiplier / 1.2, "multiplier_high": 1.2 / multiplier}
    overall = {"verdict": verdict, "reason": None, "ln_difference": -0.02, "low": -0.03, "high": -0.01}
    pair = {
        "a": "family",
        "b": "copy",
        "overall": overall,
        "detectable_ln": 0.01,
        "budgets": [of_family | ends],
    }
    return {"pairs": [pair], "regions": {"flops": [{"winner": verdict}]}}


def test_the_judge_counts_what_was_right():
    rows = [judged(EQUAL, i, 1.0, said(verdict, 1.0)) for i, verdict in enumerate((None, None, "copy"))]
    rows += [judged(BILLED, i, 1.5, said(*case)) for i, case in enumerate((("family", 1.5), ("family", 2.0), (None, 1.5)))]
    equal, billed = summary(rows)
    assert (equal["right"], equal["interval_holds_truth"], equal["studies"]) == (2, 3, 3)
    assert (billed["right"], billed["interval_holds_truth"], billed["right_and_holds"]) == (2, 2, 1)
    assert rows[3]["multiplier_low"] < 1.5 < rows[3]["multiplier_high"]


def test_an_interval_that_leaves_the_range_is_open_on_that_side():
    """The family's low end is the copy's high end."""
    row = judged(BILLED, 0, 1.5, said("family", 1.3, multiplier_low=None))
    assert (row["multiplier_high"], row["bounded"], row["holds_truth"]) == (None, False, True)
    row = judged(BILLED, 0, 1.5, said("family", 2.0, multiplier_low=None))
    assert not row["holds_truth"]


def test_the_interval_of_a_share_is_exact():
    low, high = share_interval(18, 20, level=0.95)
    assert (low, high) == (pytest.approx(0.6830, abs=1e-4), pytest.approx(0.9877, abs=1e-4))  # R: binom.test(18, 20)
    assert share_interval(20, 20)[1] == 1.0
    assert share_interval(0, 20)[0] == 0.0

"""next_runs(): what is promised of a run happens when it is run; and the right runs are asked for, at the right price."""

# ruff: noqa: N806 - N and D are the letters of the field

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from allometry.fit.ask.beliefs import Beliefs, expected_wrong, winsorised, wrong
from allometry.fit.ask.next_runs import NextRuns, _greedy, flops, next_runs
from allometry.fit.ask.questions import exponent, loss_at, winner
from allometry.fit.estimate import fit
from allometry.fit.fits import Fits
from allometry.flow import Refusal, TooFar

C = np.geomspace(1e15, 1e18, 10)
SCALES = {"a": 2.0, "b": 2.01}
NOISE = 0.004


def table(seed: int = 0, **scales: float) -> pd.DataFrame:
    generator, parts = np.random.default_rng(seed), []
    for name, scale in (scales or SCALES).items():
        loss = scale * (C / 1e15) ** -0.1 * np.exp(NOISE * generator.standard_normal(len(C)))
        parts.append(pd.DataFrame({"family": name, "C": C, "loss": loss}))
    return pd.concat(parts, ignore_index=True)


def fitted(runs: pd.DataFrame) -> Fits:
    return fit(runs, law="power", draws=200)


def with_run(runs: pd.DataFrame, group: str, place: float, generator: np.random.Generator) -> pd.DataFrame:
    loss = SCALES[group] * (place / 1e15) ** -0.1 * np.exp(NOISE * generator.standard_normal())
    return pd.concat([runs, pd.DataFrame({"family": [group], "C": [place], "loss": [loss]})], ignore_index=True)


def doubt(fits: Fits, question) -> float:
    drawn = winsorised(question.drawn(fits)[1:])
    return float((drawn[:, 0] - drawn[:, 1]).std() if drawn.shape[1] == 2 else drawn[:, 0].std())


def same(group: str, **place: float) -> float:
    return 1.0


@pytest.fixture(scope="module")
def fits():
    return fitted(table())


def test_what_is_promised_happens():
    """The ratio of doubts after and before, promised and found by running the proposal and fitting again, over seven studies."""
    question, generator = winner("a", "b", C=8e18), np.random.default_rng(1)
    promised, happened, random = [], [], []
    for seed in range(7):
        runs = table(seed)
        before = fitted(runs)
        best = next_runs(before, question, price=same, count=1).proposals[0]
        now = doubt(before, question)
        promised.append(best.doubt_after / best.doubt_before)
        happened.append(doubt(fitted(with_run(runs, best.group, best.place["C"], generator)), question) / now)
        place = float(generator.choice(np.geomspace(C[0], 10 * C[-1], 12)))
        random.append(doubt(fitted(with_run(runs, str(generator.choice(["a", "b"])), place, generator)), question) / now)
    assert np.mean(promised) < 0.9
    # The scatter is estimated anew with each run, by 8 degrees of freedom: a ratio is known to some 10 %, their mean to 4 %.
    assert np.mean(happened) == pytest.approx(np.mean(promised), abs=0.1)
    assert np.mean(happened) < np.mean(random) - 0.02  # a run that was picked blindly, at the same price, does less


def test_a_question_about_one_group_asks_for_its_runs(fits):
    found = next_runs(fits, exponent("a"), price=same, count=3)
    assert {one.group for one in found} == {"a"}
    assert next_runs(fits, loss_at("b", C=5e18), count=1).proposals[0].group == "b"
    # The exponent is known best from the ends: the largest run that may be asked for is the longest lever.
    assert found.proposals[0].place["C"] == pytest.approx(10 * C[-1])
    assert {one.group for one in next_runs(fits, winner("a", "b", C=8e18), price=same, count=4)} == {"a", "b"}


def test_doubt_falls_run_by_run(fits):
    found = next_runs(fits, winner("a", "b", C=8e18), count=6)
    after = [one.doubt_after for one in found]
    assert len(found) == 6
    assert after == sorted(after, reverse=True)
    assert [one.doubt_before for one in found][1:] == pytest.approx(after[:-1])
    for one in found:
        assert 0 <= one.wrong_after <= one.wrong_before + 1e-12 <= 0.5
        assert one.gain_per_cost == pytest.approx((one.doubt_before - one.doubt_after) / one.cost)
    assert found.proposals[0].cost == found.proposals[0].place["C"]
    # What is expected of one run is what the next one starts from.
    assert [one.wrong_before for one in found][1:] == pytest.approx([one.wrong_after for one in found][:-1])


def test_groups_that_were_fitted_apart_say_nothing_of_each_other(fits):
    floor = {"E": 0 * fits["a"].samples["A"]}  # what stands still in both is not shared

    def asked(samples, **changed) -> int:
        one = dataclasses.replace(fits["a"], samples=fits["a"].samples | floor, **changed)
        other = dataclasses.replace(fits["b"], samples=samples | floor, **changed)
        places = [{"group": "b", "C": place} for place in np.geomspace(C[0], C[-1], 5)]
        both = dataclasses.replace(fits, fits={"a": one, "b": other})
        return len(next_runs(both, exponent("a"), candidates=places, price=same))

    own, theirs = fits["b"].samples, fits["a"].samples
    assert asked(own) == 0
    assert asked(own | {"alpha": theirs["alpha"]}) > 0  # one exponent for both, drawn once
    alike = {name: sample * (1 + 1e-9) for name, sample in theirs.items()}
    assert asked(alike) == 0
    assert asked(alike, diagnosis=None) > 0  # a study's draws are of all groups at once


def test_lists_are_compared_by_the_challenger_that_is_left():
    """Among three, the first challenger is settled by its run; what counts then is the other one."""
    covariance = np.diag([0.0, 1.0, 0.3, 0.0, 1.0, 0.0])
    covariance[1, 4] = covariance[4, 1] = 1.0
    start = Beliefs(mean=np.array([0.0, 0.5, 0.5]), covariance=covariance, first=covariance)
    places = [(name, {"C": 1.0}) for name in "abc"]
    found, left = _greedy(start, "winner", places, np.ones(3), np.full(3, 1e-3), None, 5, 0.005, 0.0)
    assert [one.group for one in found] == ["b"]
    assert found[0].wrong_after < 0.001
    assert left == pytest.approx(wrong(0.5, np.sqrt(0.3)))


def test_the_order_of_the_two_does_not_matter(fits):
    one, other = (next_runs(fits, winner(*names, C=8e18), price=same) for names in (("a", "b"), ("b", "a")))
    assert one.table.drop(columns=["wrong_before", "wrong_after"]).equals(
        other.table.drop(columns=["wrong_before", "wrong_after"])
    )
    assert one.table["wrong_after"].to_numpy() == pytest.approx(other.table["wrong_after"].to_numpy())


def test_a_price_changes_the_choice_within_a_budget(fits):
    def half(group: str, **place: float) -> float:
        return flops(group, **place) * (1.0 if group == "a" else 0.05)

    question = winner("a", "b", C=8e18)
    even = next_runs(fits, question, price=flops, budget=3e18, count=3)
    cheap = next_runs(fits, question, price=half, budget=3e18, count=3)
    assert even.cost <= 3e18 * (1 + 1e-6)
    assert cheap.cost <= 3e18 * (1 + 1e-6)
    largest = [max((one.place["C"] for one in found if one.group == "b"), default=0.0) for found in (even, cheap)]
    assert largest[1] > 2 * largest[0]
    assert cheap.proposals[-1].doubt_after < even.proposals[-1].doubt_after
    assert next_runs(fits, question, price=flops, budget=1e30, count=3).table.equals(
        next_runs(fits, question, price=flops, count=3).table
    )


def test_among_all_groups_the_leader_is_asked_about_with_its_closest_rival():
    found = next_runs(fitted(table(a=2.0, b=2.02, c=2.6)), winner(C=5e18), price=same, count=4)
    assert {one.group for one in found} == {"a", "b"}


def test_a_run_that_says_nothing_new_is_not_proposed(fits):
    exact = next_runs(fits, winner("a", "b", C=8e18), noise=1e6, price=same)
    assert len(exact) == 0
    assert "None of them would tell more" in exact.text


def test_a_few_wild_draws_do_not_decide():
    draws = np.random.default_rng(0).standard_normal((500, 2))
    draws[0] = -np.inf, 1e9
    assert winsorised(draws).std(axis=0) == pytest.approx([1, 1], abs=0.12)
    bound = np.where(np.arange(500) < 300, 0.0, 1.0)[:, None]  # more than half stand at a bound
    assert winsorised(bound).std() == pytest.approx(bound.std())


def test_chances_of_a_wrong_call():
    assert wrong(0.0, 1.0) == 0.5
    assert wrong(1.0, 0.0) == 0.0
    assert expected_wrong(0.3, 1.0, 1.0) == pytest.approx(wrong(0.3, 1.0))
    assert expected_wrong(0.3, 1.0, 0.0) == expected_wrong(0.3, 0.0, 0.0) == 0.0
    assert expected_wrong(0.0, 1.0, 0.1) == pytest.approx(np.arctan(0.1 / np.sqrt(0.99)) / np.pi)


@pytest.mark.parametrize(("mean", "after"), [(0.3, 0.4), (-0.3, 0.4), (0.0, 0.1), (0.02, 0.003), (1.5, 0.1), (2.0, 1.9)])
def test_the_expected_chance_of_a_wrong_call_is_the_integral(mean, after):
    before = 2.0
    spread = np.sqrt(before**2 - after**2)
    found = np.linspace(mean - 10 * spread, mean + 10 * spread, 400_001)
    share = np.exp(-(((found - mean) / spread) ** 2) / 2)
    assert expected_wrong(mean, before, after) == pytest.approx(ndtr(-np.abs(found) / after) @ share / share.sum(), rel=1e-4)


def test_own_candidates_and_laws_of_several_variables():
    generator = np.random.default_rng(4)
    N, D = 10 ** generator.uniform(6, 8, 30), 10 ** generator.uniform(8, 10, 30)
    loss = (1.7 + 400 * N**-0.33 + 900 * D**-0.29) * np.exp(0.002 * generator.standard_normal(30))
    found = fit(pd.DataFrame({"N": N, "D": D, "loss": loss}), law="chinchilla", by=None, draws=100)
    best = next_runs(found, exponent("all", "beta"), count=1)
    assert best.proposals[0].cost == pytest.approx(6 * best.proposals[0].place["N"] * best.proposals[0].place["D"])
    assert best.candidates == 36
    choices = [{"group": "all", "N": 1e8, "D": 1e8}, {"group": "all", "N": 1e8, "D": 1e10}]
    there = next_runs(found, loss_at("all", N=1e8, D=2e10), candidates=choices, count=1)
    assert there.proposals[0].place == {"N": 1e8, "D": 1e10}
    assert there.table.equals(
        next_runs(found, loss_at("all", N=1e8, D=2e10), candidates=pd.DataFrame(choices), count=1).table
    )


def test_what_cannot_be_asked_is_refused_with_the_way_out(fits):
    with pytest.raises(Refusal, match=r"no fit of 'c'\. There are: a, b"):
        next_runs(fits, winner("a", "c", C=8e18))
    with pytest.raises(Refusal, match=r"power of a has no E\. It has: A, alpha"):
        next_runs(fits, exponent("a", "E"))
    with pytest.raises(Refusal, match=r"below the cheapest of 24 candidates, 1e\+15.*Raise budget"):
        next_runs(fits, exponent("a"), budget=1e14)
    with pytest.raises(TooFar):
        next_runs(fits, winner("a", "b", C=1e22))
    with pytest.raises(Refusal, match=r"fitted in C; got \['N'\]\. Give C="):
        next_runs(fits, loss_at("a", N=1e6))
    with pytest.raises(Refusal, match="one of two groups or more"):
        next_runs(fits, winner("a", C=8e18))
    with pytest.raises(Refusal, match="needs a place"):
        winner("a", "b")
    with pytest.raises(Refusal, match="has no group"):
        next_runs(fits, exponent("a"), candidates=[{"C": 1e18}])
    with pytest.raises(Refusal, match=r"price\(\) says -1.0"):
        next_runs(fits, exponent("a"), price=lambda group, **place: -1.0)
    with pytest.raises(Refusal, match="no C, nor N and D"):
        flops("a", width=3.0)
    bare = {name: sample[:1] for name, sample in fits["a"].samples.items()}
    without = Fits(fits={"a": dataclasses.replace(fits["a"], samples=bare)}, unit="", notes=(), source=fits.source)
    with pytest.raises(Refusal, match=r"0 draws.*draws=50"):
        next_runs(without, exponent("a"))
    unknown = Fits(fits={"a": dataclasses.replace(fits["a"], scatter=0.0)}, unit="", notes=(), source=fits.source)
    with pytest.raises(Refusal, match=r"scatter of runs.*Give noise="):
        next_runs(unknown, exponent("a"))
    assert len(next_runs(unknown, exponent("a"), noise=0.003)) == 5


def test_the_answer_is_json_and_words(fits):
    found = next_runs(fits, winner("a", "b", C=8e18), budget=1e19)
    assert isinstance(found, NextRuns)
    content = json.loads(json.dumps(found.to_json()))
    assert content["question"]["kind"] == "winner"
    assert len(content["proposals"]) == len(found.table)
    assert "wrong call" in found.text
    assert "1. " in found.text
    assert "winsorised" in found.text

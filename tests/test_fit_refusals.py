"""Every refusal, provoked by data: the type, the number that it names, and what it says to run."""

# ruff: noqa: N803, N806 - N, D and C are the letters of the field

import numpy as np
import pandas as pd
import pytest
from fit_runs import law_named, runs

from allometry.fit.diagnosis import Diagnosis, findings
from allometry.fit.estimate import fit
from allometry.fit.isoflop import isoflop, optimum
from allometry.fit.refusals import (
    AtBound,
    CannotTell,
    Duplicates,
    LackOfFit,
    Mixed,
    NoInteriorMinimum,
    NonFinite,
    NotConverged,
    NotIdentified,
    TooFar,
    TooFewLevels,
    TooFewPoints,
)
from allometry.fit.sharing import share
from allometry.flow import Refusal

C = np.geomspace(1e15, 1e19, 9)
GENERATOR = np.random.default_rng(0)


def curve(floor=1.5, alpha=0.2, noise=0.002, seed=0, scale=1.0, C=C):
    shake = np.exp(noise * np.random.default_rng(seed).standard_normal(len(C)))
    return pd.DataFrame({"C": C, "loss": (floor + scale * (C / 1e15) ** -alpha) * shake})


def found(table, **settings):
    return fit(table, by=None, draws=50, **settings)["all"].findings


def of(kind, items):
    """The texts of the findings of one type."""
    return " ".join(str(item) for item in items if isinstance(item, kind))


def test_every_refusal_is_a_refusal():
    kinds = (AtBound, CannotTell, Duplicates, LackOfFit, Mixed, NoInteriorMinimum, NonFinite)
    kinds += (NotConverged, NotIdentified, TooFar, TooFewLevels, TooFewPoints)
    assert all(issubclass(kind, Refusal) for kind in kinds)


def test_a_clean_fit_has_no_findings():
    assert not found(curve())


def test_no_interior_minimum():
    N = np.geomspace(1e6, 1e8, 6)
    with pytest.raises(NoInteriorMinimum, match=r"edge of the sizes \(N = 1e\+08\)\. Run larger sizes"):
        optimum(N, 2 + (1e8 / N) ** 0.3)
    with pytest.raises(NoInteriorMinimum, match="Run smaller sizes"):
        optimum(N, 2 + (N / 1e8) ** 0.3, method="akima")
    with pytest.raises(NoInteriorMinimum, match="at least 3 sizes"):
        optimum(N[:2], np.array([2.0, 2.1]))


def levels(count, off=0.0):
    """IsoFLOP levels around N* = C^0.5, `off` of them to one side."""
    flops = np.repeat(np.geomspace(1e16, 1e18, count), 7)
    N = np.sqrt(flops) / 10 * np.tile(np.exp(np.linspace(-1.5 + off, 1.5 + off, 7)), count)
    return N, flops, 3 * np.exp(0.05 * np.log(N / (np.sqrt(flops) / 10)) ** 2)


def test_too_few_levels():
    with pytest.raises(TooFewLevels, match=r"2 levels .* needs 3\. Run more compute levels"):
        isoflop(*levels(2))
    assert isoflop(*levels(4)).exponent == pytest.approx(0.5, abs=1e-6)


def test_a_lopsided_level_is_said():
    assert not isoflop(*levels(4)).findings
    assert "use method='akima'" in of(LackOfFit, isoflop(*levels(4, off=1.0)).findings)


def test_too_few_points():
    with pytest.raises(TooFewPoints, match=r"at least 4 rows; all has 3"):
        found(curve().iloc[:3])
    assert "only 5 points for 3 parameters" in of(TooFewPoints, found(curve().iloc[:5]))
    with pytest.raises(TooFewPoints, match=r"one value of N only.*at least 3 values of N"):
        found(runs(law_named("chinchilla"), rows=12).assign(N=1e8), law="chinchilla")


def test_not_identified_by_the_profile_and_by_leverage():
    narrow = curve(noise=0.01, C=np.geomspace(1e15, 3e15, 8))
    assert "alpha is not identified" in of(NotIdentified, found(narrow))
    assert "C varies by a factor of 1.5 only" in of(NotIdentified, found(curve(C=np.geomspace(1e15, 1.5e15, 8))))


def test_not_identified_where_variables_move_together():
    """All runs at 20 tokens per parameter: N and D cannot be told apart."""
    table = runs(law_named("chinchilla"), rows=20, noise=0.001)
    table["D"] = 20 * table["N"]
    table["loss"] = law_named("chinchilla").predict(
        {"E": 1.7, "A": 400.0, "B": 400.0 * 20**0.3, "alpha": 0.3, "beta": 0.3},
        {"N": table["N"].to_numpy(), "D": table["D"].to_numpy()},
    ) * np.exp(0.001 * GENERATOR.standard_normal(20))
    assert "not identified" in of(NotIdentified, found(table, law="chinchilla"))


def test_checkpoints_of_few_runs_do_not_identify():
    table = runs(law_named("chinchilla"), rows=40, noise=0.001).assign(run=np.repeat(list("abcd"), 10))
    assert "40 points come from 4 runs only, for 5 parameters" in of(NotIdentified, found(table, law="chinchilla"))


def test_at_bound():
    bent = pd.DataFrame({"C": C, "loss": np.exp(1 - 0.02 * np.log(C / 1e15) ** 1.5)})
    assert "E = 0: the data do not support this floor. Run larger budgets" in of(AtBound, found(bent))


def test_not_converged():
    law = law_named("power_floor")
    samples = {"E": np.full(9, 1.0), "A": np.full(9, 1.0), "alpha": np.full(9, 0.3)}
    good = Diagnosis(
        screened=48, starts=12, agreeing=12, gradient=1e-12, condition=10.0, at_bound=(), unmoved=(), spare=9, scatter=0.01,
        profile={},
    )  # fmt: skip
    assert not findings(law, samples, 12, 0.9, (), good)
    for change, text in [
        ({"agreeing": 1}, "only 1 of 12 starts"),
        ({"gradient": 0.1}, "stopped on a slope"),
        ({"unmoved": ("alpha",)}, "alpha never left the start"),
    ]:
        bad = Diagnosis(**{**good.__dict__, **change})
        assert text in of(NotConverged, findings(law, samples, 12, 0.9, (), bad))


def test_a_break_that_is_not_there_is_not_identified():
    items = found(curve(noise=0.01, seed=4, C=np.geomspace(1e15, 1e19, 16)), law="broken_power")
    assert "not identified" in of(NotIdentified, items)


def test_lack_of_fit():
    twice = pd.concat([curve(noise=0.0)] * 2, ignore_index=True)
    wave = 1 + 0.02 * np.sin(np.arange(9) * 2.5)
    twice["loss"] *= np.tile(wave, 2) * np.exp(0.001 * np.random.default_rng(1).standard_normal(18))
    assert "where repeats of one cell differ by 0.0" in of(LackOfFit, found(twice))
    assert "where seeds differ by 0.10%" in of(LackOfFit, found(curve(noise=0.02), noise=0.001))
    assert not of(LackOfFit, found(curve(noise=0.002), noise=0.002))
    diverged = curve()
    diverged.loc[4, "loss"] *= 1.3
    assert "row 4 by" in of(LackOfFit, found(diverged))
    rising = curve()
    rising.loc[8, "loss"] *= 1.05
    assert "the loss rises from" in of(LackOfFit, found(rising))


def test_too_far():
    with pytest.raises(TooFar, match=r"100 times the largest.*Add runs there"):
        fit(curve(), by=None, draws=50)["all"].predict(1e21)


def test_mixed():
    table = curve().assign(tokenizer=["a"] * 5 + ["b"] * 4)
    with pytest.raises(Mixed, match=r"mixes 2 values of tokenizer \(a, b\).*by='tokenizer'"):
        found(table)
    assert not of(Mixed, found(table, mixed=True))


def test_cannot_tell():
    table = pd.concat([curve(seed=1).assign(family="a"), curve(seed=2).assign(family="b")])
    same = share(table, ("alpha",))
    assert not same.distinguishable
    assert "would mostly be seen" in same.text
    with pytest.raises(CannotTell, match=r"Not distinguishable.*Run"):
        same.verdict()
    table = pd.concat([curve(seed=1).assign(family="a"), curve(seed=2, alpha=0.35).assign(family="b")])
    assert share(table, ("alpha",)).verdict() == "b"


def test_duplicates_and_rows_without_numbers():
    table = pd.concat([curve(), curve().iloc[[3]]], ignore_index=True)
    table.loc[0, "loss"] = np.inf
    notes = fit(table, by=None, draws=50).notes
    assert "1 rows repeat another row exactly" in " ".join(notes)
    assert "1 of 10 rows are left out" in " ".join(notes)
    with pytest.raises(NonFinite, match="1 of 10 rows"):
        fit(table, by=None, draws=50, strict=True)
    with pytest.raises(Duplicates, match="Drop them"):
        fit(table.iloc[1:], by=None, draws=50, strict=True)
    with pytest.raises(NonFinite, match="None of the"):
        fit(table.assign(loss=np.nan), by=None, draws=50)

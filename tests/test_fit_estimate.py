"""fit(): refusals, reach, flags, sharing, and the same answer from a study as from its frontier."""

import json

import numpy as np
import pandas as pd
import pytest
from fit_simulation import simulated

from allometry.fit.compare import compare
from allometry.fit.estimate import fit
from allometry.flow import Refusal, TooFar

C = np.geomspace(1e15, 1e18, 7)


def curve(family: str, floor: float, scale: float, noise: float = 0.003, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    loss = (floor + scale * (C / 1e15) ** -0.2) * np.exp(noise * generator.standard_normal(len(C)))
    return pd.DataFrame({"family": family, "C": C, "loss": loss})


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.concat([curve("plain", 1.5, 1.0, seed=1), curve("fancy", 1.5, 0.9, seed=2)], ignore_index=True)


def test_intervals_hold_the_law(table):
    found = fit(table, draws=400)["plain"]
    alpha = found.parameters["alpha"]
    assert alpha["low"] < 0.2 < alpha["high"]
    value, low, high = found.predict(3e18)
    assert low < 1.5 + 3000**-0.2 < high
    assert low <= value <= high


def test_prediction_refuses_beyond_its_reach(table):
    found = fit(table, draws=50)
    assert len(found.predict(9.9e18)) == 2
    with pytest.raises(TooFar, match=r"20 times the largest.*answers up to 10 times.*accept the risk with reach="):
        found["plain"].predict(2e19)
    with pytest.raises(TooFar, match="below the smallest"):
        found["plain"].predict(1e13)
    assert fit(table, draws=50, reach=30)["plain"].predict(2e19)[0] > 1.4


def test_wrong_tables_are_refused_with_the_way_out(table):
    with pytest.raises(Refusal, match=r"no column C\. .*Nearest: training_flops"):
        fit(table.rename(columns={"C": "training_flops"}))
    with pytest.raises(Refusal, match=r"at least 4 rows; plain has 3.*fewer parameters"):
        fit(table.groupby("family").head(3))
    with pytest.raises(Refusal, match=r"no column familiy.*by=None"):
        fit(table, by="familiy")
    with pytest.raises(Refusal, match=r"Did you mean 'power_floor'"):
        fit(table, law="power_flor")
    with pytest.raises(Refusal, match="None of the 14 rows"):
        fit(table.assign(loss=-1.0))
    with pytest.raises(Refusal, match="does not read"):
        fit(table, columns={"compute": "C"})
    with pytest.raises(Refusal, match=r"Only a floor E can"):
        fit(table, law="power", shared=("E",))
    with pytest.raises(Refusal, match="no budgets, sizes and seeds"):
        compare(fit(table, draws=50))


def test_what_is_left_out_or_repeated_is_said(table):
    spoilt = table.copy()
    spoilt.loc[0, "loss"] = np.nan
    spoilt.loc[1, "loss"] = -2.0
    spoilt = pd.concat([spoilt, spoilt.iloc[[5]]])
    notes = " ".join(fit(spoilt, draws=50).notes)
    assert "2 of 15 rows are left out" in notes
    assert "1 rows repeat" in notes


def test_few_points_and_a_missing_floor_are_flagged():
    straight = pd.DataFrame({"C": C, "loss": 3 * (C / 1e15) ** -0.15})
    flags = " ".join(fit(straight.iloc[:5], by=None, draws=50)["all"].flags)
    assert "only 5 points for 3 parameters" in flags
    curved_up = pd.DataFrame({"C": C, "loss": np.exp(1 - 0.03 * np.log(C / 1e15) ** 1.4)})
    assert "E = 0" in " ".join(fit(curved_up, by=None, draws=50)["all"].flags)


def test_an_exponent_that_cannot_be_known_is_flagged():
    generator = np.random.default_rng(0)
    short = pd.DataFrame({"C": np.linspace(1e15, 1.3e15, 8), "loss": 2 * np.exp(0.01 * generator.standard_normal(8))})
    assert "not identified" in " ".join(fit(short, by=None, draws=200)["all"].flags)


def test_a_shared_floor_is_one_number_and_never_fits_better_than_separate_ones(table):
    apart, together = fit(table, draws=100), fit(table, draws=100, shared=("E",))
    floors = [one.parameters["E"] for one in together]
    assert floors[0] == floors[1]
    assert floors[0]["low"] < 1.5 < floors[0]["high"]
    assert sum(one.objective for one in together) >= sum(one.objective for one in apart) * (1 - 1e-6)
    assert "one E" in together["plain"].equation


def test_each_group_of_a_joint_fit_has_the_noise_of_its_own_runs():
    """Five quiet groups and one with ten times their scatter: its law is known ten times worse, not as well as theirs."""
    quiet = [curve(f"quiet{i}", 1.5, 1.0, noise=0.001, seed=i) for i in range(5)]
    found = fit(pd.concat([*quiet, curve("noisy", 1.5, 1.0, noise=0.01, seed=9)]), shared=("E",), draws=400)
    width = {one.group: np.subtract(*one.curve(1e18)[:0:-1]) for one in found}
    assert width.pop("noisy") > 4 * np.median(list(width.values()))


def test_groups_of_many_runs_are_resampled_within_themselves():
    many = pd.concat([curve("many", 1.5, 1.0, seed=i) for i in range(7)]).assign(family="many")
    found = fit(pd.concat([many, curve("few", 1.5, 0.9, seed=50)]), shared=("E",), draws=60)
    assert found["many"].method == "49 runs resampled whole"
    assert "4.5 degrees of freedom" in found["few"].method


def test_a_shared_floor_that_is_not_known_is_said():
    """A shared fit has no profile: its floor is judged by its draws, of all groups alike."""
    short = np.geomspace(1e15, 1e16, 7)
    tables = []
    for seed, family in enumerate("ab"):
        shake = np.exp(0.01 * np.random.default_rng(seed).standard_normal(len(short)))
        tables.append(pd.DataFrame({"family": family, "C": short, "loss": (1.5 + (short / 1e15) ** -0.2) * shake}))
    for one in fit(pd.concat(tables), shared=("E",), draws=200):
        if one.samples["E"][0] > 0:
            assert "E is not identified" in " ".join(one.flags)
            assert "--share E" not in " ".join(one.flags)
        else:
            assert "E = 0" in " ".join(one.flags)


def test_a_shared_floor_that_is_known_is_not_flagged(table):
    assert "E is not identified" not in " ".join(fit(table, draws=200, shared=("E",))["plain"].flags)


def test_whole_runs_are_resampled(table):
    """Copies of a run add no knowledge: the interval stays as wide as with single rows."""
    generator = np.random.default_rng(5)
    x = np.tile(C, 6)
    single = pd.DataFrame({"C": x, "loss": (1.5 + (x / 1e15) ** -0.2) * np.exp(0.01 * generator.standard_normal(42))})
    single["run"] = np.arange(42).astype(str)
    copied = pd.concat([single] * 4, ignore_index=True)
    widths = [np.subtract(*[fit(t, by=None, draws=400)["all"].parameters["alpha"][k] for k in ("high", "low")])
              for t in (single, copied)]  # fmt: skip
    assert widths[1] == pytest.approx(widths[0], rel=0.25)  # 400 draws: an end is known within some 7 %
    assert "42 runs" in fit(copied, by=None, draws=50)["all"].method


def test_the_same_seed_gives_the_same_fit_and_another_one_another(table):
    one, same, other = (fit(table, draws=60, seed=seed).to_json() for seed in (0, 0, 1))
    assert one == same != other
    json.dumps(one, allow_nan=False)


def test_a_study_is_fitted_on_its_frontier():
    generator = np.random.default_rng(7)
    laboratory = simulated.Laboratory(simulated.draw_world(generator, families=2), generator)
    study, _, _ = laboratory.study()
    found = fit(study, draws=60)
    laws = {row["family"]: row for row in compare(study, draws=60).to_json()["laws"] if row["law"] == "power_floor"}
    for one in found:
        assert one.parameters["alpha"]["value"] == pytest.approx(laws[one.group]["parameters"]["alpha"]["value"], rel=1e-6)
        assert one.points == len(laboratory.world.budgets)
    assert found.unit == "bits per byte"
    assert compare(found, draws=60).to_json() == compare(study, draws=60).to_json()

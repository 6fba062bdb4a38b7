"""The engine beyond one fit: own laws, pinned and shared parameters, saved fits, splits, speedups, roll-outs, two steps."""

# ruff: noqa: N806 - N, D and C are the letters of the field

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from fit_runs import TRUTHS, law_named, places, runs

from allometry.fit import rows
from allometry.fit.approaches import approaches
from allometry.fit.criterion import Criterion
from allometry.fit.estimate import fit
from allometry.fit.optimum import compute_for, flops_for, split, tokens_for
from allometry.fit.own import law_of
from allometry.fit.rollout import rollout
from allometry.fit.saved import load_fits
from allometry.fit.sharing import far_apart, share
from allometry.fit.solve.pose import pose
from allometry.fit.solve.profile import profiles
from allometry.fit.solve.search import search
from allometry.fit.speedup import speedup
from allometry.fit.two_step import two_step
from allometry.flow import Refusal, TooFar

C = np.geomspace(1e15, 1e19, 9)


def curve(family, floor=1.5, scale=1.0, alpha=0.2, noise=0.001, seed=0):
    shake = np.exp(noise * np.random.default_rng(seed).standard_normal(len(C)))
    return pd.DataFrame({"family": family, "C": C, "loss": (floor + scale * (C / 1e15) ** -alpha) * shake})


def pair(noise=0.001, **second):
    return pd.concat(
        [curve("a", noise=noise, seed=1), curve("b", **{"noise": noise, "seed": 2} | second)], ignore_index=True
    )


def mine(x, floor, scale, alpha=(0.1, 0.3, 1.0)):
    return floor + scale * x**-alpha


# Own laws


def test_a_function_is_a_law_and_its_linear_parameters_are_found():
    law = law_of(mine)
    assert law.variables == ("x",)
    assert law.coefficients == ("floor", "scale")
    table = curve("a").rename(columns={"C": "x"}).assign(x=lambda t: t["x"] / 1e15)
    own = fit(table, law=mine, by=None, draws=50)["all"]
    packaged = fit(table, law="power_floor", by=None, columns={"C": "x"}, draws=50)["all"]
    assert own.objective == pytest.approx(packaged.objective, rel=1e-6)
    assert own.samples["alpha"][0] == pytest.approx(packaged.samples["alpha"][0], rel=1e-4)


def test_a_function_that_complex_numbers_do_not_pass_gets_differences():
    def rough(x, a, b=(0.1, 0.5)):
        return a * np.power(x, -np.abs(np.real(b)))

    table = pd.DataFrame({"x": np.geomspace(1, 100, 12)})
    table["loss"] = 3 * table["x"] ** -0.25
    found = fit(table, law=rough, by=None, draws=50)["all"]
    assert found.samples["b"][0] == pytest.approx(0.25, rel=1e-4)


def test_a_law_in_a_file(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from allometry.fit.laws._additive import Additive, Term\n"
        "from allometry.fit.laws._law import Parameter\n"
        "class Mine(Additive):\n"
        "    equation = 'L = E + A C^-alpha'\n"
        "    parameters = (Parameter(name='E', unit='loss'), Parameter(name='A', unit=''),\n"
        "                  Parameter(name='alpha', unit='', low=0.01, high=3.0))\n"
        "    terms = (Term(coefficient='E'), Term(coefficient='A', powers=(('C', 'alpha'),)))\n"
        "def plain(C, a, b=0.2):\n"
        "    return a * (C / 1e15) ** -b\n"
    )
    found = fit(curve("a"), law=f"{file}:Mine", by=None, draws=50)["all"]
    packaged = fit(curve("a"), by=None, draws=50)["all"]
    assert found.objective == pytest.approx(packaged.objective, rel=1e-9)
    assert found.law.name.startswith("own.py:Mine@")
    assert fit(curve("a"), law=f"{file}:plain", by=None, draws=50)["all"].samples["b"][0] > 0


def test_settings_of_a_law_may_stand_in_its_name():
    assert law_of("broken_power(breaks=2)").breaks == 2
    assert law_of("chinchilla(delta=0.0001)").delta == 1e-4
    with pytest.raises(Refusal, match="is not one of 1, 2, 3"):
        law_of("broken_power(breaks=7)")
    with pytest.raises(Refusal, match="cannot be read"):
        law_of("chinchilla(delta=oh no)")


@pytest.mark.parametrize("breaks", [2, 3])
def test_more_breaks_nest_fewer(breaks):
    """With one more break the criterion is no higher."""
    table = runs(law_named("broken_power"), rows=40, noise=0.003)
    columns, loss = {"C": table["C"].to_numpy()}, table["loss"].to_numpy()
    objectives = []
    for count in (1, breaks):
        law = law_of(f"broken_power(breaks={count})")
        objectives.append(search(pose(law, columns, law.criterion, {}), loss, np.ones(40)).objective)
    assert objectives[1] <= objectives[0] * 1.02


# Pinned and shared parameters


def test_a_pinned_floor_is_held_in_all_draws_and_recorded():
    found = fit(curve("a"), by=None, pinned={"E": 1.5}, source="a larger study", draws=100)["all"]
    assert (found.samples["E"] == 1.5).all()
    assert found.to_json()["pinned"] == {"E": 1.5}
    assert found.to_json()["source"] == "a larger study"
    free = fit(curve("a"), by=None, draws=100)["all"]
    assert found.objective >= free.objective * (1 - 1e-9)
    width = [np.subtract(*[one.parameters["alpha"][end] for end in ("high", "low")]) for one in (found, free)]
    assert width[0] < width[1]
    with pytest.raises(Refusal, match="does not have"):
        fit(curve("a"), by=None, pinned={"F": 1.0}, draws=50)


def test_a_pinned_exponent_is_held():
    found = fit(runs(law_named("chinchilla"), noise=0.002), law="chinchilla", by=None, pinned={"beta": 0.29}, draws=50)[
        "all"
    ]
    assert (found.samples["beta"] == 0.29).all()
    assert found.samples["alpha"][0] == pytest.approx(0.33, abs=0.02)


def test_a_shared_exponent_is_one_number():
    found = fit(pair(scale=0.9), shared=("alpha",), draws=50)
    np.testing.assert_array_equal(found["a"].samples["alpha"], found["b"].samples["alpha"])
    apart = fit(pair(scale=0.9), draws=50)
    assert sum(one.objective for one in found) >= sum(one.objective for one in apart) * (1 - 1e-9)
    both = fit(pair(scale=0.9), shared=("E", "alpha"), draws=50)
    assert both["a"].samples["E"][0] == both["b"].samples["E"][0]
    assert sum(one.objective for one in both) >= sum(one.objective for one in found) * (1 - 1e-9)


def test_sharing_finds_what_differs():
    table = pair(floor=1.6)
    floors, exponents = (share(table, (name,)) for name in ("E", "alpha"))
    assert floors.distinguishable
    assert floors.verdict() == "b"
    assert not exponents.distinguishable
    assert floors.detectable["E"] < 0.1  # the difference that was there can be seen


# Uncertainty


def test_profile_of_squares_is_the_textbook_interval():
    """On a straight line in logarithms the profile interval of the slope is the t interval of regression."""
    generator = np.random.default_rng(5)
    loss = 3 * (C / 1e15) ** -0.2 * np.exp(0.01 * generator.standard_normal(9))
    posed = pose(law_named("power"), {"C": C}, Criterion(delta=None), {})
    found = search(posed, loss, np.ones(9))
    low, high = profiles(posed, loss, found, 0.9, 9)["alpha"]
    from scipy import stats

    line = stats.linregress(np.log(C), np.log(loss))
    reach = stats.t.ppf(0.95, 7) * line.stderr
    assert low == pytest.approx(-line.slope - reach, rel=1e-3)
    assert high == pytest.approx(-line.slope + reach, rel=1e-3)


def test_prediction_intervals_hold_new_runs():
    """The interval of `predict` is of a new run, that of `curve` of the law: 90 % of new runs lie in the first."""
    inside, narrower = [], []
    for seed in range(16):
        found = fit(curve("a", noise=0.01, seed=seed), by=None, draws=50, seed=seed)["all"]
        new = (1.5 + 1e4**-0.2) * np.exp(0.01 * np.random.default_rng(1000 + seed).standard_normal())
        _, low, high = found.predict(1e19)
        _, inner_low, inner_high = found.curve(1e19)
        inside.append(low <= new <= high)
        narrower.append(inner_high - inner_low < high - low)
    assert np.mean(inside) > 0.9 - 2.5 * np.sqrt(0.09 / 16)
    assert all(narrower)


# Saved fits


def test_a_saved_fit_predicts_the_same(tmp_path):
    found = fit(pair(), draws=60, pinned={"E": 1.4}, source="here")
    again = load_fits(found.save(tmp_path / "fits.json"))
    for group in ("a", "b"):
        assert again[group].predict(3e19) == found[group].predict(3e19)
        assert again[group].to_json() == found[group].to_json()
    pd.testing.assert_frame_equal(again.table, found.table)


def test_a_saved_fit_of_an_own_law_asks_for_it(tmp_path):
    table = curve("a").assign(x=lambda t: t["C"] / 1e15)
    found = fit(table, law=mine, by=None, draws=50)
    path = found.save(tmp_path / "fits.json")
    with pytest.raises(Refusal, match="Give it again"):
        load_fits(path)
    assert load_fits(path, law=mine)["all"].predict(x=30.0) == found["all"].predict(x=30.0)


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(Refusal, match="no saved fit"):
        load_fits(tmp_path / "none.json")
    (tmp_path / "other.json").write_text('{"format": 1}')
    with pytest.raises(Refusal, match="is not a saved fit"):
        load_fits(tmp_path / "other.json")
    content = json.loads(fit(curve("a"), by=None, draws=50).save(tmp_path / "fits.json").read_text())
    content["fits"][0]["law"]["is"] = "os:system"
    (tmp_path / "evil.json").write_text(json.dumps(content))
    with pytest.raises(Refusal, match="not a type of this package"):
        load_fits(tmp_path / "evil.json")


# Splits


@pytest.fixture(scope="module")
def chinchilla_fit():
    return fit(runs(law_named("chinchilla"), rows=60, noise=0.002), law="chinchilla", by=None, draws=100)["all"]


def test_the_split_is_the_cheapest_one(chinchilla_fit):
    best = split(chinchilla_fit, 1e19)
    N, D = best.N[0], best.D[0]
    assert pytest.approx(1e19) == 6 * N * D
    around = [chinchilla_fit.at(N=N * factor, D=D / factor)[0] for factor in (0.9, 1.0, 1.1)]
    assert around[1] == min(around)
    assert best.loss[0] == pytest.approx(around[1])
    assert best.exponent[1] < 0.29 / (0.29 + 0.33) < best.exponent[2]


def test_inverse_queries_invert(chinchilla_fit):
    best = split(chinchilla_fit, 1e19)
    assert compute_for(chinchilla_fit, best.loss[0]).C[0] == pytest.approx(1e19, rel=1e-9)
    assert tokens_for(chinchilla_fit, best.N[0], best.loss[0])[0] == pytest.approx(best.D[0], rel=1e-9)
    with pytest.raises(Refusal, match="below the floor"):
        compute_for(chinchilla_fit, 1.0)
    with pytest.raises(Refusal, match="law='chinchilla'"):
        split(fit(curve("a"), by=None, draws=50)["all"], 1e19)


def test_tokens_are_refused_where_none_suffice_and_beyond_the_reach(chinchilla_fit):
    N = chinchilla_fit.range["N"][1]
    bare = chinchilla_fit.at(N=N, D=1e300)[0]
    with pytest.raises(Refusal, match="with any number of tokens"):
        tokens_for(chinchilla_fit, N, bare * 0.999)
    with pytest.raises(TooFar, match="D = "):
        tokens_for(chinchilla_fit, N, bare * 1.001)
    with pytest.raises(Refusal, match="law='chinchilla'"):
        tokens_for(fit(curve("a"), by=None, draws=50)["all"], 1e8, 2.0)


@pytest.mark.parametrize("loss", [0.0, -1.0, np.nan, np.inf])
def test_what_is_no_loss_is_refused_everywhere(loss, chinchilla_fit):
    power = fit(pair(), law="power", draws=50)
    asked = [
        lambda: compute_for(chinchilla_fit, loss),
        lambda: tokens_for(chinchilla_fit, 1e8, loss),
        lambda: flops_for(power["a"], loss),
        lambda: speedup(power, "a", "b", loss=loss),
    ]
    for ask in asked:
        with pytest.raises(Refusal, match="is no loss"):
            ask()


def test_three_approaches_agree_on_a_clean_study():
    """Training curves of sizes at every budget, from a law with alpha = 0.33, beta = 0.29: N* grows as C^0.468."""
    law, rows = law_named("chinchilla"), []
    for N in np.geomspace(3e6, 1e9, 24):
        for D in np.geomspace(1e8, 1e11, 30):
            rows.append({"run": f"{N:.3g}", "N": N, "D": D})
    for flops in np.geomspace(1e17, 1e19, 5):
        for N in np.geomspace(0.3, 3, 7) * 0.09 * flops**0.468:
            rows.append({"run": f"{N:.4g} {flops:.3g}", "N": N, "D": flops / (6 * N)})
    table = pd.DataFrame(rows)
    table["loss"] = law.predict(TRUTHS["chinchilla"], {key: table[key].to_numpy() for key in ("N", "D")})
    found = approaches(table, draws=50, C=1e18).table.set_index("approach")
    assert found.loc["parametric", "exponent"] == pytest.approx(0.29 / 0.62, abs=1e-3)
    assert found.loc["envelope", "exponent"] == pytest.approx(0.29 / 0.62, abs=0.03)
    levels = table.iloc[24 * 30 :]
    flat = approaches(levels, draws=50, C=1e18).table.set_index("approach")
    for name in ("isoFLOP, parabola", "isoFLOP, akima", "parametric"):
        assert flat.loc[name, "exponent"] == pytest.approx(0.29 / 0.62, abs=0.03)
    assert "TooFewLevels" in flat.loc["envelope", "reason"]


# Speedups


def test_the_speedup_of_a_family_that_is_billed_twice_is_two():
    """b is a with half of the compute: wherever it is asked, the speedup of b over a is 2."""
    table = pair(scale=2**-0.2, noise=0.0005)
    found = fit(table, shared=("E", "alpha"), draws=200)
    for place in ({"compute": 1e17}, {"loss": 1.8}):
        one = speedup(found, "a", "b", **place)
        assert one.low < 2 < one.high
        assert one.value == pytest.approx(2, rel=0.05)
        assert one.verdict == "b"
        assert one.equal_exponents is None  # shared
    apart = speedup(fit(table, draws=200), "a", "b", compute=1e17)
    assert apart.equal_exponents
    assert apart.low < 2 < apart.high


def test_the_formula_of_equal_floors_and_exponents():
    found = fit(pair(scale=0.7, noise=0.0005), shared=("alpha",), draws=50)
    pinned = fit(pair(scale=0.7, noise=0.0), pinned={"E": 1.5, "alpha": 0.2}, draws=50)
    one = speedup(pinned, "a", "b", compute=1e17)
    worse, better = (pinned[name].at(C=1e17)[0] for name in ("a", "b"))
    assert one.value == pytest.approx(((worse - 1.5) / (better - 1.5)) ** (1 / 0.2), rel=1e-9)
    assert len(found) == 2


def test_a_speedup_beyond_the_floor_is_unbounded():
    found = fit(pair(floor=1.3), draws=100)
    one = speedup(found, "a", "b", compute=9e19)
    assert one.value == np.inf
    assert one.to_json()["unbounded"]
    assert "unbounded" in one.text
    assert "run a larger, or pin the floor" in one.text
    with pytest.raises(Refusal, match="give one of"):
        speedup(found, "a", "b")


def rolled(fits, name, other):
    """The group `name` twice, its draws in another order the second time: two groups that are equal in law."""
    one = fits[name]
    samples = {key: np.concatenate([value[:1], np.roll(value[1:], 7)]) for key, value in one.samples.items()}
    return dataclasses.replace(fits, fits={name: one, other: dataclasses.replace(one, group=other, samples=samples)})


def test_no_order_of_names_makes_a_winner():
    """Near a floor that half of the draws lie above, neither of two equal groups is the better one, whoever is named first."""
    noisy = fit(pair(noise=0.01), draws=300, reach=1e6)
    twins = rolled(noisy, "a", "twin")
    floors = np.sort(twins["a"].samples["E"][1:])
    unreached = 0
    for share_below in (0.05, 0.2, 0.35):
        loss = float(np.quantile(floors, 1 - share_below))
        if loss <= twins["a"].samples["E"][0]:
            continue
        one, back = (speedup(twins, *names, loss=loss) for names in (("a", "twin"), ("twin", "a")))
        both = (twins["a"].samples["E"] >= loss) & (twins["twin"].samples["E"] >= loss)
        unreached += int(both.sum())
        assert one.verdict is None
        assert back.verdict is None
        assert one.low == pytest.approx(1 / back.high if np.isfinite(back.high) else 0, abs=1e-12)
        assert back.low == pytest.approx(1 / one.high if np.isfinite(one.high) else 0, abs=1e-12)
    assert unreached  # draws in which neither gets there, for which there is no number


def test_a_speedup_keeps_to_the_reach():
    found = fit(pair(scale=0.8), draws=100)
    with pytest.raises(TooFar, match="answers up to 10 times"):
        speedup(found, "a", "b", loss=float(found["b"].at(C=1e21)[0]))
    with pytest.raises(TooFar, match="below the smallest"):
        speedup(found, "a", "b", loss=float(found["b"].at(C=1e13)[0]))
    far = speedup(found, "a", "b", loss=float(found["b"].at(C=8e19)[0]))
    assert "It asks a for" in far.text
    assert "times its largest run, beyond the reach of 10" in far.text


def test_a_small_speedup_is_written_with_its_digits():
    found = fit(pair(scale=4.0, noise=0.0005), shared=("E", "alpha"), draws=100)
    one = speedup(found, "a", "b", compute=1e17)
    assert one.value < 0.005
    assert f"needs {one.value:.3g} times" in one.text
    assert " 0.00 " not in one.text


# Roll-outs and two steps


def test_the_law_that_predicts_the_largest_runs_is_chosen():
    bent = rollout(pair())
    assert bent.choice == "power_floor"
    straight = pd.DataFrame(
        {"C": C, "loss": 3 * (C / 1e15) ** -0.1 * np.exp(0.002 * np.random.default_rng(0).standard_normal(9))}
    )
    found = rollout(straight, by=None)
    assert found.choice == "power"
    assert set(found.table["factor"] > 1) == {True}
    assert found.table["up_to"].nunique() > 3


def test_two_steps_carry_the_doubt_of_both():
    law, second = law_named("chinchilla"), law_named("downstream")
    table = pd.DataFrame(places(40))
    table["loss"] = law.predict(TRUTHS["chinchilla"], {key: table[key].to_numpy() for key in ("N", "D")})
    generator = np.random.default_rng(0)
    exact = second.predict(TRUTHS["downstream"], {"L": table["loss"].to_numpy()})
    table["accuracy"] = exact + 0.005 * generator.standard_normal(40)
    table["loss"] *= np.exp(0.005 * generator.standard_normal(40))
    chain = two_step(table, draws=100)
    truth = second.predict(TRUTHS["downstream"], {"L": law.predict(TRUTHS["chinchilla"], {"N": 6e8, "D": 6e10})})
    value, low, high = chain.predict(N=6e8, D=6e10)
    assert low < truth < high
    assert low < value < high
    assert high - low < 0.4


def test_checkpoints_of_one_run_do_not_tell_equal_groups_apart():
    """Rows of one run share its noise: with four rows a run, equal exponents are called different no more often than promised."""
    called = 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        parts = []
        for family in ("a", "b"):
            C = np.repeat(np.geomspace(1e15, 1e18, 7), 4) * np.tile([1.0, 1.1, 1.2, 1.3], 7)
            shake = np.repeat(0.01 * generator.standard_normal(7), 4)
            loss = 3 * (C / 1e15) ** -0.1 * np.exp(shake)
            run = [f"{family}{index // 4}" for index in range(len(C))]
            parts.append(pd.DataFrame({"family": family, "C": C, "loss": loss, "run": run}))
        called += share(pd.concat(parts, ignore_index=True), ("alpha",), law="power").distinguishable
    assert called <= 4  # 10 % are expected; 5 of 12 or more would have a chance of 0.4 %


def test_runs_of_one_name_in_two_groups_are_two_runs():
    table = pd.DataFrame({"family": list("aabb"), "run": ["0", "1"] * 2, "C": [1.0, 2, 1, 2], "loss": [2.0, 1, 2, 1]})
    assert len(np.unique(rows.read(table, ("C",), "family", {}).run)) == 4


# Sharing where draws stand still


def test_groups_whose_draws_stand_at_one_bound_are_not_told_apart():
    generator = np.random.default_rng(0)
    still = np.zeros((2, 400, 1))
    assert far_apart(np.zeros((2, 1)), still) == (0.0, 1.0)
    mixed = still.copy()
    mixed[1, :, 0] = 0.1 * np.abs(generator.standard_normal(400))
    assert far_apart(np.zeros((2, 1)), mixed)[1] == 1.0
    assert far_apart(np.array([[0.0], [1.0]]), mixed)[1] < 0.01
    ratio, chance = far_apart(np.array([[0.0], [1.0]]), still)
    assert np.isinf(ratio)
    assert chance < 0.01
    # A second parameter that is known decides alone.
    known = np.concatenate([still, 0.1 * generator.standard_normal((2, 400, 1))], axis=2)
    assert far_apart(np.array([[0.0, 0.3], [0.0, 0.31]]), known)[1] > 0.5


def test_floors_at_zero_share_a_floor_and_the_answer_is_json():
    bent = [
        pd.DataFrame(
            {
                "family": name,
                "C": C,
                "loss": np.exp(
                    1.2
                    - 0.05 * np.log(C / 1e15)
                    - 0.006 * np.log(C / 1e15) ** 2
                    + 0.003 * np.random.default_rng(seed).standard_normal(len(C))
                ),
            }
        )
        for seed, name in enumerate("ab")
    ]
    found = share(pd.concat(bent, ignore_index=True), ("E",))
    assert {values["E"] for values in found.values.values()} == {0.0}
    assert not found.distinguishable
    json.dumps(found.to_json(), allow_nan=False)
    json.dumps(dataclasses.replace(found, ratio=np.inf).to_json(), allow_nan=False)


def test_a_step_without_an_inverse_is_the_shortest_and_spoils_no_other() -> None:
    """Two values that do the same: of thousands of sets that are solved together one has a singular matrix."""
    from allometry.fit.solve.descend import _inverse_times

    generator = np.random.default_rng(0)
    roots = generator.standard_normal((50, 3, 3))
    gram, force = roots @ roots.transpose(0, 2, 1), generator.standard_normal((50, 3))
    alone = _inverse_times(gram, force)
    gram[7], force[7] = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 2]]), np.array([2.0, 2, 4])
    together = _inverse_times(gram, force)
    assert np.allclose(together[7], [1, 1, 2])
    others = np.arange(50) != 7
    assert np.allclose(together[others], alone[others])


def test_a_planted_speedup_is_found_in_laws_of_two_variables() -> None:
    """b sees every parameter and token as 1.2 of them, so a needs 1.2^2 times its compute at any loss, at any compute."""
    generator = np.random.default_rng(1)
    truth = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
    law, parts = law_named("chinchilla"), []
    for name, better in (("a", 1.0), ("b", 1.2)):
        columns = {"N": 10 ** generator.uniform(7, 9.5, 40), "D": 10 ** generator.uniform(9, 11.5, 40)}
        loss = law.predict(truth, {key: better * value for key, value in columns.items()})
        parts.append(pd.DataFrame(columns | {"family": name, "loss": loss * np.exp(0.002 * generator.standard_normal(40))}))
    fits = fit(pd.concat(parts, ignore_index=True), law="chinchilla", draws=400, level=0.99)
    for asked in ({"loss": 2.3}, {"compute": 1e20}):
        found = speedup(fits, "a", "b", **asked)
        assert found.low < 1.44 < found.high
        assert found.low > 1
        assert found.verdict == "b"
        back = speedup(fits, "b", "a", **asked)
        assert back.verdict == "b"
    with pytest.raises(TooFar):
        speedup(fits, "a", "b", compute=1e28)


def test_rows_that_look_like_checkpoints_are_spoken_of() -> None:
    """Four models at eight lengths of training and no column that names a run: said once, and not where `run` is there."""
    N, D = (part.ravel() for part in np.meshgrid([1e7, 3e7, 1e8, 3e8], np.geomspace(1e9, 1e11, 8)))
    table = pd.DataFrame({"N": N, "D": D, "loss": 1.8 + 480 / N**0.35 + 2100 / D**0.37})
    assert any("checkpoints of one run" in note for note in rows.read(table, ("N", "D"), None, {}).notes)
    assert not any("checkpoints" in note for note in rows.read(table.assign(run=N), ("N", "D"), None, {}).notes)
    assert not any("checkpoints" in note for note in rows.read(table, ("N", "D"), None, {}, cluster=("N",)).notes)
    assert not any("checkpoints" in note for note in rows.read(table.iloc[::3], ("N", "D"), None, {}).notes)


def test_groups_that_spend_their_compute_otherwise_are_spoken_of() -> None:
    """One law of N and D, run at 20 and at 300 tokens per parameter: a law of C calls them different, and says why it may."""
    parts = []
    for name, ratio in (("a", 20.0), ("b", 300.0)):
        size = np.geomspace(1e7, 1e9, 8) / (ratio / 20) ** 0.5
        loss = 1.8 + 480 / size**0.35 + 2100 / (ratio * size) ** 0.37
        parts.append(pd.DataFrame({"family": name, "N": size, "D": ratio * size, "C": 6 * ratio * size**2, "loss": loss}))
    table = pd.concat(parts, ignore_index=True)
    noted = rows.read(table, ("C",), "family", {}).notes
    assert any("a had 20 tokens per parameter and b 300" in note for note in noted)
    assert not rows.read(table, ("N", "D"), "family", {}).notes
    alike = table.assign(N=(table["C"] / 120) ** 0.5, D=20 * (table["C"] / 120) ** 0.5)
    assert not rows.read(alike, ("C",), "family", {}).notes

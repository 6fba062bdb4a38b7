"""Variable projection against published optima, another solver and laws that we wrote down."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from allometry.find import member, names
from allometry.fit import project
from allometry.fit.estimate import fit
from allometry.fit.laws._law import Law
from allometry.fit.project import Problem

LAWS = "allometry.fit.laws"
TRUTH = {"E": 1.7, "A": 400.0, "B": 900.0, "alpha": 0.33, "beta": 0.29}
every_law = pytest.mark.parametrize("name", names(LAWS))


def runs(law: Law, rows: int = 24, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    columns = {"N": 10 ** generator.uniform(6, 9, rows), "D": 10 ** generator.uniform(8, 11, rows)}
    columns["C"] = 6 * columns["N"] * columns["D"]
    return pd.DataFrame(columns | {"loss": law.predict(TRUTH, columns)})


@pytest.fixture(scope="module")
def chinchilla(shared_data):
    table = pd.read_csv(shared_data / "scaling_runs/gemstones/data/epoch_chinchilla_svg_extracted_data.csv")
    table["D"] = table["Training FLOP"] / (6 * table["Model Size"])
    return table.sort_values("loss").iloc[:-5]


def test_chinchilla_points_give_the_published_optimum(chinchilla):
    found = fit(chinchilla, law="chinchilla", by=None, columns={"N": "Model Size"}, draws=300)["all"]
    assert found.points == 240
    assert found.objective <= 0.00101828
    assert found.parameters["alpha"]["value"] == pytest.approx(0.3473105, abs=1e-3)
    assert found.parameters["beta"]["value"] == pytest.approx(0.3671724, abs=1e-3)
    # 2.5 to 97.5 % of the published bootstrap is (.317, .373): the 90 % interval lies about inside of it.
    alpha = found.parameters["alpha"]
    assert 0.31 < alpha["low"] < 0.335
    assert 0.36 < alpha["high"] < 0.38


@pytest.mark.parametrize(
    ("values", "objective"),
    [
        ({"E": 1.81686, "A": 482.01, "B": 2085.43, "alpha": 0.34781, "beta": 0.36585}, 0.00101875256),
        (
            {"E": 1.69337368, "A": np.exp(6.0073404), "B": np.exp(6.0179186), "alpha": 0.33917084, "beta": 0.2849083},
            0.0012311626,
        ),
        ({"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}, 0.0041210091),
    ],
)  # fmt: skip
def test_the_objective_of_published_parameters_is_the_published_one(chinchilla, values, objective):
    law = member(LAWS, "chinchilla")()
    predicted = law.predict(values, {"N": chinchilla["Model Size"].to_numpy(), "D": chinchilla["D"].to_numpy()})
    residual = np.log(chinchilla["loss"].to_numpy()) - np.log(predicted)
    assert project.huber(residual, 1e-3).sum() == pytest.approx(objective, rel=1e-5)


@every_law
def test_a_law_without_noise_is_recovered(name):
    law = member(LAWS, name)()
    found = fit(runs(law), law=name, by=None, draws=50)["all"].parameters
    for parameter in law.parameters:
        assert found[parameter.name]["value"] == pytest.approx(TRUTH[parameter.name], rel=1e-3)


@every_law
def test_units_and_order_of_rows_do_not_count(name):
    law = member(LAWS, name)()
    table = runs(law)
    table["loss"] *= np.exp(0.01 * np.random.default_rng(1).standard_normal(len(table)))
    changed = table.sample(frac=1, random_state=2) * [1e3, 1e-2, 1e5, 1.0]
    one, other = (fit(t, law=name, by=None, draws=50)["all"] for t in (table, changed))
    for exponent in law.exponents:
        assert one.parameters[exponent]["value"] == pytest.approx(other.parameters[exponent]["value"], rel=1e-3)
    assert one.objective == pytest.approx(other.objective, rel=1e-6)


@every_law
def test_every_law_says_what_it_is(name):
    law = member(LAWS, name)()
    assert law.name == name
    assert {parameter.name for parameter in law.parameters} == {*law.coefficients, *law.exponents}
    assert all(word in law.equation for word in (*law.coefficients, *law.exponents, *law.variables))
    columns = {variable: np.geomspace(1e6, 1e9, 7) for variable in law.variables}
    logs = law.logs(columns)
    basis = np.exp(-np.einsum("e,tep->tp", [TRUTH[e] for e in law.exponents], logs))
    total = np.array([TRUTH[c] for c in law.coefficients]) @ basis
    np.testing.assert_allclose(law.predict(TRUTH, columns), total, rtol=1e-12)


def test_many_small_least_squares_agree_with_scipy():
    generator = np.random.default_rng(0)
    design, right = generator.normal(size=(200, 6, 3)), generator.normal(size=(200, 6))
    gram, projected = np.einsum("bpi,bpj->bij", design, design), np.einsum("bpi,bp->bi", design, right)
    found, gain = project.nonnegative(gram, projected)
    for i in range(200):
        expected, residual = optimize.nnls(design[i], right[i])
        np.testing.assert_allclose(found[i], expected, atol=1e-8)
        assert gain[i] == pytest.approx((right[i] ** 2).sum() - residual**2, abs=1e-8)


def test_refinement_is_a_minimum_that_another_optimiser_cannot_better():
    law = member(LAWS, "chinchilla")()
    table = runs(law, rows=40)
    noisy = table["loss"].to_numpy() * np.exp(0.02 * np.random.default_rng(3).standard_normal(len(table)))
    logs = law.logs({"N": table["N"].to_numpy() / 3e7, "D": table["D"].to_numpy() / 3e9})
    problem = Problem(logs=logs, mask=np.ones((3, 40)), low=np.full(2, 0.002), high=np.full(2, 8.0), delta=0.01)
    ones = np.ones((1, 40))
    found = project.solve(problem, noisy[None], ones, project.exponent_grid(2), steps=500)

    def cost(values):
        if (values < 0).any() or (values[3:] < 0.002).any():
            return np.inf
        return project.objective(problem, noisy[None], ones, values[None, :3], values[None, 3:])[0]

    options = {"maxiter": 5000, "maxfev": 5000, "xatol": 1e-9, "fatol": 1e-13}
    starts = ([1.7, 1.4, 1.6, 0.33, 0.29], [1.0, 1.0, 1.0, 0.2, 0.2], [0.5, 2.0, 2.0, 0.1, 0.5])
    best = min(optimize.minimize(cost, np.array(start), method="Nelder-Mead", options=options).fun for start in starts)
    assert found.objective[0] <= best * (1 + 1e-5)
    assert best < cost(np.array([1.7, *(found.coefficients[0, 1:]), 0.33, 0.29])) * 1.5  # the other one got somewhere too


def test_many_data_sets_at_once_are_each_alone():
    law = member(LAWS, "power_floor")()
    table = runs(law, rows=8)
    loss = table["loss"].to_numpy() * np.exp(0.01 * np.random.default_rng(4).standard_normal((5, 8)))
    logs = law.logs({"C": table["C"].to_numpy() / 1e17})
    problem = Problem(logs=logs, mask=np.ones((2, 8)), low=np.array([0.002]), high=np.array([8.0]), delta=0.01)
    together = project.solve(problem, loss, np.ones((5, 8)), project.exponent_grid(1))
    for i in range(5):
        alone = project.solve(problem, loss[i : i + 1], np.ones((1, 8)), project.exponent_grid(1))
        np.testing.assert_allclose(alone.exponents[0], together.exponents[i], rtol=1e-9)

"""The rate surface: recovers a known plane, survives anything, and prices a wrong rate."""

# ruff: noqa: N803, N806 - N, D and C are the letters of the field

import numpy as np
import pandas as pd
import pytest

from allometry.fit.rates import PRIOR, RateSurface

PLACES = ((2e5, 1e13), (2e5, 1e15), (2e6, 1e13), (2e6, 1e15))
FACTORS = (0.2, 0.45, 1.0, 2.2)


def best(N: float, C: float) -> float:
    return 2e-3 * (N / 1e6) ** -0.4 * (C / 1e14) ** 0.1


def tune(places=PLACES, factors=FACTORS, noise=0.0, curvature=0.08, blow=0.0, seed=0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = []
    for N, C in places:
        for factor in factors:
            off = np.log(factor)
            ln_loss = (
                -0.05 * np.log(C) + curvature / 2 * off**2 + blow * max(off, 0) ** 3 + noise * generator.standard_normal()
            )
            rate = best(N, C) * factor
            rows.append(
                {"rate": rate, "N": N, "C": C, "budget": C, "size": N, "loss": 4 * np.exp(ln_loss), "status": "done"}
            )
    return pd.DataFrame(rows)


def test_a_known_surface_is_recovered():
    surface = RateSurface.fit(tune(noise=0.001))
    for N, C in (*PLACES, (6e5, 1e14)):
        found = surface.best(N, C)
        assert found.low < best(N, C) < found.high
        assert found.rate == pytest.approx(best(N, C), rel=0.15)
    assert np.median(surface.curvature) == pytest.approx(0.08, rel=0.2)
    assert np.median(surface.plane, axis=0)[1:] == pytest.approx([-0.4, 0.1], abs=0.1)


def test_more_noise_means_a_wider_interval():
    widths = []
    for noise in (0.001, 0.02):
        found = RateSurface.fit(tune(noise=noise)).best(6e5, 1e14)
        widths.append(np.log(found.high / found.low))
    assert widths[1] > 1.5 * widths[0]


def test_points_that_blew_up_do_not_bend_the_parabola():
    calm = RateSurface.fit(tune())
    wild = tune()
    wild.loc[wild["rate"] > best(2e6, 1e13) * 1e3, "loss"] = 1.0
    blown = pd.concat([wild, tune(factors=(8.0,), blow=0.3), tune(factors=(20.0,)).assign(status="diverged", loss=np.nan)])
    for N, C in PLACES:
        assert RateSurface.fit(blown).best(N, C).rate == pytest.approx(calm.best(N, C).rate, rel=0.2)


def test_a_diverged_rate_brackets_the_optimum():
    """Two rates that still improve, then one that diverged: the optimum is not believed to lie beyond the failure."""
    rising = tune(places=PLACES[:1], factors=(0.1, 0.25))
    failed = tune(places=PLACES[:1], factors=(0.6,)).assign(status="diverged", loss=np.nan)
    N, C = PLACES[0]
    without, with_failure = RateSurface.fit(rising), RateSurface.fit(pd.concat([rising, failed]))
    assert with_failure.best(N, C).high < without.best(N, C).high
    assert not without.best(N, C).interior


def test_interior_needs_worse_rates_on_both_sides():
    N, C = PLACES[0]
    assert RateSurface.fit(tune(noise=0.001)).best(N, C).interior
    assert not RateSurface.fit(tune(factors=(0.1, 0.2, 0.4))).best(N, C).interior


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(),
        tune().iloc[:0],
        tune(places=PLACES[:1], factors=(0.5, 1.0, 2.0)),
        tune(places=PLACES[:1], factors=(1.0,)),
        tune().assign(status="diverged", loss=np.nan),
        tune().assign(loss=np.nan),
        tune().assign(rate=1e-3),
        tune().drop(columns=["budget", "size", "status"]),
        tune().assign(N=np.nan),
        pd.concat([tune(), tune()]),
    ],
    ids=["nothing", "no rows", "one cell", "one run", "all diverged", "no loss", "one rate", "few columns", "no N", "twice"],
)
def test_anything_gives_a_surface_that_says_what_it_rests_on(table):
    surface = RateSurface.fit(table)
    found = surface.best(1e6, 1e15)
    assert 0 < found.low < found.rate < found.high < 10
    cost = surface.penalty(1e6, 1e15, 1e-3, 50, np.random.default_rng(0))
    assert cost.shape == (50,)
    assert ((cost >= 0) & np.isfinite(cost)).all()
    compared = surface.informed
    assert bool(surface.note) != compared


def test_with_no_runs_the_prior_is_the_answer():
    found = RateSurface.fit(pd.DataFrame()).best(PRIOR.N, PRIOR.C)
    assert found.rate == pytest.approx(PRIOR.rate, rel=0.1)
    assert found.high / found.low > 10


def test_a_wrong_rate_costs_what_the_parabola_says():
    surface = RateSurface.fit(tune())
    generator = np.random.default_rng(0)
    N, C = PLACES[1]
    right, wrong = (surface.penalty(N, C, best(N, C) * factor, 400, generator).mean() for factor in (1.0, 4.0))
    assert right < 0.004
    assert wrong == pytest.approx(0.08 / 2 * np.log(4) ** 2, rel=0.3)


def test_one_draw_is_one_surface_for_all_places():
    """Off by one factor everywhere: within a draw all places cost alike, so that differences between them stay sharp."""
    surface = RateSurface.fit(tune(noise=0.02))
    N, C = np.array([2e5, 2e5]), np.array([1e13, 1e13])
    cost = surface.penalty(N, C, np.array([1e-3, 1e-3]), 200, np.random.default_rng(0))
    np.testing.assert_allclose(cost[:, 0], cost[:, 1])
    assert cost[:, 0].std() > 0

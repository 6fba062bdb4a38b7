"""Simulated studies: the intervals hold a known law, and equal groups are not told apart. benchmarks/fit_coverage.py does more."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from allometry.fit.criterion import Criterion
from allometry.fit.laws.power import Power
from allometry.fit.laws.power_floor import PowerFloor
from allometry.fit.sharing import share
from allometry.fit.solve.pose import pose
from allometry.fit.solve.profile import profiles, scale
from allometry.fit.solve.search import search

STUDIES = 25
SLACK = 2.5 * np.sqrt(0.95 * 0.05 / STUDIES)  # of a share of 95 %, by chance
TRUTH = {"E": 1.7, "A": 30.0, "alpha": 0.08}
C = np.geomspace(1e17, 1e21, 10)


def study(seed: int, noise: float = 0.005, alpha: float = 0.08) -> np.ndarray:
    shake = np.exp(noise * np.random.default_rng(seed).standard_normal(len(C)))
    scale = TRUTH["A"] * 1e19 ** (alpha - TRUTH["alpha"])  # one loss at 1e19, whatever the slope
    return PowerFloor().predict(TRUTH | {"alpha": alpha, "A": scale}, {"C": C}) * shake


def table(seed: int, **second: float) -> pd.DataFrame:
    parts = [pd.DataFrame({"family": "a", "C": C, "loss": study(seed)})]
    parts += [pd.DataFrame({"family": "b", "C": C, "loss": study(seed + 10_000, **second)})]
    return pd.concat(parts, ignore_index=True)


def test_profile_intervals_hold_the_law():
    held = {"alpha": [], "E": []}
    posed = pose(PowerFloor(), {"C": C}, Criterion(), {})
    for seed in range(STUDIES):
        loss = study(seed)
        ends = profiles(posed, loss, search(posed, loss, np.ones(len(C))), 0.95, len(C))
        for name, rows in held.items():
            rows.append(ends[name][0] <= TRUTH[name] <= ends[name][1])
    for name, rows in held.items():
        assert np.mean(rows) >= 0.95 - SLACK, name


@pytest.mark.parametrize("seed", range(4))
def test_a_profile_of_absolute_deviations_ends_where_the_criterion_says(seed):
    """delta = 0 puts a kink at each residual; the ends are those of a fine grid of the criterion itself."""
    flops = np.geomspace(1e17, 1e20, 9)
    loss = 400 * flops**-0.13 * np.exp(0.004 * np.random.default_rng(seed).standard_normal(len(flops)))
    posed = pose(Power(), {"C": flops}, Criterion(delta=0.0), {})
    found = search(posed, loss, np.ones(len(flops)))
    low, high = profiles(posed, loss, found, 0.9, len(flops))["alpha"]
    residual = posed.model.criterion.residual(loss, posed.model.predicted(found.values[None])[0])
    allowed = stats.f.ppf(0.9, 1, 7) * scale(posed.model.criterion, residual, 7, 9) / 2
    alphas = np.linspace(low - (high - low), high + (high - low), 1201)
    # For each exponent the best coefficient by absolute deviations is a median.
    logs = np.log(loss) + alphas[:, None] * np.log(flops)
    rise = np.abs(logs - np.median(logs, axis=1, keepdims=True)).sum(axis=1) - found.objective
    inside = alphas[rise <= allowed]
    assert low == pytest.approx(inside.min(), abs=0.03 * (high - low))
    assert high == pytest.approx(inside.max(), abs=0.03 * (high - low))


def test_equal_exponents_are_not_called_different_and_unequal_ones_are():
    same = [share(table(seed), ("alpha",), level=0.95).distinguishable for seed in range(STUDIES)]
    assert np.mean(same) <= 0.05 + SLACK
    apart = [share(table(seed, alpha=0.3, noise=0.001), ("alpha",), level=0.95).distinguishable for seed in range(10)]
    assert np.mean(apart) >= 0.5

"""Who wins where, from fits: the planted crossing is found, clear winners are named, equal groups are not."""

# ruff: noqa: N806 - A and C are the letters of the field

import numpy as np
import pandas as pd
import pytest

from allometry import fit, winners
from allometry.flow import Refusal

C = np.geomspace(1e15, 1e19, 14)


def table(one, other, noise=0.001, seed=0):
    generator = np.random.default_rng(seed)
    parts = []
    for name, (E, A, alpha) in (("a", one), ("b", other)):
        loss = (E + A * (C / 1e15) ** -alpha) * np.exp(noise * generator.standard_normal(len(C)))
        parts.append(pd.DataFrame({"family": name, "C": C, "loss": loss}))
    return pd.concat(parts, ignore_index=True)


def test_a_planted_crossing_is_found_with_its_sides():
    """a: 2 x^-0.1, b: 2.4 x^-0.12 in x = C / 1e15: equal at x = 1.2^50 = 9100."""
    found = winners(fit(table((0.0, 2.0, 0.1), (0.0, 2.4, 0.12)), law="power", draws=200))
    (crossing,) = found.crossings
    assert crossing.low < 1e15 * 1.2**50 < crossing.high
    assert (crossing.better_below, crossing.better_above) == ("a", "b")
    assert found.regions[0].winner == "a"
    assert found.regions[-1].winner == "b"
    assert found.regions[-1].beyond
    assert not found.regions[0].beyond


def test_a_clear_winner_wins_everywhere_and_nothing_crosses():
    found = winners(fit(table((1.0, 1.0, 0.2), (1.0, 1.2, 0.2)), draws=200))
    assert {region.winner for region in found.regions if not region.beyond} == {"a"}
    assert not found.crossings


def test_probabilities_are_shares_and_regions_meet():
    found = winners(fit(table((1.0, 1.0, 0.2), (1.0, 1.01, 0.2), noise=0.01), draws=200))
    for region, after in zip(found.regions, found.regions[1:], strict=False):
        assert region.high == pytest.approx(after.low)
        assert sum(region.probability.values()) == pytest.approx(1.0)


def test_equal_groups_are_seldom_called():
    called = 0
    for seed in range(12):
        found = winners(fit(table((1.0, 1.0, 0.2), (1.0, 1.0, 0.2), noise=0.01, seed=seed), law="power", draws=100))
        called += found.regions[len(found.regions) // 2].winner is not None
    assert called <= 4  # 10 % are expected; 5 of 12 or more would have a chance of 0.4 %


def test_what_cannot_be_compared_is_refused():
    alone = table((1.0, 1.0, 0.2), (1.0, 1.0, 0.2)).query("family == 'a'")
    with pytest.raises(Refusal, match="two groups or more"):
        winners(fit(alone, draws=100))
    apart = table((1.0, 1.0, 0.2), (1.0, 1.0, 0.2))
    apart.loc[apart["family"] == "b", "C"] *= 1e8
    with pytest.raises(Refusal, match="Run them at the same C"):
        winners(fit(apart, draws=100))

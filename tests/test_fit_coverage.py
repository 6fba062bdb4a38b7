"""The intervals hold the truth as often as they say: a small version of benchmarks/coverage.py."""

import json
from pathlib import Path

import numpy as np
from fit_simulation import simulated

STUDIES = 24
# What a share near 90 % of 24 studies may miss by chance: 2.5 binomial standard errors. The intervals of one study move
# together, so a study counts as one. The benchmark runs over ten times as many and is held to 85 to 95 %.
SLACK = 2.5 * np.sqrt(0.9 * 0.1 / STUDIES)


def test_intervals_cover_and_equal_families_are_not_told_apart():
    found = simulated.simulate(STUDIES, draws=100, seed=11, families=2, equal=(2,))
    assert len(found) == 9  # eight kinds of interval, and the false winners
    for kind, row in found.items():
        if kind.startswith("false"):
            assert row["share"] <= 0.1 + SLACK, kind
        else:
            assert row["share"] >= 0.9 - SLACK, kind


def test_the_benchmark_was_run_and_holds():
    """The recorded figures are those of at least 300 studies, within the wanted range."""
    recorded = json.loads((Path(__file__).parents[1] / "benchmarks" / "results" / "coverage.json").read_text())["results"]
    for kind, row in recorded.items():
        assert row["studies"] >= 300 or "exponent" in kind
        if kind.startswith("false"):
            assert row["share"] <= 0.1, kind
        else:
            assert 0.85 <= row["share"] <= 0.95 + row["error"], kind


def test_the_check_can_fail():
    """Losses shaken by five times the noise that the repeats show: the intervals must be seen to miss."""
    generator = np.random.default_rng(3)
    missed = []
    for _ in range(6):
        world = simulated.draw_world(generator, families=2)
        world = simulated.dataclasses.replace(world, seed_sd=0.004)
        laboratory = simulated.Laboratory(world, generator)
        table, _, _ = laboratory.study()
        shaken = (table["stage"] == "score").to_numpy()
        cells = table[["family", "size", "budget"]].astype(str).agg("|".join, axis=1)
        shake = {cell: 0.03 * generator.standard_normal() for cell in cells.unique()}
        table.loc[shaken, "bpb"] *= np.exp(cells[shaken].map(shake))
        answer = simulated.compare(table, draws=100).to_json()
        truths = {truth.name: truth for truth in world.families}
        for row in answer["pairs"][0]["budgets"]:
            sizes = world.sizes[int(np.searchsorted(world.budgets, row["budget"]))]
            gap = truths["family_0"].frontier(row["budget"], sizes) - truths["family_1"].frontier(row["budget"], sizes)
            missed.append(not row["low"] <= gap <= row["high"])
    assert np.mean(missed) > 0.3

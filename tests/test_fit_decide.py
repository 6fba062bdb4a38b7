"""decide(): probabilities that mirror, do not depend on units, shrink with distance, and are right as often as they say."""

import json
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from fit_simulation import simulated
from scipy.stats import t as student

from allometry.fit.ask.decide import Decisions, _drawn, decide
from allometry.fit.ask.hindsight import Miss, growth, paired
from allometry.fit.criterion import LN
from allometry.fit.refusals import CannotTell, TooFewPoints
from allometry.flow import Refusal, TooFar

C = np.geomspace(1e15, 1e18, 7)


def quick(table: pd.DataFrame, **asked) -> Decisions:
    return decide(table, **({"draws": 60, "reach": 1e6} | asked))


def curve(family: str, scale: float, alpha: float = 0.2, floor: float = 1.0, noise: float = 0.003, seed: int = 0, places=C):
    shake = noise * np.random.default_rng(seed).standard_normal(len(places))
    loss = (floor + scale * (places / 1e15) ** -alpha) * np.exp(shake)
    return pd.DataFrame({"family": family, "C": places, "loss": loss})


def two(a: float, b: float, seed: int = 0, **settings) -> pd.DataFrame:
    parts = [curve("a", a, seed=2 * seed, **settings), curve("b", b, seed=2 * seed + 1, **settings)]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def table():
    return two(1.0, 1.03)


def test_a_against_b_is_the_mirror_of_b_against_a(table):
    forwards, backwards = quick(table, C=4e18), quick(table.iloc[::-1], C=4e18)
    one, other = forwards.of("a", "b"), backwards.of("b", "a")
    assert (backwards.pairs[0].a, forwards.pairs[0].a) == ("b", "a")
    assert one.probability == pytest.approx(1 - other.probability, abs=1e-9)
    assert one.difference == pytest.approx(-other.difference, abs=1e-9)
    assert one.low == pytest.approx(-other.high, abs=1e-6)
    assert one.verdict == other.verdict
    assert forwards.of("b", "a").probability == 1 - one.probability
    with pytest.raises(Refusal, match=r"no pair of 'a' and 'c'\. Choose two of: a, b"):
        forwards.of("a", "c")


def test_units_of_compute_and_of_loss_do_not_matter(table):
    one = quick(table, C=4e18).pairs[0]
    scaled = quick(table.assign(C=table["C"] / 1e15, loss=table["loss"] * 3), C=4e3).pairs[0]
    # Draws are the same; what is left is where 60 searches stop.
    assert scaled.probability == pytest.approx(one.probability, abs=5e-3)
    assert scaled.difference == pytest.approx(one.difference, abs=1e-5)
    assert scaled.weights == pytest.approx(one.weights, abs=1e-4)
    assert (scaled.simple, scaled.factor) == (one.simple, pytest.approx(one.factor))


def test_the_letter_of_the_variable_is_a_matter_of_columns(table):
    tokens = table.rename(columns={"C": "tokens"})
    assert quick(tokens, D=4e18, columns={"D": "tokens"}).pairs == quick(table, C=4e18).pairs
    assert quick(tokens, D=4e18, columns={"D": "tokens"}).variable == "D"


def test_a_study_is_decided_on_its_frontier():
    generator = np.random.default_rng(1)
    world = simulated.draw_world(generator, families=2)
    study, _, _ = simulated.Laboratory(world, generator).study()
    found = quick(study, C=4 * float(world.budgets[-1])).pairs[0]
    assert (found.a, found.b, found.paired) == ("family_0", "family_1", True)
    assert found.factor == pytest.approx(4)
    assert found.simple_at == pytest.approx(world.budgets[-1])


def test_one_table_twice_is_a_coin(table):
    one = table[table["family"] == "a"]
    found = quick(pd.concat([one, one.assign(family="copy")]), C=4e18).pairs[0]
    assert found.probability == pytest.approx(0.5)
    assert found.simple is None
    assert "cannot tell" in str(found.reason)


def test_what_both_groups_share_does_not_hide_their_difference():
    """A data order that moves both groups alike makes each of them uncertain, and their difference hardly."""
    order = 0.01 * np.random.default_rng(3).standard_normal(len(C))
    alike = two(1.0, 1.03, noise=5e-4)
    alike["loss"] *= np.exp(np.tile(order, 2))
    apart = alike[(alike["family"] == "a") | (alike["C"] < C[-1])]  # without its last run b has other places
    together = quick(alike, laws=("power",), C=2e18).pairs[0]
    separate = quick(apart, laws=("power",), C=2e18).pairs[0]
    assert together.paired
    assert not separate.paired
    assert together.high - together.low < 0.5 * (separate.high - separate.low)
    assert together.verdict == "a"


def test_far_apart_groups_are_called_right_and_close_ones_are_not():
    far, close = quick(two(1.0, 1.5), C=3e18), quick(two(1.0, 1.002), C=3e19)
    assert far.verdict("a", "b") == far.verdict("b", "a") == "a"
    assert far.pairs[0].probability > 0.95
    assert far.pairs[0].low < far.pairs[0].difference < far.pairs[0].high < 0
    assert close.pairs[0].verdict is None
    with pytest.raises(CannotTell, match="Run both at larger C"):
        close.verdict("a", "b")


def test_certainty_fades_with_distance():
    """Two parallel lines: what is known of the difference stays the same, so that only doubt grows."""
    parallel = two(1.0, 1.02, floor=0.0)
    found = [quick(parallel, C=place).pairs[0] for place in (1e18, 1e19, 1e20, 1e22)]
    sizes = [abs(one.probability - 0.5) for one in found]
    widths = [one.high - one.low for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert widths == sorted(widths)
    assert sizes[0] > 0.45
    assert sizes[-1] < 0.35
    assert [round(one.factor) for one in found] == [1, 10, 100, 10000]


def test_few_points_are_humble():
    """Seven, four, three sizes: the same laws and noise over one range, less certainty."""
    table = two(1.0, 1.06)
    sets = (C, C[::2], C[::3])
    many, few, least = (quick(table[table["C"].isin(places)], C=8e18).pairs[0] for places in sets)
    assert many.high - many.low < few.high - few.low
    assert many.high - many.low < least.high - least.low
    assert abs(least.probability - 0.5) < 0.45
    assert set(least.weights) == {"power"}  # the other law has as many parameters as there are sizes


def test_the_law_that_foretold_the_larger_runs_weighs_more():
    places = np.geomspace(1e15, 1e19, 12)
    bent = quick(two(1.0, 1.05, alpha=0.5, noise=0.002, places=places[:11], seed=3), C=places[-1] * 5).pairs[0]
    straight = quick(two(1.0, 1.05, floor=0.0, alpha=0.05, noise=0.002, places=places), C=places[-1] * 5).pairs[0]
    assert bent.weights["power_floor"] > 0.75
    assert straight.weights["power"] > bent.weights["power"]
    assert sum(straight.weights.values()) == pytest.approx(1)


def test_a_past_of_large_misses_makes_the_growth_large():
    def past(error: float) -> list[Miss]:
        kinds = {"variance": 1e-6, "spare": 5, "residual": (0.001, -0.001)}
        return [Miss(cut=10.0**i, at=10.0 ** (i + 1), distance=np.log(10), error=error, **kinds) for i in range(4)]

    slope = -0.1
    assert growth(past(0.05), slope).middle > 0.015 > 0.005 > growth(past(0.001), slope).middle
    assert growth([], slope).middle == pytest.approx(0.005, rel=0.3)  # expected before any miss: a twentieth of the slope
    assert {miss.error for miss in paired(past(0.05), past(0.05))} == {0.0}


def noise_in_runs(generator: np.random.Generator, lengths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The run of each row, and noise of the rows together with that of their runs."""
    run = np.repeat(np.arange(len(lengths)), lengths)
    return run, 0.002 * (generator.standard_normal(len(run)) + generator.standard_normal(len(lengths))[run])


@pytest.mark.parametrize(("runs", "rows"), [(8, 1), (10, 1), (12, 1), (4, 3), (8, 3)])
def test_draws_of_equal_groups_are_as_wide_as_the_level_says(runs, rows):
    """Of straight lines, which need no search, so that many can be drawn: 80 studies of 6 groups, judged at the last row."""
    x, generator, called = np.linspace(-1, 0, runs * rows), np.random.default_rng(0), []
    for study in range(80):
        ends = []
        for _ in range(6):
            run, loss = noise_in_runs(generator, [rows] * runs)
            fitted = np.polyval(np.polyfit(x, loss, 1), x)
            drawn, weights = _drawn(np.exp(loss), np.exp(fitted), run, 2, 100, LN, np.random.default_rng(study))
            assert (weights == 1).all()  # nothing is resampled whole
            ends.append(np.polyfit(x, np.log(drawn).T, 1)[1])
        shares = [np.mean(np.less(a, b)) for a, b in combinations(ends, 2)]
        called += [max(share, 1 - share) > 0.95 for share in shares]
    assert 0.06 < np.mean(called) < 0.14  # 10 %; the standard error is some 1.5 points


def test_equal_groups_are_called_no_more_often_than_the_level_allows():
    """Within the range, where no growth helps to be careful, by a law that holds."""
    groups = [curve(str(seed), 1.0, floor=0.0, seed=seed) for seed in range(20)]
    found = quick(pd.concat(groups), laws=("power",), draws=100, C=C[-1])
    called = np.mean([one.verdict is not None for one in found])
    # 190 pairs of 20 groups; their standard error is some 2 points. A rule that asked for 90 % on one side would call 20 %.
    assert 0.04 < called < 0.14
    assert 0.4 < np.mean([one.probability for one in found]) < 0.6


def with_runs(family: str, lengths: Sequence[int], seed: int) -> pd.DataFrame:
    run, noise = noise_in_runs(np.random.default_rng(seed), lengths)
    places = np.geomspace(C[0], C[-1], len(run))
    loss = (places / C[0]) ** -0.2 * np.exp(noise)
    return pd.DataFrame({"family": family, "C": places, "loss": loss, "run": [f"{family} {number}" for number in run]})


def test_runs_may_differ_in_length_and_have_any_name():
    table = pd.concat([with_runs("a", [1, 3, 2, 4], 0), with_runs("b", [1, 3, 2, 4], 1)])
    one, other = (quick(part, laws=("power",), C=C[-1]).pairs for part in (table, table.assign(run=table["run"].str[::-1])))
    assert one == other
    assert 0 < one[0].high - one[0].low < 0.1


def test_an_interval_without_zero_is_a_verdict():
    groups = [curve(str(seed), 1.0 + 0.03 * seed, seed=seed) for seed in range(4)]
    found = quick(pd.concat(groups), laws=("power",), C=1.3e18)
    assert [one.verdict is not None for one in found] == [one.high < 0 or one.low > 0 for one in found]
    assert 0 < sum(one.verdict is not None for one in found) < len(found)


def test_evidence_is_of_all_cuts_under_one_growth():
    """Against the integral written out: a law whose misses all ask for the same large growth is not blamed for each anew."""
    kinds = {"distance": 1.0, "variance": 1e-6, "spare": 5, "residual": (0.001, -0.001)}
    past = [Miss(cut=float(i), at=float(i + 1), error=0.05, **kinds) for i in range(1, 5)]
    found = growth(past, -0.1)
    scale = np.sqrt(1e-6 + found.values**2)
    density = student.pdf(0.05 / scale, 5) / scale
    assert found.evidence([1.0, 2.0, 3.0, 4.0]) == pytest.approx(np.log((found.prior * density**4).sum()))
    assert found.evidence([2.0]) == pytest.approx(np.log((found.prior * density).sum()))
    assert found.evidence([]) == pytest.approx(0.0)


def test_probabilities_are_right_as_often_as_they_say():
    scales = np.random.default_rng(11).normal(1.0, 0.03, 12)
    groups = [curve(str(i), scale, noise=0.004, seed=50 + i, places=C[1:]) for i, scale in enumerate(scales)]
    said, right, inside = [], [], []
    for found in quick(pd.concat(groups), draws=100, C=5e18):
        a, b = (1 + scales[int(name)] * 5000**-0.2 for name in (found.a, found.b))
        said.append(max(found.probability, 1 - found.probability))
        right.append((found.probability > 0.5) == (a < b))
        inside.append(found.low <= np.log(a / b) <= found.high)
    # 66 pairs of 12 groups are worth some 30: two standard errors are 0.16. More humble than needed is allowed.
    assert np.mean(right) > np.mean(said) - 0.16
    assert 0.6 < np.mean(said) < 0.95
    assert np.mean(inside) > 0.8


def test_what_cannot_be_decided_is_refused_with_the_way_out(table):
    with pytest.raises(TooFewPoints, match=r"b was run at one size only.*Run at least 3"):
        quick(table[(table["family"] == "a") | (table["C"] == C[0])], C=4e18)
    with pytest.raises(TooFewPoints, match=r"2 runs; the simplest of the laws needs 3"):
        quick(table[table["C"] < C[2]], C=4e18)
    with pytest.raises(Refusal, match="one place"):
        quick(table)
    with pytest.raises(Refusal, match="one place"):
        quick(table, C=-1.0)
    with pytest.raises(Refusal, match="two groups or more; family has one, a"):
        quick(table[table["family"] == "a"], C=4e18)
    with pytest.raises(Refusal, match=r"chinchilla of loss in N, D.*Use 'power'"):
        quick(table, laws=("chinchilla",), C=4e18)
    twice = ("broken_power", "power", "broken_power(breaks=2)")
    with pytest.raises(Refusal, match=r"broken_power is there twice\. Give each law once"):
        quick(table, laws=twice, C=4e18)
    with pytest.raises(TooFar, match=r"100 times beyond the largest run of a; this decides up to 10 times"):
        quick(table[table["C"] > C[-2]], C=1e20, reach=10.0)  # before anything is fitted, which could not be
    with pytest.raises(TooFar, match=r"20 times below the smallest run of a"):
        quick(table, C=C[0] / 20, reach=10.0)
    with pytest.raises(Refusal, match="0 < level < 1"):
        quick(table, level=1.0, C=4e18)


def test_the_answer_is_json_and_words(table):
    found = quick(table, C=4e18)
    content = json.loads(json.dumps(found.to_json()))
    assert content["pairs"][0]["a"] == "a"
    assert 0 <= content["pairs"][0]["probability"] <= 1
    assert len(found.table) == len(found) == len(list(found)) == 1
    assert "a beats b with probability" in found.text
    assert found.pairs == quick(table, C=4e18).pairs
    assert found.pairs != quick(table, C=4e18, seed=1).pairs


def test_published_architectures_are_decided_before_their_largest_runs(shared_data):
    """SambaY was better than Transformer++ at every size, by 1 to 2 %: the likelier one from the four smaller sizes too."""
    table = pd.read_csv(shared_data / "scaling_runs/archscale/archscale_flops_scaling.csv")
    names = {"C": "flops", "loss": "val_loss"}
    pair = table[table["series"].isin(["Transformer++ (muP++)", "SambaY (muP++)"])]
    found = quick(pair[pair["depth"] <= 20], by="series", columns=names, C=float(pair["flops"].max()))
    assert found.of("SambaY (muP++)", "Transformer++ (muP++)").probability > 0.8

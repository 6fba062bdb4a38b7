"""The judge of expectations: every order of values, censored and diverged runs, and its interval against scipy's."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from allometry.fit.arms import NOTICED, RECOVERED, Value, judge, measured, steps_to
from allometry.flow import End, Point, Refusal

NUMBERS = st.floats(min_value=1e-6, max_value=1e6)
EXACT = st.builds(lambda v: Value(value=v), NUMBERS)
BEYOND = st.builds(lambda v: Value(value=v, beyond=True), NUMBERS)
DIVERGED = st.just(Value(value=math.inf))
ANY = st.one_of(EXACT, BEYOND, DIVERGED)
SIDE = st.lists(ANY, min_size=3, max_size=5)
FACTOR = st.floats(min_value=0.01, max_value=100)


def exact(*values: float) -> list[Value]:
    return [Value(value=v) for v in values]


def point(step: int, loss: float) -> Point:
    return Point(step=step, examples=step, tokens=step, flops=0.0, seconds=0.0, loss=loss)


def done(loss: float = 1.0, **facts: object) -> End:
    return End(status="done", loss=loss, facts=facts)


def test_of_all_orders_of_six_values_one_in_twenty_holds_and_one_is_refuted():
    values = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    verdicts = []
    for chosen in itertools.combinations(values, 3):
        verdicts.append(judge(exact(*chosen), exact(*(set(values) - set(chosen))), at_most=1.0).verdict)
    assert len(verdicts) == math.comb(6, 3) == 20
    assert verdicts.count("holds") == verdicts.count("refuted") == 1


@settings(deadline=None)
@given(st.lists(EXACT, min_size=3, max_size=5), st.lists(EXACT, min_size=3, max_size=5), FACTOR)
def test_plain_numbers_are_judged_by_their_extremes(arm, other, factor):
    low, high = min(v.value for v in arm), max(v.value for v in arm)
    least, most = min(v.value for v in other), max(v.value for v in other)
    expected = "holds" if high <= factor * least else "refuted" if low > factor * most else "cannot tell"
    assert judge(arm, other, at_most=factor).verdict == expected


@settings(deadline=None)
@given(SIDE, SIDE, FACTOR, st.lists(st.floats(min_value=1.0, max_value=1e9), min_size=10, max_size=10))
def test_a_verdict_stands_whatever_the_unfinished_runs_would_have_needed(arm, other, factor, times):
    """Any number above its limit may stand for a censored value: the verdict is never turned over."""
    verdict = judge(arm, other, at_most=factor).verdict
    grown = iter(times)

    def finished(side: list[Value]) -> list[Value]:
        return [Value(value=math.nextafter(v.value * next(grown), math.inf)) if v.beyond else v for v in side]

    after = judge(finished(arm), finished(other), at_most=factor).verdict
    assert verdict in ("cannot tell", after)


@settings(deadline=None)
@given(SIDE, SIDE, FACTOR)
def test_at_least_is_at_most_with_the_sides_exchanged(arm, other, factor):
    one = judge(arm, other, at_least=factor)
    assert judge(other, arm, at_most=1 / factor).verdict == one.verdict


@settings(deadline=None)
@given(SIDE, SIDE, FACTOR, st.randoms())
def test_the_order_of_seeds_does_not_matter_and_pairs_add_up(arm, other, factor, chance):
    one = judge(arm, other, at_most=factor)
    assert one.fulfilled + one.violated <= one.pairs == len(arm) * len(other)
    mixed = [chance.sample(side, len(side)) for side in (arm, other)]
    again = judge(*mixed, at_most=factor)
    assert (again.verdict, again.fulfilled, again.violated) == (one.verdict, one.fulfilled, one.violated)


@settings(deadline=None)
@given(st.lists(ANY, max_size=2), SIDE, FACTOR)
def test_two_runs_are_too_few_on_either_side(few, enough, factor):
    assert judge(few, enough, at_most=factor).verdict == "cannot tell"
    assert judge(enough, few, at_most=factor).verdict == "cannot tell"
    assert judge(few, 1.0, at_most=factor).verdict == "cannot tell"


@pytest.mark.parametrize(
    ("arm", "other", "verdict"),
    [
        (exact(100, 200, 300), [Value(value=1000, beyond=True)] * 3, "holds"),
        ([Value(value=1000, beyond=True)] * 3, exact(100, 200, 300), "refuted"),
        ([Value(value=1000, beyond=True)] * 3, exact(1000, 1000, 1000), "refuted"),  # more than 1000 is not at most 1000
        ([Value(value=1000, beyond=True)] * 3, [Value(value=1000, beyond=True)] * 3, "cannot tell"),
        ([Value(value=100, beyond=True)] * 3, exact(200, 200, 200), "cannot tell"),
        (exact(1, 2, 3), exact(math.inf, math.inf, math.inf), "holds"),
        (exact(1, 2, math.inf), exact(4, 5, 6), "cannot tell"),
        (exact(math.inf, math.inf, math.inf), exact(math.inf, math.inf, math.inf), "cannot tell"),
    ],
)
def test_runs_without_a_plain_number(arm, other, verdict):
    assert judge(arm, other, at_most=1.0).verdict == verdict


def test_a_level_needs_every_seed_and_no_seeds_of_its_own():
    assert judge(exact(0.1, 0.2, 0.3), 1.0, at_most=0.5).verdict == "holds"
    assert judge(exact(0.1, 0.2, 0.6), 1.0, at_most=0.5).verdict == "cannot tell"
    assert judge(exact(0.7, 0.8, 0.6), 1.0, at_most=0.5).verdict == "refuted"
    between = judge(exact(0.7, 0.8, 0.6), 1.0, at_most=1.1, at_least=0.5)
    assert between.verdict == "holds"
    assert judge(exact(0.7, 0.8, 0.4), 1.0, at_most=1.1, at_least=0.5).verdict == "cannot tell"


def test_the_interval_is_that_of_welch_and_of_student():
    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(0, 0.3, 3)), np.exp(rng.normal(1, 1.0, 4))
    welch = stats.ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval(0.9)
    found = judge(exact(*a.tolist()), exact(*b.tolist()), at_most=1.0)
    assert (found.low, found.high) == pytest.approx((math.exp(welch.low), math.exp(welch.high)))
    assert found.ratio == pytest.approx(stats.gmean(a) / stats.gmean(b))
    student = stats.ttest_1samp(np.log(a), math.log(2.0)).confidence_interval(0.9)
    found = judge(exact(*a.tolist()), 2.0, at_most=1.0)
    # scipy gives the interval of the mean itself
    assert (found.low, found.high) == pytest.approx((math.exp(student.low) / 2, math.exp(student.high) / 2))


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_holds_the_truth_as_often_as_it_says(seed):
    rng = np.random.default_rng(seed)
    hits, trials = 0, 400
    for _ in range(trials):
        a, b = np.exp(rng.normal(0, 0.2, 3)), np.exp(rng.normal(0.5, 0.6, 3))
        found = judge(exact(*a.tolist()), exact(*b.tolist()), at_most=1.0)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= math.exp(-0.5) <= found.high
    assert 0.85 < hits / trials < 0.97  # Welch's is a little wide with so few; the standard error is 0.015


def test_a_ratio_to_unfinished_runs_is_a_bound_and_no_ratio_is_made_up():
    unfinished = [Value(value=1000, beyond=True)] * 3
    assert (
        judge(exact(10, 10, 10), unfinished, at_most=1).ratio,
        judge(exact(10, 10, 10), unfinished, at_most=1).bound,
    ) == (
        pytest.approx(0.01),
        "at most",
    )
    assert judge(unfinished, exact(10, 10, 10), at_most=1).bound == "at least"
    for arm, other in (
        (unfinished, unfinished),
        (exact(1, 2, math.inf), exact(1, 2, 3)),
        (exact(0, 0, 0), exact(1, 2, 3)),
        ([], exact(1)),
    ):
        found = judge(arm, other, at_most=1)
        assert (found.ratio, found.low, found.high) == (None, None, None)
    alike = judge(exact(5, 5, 5), exact(10, 10, 10), at_most=1)
    assert alike.ratio == pytest.approx(0.5)
    assert alike.low is None  # three equal values do not measure their scatter


@pytest.mark.parametrize("claim", [{}, {"at_most": 0.0}, {"at_least": -1.0}])
def test_a_claim_of_nothing_is_refused(claim):
    with pytest.raises(Refusal, match="more than 0"):
        judge(exact(1, 2, 3), 1.0, **claim)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0, max_value=4), min_size=1, max_size=30), st.floats(min_value=0.1, max_value=4))
def test_half_of_chance_is_first_reached_where_it_says(losses, chance):
    points = [point(10 * (i + 1), loss) for i, loss in enumerate(losses)]
    found = steps_to(chance / 2, points)
    before = [p.loss for p in points if p.step < found.value or (found.beyond and p.step <= found.value)]
    assert all(loss > chance / 2 for loss in before)
    if found.beyond:
        assert found.value == points[-1].step
    else:
        assert losses[int(found.value) // 10 - 1] <= chance / 2


def test_what_each_measure_reads():
    points = [point(10, 2.0), point(20, 0.9), point(30, 0.1)]
    tests = [{"name": "warp 400", "at": 400.0, "loss": 0.7, "chance": 2.0}]
    end = done(loss=0.2, steps=30, tests=tests)
    assert measured("loss", end, points, 2.0) == Value(value=0.2)
    assert measured("half_chance", end, points, 2.0) == Value(value=20.0)
    assert measured("half_chance", done(steps=35), points, 0.1) == Value(value=35.0, beyond=True)
    assert measured("test:warp 400", end, points, 2.0) == Value(value=0.7)
    assert measured("test:warp 800", end, points, 2.0) is None
    for measure in ("loss", "half_chance", "test:warp 400"):
        assert measured(measure, None, points, 2.0) is None
        assert measured(measure, End(status="failed"), points, 2.0) is None
        assert measured(measure, End(status="diverged"), points, 2.0) == Value(value=math.inf)
    with pytest.raises(Refusal, match="It is one of"):
        measured("accuracy", end, points, 2.0)


def test_what_the_answers_are_worth_is_measured_here_and_in_a_test():
    test = {"name": "larger", "loss": 0.7, "accuracy": 0.5, "solved": 0.25, "rollout": None}
    end = done(0.2, accuracy=0.75, solved=0.0, rollout=3.0, tests=[test])
    own = {"error": 0.25, "solved": 0.0, "unsolved": 1.0, "rollout": 3.0}
    there = {"error": 0.5, "solved": 0.25, "unsolved": 0.75, "rollout": math.inf}  # it flew off
    for name, expected in own.items():
        assert measured(name, end, [], 2.0) == Value(value=expected)
        assert measured(f"{name}:larger", end, [], 2.0) == Value(value=there[name])
        assert measured(f"{name}:other", end, [], 2.0) is None
        assert measured(name, done(0.2), [], 2.0) is None
        # A run that diverged is worse than any number: it solves nothing, and errs without bound.
        worst = 0.0 if name == "solved" else math.inf
        assert measured(name, End(status="diverged"), [], 2.0) == Value(value=worst)
    solved = [measured("solved", done(solved=share), [], 2.0) for share in (0.91, 0.95, 1.0)]
    assert judge(solved, 1.0, at_least=0.9).verdict == "holds"
    assert judge(solved, [measured("solved", End(status="diverged"), [], 2.0)] * 3, at_least=1.0).verdict == "holds"


def parent_with(loss: float, before: float) -> End:
    return done(loss, tests=[{"name": "slower", "at": None, "loss": before, "chance": 2.0}])


@pytest.mark.parametrize(("after", "share"), [(0.1, 1.0), (1.1, 0.0), (0.2, 0.9), (1.6, -0.5), (0.05, 1.05)])
def test_what_came_back_is_a_share_of_what_was_lost(after: float, share: float) -> None:
    """The parent has 0.1 on its own task and 1.1 on the slower one."""
    value = measured(f"{RECOVERED}slower", done(after), [], 2.0, parent_with(0.1, 1.1))
    assert value is not None
    assert value.value == pytest.approx(share)


def test_to_know_that_one_does_not_know_is_no_recovery() -> None:
    """The parent is surely wrong, with 9 nats where chance is 2; after training it is at chance."""
    value = measured(f"{RECOVERED}slower", done(2.0), [], 2.0, parent_with(0.0, 9.0))
    assert value == Value(value=0.0)


def test_nothing_comes_back_of_what_was_not_lost_and_a_run_that_diverged_brings_nothing() -> None:
    measure, little = f"{RECOVERED}slower", 0.9 * NOTICED * 2.0
    assert measured(measure, done(0.1), [], 2.0, parent_with(0.1, 0.1 + little)) is None
    assert measured(measure, done(0.1), [], 2.0, None) is None
    assert measured(measure, done(0.1), [], 2.0, done(0.1)) is None
    assert measured(measure, End(status="failed"), [], 2.0, parent_with(0.1, 1.1)) is None
    diverged = measured(measure, End(status="diverged"), [], 2.0, parent_with(0.1, 1.1))
    assert diverged == Value(value=0.0)


def test_a_share_that_is_worse_than_nothing_is_judged_too() -> None:
    assert judge(exact(-0.5, 0.2, 0.3), 1.0, at_least=0.9).verdict == "refuted"
    assert judge(exact(-0.5, 0.2, 0.3), 1.0, at_most=0.5).verdict == "holds"
    assert judge(exact(0.95, 0.99, 1.01), 1.0, at_least=0.9).verdict == "holds"

"""What was expected of the arms of an experiment, judged from the values of their seeds.

A claim says that a measure of one arm is at most (or at least) so many times that of another arm, or a fixed level. It
**holds** if every seed of the arm against every seed of the other fulfils it, is **refuted** if every pair violates it, and
otherwise the experiment **cannot tell**.

Why all pairs. With three seeds on each side nothing is known of the law of the values, and losses of networks that sometimes
solve a task have two humps, which no t test foresees. Complete separation needs no law: if the two sides were exchangeable (the
factor taken off), all orders of the six values would be equally likely, and one in C(6, 3) = 20 puts all of one side below the
other. Fewer than `LEAST` runs on a side have no such strength, so that they cannot tell. Against a fixed level the chance is one
in 2^3 = 8, if each seed were as likely above as below.

What is not a plain number. A run that did not get there within its budget is known to need more than that budget: a pair counts
only where this settles it. A run that diverged is worse than any number; two runs that are both without bound are not compared.
A run that failed says nothing and is left out.

Beside the verdict stands the ratio of geometric means with its t interval (Welch 1947 for two arms) on logarithms. It assumes
that ln values are normal, so it is an illustration, wide with three seeds, and not what the verdict rests on.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from allometry.flow import End, Point, Refusal

LEAST = 3  # runs on a side
LEVEL = 0.9  # of the interval
TEST = "test:"  # what begins the measure that is the loss of a test
RECOVERED = "recovered:"  # and the one that is the share of a loss on another task which came back
NOTICED = 0.05  # of chance: what cost less has nothing to bring back


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
    """What one seed measured: `value`, more than `value`, or infinite where the run diverged."""

    value: float
    beyond: bool = False  # the run ended before: all that is known is "more than this"

    @property
    def most(self) -> float:
        """The largest number that it may be."""
        return math.inf if self.beyond else self.value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict, what it rests on, and the size of the difference beside it."""

    verdict: str  # holds | refuted | cannot tell
    reason: str
    pairs: int
    fulfilled: int  # pairs that surely fulfil the claim
    violated: int  # pairs that surely violate it
    ratio: float | None = None  # of geometric means; None where a side has no number
    bound: str = ""  # "" | at most | at least: the ratio is a bound, as runs of one side ended before
    low: float | None = None  # of the interval at LEVEL
    high: float | None = None


def measured(
    measure: str, end: End | None, points: Iterable[Point], chance: float, parent: End | None = None
) -> Value | None:
    """One seed's value of a measure; None where there is none: not ended, failed, or no such test.

    `loss` is the held-out loss, `half_chance` the first step at which the training loss is at most half of `chance`,
    `test:<name>` the loss of that test, `recovered:<name>` how much of what the test cost the `parent`, which this run started
    from, is back after training.
    """
    if end is None or end.status == "failed":
        return None
    if measure.startswith(RECOVERED):
        return recovered(end, parent, measure.removeprefix(RECOVERED), chance)
    if end.status == "diverged":
        return Value(value=math.inf)
    if measure == "loss":
        return None if end.loss is None else Value(value=float(end.loss))
    if measure == "half_chance":
        return half_chance(points, chance, end.facts.get("steps"))
    if measure.startswith(TEST):
        loss = _test(end, measure.removeprefix(TEST))
        return None if loss is None else Value(value=loss)
    raise Refusal(f"The measure {measure!r} is not known. It is loss, half_chance, {TEST}<name> or {RECOVERED}<name>.")


def _test(end: End, name: str) -> float | None:
    losses = [test["loss"] for test in end.facts.get("tests") or [] if test["name"] == name]
    return float(losses[0]) if losses and losses[0] is not None else None


def recovered(end: End, parent: End | None, name: str, chance: float) -> Value | None:
    """The share of the parent's extra loss in a test that a run trained there has no more: 1 all of it, 0 nothing.

    A run that diverged brought nothing back. None where the test cost the parent less than NOTICED of chance.
    """
    before = _test(parent, name) if parent else None
    if parent is None or parent.loss is None or before is None or before - parent.loss < NOTICED * chance:
        return None
    if end.loss is None:
        return Value(value=0.0)
    return Value(value=1 - (end.loss - parent.loss) / (before - parent.loss))


def half_chance(points: Iterable[Point], chance: float, steps: int | None = None) -> Value:
    """First step at which the training loss is at most half of the chance loss; more than `steps` if it never was.

    The loss of a Point is the mean since the Point before, so the answer is as fine as the Points are dense.
    """
    last = 0
    for point in points:
        if point.loss <= chance / 2:
            return Value(value=float(point.step))
        last = point.step
    return Value(value=float(last if steps is None else steps), beyond=True)


def judge(
    arm: Sequence[Value],
    against: Sequence[Value] | float,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Judgement:
    """Whether the arm's values are at most (at least) so many times those of the other arm, or a fixed level.

    >>> solved, not_solved = [Value(value=v) for v in (0.01, 0.02, 0.03)], [Value(value=v) for v in (1.9, 2.0, 2.1)]
    >>> judge(solved, not_solved, at_most=0.2).verdict, judge(solved, 2.08, at_least=0.5).verdict
    ('holds', 'refuted')
    """
    factors = [factor for factor in (at_most, at_least) if factor is not None]
    if not factors or min(factors) <= 0:
        raise Refusal(f"at_most={at_most}, at_least={at_least} claims nothing. Give one of them, more than 0.")
    other = [Value(value=float(against))] if isinstance(against, int | float) else list(against)
    fair = isinstance(against, int | float) or len(other) >= LEAST
    answers = [_settled(a, b, at_most, at_least) for a in arm for b in other]
    fulfilled, violated = answers.count(True), answers.count(False)
    counts = {"pairs": len(answers), "fulfilled": fulfilled, "violated": violated}
    size = _ratio(arm, other, isinstance(against, int | float))
    if len(arm) < LEAST or not fair:
        return Judgement(verdict="cannot tell", reason=f"fewer than {LEAST} runs have ended on a side", **counts, **size)
    if fulfilled == len(answers):
        return Judgement(verdict="holds", reason="all seeds agree", **counts, **size)
    if violated == len(answers):
        return Judgement(verdict="refuted", reason="all seeds disagree", **counts, **size)
    why = "seeds disagree with each other" if fulfilled and violated else "not every pair of seeds is settled"
    return Judgement(verdict="cannot tell", reason=why, **counts, **size)


def _settled(a: Value, b: Value, at_most: float | None, at_least: float | None) -> bool | None:
    """Whether a pair fulfils the claim, whatever the unknown numbers are; None where that depends on them."""
    answers = []
    if at_most is not None:
        answers.append(_below(a, b, at_most))
    if at_least is not None:
        answers.append(_below(b, a, 1 / at_least))
    return False if False in answers else None if None in answers else True


def _below(a: Value, b: Value, factor: float) -> bool | None:
    """Whether a <= factor * b. Infinite against infinite is not compared."""
    if math.isfinite(a.most) and a.most <= factor * b.value:
        return True
    if math.isfinite(b.most):
        limit = factor * b.most
        if a.value > limit or (a.beyond and a.value >= limit):
            return False
    return None


def _ratio(arm: Sequence[Value], other: Sequence[Value], level: bool) -> dict[str, float | str | None]:
    """Ratio of geometric means with its interval, for the fields of a Judgement."""
    values = [*arm, *other]
    if not arm or not other or not all(0 < v.value < math.inf for v in values):
        return {}
    ours, theirs = any(v.beyond for v in arm), any(v.beyond for v in other)
    if ours and theirs:
        return {}
    logs = [[math.log(v.value) for v in side] for side in (arm, other)]
    middle = _mean(logs[0]) - _mean(logs[1])
    if ours or theirs:
        return {"ratio": math.exp(middle), "bound": "at least" if ours else "at most"}
    half = _half_width(logs[:1] if level else logs)
    if half is None:
        return {"ratio": math.exp(middle)}
    return {"ratio": math.exp(middle), "low": _exp(middle - half), "high": _exp(middle + half)}


def _half_width(sides: Sequence[Sequence[float]]) -> float | None:
    """Half of the t interval of a mean, or of Welch's of a difference; None where the values cannot tell their scatter."""
    from scipy.special import stdtrit

    if min(len(side) for side in sides) < 2:
        return None
    errors = [sum((x - _mean(side)) ** 2 for x in side) / (len(side) - 1) / len(side) for side in sides]
    if sum(errors) < 1e-24:  # all alike to the last digit, such as steps on a grid: no measure of their scatter
        return None
    freedom = sum(errors) ** 2 / sum(e**2 / (len(side) - 1) for e, side in zip(errors, sides, strict=True))
    return math.sqrt(sum(errors)) * float(stdtrit(freedom, (1 + LEVEL) / 2))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))

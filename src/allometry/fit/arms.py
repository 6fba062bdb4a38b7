"""What was expected of the arms of an experiment, judged from the values of their seeds.

A claim says that a measure of one arm is at most (or at least) so many times that of another arm, or a fixed level. It
**holds** if every seed of the arm against every seed of the other fulfils it, is **refuted** if every pair violates it, and
otherwise the experiment **cannot tell**.

Why all pairs. With three seeds on each side nothing is known of the law of the values, and losses of networks that sometimes
solve a task have two humps, which no t test foresees. Complete separation needs no law: if the two sides were exchangeable (the
factor taken off), all orders of the six values would be equally likely, and one in C(6, 3) = 20 puts all of one side below the
other. Fewer than `LEAST` runs on a side have no such strength, so that they cannot tell. Against a fixed level the chance is one
in 2^3 = 8, if each seed were as likely above as below.

What is not a plain number. A run that did not get there within its budget is known to need more than that budget, and a run that
stopped because its loss was low enough would have had a lower one: a pair counts only where that settles it. A run that diverged
is worse than any number; two runs that are both without bound are not compared.
A run that failed says nothing and is left out.

Beside the verdict stands the ratio of geometric means with its t interval (Welch 1947 for two arms) on logarithms. It assumes
that ln values are normal, so it is an illustration, wide with three seeds, and not what the verdict rests on.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from allometry.flow import End, Point, Refusal

LEAST = 3  # runs on a side
LEVEL = 0.9  # of the interval
TEST = "test:"  # what begins the measure that is the loss of a test
STEPS_TO = "steps_to:"  # and the one that is a count of steps, until a share of chance is reached
HALF_CHANCE = "half_chance"  # steps_to:0.5
RECOVERED = "recovered:"  # and the one that is the share of a loss on another task which came back
# What the answers are worth, apart from the loss. With `:<name>` behind it, in that test.
OF_ANSWERS = ("error", "solved", "unsolved", "rollout")
MEASURES = (
    "loss",
    *OF_ANSWERS,
    HALF_CHANCE,
    f"{STEPS_TO}<share of chance>",
    f"{TEST}<name>",
    *(f"{kind}:<name>" for kind in OF_ANSWERS),
    f"{RECOVERED}<name>",
)
NOTICED = 0.05  # of chance: what cost less has nothing to bring back


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
    """What one seed measured: `value`, more than it, at most it, or infinite where the run diverged."""

    value: float
    beyond: bool = False  # the run ended before: all that is known is "more than this"
    within: bool = False  # the run stopped when it had this: all that is known is "this or less"

    @property
    def least(self) -> float:
        """The smallest number that it may be."""
        return 0.0 if self.within else self.value

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
    measure: str,
    end: End | None,
    points: Iterable[Point],
    chance: float,
    parent: End | None = None,
    budget: int | None = None,
) -> Value | None:
    """One seed's value of a measure; None where there is none: not ended, failed, or no such test.

    `loss` is the held-out loss, `error` the share of held-out targets that are answered wrongly, `solved` the share of graphs of
    which every answer is right and `unsolved` the rest, `rollout` the error of a rollout (study/score.py), `steps_to:<share>` the
    first step at which the training loss is at most that share of `chance` (`half_chance`: half of it), `test:<name>` the loss of
    that test, `solved:<name>` and its like what its answers are worth, `recovered:<name>` how much of what the test cost the
    `parent`, which this run started from, is back after training. A loss of a run that stopped before its `budget` of steps is
    known to be that or less.
    """
    if end is None or end.status == "failed":
        return None
    if measure.startswith(RECOVERED):
        return recovered(end, parent, measure.removeprefix(RECOVERED), chance)
    if end.status == "diverged":
        return Value(value=0.0 if kind_of_answers(measure) == "solved" else math.inf)
    if measure == "loss":
        stopped = budget is not None and end.facts.get("steps", budget) < budget
        return None if end.loss is None else Value(value=float(end.loss), within=stopped)
    if counts_steps(measure):
        return steps_to(share_of(measure) * chance, points, end.facts.get("steps"))
    if kind := kind_of_answers(measure):
        name = measure.removeprefix(kind)
        return _of_answers(kind, _found(end, name[1:]) if name else end.facts)
    if measure.startswith(TEST):
        loss = _test(end, measure.removeprefix(TEST))
        return None if loss is None else Value(value=loss)
    raise Refusal(f"The measure {measure!r} is not known. It is one of: {', '.join(MEASURES)}.")


def kind_of_answers(measure: str) -> str:
    """Which of OF_ANSWERS a measure is, of the run's own task or of a test; empty: none.

    >>> kind_of_answers("solved"), kind_of_answers("solved:larger"), kind_of_answers("loss")
    ('solved', 'solved', '')
    """
    kind = measure.partition(":")[0]
    return kind if kind in OF_ANSWERS else ""


def _of_answers(kind: str, facts: Mapping[str, Any]) -> Value | None:
    """What the record of a score says of the answers."""
    found = facts.get({"error": "accuracy", "unsolved": "solved"}.get(kind, kind))
    if found is None:  # a rollout that is recorded without a number flew off
        return Value(value=math.inf) if kind == "rollout" and kind in facts else None
    return Value(value=float(found if kind in ("solved", "rollout") else 1 - found))


def _found(end: End, name: str) -> Mapping[str, Any]:
    """The record of a test; empty where there is none."""
    return next((test for test in end.facts.get("tests") or [] if test["name"] == name), {})


def _test(end: End, name: str) -> float | None:
    loss = _found(end, name).get("loss")
    return None if loss is None else float(loss)


def recovered(end: End, parent: End | None, name: str, chance: float) -> Value | None:
    """The share of what a test cost the parent that a run trained there has back: 1 all of it, 0 nothing.

    The cost counts up to `chance`: a network that is surely wrong is worse than one that knows nothing, and to learn that much is
    no recovery. A run that diverged brought nothing back. None where the test cost the parent less than NOTICED of chance.
    """
    before = _test(parent, name) if parent else None
    if parent is None or parent.loss is None or before is None:
        return None
    cost = min(before, chance) - parent.loss
    if cost < NOTICED * chance:
        return None
    return Value(value=0.0 if end.loss is None else 1 - (end.loss - parent.loss) / cost)


def counts_steps(measure: str) -> bool:
    """Whether a measure is a number of steps."""
    return measure == HALF_CHANCE or measure.startswith(STEPS_TO)


def share_of(measure: str) -> float:
    """The share of chance that a count of steps waits for.

    >>> share_of("half_chance"), share_of("steps_to:0.25")
    (0.5, 0.25)
    """
    try:
        return 0.5 if measure == HALF_CHANCE else float(measure.removeprefix(STEPS_TO))
    except ValueError as error:
        raise Refusal(f"The measure {measure!r} waits for no number. Give a share of chance: {STEPS_TO}0.25.") from error


def steps_to(loss: float, points: Iterable[Point], steps: int | None = None) -> Value:
    """First step at which the training loss is at most `loss`; more than `steps` if it never was.

    The loss of a Point is the mean since the Point before, so the answer is as fine as the Points are dense.
    """
    last = 0
    for point in points:
        if point.loss <= loss:
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
        return Judgement(verdict="cannot tell", reason=f"fewer than {LEAST} runs on a side have a value", **counts, **size)
    if fulfilled == len(answers):
        return Judgement(verdict="holds", reason="all seeds agree", **counts, **size)
    if violated == len(answers):
        return Judgement(verdict="refuted", reason="all seeds disagree", **counts, **size)
    why = "seeds disagree with each other" if fulfilled and violated else "runs that ended before leave a pair of seeds open"
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
    if math.isfinite(a.most) and a.most <= factor * b.least:
        return True
    if math.isfinite(b.most):
        limit = factor * b.most
        if a.least > limit or (a.beyond and a.value >= limit):
            return False
    return None


def _ratio(arm: Sequence[Value], other: Sequence[Value], level: bool) -> dict[str, float | str | None]:
    """Ratio of geometric means with its interval, for the fields of a Judgement."""
    values = [*arm, *other]
    if not arm or not other or not all(0 < v.value < math.inf for v in values):
        return {}
    ours, theirs = _open(arm), _open(other)
    sides = {"at least" if "beyond" in ours else "at most" for _ in ours} | {
        "at most" if "beyond" in theirs else "at least" for _ in theirs
    }
    if len(sides) > 1 or len(ours) > 1 or len(theirs) > 1:
        return {}
    logs = [[math.log(v.value) for v in side] for side in (arm, other)]
    middle = _mean(logs[0]) - _mean(logs[1])
    if sides:
        return {"ratio": math.exp(middle), "bound": sides.pop()}
    half = _half_width(logs[:1] if level else logs)
    if half is None:
        return {"ratio": math.exp(middle)}
    return {"ratio": math.exp(middle), "low": _exp(middle - half), "high": _exp(middle + half)}


def _open(side: Sequence[Value]) -> set[str]:
    """In which ways values of a side are open."""
    return {name for name in ("beyond", "within") for value in side if getattr(value, name)}


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

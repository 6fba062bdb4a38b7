"""What a figure shows of trained networks: the held-out loss, or of graphs what their answers are worth.

The share of graphs that are solved falls with their size by itself, as more answers have to be right; the share of wrong answers
does not. So both are shown, and their loss stands in the table.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from allometry.report.figures import _arms
from allometry.report.figures._arms import Arm
from allometry.report.figures._figure import axis, log_range, safe
from allometry.report.figures._trivial import trivial
from allometry.report.numbers import number

Record = dict[str, Any]  # an outcome of an arm, or a test of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A number of the record of a score, and what a trivial player has of it."""

    key: str  # in the id of a figure; empty for the loss
    name: str  # in words; empty for the loss
    title: str  # of the axis
    unit: str  # on hover; empty: that of the arm
    value: Callable[[Record], float | None]
    floor: Callable[[Record], float | None]  # of an arm, or a test
    player: Callable[[Record], str]  # who attains it

    def of(self, records: Iterable[Record]) -> list[float]:
        """The values of those that have one."""
        return [value for one in records if (value := self.value(one)) is not None]

    def players(self, records: Iterable[Record]) -> str:
        """Who attains the floors of these arms or tests."""
        return " or ".join(dict.fromkeys(self.player(one) for one in records if self.floor(one) is not None))

    def of_arm(self, arm: Arm) -> list[float]:
        """Of the seeds that are done, on the task of the arm."""
        return self.of(outcome for outcome in arm["outcomes"] if outcome["status"] == "done")


def _rest(share: float | None) -> float | None:
    return None if share is None else 1 - share


def _player(one: Record) -> str:
    return best[1] if (best := trivial(one)) else "a trivial player"


LOSS = Measure(
    key="",
    name="",
    title="loss",
    unit="",
    value=lambda one: one.get("loss"),
    floor=lambda one: one.get("chance"),
    player=lambda _: "chance",
)
WRONG = Measure(
    key="wrong",
    name="wrong answers",
    title="Wrong answers (share)",
    unit="of the answers wrong",
    value=lambda one: None if one.get("solved") is None else _rest(one.get("accuracy")),
    floor=lambda one: _rest(best[0] if (best := trivial(one)) else None),
    player=_player,
)
SOLVED = Measure(
    key="solved",
    name="graphs solved",
    title="Graphs solved (share)",
    unit="of the graphs solved",
    value=lambda one: one.get("solved"),
    floor=lambda one: (one.get("floors") or {}).get("solved") or None,  # where it is none it lies on the axis
    player=_player,  # a task states the share of the better one
)


def measures(records: Iterable[Record]) -> tuple[Measure, ...]:
    """What is drawn of these: the loss, or both shares where graphs are answered."""
    return (WRONG, SOLVED) if any(SOLVED.value(one) is not None for one in records) else (LOSS,)


def titled(panel: str, measure: Measure) -> str:
    """What stands above a figure of a panel."""
    return f"{panel}: {measure.name}" if panel and measure.name else panel or measure.name


def lowest(measure: Measure, records: Sequence[tuple[Arm | Record, Record]]) -> float:
    """Where a share of wrong answers of 0 is drawn, as it has no place on a logarithmic axis.

    That is one wrong answer among all that were asked, of the record that was asked most, and no more than what was measured. Each
    record comes with the arm or test that says how many answers a graph asks for. Without a 0 nothing is moved.
    """
    values = measure.of(one for _, one in records)
    if measure is not WRONG or min(values, default=1.0) > 0:
        return -math.inf
    one = [1 / (record["sequences"] * (asked.get("answers") or 1)) for asked, record in records if record.get("sequences")]
    return min([*one, *(value for value in values if value > 0)], default=1.0)


def zeros(measure: Measure, low: float) -> str:
    """How what has no place is drawn, in words."""
    return f"What has no wrong answer stands at {number(low, 2)}, as one among all would." if low > 0 else ""


def value_axis(measure: Measure, title: str, shown: Iterable[float | None], low: float, unit: str) -> dict[str, Any]:
    """The axis of a measure: `title` and unit for the loss. The share of wrong answers is logarithmic, over a decade at least."""
    if measure is SOLVED:
        return axis(measure.title, log=False) | {"range": [-0.03, 1.05]}
    if measure is LOSS:
        return _arms.loss_axis(f"{title} ({safe(unit)})", shown)
    known = [max(low, value) for value in shown if value is not None]
    known = [value for value in known if value > 0] or [0.1, 1.0]
    return axis(measure.title) | log_range([min(*known, max(known) / 10), max(known)])

"""Decision: which of two groups is better at a place, or that nobody can tell. Decisions: those on all pairs (`decide.py`)."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pandas as pd

from allometry.fit.plain import plain
from allometry.fit.refusals import CannotTell
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """Does a beat b at the place?"""

    a: str
    b: str
    probability: float  # that the loss of a is lower
    verdict: str | None  # the better group, or None
    reason: str | None  # why there is no verdict
    difference: float  # ln loss of a minus that of b, mean of the laws' estimates
    low: float
    high: float
    factor: float  # how far the place is beyond what was fitted, the farther of the two groups; 1 within
    weights: dict[str, float]  # law -> weight
    growth: float  # lack of fit, ln loss for each factor e of distance, middle
    paired: bool  # the two have the same places, so that errors are those of the difference
    simple: str | None  # the better group at the largest value that both have
    simple_at: float

    @property
    def turned(self) -> "Decision":
        """The same for b against a."""
        return dataclasses.replace(
            self,
            a=self.b,
            b=self.a,
            probability=1 - self.probability,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
        )

    @property
    def text(self) -> str:
        said = f"{self.a} beats {self.b} with probability {self.probability:.2f}"
        said += f" (ln difference {self.difference:+.4f}, {self.low:+.4f} to {self.high:+.4f})"
        answer = f"{self.verdict}" if self.verdict else f"{self.reason}"
        return f"{said}: {answer}. At {self.simple_at:.3g}, the largest in common, {self.simple or 'neither'} is better."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decisions:
    """All pairs. `decisions.of("a", "b")` is one of them."""

    variable: str
    place: float
    level: float
    pairs: tuple[Decision, ...]
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def of(self, a: str, b: str) -> Decision:
        """The decision on a against b, whichever of the two the table has first."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
            if (pair.a, pair.b) == (b, a):
                return pair.turned
        names = ", ".join(dict.fromkeys(name for pair in self.pairs for name in (pair.a, pair.b)))
        raise Refusal(f"There is no pair of '{a}' and '{b}'. Choose two of: {names}.")

    def verdict(self, a: str, b: str) -> str:
        """The better of two groups. Raises CannotTell."""
        found = self.of(a, b)
        if found.verdict is None:
            raise CannotTell(f"{found.text} Run both at larger {self.variable}, or with more seeds.")
        return found.verdict

    @property
    def table(self) -> pd.DataFrame:
        """One row for each pair."""
        return pd.DataFrame([dataclasses.asdict(pair) for pair in self.pairs])

    @property
    def text(self) -> str:
        called = sum(pair.verdict is not None for pair in self.pairs)
        head = (
            f"At {self.variable} = {self.place:.3g}, {called} of {len(self.pairs)} pairs are called at level {self.level:g}."
        )
        return "\n".join([head, *(pair.text for pair in self.pairs)])

    def to_json(self) -> dict[str, Any]:
        return plain(dataclasses.asdict(self) | {"text": self.text})

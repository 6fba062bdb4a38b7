"""Challenge: one change that might overturn a verdict, what the verdict is then, and whether it was overturned."""

import dataclasses
from collections.abc import Callable

from allometry.fit.audit.verdict import CANNOT, Verdict
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Challenge:
    """A row of the audit. `overturned` is None where the challenge could not be made; `note` then says why."""

    challenge: str  # kind: one run left out, another law, ...
    change: str  # in words
    of: str = ""  # what value is: lead (ln loss) | exponent | penalty (ln loss)
    value: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str | None = None
    overturned: bool | None = None
    note: str = ""


def answered(base: Verdict, now: Verdict, challenge: str, change: str, note: str = "") -> Challenge:
    """The row of a challenge that was made."""
    extra = ""
    if base.leader is not None and now.rival != base.rival:
        extra = f"nearest rival is now {now.rival}"
    if base.leader is None and base.overturned_by(now) and now.low <= base.value <= now.high:
        extra = "its own interval still holds the old value"
    return Challenge(
        challenge=challenge,
        change=change,
        of=base.of,
        value=now.value,
        low=now.low,
        high=now.high,
        verdict=now.said,
        overturned=base.overturned_by(now),
        note="; ".join(part for part in (extra, note) if part),
    )


def unchanged(base: Verdict, challenge: str, change: str, note: str) -> Challenge:
    """A change that cannot move the verdict."""
    return answered(base, base, challenge, change, note)


def refused(challenge: str, change: str, reason: Exception | str) -> Challenge:
    return Challenge(challenge=challenge, change=change, note=f"cannot be made: {reason}")


def tried(challenge: str, change: str, make: Callable[[], list[Challenge]]) -> list[Challenge]:
    """The rows that `make` gives, or one row with the reason why it gives none."""
    try:
        return make()
    except Refusal as refusal:
        return [refused(challenge, change, refusal)]


def penalty(change: str, value: float, ends: tuple[float, float], verdict: str | None, small: float, note: str) -> Challenge:
    """What mis-tuned rates must have cost (ln loss). It overturns where it is as small as rates usually cost."""
    return Challenge(
        challenge="learning rates",
        change=change,
        of="penalty",
        value=value,
        low=ends[0],
        high=ends[1],
        verdict=verdict or CANNOT,
        overturned=abs(value) < small,
        note=note,
    )

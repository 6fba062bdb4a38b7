"""Effective speedup: how many times the compute one family needs for what another reaches.

    at a loss L:      C_worse(L) / C_better(L)
    at a compute C:   C_worse(L_better(C)) / C

for laws of C with a floor, L = E + A C^-alpha, fitted or pinned, and for Chinchilla's law of N and D, where each draw spends
its compute at its best split. For laws of C with equal alpha and E this is
((L_worse - E) / (L_better - E))^(1/alpha), which means one number; so whether exponents and floors are equal is tested first.
Where the better one nears the worse one's floor the speedup has no bound, and the answer says so.
"""

import dataclasses
from typing import Any

import numpy as np

from allometry.fit.differences import interval, three
from allometry.fit.fits import Fit, Fits
from allometry.fit.optimum import best_loss, check_loss, least_compute, split
from allometry.fit.plain import plain
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speedup:
    """`b` reaches with 1 unit of compute what `a` reaches with `value` units."""

    a: str
    b: str
    value: float  # infinite: no compute brings a there
    low: float
    high: float
    at: str
    equal_exponents: bool | None  # None: not tested, the fits share them
    equal_floors: bool | None
    verdict: str | None  # the one that needs less compute, or None
    text: str

    def to_json(self) -> dict[str, Any]:
        return plain(dataclasses.asdict(self)) | {"unbounded": not np.isfinite(self.high)}


def speedup(fits: Fits, a: str, b: str, *, loss: float | None = None, compute: float | None = None) -> Speedup:
    """The speedup of b over a, with its interval at the level of the fits; draws of the two are paired where they are joint."""
    if (loss is None) == (compute is None):
        raise Refusal("speedup() is asked at a loss or at a compute; give one of loss= and compute=.")
    one, other = fits[a], fits[b]
    for each in (one, other):
        of_compute = set(each.law.names) - {"E"} == {"A", "alpha"} and each.law.variables == ("C",)
        if not of_compute and set(each.law.names) != {"E", "A", "B", "alpha", "beta"}:
            raise Refusal(
                "speedup() reads laws L = A C^-alpha, with a floor or without, and Chinchilla's law; "
                f"{each.group} was fitted by {each.law.name}. Fit law='power_floor', 'power' or 'chinchilla'."
            )
    if loss is None:
        assert compute is not None
        target = best_loss(other, compute)
        drawn = least_compute(one, target) / compute
        at = f"at {compute:.3g} FLOPs"
    else:
        check_loss(loss)
        target = np.full(len(one.samples["A"]), float(loss))
        taken = least_compute(other, target)
        if not np.isfinite(taken[0]):
            raise Refusal(
                f"A loss of {loss:g} is at or below the floor of {b}: no compute reaches it, so there is no speedup. "
                "Ask for a higher loss, or at a compute."
            )
        best_loss(other, float(taken[0]))  # refuses what is beyond the reach
        with np.errstate(invalid="ignore"):  # where neither gets there
            drawn = least_compute(one, target) / taken
        at = f"at a loss of {loss:g}"
    value, low, high = three(drawn, one.level, 0.0)
    equal = [_equal(one, other, name) for name in ("alpha", "beta") if name in one.law.names]
    exponents = None if equal == [None] * len(equal) else False not in equal
    floors = _equal(one, other, "E") if "E" in one.law.names and "E" in other.law.names else None
    verdict = b if low > 1 else a if high < 1 else None
    return Speedup(
        a=a,
        b=b,
        value=value,
        low=low,
        high=high,
        at=at,
        equal_exponents=exponents,
        equal_floors=floors,
        verdict=verdict,
        text=_text(a, b, value, low, high, at, exponents, one, target[0]),
    )


def _equal(one: Fit, other: Fit, name: str) -> bool | None:
    """Does the interval of the difference hold 0? None where both have the very same number."""
    if np.array_equal(one.samples[name], other.samples[name]):
        return None
    # The estimate's own difference must be 0 for the exact equality of pinned values.
    low, high = interval((one.samples[name] - other.samples[name])[1:], one.level)
    return bool(low <= 0 <= high)


def _text(
    a: str, b: str, value: float, low: float, high: float, at: str, equal: bool | None, one: Fit, target: float
) -> str:
    middle, bottom, top = (f"{number:.3g}" if np.isfinite(number) else "unbounded" for number in (value, low, high))
    text = f"{a} needs {middle} times the compute of {b} {at} ({bottom} to {top})."
    if not np.isfinite(high):
        text += (
            f" The loss {target:.4g} is near the floor of {a}: run {a} larger, or pin the floor with pinned={{'E': ...}}."
        )
    if equal is False:
        text += " Their exponents differ, so the number holds at this place only."
    needed = float(least_compute(one, np.full(len(one.samples["A"]), target))[0])
    if one.law.variables != ("C",):
        try:
            split(one, needed)
        except Refusal as refusal:
            text += f" It asks {a} for {needed:.3g} FLOPs: {refusal}"
        return text
    smallest, largest = one.range["C"]
    if np.isfinite(needed) and not smallest / one.reach <= needed <= one.reach * largest:
        far = (
            f"{needed / largest:.3g} times its largest"
            if needed > largest
            else f"{needed / smallest:.3g} times its smallest"
        )
        text += f" It asks {a} for {far} run, beyond the reach of {one.reach:g}."
    return text

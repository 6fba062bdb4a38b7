"""A claim in one small drawing: the seeds of both sides on one log axis, and where they have to lie for a verdict."""

import math
from typing import Any

from allometry.report.numbers import brief, scientific

WIDTH, ROOM = 240.0, 12.0  # of the drawing, and at either side of the axis


def claim_strip(one: dict[str, Any]) -> dict[str, Any] | None:
    """Places in the drawing of an expectation of the bundle; None where there is nothing to draw or a loss is zero.

    `rows` are the two sides, each a list of (x, kind) with the kinds seed, beyond and diverged; `zones` are (kind, from, to) for
    good, where all seeds of the arm must lie for the claim to hold, and bad, where all must lie for it to be refuted.
    """
    others = (
        one["others"] if one["against"] else [{"value": one["level"], "beyond": False}] if one["level"] is not None else []
    )
    finite = [v["value"] for v in (*one["values"], *others) if v["value"] is not None]
    if not one["values"] or not others or not finite or min(finite) <= 0:
        return None
    low, high = _zones(one, [_range(v) for v in others])
    edges = [*finite, *(edge for edge in (*low, *high) if 0 < edge < math.inf)]
    start, stop = math.log10(min(edges)), math.log10(max(edges))
    slack = max(0.15, 0.08 * (stop - start))
    start, stop = start - slack, stop + slack

    def place(value: float) -> float:
        share = (math.log10(value) - start) / (stop - start) if 0 < value < math.inf else float(value > 0)
        return round(ROOM + (WIDTH - 2 * ROOM) * min(1.0, max(0.0, share)), 1)

    zones = [(kind, place(a), place(b)) for kind, (a, b) in (("good", low), ("bad", high)) if b > a]
    return {
        "rows": [[_dot(v, place) for v in one["values"]], [_dot(v, place) for v in others]],
        "level": not one["against"],
        "zones": zones,
        "ticks": [(place(value), text) for value, text in _ticks(start, stop)],
    }


def _zones(one: dict[str, Any], others: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a value of the arm surely fulfils the claim against all others, and where it surely violates it against all."""
    good, bad = (0.0, math.inf), (math.inf, math.inf)
    most, least = one.get("at_most"), one.get("at_least")
    smallest, largest = min(low for low, _ in others), max(high for _, high in others)
    if most is not None:
        good, bad = (0.0, most * smallest), (most * largest, math.inf)
    if least is not None:
        if most is not None:  # two bounds: what violates lies on both sides, and only the good zone is drawn
            return (least * largest, most * smallest), (math.inf, math.inf)
        good, bad = (least * largest, math.inf), (0.0, least * smallest)
    return good, bad


def _dot(value: dict[str, Any], place: Any) -> tuple[float, str]:
    if value["value"] is None:
        return WIDTH - ROOM, "diverged"
    return place(value["value"]), "beyond" if value["beyond"] else "seed"


def _range(value: dict[str, Any]) -> tuple[float, float]:
    """The smallest and the largest number that a value may be."""
    known = _infinite(value["value"])
    return 0.0 if value.get("within") else known, math.inf if value["beyond"] else known


def _infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _ticks(start: float, stop: float) -> list[tuple[float, str]]:
    """Two to four round numbers between two powers of ten."""
    powers = range(math.ceil(start), math.floor(stop) + 1)
    every = -(-len(powers) // 4) or 1
    found = [10.0**power for power in powers if power % every == 0]
    if len(found) < 2:
        found = [step * 10.0**power for power in range(math.floor(start), math.floor(stop) + 1) for step in (1, 2, 5)]
    inside = [value for value in found if start <= math.log10(value) <= stop]
    return [(value, brief(value) if 1e-3 <= value < 1e5 else scientific(value)) for value in inside]

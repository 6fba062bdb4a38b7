"""Who wins where, as a band along a cost axis: one segment per region, as wide as the region is on a log scale."""

import math
from typing import Any

from allometry.report.numbers import plain, probability
from allometry.report.tables import AXES, CANNOT_TELL, cost_text

_TICK_ROOM = 17  # percent of the width that a tick's label needs on a phone


def strip(answer: dict[str, Any], axis: str) -> dict[str, Any]:
    """The band of one axis: `segments` and `ticks` with places in percent of the width. No regions give no segments.

    A segment has `winner` (or None), `label`, `share` (text), `tip`, `left`, `width` and `parts`: the probability of each
    family in percent, which the page draws as a stack.
    """
    regions = [r for r in plain((answer.get("regions") or {}).get(axis) or []) if _drawable(r)]
    name, unit = AXES[axis]
    unit = "" if axis in ("seconds", "memory") else unit  # there each number has its own
    said = f" {unit}" if unit else ""
    band: dict[str, Any] = {"axis": axis, "name": name, "unit": unit, "segments": [], "ticks": []}
    if not regions:
        return band
    first = math.log(min(r["low_cost"] for r in regions))
    span = math.log(max(r["high_cost"] for r in regions)) - first

    def place(cost: float) -> float:
        return round(100 * (math.log(cost) - first) / span, 3)

    for region in regions:
        shares = {family: share for family, share in (region.get("probability") or {}).items() if share}
        winner = region.get("winner")
        left, right = place(region["low_cost"]), place(region["high_cost"])
        best = max(shares, key=lambda family: shares[family], default=None)
        text = "; ".join(f"{family} {probability(share)}" for family, share in sorted(shares.items(), key=lambda i: -i[1]))
        reach = f"{cost_text(axis, region['low_cost'])} to {cost_text(axis, region['high_cost'])}"
        band["segments"].append(
            {
                "left": left,
                "width": round(right - left, 3),
                "winner": winner,
                "label": winner or CANNOT_TELL,
                "share": probability(shares[winner]) if winner in shares else _lead(best, shares),
                "tip": f"{reach}{said}: {text or 'no draws'}. {region.get('reason') or ''}",
                "parts": [(family, round(100 * share, 2)) for family, share in shares.items()],
            }
        )
    edges = sorted({r["low_cost"] for r in regions} | {r["high_cost"] for r in regions})
    band["ticks"] = _spaced([(place(edge), cost_text(axis, edge)) for edge in edges])
    return band


def _drawable(region: dict[str, Any]) -> bool:
    low, high = region.get("low_cost"), region.get("high_cost")
    return low is not None and high is not None and 0 < low < high


def _lead(best: str | None, shares: dict[str, float]) -> str:
    return f"{best} {probability(shares[best])}" if best else ""


def _spaced(ticks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    kept = [ticks[0]]
    for tick in ticks[1:-1]:
        if tick[0] - kept[-1][0] >= _TICK_ROOM and ticks[-1][0] - tick[0] >= _TICK_ROOM:
            kept.append(tick)
    return [*kept, ticks[-1]]

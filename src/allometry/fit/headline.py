"""The answer in three lines: who wins and how surely, by how much, what to distrust."""

from typing import Any

import numpy as np


def flops(value: float) -> str:
    """Two digits: 3.2e9 FLOPs."""
    return f"{short(value)} FLOPs"


def short(value: float) -> str:
    """A cost in two digits.

    >>> short(3.16e9), short(1e10)
    ('3.2e9', '1e10')
    """
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def percent(ln_difference: float) -> str:
    """0.031 in ln is 3.1 %; a tenth of a percent is as fine as it gets."""
    return f"{100 * abs(np.expm1(ln_difference)):.1f} %"


def headline(answer: dict[str, Any]) -> list[str]:
    """Three plain sentences from the rest of the answer."""
    order = _ranking(answer)
    if not order:
        return [
            "Nothing can be compared: no scored run ended with a loss.",
            "There is no difference to report.",
            _distrust(answer),
        ]
    if len(order) == 1:
        only = [row for row in answer["frontier"] if row["family"] == order[0]]
        best = only[-1]
        return [
            f"Only {order[0]} has runs that ended well, so there is nothing to compare it with.",
            f"At {flops(best['budget'])} it reaches {best['loss']:.3f} {answer['unit']} "
            f"[{best['low']:.3f}, {best['high']:.3f}].",
            _distrust(answer),
        ]
    return [_who(answer, order), _how_much(answer, order), _distrust(answer)]


def _ranking(answer: dict[str, Any]) -> list[str]:
    """Families with a frontier, best first: by the mean difference to all others, overall."""
    present = list(dict.fromkeys(row["family"] for row in answer["frontier"]))
    score = dict.fromkeys(present, 0.0)
    for pair in answer["pairs"]:
        gap = pair["overall"]["ln_difference"]
        if gap is not None:
            score[pair["a"]] += gap
            score[pair["b"]] -= gap
    return sorted(present, key=lambda family: score[family])


def _pair(answer: dict[str, Any], a: str, b: str) -> dict[str, Any]:
    return next(pair for pair in answer["pairs"] if {pair["a"], pair["b"]} == {a, b})


def _who(answer: dict[str, Any], order: list[str]) -> str:
    first = order[0]
    span = f"from {short(answer['budgets'][0])} to {flops(answer['budgets'][-1])}"
    close = [other for other in order[1:] if _pair(answer, first, other)["overall"]["verdict"] is None]
    won = [region for region in answer["regions"]["flops"] if region["winner"]]
    shares = [region["probability"].get(first, 0.0) for region in answer["regions"]["flops"]]
    surely = f"(in {100 * float(np.mean(shares)):.0f} % of the draws)" if shares else ""
    if not close:
        line = f"{first} has the lowest loss on average {span} {surely}."
    elif len(close) == len(order) - 1:
        line = f"Cannot tell which is best overall {span}: {', '.join([first, *close])} are too close."
    else:
        line = f"Cannot tell {', '.join([first, *close])} apart overall {span}; the others are worse."
    if close or len({region["winner"] for region in won}) > 1:
        parts = [f"{r['winner']} from {short(r['low_cost'])} to {flops(r['high_cost'])}" for r in won]
        line += f" By region: {'; '.join(parts)}." if parts else ""
    return line


def _how_much(answer: dict[str, Any], order: list[str]) -> str:
    pair = _pair(answer, order[0], order[1])
    overall, sign = pair["overall"], 1 if pair["a"] == order[0] else -1
    if overall["ln_difference"] is None:
        return f"{order[0]} and {order[1]} have no budget in common, so their difference is not known."
    gap = sign * overall["ln_difference"]
    ends = sorted((sign * overall["low"], sign * overall["high"]))
    low, high = 100 * np.expm1(ends[0]), 100 * np.expm1(ends[1])
    side = "below" if gap < 0 else "above"
    text = f"On average the loss of {order[0]} is {percent(gap)} {side} that of {order[1]} "
    text += f"(interval {low:+.1f} to {high:+.1f} %)"
    known = [row for row in pair["budgets"] if row["multiplier"] is not None]
    if known:
        who = "it" if sign > 0 else order[1]
        row = known[-1]
        return f"{text}; at {flops(row['budget'])} {who} needs {row['multiplier']:.2f} times the compute for the same loss."
    return f"{text}; the difference in compute lies outside the range that was run."


def _distrust(answer: dict[str, Any]) -> str:
    warnings = answer["warnings"]
    detectable = [pair["detectable_ln"] for pair in answer["pairs"] if pair["detectable_ln"] is not None]
    text = f"Differences under {percent(max(detectable))} would mostly go unseen." if detectable else "To distrust:"
    if warnings:
        more = f" (and {len(warnings) - 1} more warnings)" if len(warnings) > 1 else ""
        return f"{text} {warnings[0]['text'].rstrip('.')}{more}."
    return f"{text} Nothing else stands out."

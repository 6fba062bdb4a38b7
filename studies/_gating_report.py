"""The page of gating.py: tables with intervals, and what became of each expectation."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

Z = 1.96  # intervals at 95 %
NEVER = math.inf
SUMMED, PRODUCT, CLOSING, CHAIN = "two units, summed", "output gating, -1/+1", "output gating, 0/1", "multiplexing"
GATED = (CLOSING, PRODUCT, "synaptic gating, -1/+1", "additive synaptic, -1/+1", "activation gating, -1/+1, outer bias")

Interval = tuple[float, float, float]  # estimate, low, high


def wilson(share: float, trials: float) -> Interval:
    """Wilson's interval of a share of so many trials."""
    middle, spread = share + Z**2 / (2 * trials), Z * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    scale = 1 + Z**2 / trials
    return share, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def firsts(part: dict[str, Any], which: str) -> ndarray:
    """Steps to each function, [restarts functions], infinite where a run never found it."""
    steps = np.array(part["parts"][which]["first"], float)
    return np.where(steps < 0, NEVER, steps)


def complete(part: dict[str, Any], which: str) -> bool:
    """Whether these are all functions there are, and none was drawn."""
    return len(part["parts"][which]["tables"]) == part["realised" if which == "own" else "shared"]


def by_all(part: dict[str, Any], which: str = "own") -> Interval:
    """The share of functions that at least one restart found. Where all functions are there, it is a count, without an interval."""
    found = np.isfinite(firsts(part, which)).any(0)
    share = float(found.mean())
    return (share, share, share) if complete(part, which) else wilson(share, len(found))


def by_one(part: dict[str, Any], which: str) -> Interval:
    """The chance that one run finds a function, on average over functions.

    Runs of one function have a chance in common. The interval takes as many trials as the spread is worth: within functions alone
    where all are there, within and between them where they were drawn.
    """
    found = np.isfinite(firsts(part, which))
    runs, functions = found.shape
    rates = found.mean(0)
    share = float(rates.mean())
    within = (rates * (1 - rates) / (runs - 1)).sum() / functions**2
    variance = within if complete(part, which) else rates.var(ddof=1) / functions
    trials = runs * functions if complete(part, which) else functions
    if variance > 0:
        trials = min(runs * functions, share * (1 - share) / variance)
    return wilson(share, trials)


def half(part: dict[str, Any], which: str) -> Interval:
    """Steps by which half of the runs have found their function, with an interval over functions."""
    steps = firsts(part, which)
    draws = np.random.default_rng(0).integers(steps.shape[1], size=(400, steps.shape[1]))
    medians = np.array([_median(steps[:, some]) for some in draws])
    return _median(steps), *(float(np.quantile(medians, q, method="inverted_cdf")) for q in (0.025, 0.975))


def _median(steps: ndarray) -> float:
    return float(np.sort(steps.ravel())[steps.size // 2])


def difference(one: Interval, other: Interval) -> Interval:
    """Of two shares, by Newcombe's interval from Wilson's."""
    low = math.hypot(one[0] - one[1], other[2] - other[0])
    high = math.hypot(one[2] - one[0], other[0] - other[1])
    return one[0] - other[0], one[0] - other[0] - low, one[0] - other[0] + high


Parts = dict[tuple[int, str], dict[str, Any]]


def above(found: Interval, least: float) -> str:
    return "confirmed" if found[1] > least else "refuted" if found[2] < least else "cannot tell"


def _first(parts: Parts) -> tuple[str, str]:
    shares = {name: by_all(parts[3, name])[0] for name in GATED}
    return (
        "confirmed" if min(shares.values()) >= 0.95 else "refuted",
        "; ".join(f"{name}: {percent(s)}" for name, s in shares.items()),
    )


def _compared(n: int, name: str, than: str, which: str) -> Callable[[Parts], tuple[str, str]]:
    def judged(parts: Parts) -> tuple[str, str]:
        one, other = (by_one(parts[n, circuit], which) for circuit in (name, than))
        apart = difference(one, other)
        return above(apart, 0), f"{percent(one)} against {percent(other)}, difference {percent(apart, sign=True)}"

    return judged


def _fifth(parts: Parts) -> tuple[str, str]:
    shares = {name: by_all(part) for (n, name), part in parts.items() if n == 4}
    verdicts = {above(share, 0.5) for share in shares.values()}
    least = min(shares, key=lambda name: shares[name][0])
    verdict = "confirmed" if verdicts == {"confirmed"} else "refuted" if "refuted" in verdicts else "cannot tell"
    return verdict, f"the least: {least}, {percent(shares[least])}"


def _sixth(parts: Parts) -> tuple[str, str]:
    one, other = (half(parts[4, name], "common") for name in (PRODUCT, SUMMED))
    verdict = "confirmed" if one[2] < other[1] else "refuted" if one[1] >= other[2] else "cannot tell"
    return verdict, f"{steps(one)} against {steps(other)}"


EXPECTED: dict[str, Callable[[Parts], tuple[str, str]]] = {
    "1. n = 3: 16 restarts find at least 95 % of the functions of every gated circuit": _first,
    "2. n = 4, common functions: a run of output gating in -1/+1 finds more than one of two summed units": _compared(
        4, PRODUCT, SUMMED, "common"
    ),
    "3. n = 4, common functions: a run of output gating in -1/+1 finds more than one in 0/1": _compared(
        4, PRODUCT, CLOSING, "common"
    ),
    "4. n = 4, own functions: a run of output gating in -1/+1 finds more than one of multiplexing": _compared(
        4, PRODUCT, CHAIN, "own"
    ),
    "5. n = 4: every circuit finds more than half of its functions": _fifth,
    "6. n = 4, common functions: half of the runs are there sooner in output gating in -1/+1 than in two summed units": _sixth,
}


def percent(share: float | Interval, sign: bool = False) -> str:
    """In per cent, with the interval where there is one."""
    plus = "+" if sign else ""
    if not isinstance(share, tuple):
        return f"{100 * share:{plus}.1f} %"
    inside = "" if share[1] == share[2] else f" [{100 * share[1]:{plus}.1f}, {100 * share[2]:{plus}.1f}]"
    return f"{100 * share[0]:{plus}.1f} %{inside}"


def steps(number: Interval) -> str:
    said = ["never" if math.isinf(one) else f"{one:.0f}" for one in number]
    return f"{said[0]} [{said[1]}, {said[2]}]"


def written(found: list[dict[str, Any]]) -> str:
    """The page."""
    parts = {(part["asked"]["inputs"], part["asked"]["circuit"]): part for part in found}
    lines = [
        "# Trained capacity: results of studies/gating.py",
        "",
        "Written by `python studies/gating.py --out studies/results/gating`, whose first lines say what was done and expected.",
        "Brackets are 95 % intervals; shares of all functions that there are have none. A run is one start of one circuit towards",
        "one function.",
        "",
        "## Expectations",
        "",
        "| expected before the first run | verdict | measured |",
        "|---|---|---|",
        *(
            f"| {text} | **{verdict}** | {seen} |"
            for text, (verdict, seen) in ((t, judge(parts)) for t, judge in EXPECTED.items())
        ),
    ]
    for n in sorted({n for n, _ in parts}):
        rows = [part for (inputs, _), part in parts.items() if inputs == n]
        lines += ["", f"## {n} inputs", "", *_table(rows)]
    outside = sum(part["outside"] for part in found)
    seconds = sum(part["seconds"] for part in found)
    lines += [
        "",
        "Steps are counted to the first look, every 10 steps, at which a run's hard circuit computed its function; some lose it",
        "again, which the share right at the end tells (of own and common functions together). Steps to half are of all runs,",
        "those that never came among them; each circuit has a rate of its own, chosen for the share found. An edge is the largest",
        "or smallest rate tried.",
        "Trained bits: log2 of the functions that all restarts together find, for drawn ones estimated from their share.",
        "",
        f"Hard circuits outside the exact set of their kind: {outside}. Processor time: {seconds / 60:.1f} minutes.",
        "",
    ]
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    runs, shared = rows[0]["asked"]["restarts"][0], rows[0]["shared"]
    some = rows[-1]["parts"]["common"]["tables"]
    lines = [
        f"`own`: functions that the circuit realises; `common`: {len(some)} of the {shared} that all with two units do.",
        "",
        f"| circuit | numbers learned | realises | bits | found by {runs} runs, own | trained bits | by one run, own |"
        " steps to half, own | of them right at the end | by one run, common | steps to half, common | rate |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for part in rows:
        every = by_all(part)
        bits = math.log2(part["realised"])
        trained = math.log2(part["realised"] * every[0])
        rate = part["rate"]
        edge = " (edge)" if rate in (part["asked"]["rates"][0], part["asked"]["rates"][-1]) else ""
        common = [percent(by_one(part, "common")), steps(half(part, "common"))]
        if part["asked"]["circuit"] == "threshold unit":
            common = ["", ""]
        cells = [
            part["asked"]["circuit"],
            str(part["asked"]["numbers"]),
            f"{part['realised']:,}",
            f"{bits:.2f}",
            percent(every),
            f"{trained:.2f}",
            percent(by_one(part, "own")),
            steps(half(part, "own")),
            percent(part["at_the_end"]),
            *common,
            f"{rate:g}{edge}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines

"""Learning rates: what mis-tuned rates must have cost to overturn a verdict.

A mis-tuned run has a higher loss than it could have had. If all runs of a rival are worse by a share p, its law is shifted by
ln(1 - p) and nothing else, so the lead itself is the penalty that undoes it. A penalty on the largest runs alone, or one that
grows with size, bends the law: those are fitted anew, for a grid of penalties.
"""

import numpy as np
from jaxtyping import Float

from allometry.fit.audit.best_split import sizes_of
from allometry.fit.audit.challenge import Challenge, answered, penalty, tried
from allometry.fit.audit.ends import at_end
from allometry.fit.audit.verdict import Judged, read_value
from allometry.fit.refusals import CannotTell
from allometry.fit.solve.search import again

SMALL = 0.01  # ln loss: a penalty that tuned studies do not rule out; compare() allows 0.002 where rates were swept
PENALTIES = np.linspace(0.0, 0.2, 41)  # ln loss


def rates(judged: Judged) -> list[Challenge]:
    make = _leads if judged.verdict.leader is not None else _exponents
    return tried("learning rates", "a penalty on the loss", lambda: make(judged))


def _leads(judged: Judged) -> list[Challenge]:
    base = judged.verdict
    value, low, high, leader, rival = base.value, base.low, base.high, str(base.leader), str(base.rival)
    found = []

    def add(change: str, at: float, ends: tuple[float, float], verdict: str | None, note: str = "") -> None:
        found.append(penalty(change, at, ends, verdict, SMALL, note))

    if base.winner is None:
        # As long as rates are as unsure as that, "cannot tell" is all the more right: these do not overturn it.
        note = "that one would then be named"
        ends = {leader: max(-low, 0.0), rival: high}
        return [
            penalty(f"rates cost {name} {_share(end)} of its loss in all runs", end, (end, end), name, 0.0, note)
            for name, end in ends.items()
        ]
    add(f"rates cost {rival} {_share(low)} of its loss in all runs", low, (low, low), None, "the smallest that does")
    note = "its estimate is the lower one from here on"
    add(f"rates cost {rival} {_share(value)} of its loss in all runs", value, (low, high), None, note)
    add(f"rates cost {rival} {_share(high)} of its loss in all runs", high, (high, high), rival)
    return found + tried("learning rates", "a penalty on the largest runs only", lambda: [_largest(judged)])


def _share(ln_penalty: float) -> str:
    return f"{-np.expm1(-ln_penalty):.2%}"


def _largest(judged: Judged) -> Challenge:
    """The rival's largest runs alone were mis-tuned."""
    base, case = judged.verdict, judged.case
    index = case.read.groups.index(str(base.rival))
    size = sizes_of(case.read)
    here = case.read.group == index
    last = at_end(case, size, "largest")[here]
    moved = _refitted(judged, index, np.outer(PENALTIES, last))
    leads = base.value + moved - judged.values[index][0]
    at = _crossing(leads, base.value - base.low, -1)
    if at is None:
        raise CannotTell(
            f"mis-tuned by up to {_share(PENALTIES[-1])}, the {int(last.sum())} largest runs do not overturn it"
        )
    change = f"rates cost {base.rival} {_share(at)} of its loss in its {int(last.sum())} largest runs"
    return penalty(change, at, (at, at), None, SMALL, "if the interval of the lead is as wide as before")


def _refitted(judged: Judged, index: int, penalties: Float[np.ndarray, "sets rows"]) -> Float[np.ndarray, " sets"]:
    """The value of one group after its losses are made better by `penalties` (ln)."""
    _, loss = judged.case.data(index)
    part = judged.parts[index]
    lower = loss * np.exp(-penalties)
    return read_value(judged.case, part.posed.named(again(part.posed, lower, np.ones(lower.shape), part.found)))


def _crossing(values: Float[np.ndarray, " sets"], limit: float, sign: int) -> float | None:
    """The first penalty of the grid at which `sign` times the value is beyond that of the limit; a straight line between."""
    beyond = np.flatnonzero(sign * (values - limit) > 0)
    if not len(beyond) or beyond[0] == 0:
        return None
    right = int(beyond[0])
    share = (limit - values[right - 1]) / (values[right] - values[right - 1])
    return float(PENALTIES[right - 1] + share * (PENALTIES[right] - PENALTIES[right - 1]))


def _exponents(judged: Judged) -> list[Challenge]:
    base, case = judged.verdict, judged.case
    size = sizes_of(case.read)
    found = []
    for end in ("largest", "smallest"):
        last = at_end(case, size, end)
        lower = case.instead(case.read.loss * np.where(last, 1 - SMALL, 1.0))
        change = f"rates cost the {int(last.sum())} {end} runs {SMALL:.0%} of their loss"
        found += tried(
            "learning rates",
            change,
            lambda one=lower, c=change: [answered(base, judged.again(one), "learning rates", c)],  # type: ignore[misc]
        )
    x = np.log(size)
    share = (x - x.min()) / (x.max() - x.min())
    for shape, end in ((share, "largest"), (1 - share, "smallest")):
        values = _refitted(judged, 0, np.outer(PENALTIES, shape))
        places = [_crossing(values, base.high, 1), _crossing(values, base.low, -1)]
        reached = [place for place in places if place is not None]
        words = f"a penalty that grows with ln size, to {{}} at the {end}"
        if not reached:
            lower = case.instead(case.read.loss * np.exp(-PENALTIES[-1] * shape))
            found.append(answered(base, judged.again(lower), "learning rates", words.format(_share(PENALTIES[-1]))))
            continue
        at = min(reached)
        moved = float(np.interp(at, PENALTIES, values))
        found.append(penalty(words.format(_share(at)), at, (at, at), f"{moved:.3g}", SMALL, "moves it out of its interval"))
    return found

"""The ends of the range left out: the smallest and the largest sizes and budgets; and how well the rest predicted the largest."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from allometry.fit.best_split import flops_of, sizes_of
from allometry.fit.challenge import Challenge, answered, tried
from allometry.fit.rollout import rollout
from allometry.fit.verdict import Case, Judged

FEW = 10  # values of a variable, up to which the ends of a range are one value; of more, a fifth


def ends(judged: Judged, table: pd.DataFrame, names: dict[str, str], by: str | None) -> list[Challenge]:
    """The smallest and the largest left out, by size and by compute where a law knows both."""
    case = judged.case
    variables = {"budgets": flops_of(case.read)}
    if len(case.read.columns) > 1:
        variables = {"sizes": sizes_of(case.read)} | variables
    elif case.law.variables != ("C",):
        variables = {f"values of {case.law.variables[0]}": flops_of(case.read)}
    rows = []
    for what, values in variables.items():
        for end in ("smallest", "largest"):
            kind = f"{end} {what} left out"
            rows += tried(kind, "in every group", lambda v=values, e=end, k=kind: [_end(judged, v, e, k)])  # type: ignore[misc]
    said = tried("held-out prediction", "small runs against large ones", lambda: [_held_out(judged, table, names, by)])
    return rows + said


def _end(judged: Judged, values: Float[np.ndarray, " rows"], end: str, kind: str) -> Challenge:
    gone = at_end(judged.case, values, end)
    now = judged.again(judged.case.only(~gone))
    span = f"{values[gone].min():.3g} to {values[gone].max():.3g}"
    return answered(judged.verdict, now, kind, f"{int(gone.sum())} rows left out, of {span}")


def at_end(case: Case, values: Float[np.ndarray, " rows"], end: str) -> Bool[np.ndarray, " rows"]:
    """The rows of every group that have its smallest (largest) value; a fifth of the values where there are many."""
    gone = np.zeros(len(values), dtype=bool)
    for index in range(len(case.read.groups)):
        here = case.read.group == index
        places = np.unique(values[here])
        places = places if end == "smallest" else places[::-1]
        number = 1 if len(places) <= FEW else len(places) // 5
        gone |= here & np.isin(values, places[:number])
    return gone


def _held_out(judged: Judged, table: pd.DataFrame, names: dict[str, str], by: str | None) -> Challenge:
    """How well the rest predicted the largest runs; beside the lead, or the exponent's own doubt, this is what to believe."""
    law = judged.case.law
    size = "C" if {"C", "N", "D"} & set(law.variables) else law.variables[0]
    found = rollout(table, (law,), size=size, by=by, columns=names)
    error, base = found.scores[law.name], judged.verdict
    note = f"root mean square error of the largest runs, predicted from all smaller: {error:.2%}"
    bigger = base.leader is not None and base.winner is not None and error > abs(base.value)
    if bigger:
        note += f", more than the lead of {base.value:.2%}"
    return Challenge(
        challenge="held-out prediction", change="the largest from the rest", of="ln error", value=error, note=note
    )

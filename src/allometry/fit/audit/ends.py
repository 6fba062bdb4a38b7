"""The ends of the range left out: the smallest and the largest sizes and budgets; and how well the rest predicted the largest."""

import numpy as np
from jaxtyping import Bool, Float

from allometry.fit.audit.best_split import flops_of, sizes_of
from allometry.fit.audit.challenge import Challenge, answered, tried
from allometry.fit.audit.verdict import Case, Judged

FEW = 10  # values of a variable, up to which the ends of a range are one value; of more, a fifth


def ends(judged: Judged) -> list[Challenge]:
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
    return rows


def _end(judged: Judged, values: Float[np.ndarray, " rows"], end: str, kind: str) -> Challenge:
    gone = at_end(judged.case, values, end)
    now = judged.retry(judged.case.only(~gone))
    span = f"{values[gone].min():.3g} to {values[gone].max():.3g}"
    note = _held_out(judged, now, gone) if end == "largest" else ""
    return answered(judged.verdict, now.verdict, kind, f"{int(gone.sum())} rows left out, of {span}", note)


def _held_out(judged: Judged, now: Judged, gone: Bool[np.ndarray, " rows"]) -> str:
    """How well the rest predicted them, as the last step of a roll-out (`rollout.py`)."""
    errors = []
    for index, part in enumerate(now.parts):
        columns, loss = judged.case.data(index)
        out = gone[judged.case.read.group == index]
        at = {name: float(sample[0]) for name, sample in part.samples.items()}
        predicted = np.asarray(judged.case.law.predict(at, {name: values[out] for name, values in columns.items()}), float)
        errors.append(np.log(np.maximum(predicted, 1e-300) / loss[out]))
    error, base = float(np.sqrt(np.mean(np.concatenate(errors) ** 2))), judged.verdict
    note = f"the rest predicted them with an error of {error:.2%} (root mean square)"
    return note + (f", more than the lead of {base.value:.2%}" if base.winner is not None and error > base.value else "")


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

"""Roll-out: how well the small runs predicted the large ones, law by law; and the choice of a law by that.

A law that fits best in sample is often not the one that predicts best. Each law is fitted to the runs up to a size and asked
for all larger ones, for increasing sizes (Alabdulmohsin et al., 2022: judge by extrapolation).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from allometry.fit import rows
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.fit.plain import plain
from allometry.fit.refusals import TooFewPoints
from allometry.fit.solve.pose import pose
from allometry.fit.solve.search import search

CUTS = 6  # sizes at which the data are cut


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Rollout:
    """`table`: one row for each group, law, cut and predicted size. `scores`: root mean square ln error on the largest size."""

    table: pd.DataFrame
    scores: dict[str, float]  # by law
    choice: str

    @property
    def text(self) -> str:
        ranked = ", ".join(f"{name} {score:.2%}" for name, score in sorted(self.scores.items(), key=lambda item: item[1]))
        return f"Held-out error on the largest runs: {ranked}. Of laws within a tenth of the best, the simplest is {self.choice}."

    def to_json(self) -> dict[str, Any]:
        return plain(
            {"rows": self.table.to_dict("records"), "scores": self.scores, "choice": self.choice, "text": self.text}
        )


def rollout(
    table: pd.DataFrame,
    laws: Sequence[Any] = ("power", "power_floor"),
    *,
    size: str = "C",
    by: str | None = "family",
    columns: Mapping[str, str] | None = None,
    mixed: bool = False,
) -> Rollout:
    """Fit on the runs with `size` (a variable of the laws) up to a cut, predict the larger ones, for increasing cuts."""
    chosen = [law_of(law, columns or ()) for law in laws]
    variables = tuple(dict.fromkeys([size, *(name for law in chosen for name in law.variables)]))
    read = rows.read(table, variables, by, columns or {}, mixed=mixed)
    found: list[dict[str, Any]] = []
    for index, group in enumerate(read.groups):
        here = read.group == index
        data = {name: values[here] for name, values in read.columns.items()}
        for cut in cuts(data[size]):
            for law in chosen:
                found += _predictions(law, data, read.loss[here], size, cut, group)
    if not found:
        raise TooFewPoints(
            f"No law of {', '.join(law.name for law in chosen)} has more points than parameters below the largest {size}. "
            "Add smaller runs, or laws with fewer parameters."
        )
    frame = pd.DataFrame(found)
    last = frame[frame["last"]]
    scores = {name: float(np.sqrt((part["ln_error"] ** 2).mean())) for name, part in last.groupby("law", sort=False)}
    best = min(scores.values())
    simple = [law for law in chosen if law.name in scores and scores[law.name] <= best * 1.1]
    return Rollout(table=frame, scores=scores, choice=min(simple, key=lambda law: len(law.parameters)).name)


def cuts(values: np.ndarray) -> list[float]:
    """Sizes below the largest, at most CUTS of them, evenly among the sizes that there are."""
    sizes = np.unique(values)[:-1]
    if len(sizes) <= CUTS:
        return [float(value) for value in sizes]
    return [float(sizes[i]) for i in np.unique(np.linspace(len(sizes) // 3, len(sizes) - 1, CUTS).astype(int))]


def _predictions(
    law: Law, data: dict[str, np.ndarray], loss: np.ndarray, size: str, cut: float, group: str
) -> list[dict[str, Any]]:
    small = data[size] <= cut
    places = {name: data[name] for name in law.variables}
    if small.sum() <= len(law.parameters) or any(len(np.unique(values[small])) < 2 for values in places.values()):
        return []
    posed = pose(law, {name: values[small] for name, values in places.items()}, law.criterion, {})
    found = search(posed, loss[small], np.ones(int(small.sum())))
    at = {name: float(value[0]) for name, value in posed.named(found.values[None]).items()}
    predicted = np.asarray(law.predict(at, {name: values[~small] for name, values in places.items()}), dtype=float)
    largest = data[size].max()
    last_cut = cut == np.unique(data[size])[-2] if len(np.unique(data[size])) > 1 else False
    return [
        {
            "family": group,
            "law": law.name,
            "points": int(small.sum()),
            "up_to": cut,
            "at": float(value),
            "factor": float(value / cut),
            "predicted": float(guess),
            "measured": float(truth),
            "ln_error": float(np.log(guess / truth)),
            "last": bool(last_cut and value == largest),
        }
        for value, guess, truth in zip(data[size][~small], predicted, loss[~small], strict=True)
    ]

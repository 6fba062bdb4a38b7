"""Three ways to the compute-optimal size, side by side (Hoffmann et al., 2022): envelope, isoFLOP levels, parametric law.

They see different things: where they disagree by more than their intervals, one of their assumptions fails.
"""

# ruff: noqa: N803, N806 - N, D and C are the letters of the field

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from allometry.fit import rows
from allometry.fit.estimate import fit
from allometry.fit.isoflop import IsoFlop, isoflop, line
from allometry.fit.optimum import split
from allometry.fit.plain import plain
from allometry.fit.refusals import NoInteriorMinimum, TooFewLevels
from allometry.flow import Refusal

PLACES = 40  # of compute, where the envelope is read


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Approaches:
    """One row for each approach: exponent of N* in C with its interval, N* at the asked compute, or why there is none."""

    table: pd.DataFrame
    notes: tuple[str, ...]
    parabola: IsoFlop | None
    akima: IsoFlop | None

    def to_json(self) -> dict[str, Any]:
        levels = {name: part.to_json() for name, part in (("parabola", self.parabola), ("akima", self.akima)) if part}
        return plain({"approaches": self.table.to_dict("records"), "notes": list(self.notes), "isoflop": levels})


def approaches(
    table: pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    C: float | None = None,
    cluster: Sequence[str] = (),
    mixed: bool = False,
    level: float = 0.9,
    draws: int = 300,
    seed: int = 0,
) -> Approaches:
    """All three on one table with N, D and loss (C where it is not 6 N D). `C` asks for N* there; default: the largest."""
    read = rows.read(table, ("N", "D", "C"), None, columns or {}, cluster=cluster, mixed=mixed)
    N, flops, loss = read.columns["N"], read.columns["C"], read.loss
    asked = float(C or flops.max())
    found: list[dict[str, Any]] = []
    notes = list(read.notes)

    def add(name: str, exponent: float, low: float, high: float, coefficient: float) -> None:
        size = {"N": coefficient * asked**exponent, "C": asked}
        found.append({"approach": name, "exponent": exponent, "low": low, "high": high} | size | {"reason": None})

    def refuse(name: str, refusal: Refusal) -> None:
        empty = dict.fromkeys(("exponent", "low", "high", "N"))
        found.append({"approach": name} | empty | {"C": asked, "reason": f"{type(refusal).__name__}: {refusal}"})

    try:
        add("envelope", *envelope(N, flops, loss, read.run, level))
    except Refusal as refusal:
        refuse("envelope", refusal)
    ways: dict[str, IsoFlop | None] = {"parabola": None, "akima": None}
    for method in ways:
        try:
            one = isoflop(N, flops, loss, method=method, level=level)
            ways[method] = one
            add(f"isoFLOP, {method}", one.exponent, one.low, one.high, one.coefficient)
            notes += [f"isoFLOP, {method}: {text}" for text in _levels_in_words(one)]
        except Refusal as refusal:
            refuse(f"isoFLOP, {method}", refusal)
    both = ways["parabola"], ways["akima"]
    if both[0] and both[1] and not both[0].low <= both[1].exponent <= both[0].high:
        notes.append(
            f"The parabola gives {both[0].exponent:.3f} and Akima's interpolation {both[1].exponent:.3f}: the levels are "
            "lopsided, which biases the parabola. Trust the parametric fit, or run sizes on both sides of each minimum"
        )
    try:
        settings: dict[str, Any] = {"draws": draws, "seed": seed, "level": level}
        one_fit = fit(table, law="chinchilla", by=None, columns=columns, cluster=cluster, mixed=mixed, **settings)["all"]
        best = split(one_fit, asked)
        ends = dict(zip(("exponent", "low", "high"), best.exponent, strict=True))
        found.append({"approach": "parametric", **ends, "N": best.N[0], "C": asked, "reason": None})
        notes += [f"parametric: {flag}" for flag in one_fit.flags]
    except Refusal as refusal:
        refuse("parametric", refusal)
    return Approaches(table=pd.DataFrame(found), notes=tuple(notes), parabola=both[0], akima=both[1])


def _levels_in_words(found: IsoFlop) -> list[str]:
    """Its findings, with the levels that have no minimum counted instead of listed."""
    without = [finding for finding in found.findings if isinstance(finding, NoInteriorMinimum)]
    others = [str(finding) for finding in found.findings if finding not in without]
    if not without:
        return others
    return [
        f"{len(without)} of {len(found.levels)} levels have no interior minimum and are left out (first: {without[0]})",
        *others,
    ]


def envelope(
    N: Float[np.ndarray, " rows"],
    C: Float[np.ndarray, " rows"],
    loss: Float[np.ndarray, " rows"],
    run: Int[np.ndarray, " rows"],
    level: float = 0.9,
) -> tuple[float, float, float, float]:
    """Approach 1: which run has the lowest loss at each compute, and a line through its size. Needs training curves.

    Checkpoints of one run are one curve of loss over C. Places where the best run is the smallest or largest are left out.
    """
    names, counts = np.unique(run, return_counts=True)
    curves = [np.flatnonzero(run == name) for name, count in zip(names, counts, strict=True) if count >= 3]
    if len(curves) < 4:
        raise TooFewLevels(
            f"{len(curves)} runs have a training curve of 3 points or more; the envelope needs 4. "
            "Record losses during training, with a column `run`, or use another approach."
        )
    places = np.geomspace(C.min(), C.max(), PLACES)
    heights = np.full((len(curves), PLACES), np.inf)
    sizes = np.array([N[curve].mean() for curve in curves])
    for row, curve in enumerate(curves):
        order = curve[np.argsort(C[curve])]
        inside = (places >= C[order[0]]) & (places <= C[order[-1]])
        heights[row, inside] = np.interp(np.log(places[inside]), np.log(C[order]), np.log(loss[order]))
    best = heights.argmin(axis=0)
    running = np.isfinite(heights)
    interior = [
        running[:, i].sum() >= 3 and sizes[running[:, i]].min() < sizes[best[i]] < sizes[running[:, i]].max()
        for i in range(PLACES)
    ]
    # One point for each run on the envelope: the middle of the compute over which it is the best.
    used = sorted({int(best[i]) for i in range(PLACES) if interior[i]})
    middle = [np.exp(np.log(places[np.array(interior) & (best == row)]).mean()) for row in used]
    return line(np.array(middle), sizes[used], np.ones(len(used)), level)

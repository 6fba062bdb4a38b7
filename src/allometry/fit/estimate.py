"""fit: a law fitted to a table of runs, with intervals, draws, reach and diagnosis.

A study's table (docs/answer.md) is fitted on each family's frontier, with the draws of the whole study. Any other table is
fitted on its rows. There, whole runs are resampled where a group has many (5 for each parameter); with fewer, resamples
would often hold too few distinct points, so the residual scatter is drawn anew, widened for its few degrees of freedom.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry.find import member
from allometry.fit import project, rows, trends
from allometry.fit.cells import is_study
from allometry.fit.fits import Fit, Fits
from allometry.fit.laws._law import Law
from allometry.fit.rows import Rows
from allometry.fit.shared import solve_shared
from allometry.fit.study import measure
from allometry.flow import Refusal

MANY = 5  # runs for each parameter, from which on runs are resampled


def fit(
    table: pd.DataFrame,
    *,
    law: str | Law = "power_floor",
    by: str | None = "family",
    columns: Mapping[str, str] | None = None,
    shared: Sequence[str] = (),
    draws: int = 1000,
    seed: int = 0,
    reach: float = 10.0,
    level: float = 0.9,
) -> Fits:
    """Fit a law to each group of a table.

    `columns` maps N, D, C, loss to the names that the table has; `shared=("E",)` gives all groups one floor.
    """
    chosen: Law = member("allometry.fit.laws", law)() if isinstance(law, str) else law
    unknown = set(columns or {}) - {*chosen.variables, "loss"}
    if unknown:
        roles = ", ".join((*chosen.variables, "loss"))
        raise Refusal(f"columns= names {', '.join(sorted(unknown))}, which {chosen.name} does not read. It reads: {roles}.")
    if set(shared) - {"E"} or (shared and "E" not in chosen.coefficients):
        raise Refusal(f"shared={tuple(shared)} cannot be shared in {chosen.equation}. Only a floor E can: shared=('E',).")
    if draws < 50 or not 0 < level < 1 or reach < 1:
        raise Refusal(
            f"draws={draws}, level={level}, reach={reach}: use at least 50 draws, 0 < level < 1 and reach of 1 or more."
        )
    if is_study(table) and chosen.variables == ("C",) and by == "family" and not columns:
        return _frontier(table, chosen, bool(shared), draws, seed, reach, level)
    return _rows(table, chosen, by, columns or {}, bool(shared), draws, seed, reach, level)


def _frontier(table: pd.DataFrame, law: Law, shared: bool, draws: int, seed: int, reach: float, level: float) -> Fits:
    study = measure(table, level=level, count=draws, seed=seed)
    frontier = study.frontier
    found = trends.trend(
        law, frontier.families, frontier.budgets, frontier.value, frontier.draws, level, shared=shared, kept=draws
    )
    fits = {}
    for index, family in enumerate(frontier.families):
        here = frontier.present[index]
        if np.isfinite(found.objective[index]):
            budgets = frontier.budgets[here]
            fits[family] = Fit(
                group=family,
                law=law,
                equation=found.equation,
                samples={name: value[index] for name, value in found.parameters.items()},
                objective=float(found.objective[index]),
                points=int(here.sum()),
                range={"C": (float(budgets.min()), float(budgets.max()))},
                reach=reach,
                level=level,
                method="draws of the study: seeds, learning rates",
                flags=found.flags[index],
            )
    if not fits:
        reasons = "; ".join(f"{name}: {', '.join(flags)}" for name, flags in zip(found.families, found.flags, strict=True))
        raise Refusal(
            f"No family has enough budgets for {law.name} ({reasons}). Add budgets, or use a law with fewer parameters."
        )
    notes = tuple(warning["text"] for warning in study.cells.warnings)
    return Fits(fits=fits, unit=study.cells.unit, notes=notes, source=table)


def _rows(
    table: pd.DataFrame,
    law: Law,
    by: str | None,
    columns: Mapping[str, str],
    shared: bool,
    draws: int,
    seed: int,
    reach: float,
    level: float,
) -> Fits:
    if "loss" not in columns and "loss" not in table and "bpb" in table:
        columns = {**columns, "loss": "bpb"}
    read = rows.read(table, law.variables, by, columns)
    counts = np.bincount(read.group)
    least = len(law.parameters) + 1 - (1 if shared else 0)
    few = [f"{group} has {count}" for group, count in zip(read.groups, counts, strict=True) if count < least]
    if few:
        raise Refusal(
            f"{law.name} has {len(law.parameters)} parameters, so a group needs at least {least} rows; {', '.join(few)}. "
            "Add runs, use a law with fewer parameters, or by=None for one fit of all."
        )
    middle = {name: float(np.exp(np.log(values).mean())) for name, values in read.columns.items()}
    generator = np.random.default_rng(seed)
    parts = _shared(law, read, middle, draws, generator) if shared else _apart(law, read, middle, draws, generator)
    fits = {}
    for index, (group, (coefficients, exponents, objective, method)) in enumerate(zip(read.groups, parts, strict=True)):
        here = read.group == index
        back = np.exp(np.einsum("se,te->st", exponents, law.logs({k: np.array([v]) for k, v in middle.items()})[:, :, 0]))
        samples = dict(zip(law.coefficients, (coefficients * back).T, strict=True))
        samples |= dict(zip(law.exponents, exponents.T, strict=True))
        fits[group] = Fit(
            group=group,
            law=law,
            equation=law.equation + (", one E for all groups" if shared else ""),
            samples=samples,
            objective=objective,
            points=int(counts[index]),
            range={name: (float(values[here].min()), float(values[here].max())) for name, values in read.columns.items()},
            reach=reach,
            level=level,
            method=method,
            flags=tuple(trends.diagnose(law, samples, int(counts[index]), level)),
        )
    unit = "bits per byte" if columns.get("loss") == "bpb" else "as given"
    return Fits(fits=fits, unit=unit, notes=read.notes, source=table)


Part = tuple[Float[np.ndarray, "sets terms"], Float[np.ndarray, "sets exponents"], float, str]


def _apart(law: Law, read: Rows, middle: dict[str, float], draws: int, generator: np.random.Generator) -> list[Part]:
    low, high = trends.bounds(law)
    grid = project.exponent_grid(len(low))
    parts: list[Part] = []
    for index in range(len(read.groups)):
        here = read.group == index
        logs = law.logs({name: values[here] / middle[name] for name, values in read.columns.items()})
        problem = project.Problem(logs=logs, mask=np.ones((len(logs), here.sum())), low=low, high=high, delta=law.delta)
        loss = read.loss[None, here]
        one = project.solve(problem, loss, np.ones(loss.shape), grid, steps=500)
        fitted = np.einsum("spt,st->sp", problem.basis(one.exponents), one.coefficients)
        drawn, weights, method = _resample(law, loss, fitted, read.run[here], draws, generator)
        rest = project.solve(problem, drawn, weights, grid)
        parts.append(
            (
                np.concatenate([one.coefficients, rest.coefficients]),
                np.concatenate([one.exponents, rest.exponents]),
                float(one.objective[0]),
                method,
            )
        )
    return parts


def _shared(law: Law, read: Rows, middle: dict[str, float], draws: int, generator: np.random.Generator) -> list[Part]:
    logs = law.logs({name: values / middle[name] for name, values in read.columns.items()})
    one = np.ones((1, len(read.loss)))

    def solve(loss: Float[np.ndarray, "sets rows"], weights: Float[np.ndarray, "sets rows"]) -> Any:
        return solve_shared(logs, read.group, trends.bounds(law), law.delta, loss, weights)

    problem, first = solve(read.loss[None], one)
    fitted = np.einsum("spt,st->sp", problem.basis(first.exponents), first.coefficients)
    drawn, weights, method = _resample(law, read.loss[None], fitted, read.run, draws, generator)
    found = solve(np.concatenate([read.loss[None], drawn]), np.concatenate([one, weights]))[1]
    terms, exponents = len(law.terms) - 1, len(law.exponents)
    parts: list[Part] = []
    for index in range(len(read.groups)):
        own = slice(1 + index * terms, 1 + (index + 1) * terms)
        coefficients = np.concatenate([found.coefficients[:, :1], found.coefficients[:, own]], axis=1)
        slopes = found.exponents[:, index * exponents : (index + 1) * exponents]
        mine = (read.group == index).astype(float)[None]
        objective = project.objective(problem, read.loss[None], mine, found.coefficients[:1], found.exponents[:1])
        parts.append((coefficients, slopes, float(objective[0]), method))
    return parts


def _resample(
    law: Law,
    loss: Float[np.ndarray, "1 rows"],
    fitted: Float[np.ndarray, "1 rows"],
    run: np.ndarray,
    draws: int,
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "draws rows"], Float[np.ndarray, "draws rows"], str]:
    """Losses and weights of each draw, and how they were made."""
    names, index = np.unique(run, return_inverse=True)
    if len(names) >= MANY * len(law.parameters):
        counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        return np.repeat(loss, draws, axis=0), counts[:, index.ravel()].astype(float), f"{len(names)} runs resampled whole"
    residual = np.log(loss / fitted)
    spare = max(1, loss.shape[1] - len(law.parameters))
    sd = np.sqrt((residual**2).sum() / spare * spare / generator.chisquare(spare, (draws, 1)))
    drawn = fitted * np.exp(sd * generator.standard_normal((draws, loss.shape[1])))
    return drawn, np.ones(drawn.shape), f"residual scatter drawn anew, Student's with {spare} degrees of freedom"

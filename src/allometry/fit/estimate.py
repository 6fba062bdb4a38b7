"""fit: a law fitted to a table of runs, with intervals, draws, reach and diagnosis.

A study's table (docs/answer.md) is fitted on each family's frontier, with the draws of the whole study. Any other table is
fitted on its rows, group by group, or jointly where groups share parameters (`sharing.py`).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry.fit import diagnosis, rows, trends
from allometry.fit.asked import check_asked
from allometry.fit.cells import is_study
from allometry.fit.criterion import LN, Criterion
from allometry.fit.diagnosis import Diagnosis
from allometry.fit.fits import Fit, Fits
from allometry.fit.laws._additive import Additive
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.fit.refusals import TooFewPoints
from allometry.fit.rows import Rows
from allometry.fit.sharing import jointly
from allometry.fit.solve.pose import pose
from allometry.fit.solve.profile import profiles
from allometry.fit.solve.resample import resample
from allometry.fit.solve.search import Found, again, search
from allometry.fit.study import measure
from allometry.flow import Refusal


def fit(
    table: pd.DataFrame,
    *,
    law: str | Law | type[Law] | Callable[..., Any] = "power_floor",
    by: str | None = "family",
    columns: Mapping[str, str] | None = None,
    shared: Sequence[str] = (),
    pinned: Mapping[str, float] | None = None,
    source: str = "",
    criterion: Criterion | None = None,
    cluster: Sequence[str] = (),
    noise: float | None = None,
    mixed: bool = False,
    strict: bool = False,
    draws: int = 1000,
    seed: int = 0,
    reach: float = 10.0,
    level: float = 0.9,
) -> Fits:
    """Fit a law to each group of a table.

    `columns` maps N, D, C, loss to the names that the table has. `shared=("E",)` gives all groups one floor; exponents can be
    shared too. `pinned={"E": 1.6}` holds parameters still, and `source` says where they are from. `criterion` replaces the
    law's own. `cluster` are the columns that tell runs apart. `noise` is the known standard deviation of ln loss between
    seeds. `strict` raises the first finding of a fit instead of listing it.
    """
    chosen = law_of(law, columns or ())
    measured = criterion or chosen.criterion
    held = dict(pinned or {})
    unknown = set(columns or {}) - {*chosen.variables, chosen.observed, "loss", *rows.DERIVED}
    if unknown:
        roles = ", ".join((*chosen.variables, chosen.observed))
        raise Refusal(f"columns= names {', '.join(sorted(unknown))}, which {chosen.name} does not read. It reads: {roles}.")
    _check_shared(chosen, shared, held)
    _check_numbers(chosen, held, noise)
    check_asked(level=level, draws=draws, seed=seed, reach=reach)
    plainly = isinstance(chosen, Additive) and not (held or criterion or cluster) and set(shared) <= {"E"}
    if is_study(table) and plainly and chosen.variables == ("C",) and by == "family" and not columns:
        return _frontier(table, chosen, bool(shared), draws, seed, reach, level)
    named = dict(columns or {})
    if "loss" not in named and "loss" not in table and "bpb" in table:
        named["loss"] = "bpb"
    read = rows.read(
        table,
        chosen.variables,
        by,
        named,
        observed=chosen.observed,
        positive=measured.of == LN,
        cluster=cluster,
        mixed=mixed,
    )
    _check_points(chosen, read, tuple(shared), held)
    if chosen.observed == "loss" and held.get("E", 0.0) >= read.loss.min() and measured.of == LN:
        raise Refusal(
            f"The pinned floor E = {held['E']:g} is not below the lowest loss, {read.loss.min():.4g}. Pin a lower one, or none."
        )
    settings = {"law": chosen, "criterion": measured, "pinned": held, "draws": draws, "level": level}
    generator = np.random.default_rng(seed)
    parts = (_jointly if shared else _apart)(read, settings, generator, tuple(shared))
    fits = {}
    for index, (group, part) in enumerate(zip(read.groups, parts, strict=True)):
        fits[group] = _fit(read, index, group, part, settings, reach, noise, source, tuple(shared))
        problems = (*read.findings, *fits[group].findings)
        if strict and problems:
            raise problems[0]
    unit = "bits per byte" if named.get("loss") == "bpb" else "as given"
    return Fits(fits=fits, unit=unit, notes=read.notes, source=table)


def _check_numbers(law: Law, pinned: Mapping[str, float], noise: float | None) -> None:
    if noise is not None and not 0 < noise < np.inf:
        raise Refusal(f"noise={noise:g} is no standard deviation of ln loss. Give a positive number, such as 0.003.")
    for name, value in pinned.items():
        if name not in law.names:
            continue  # pose() names what there is
        low, high = law.parameter(name).low, law.parameter(name).high
        if not np.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            ends = f"from {'-inf' if low is None else f'{low:g}'} to {'inf' if high is None else f'{high:g}'}"
            raise Refusal(f"pinned {name} = {value:g} is outside of what {law.name} allows, {ends}. Pin another value.")
    if pinned and set(pinned) >= set(law.names):
        raise Refusal(f"All parameters of {law.name} are pinned, so nothing is left to fit. Leave one free.")


def _check_shared(law: Law, shared: Sequence[str], pinned: Mapping[str, float]) -> None:
    if not shared:
        return
    may = [name for name in law.names if isinstance(law, Additive) and (name == "E" or name in law.exponents)]
    if set(shared) - set(may) or pinned:
        held = " while parameters are pinned" if pinned else ""
        raise Refusal(
            f"shared={tuple(shared)} cannot be shared in {law.equation}{held}. "
            f"Only a floor E can, and exponents; this law has {', '.join(may) or 'neither'}."
        )


def _check_points(law: Law, read: Rows, shared: tuple[str, ...], pinned: Mapping[str, float]) -> None:
    counts = np.bincount(read.group)
    places = np.stack(list(read.columns.values()), axis=1)
    least = len(law.parameters) - len(pinned) + 1 - len(shared)
    few = [f"{group} has {count}" for group, count in zip(read.groups, counts, strict=True) if count < least]
    if few:
        raise TooFewPoints(
            f"{law.name} has {len(law.parameters) - len(pinned)} parameters, so a group needs at least {least} rows; "
            f"{', '.join(few)}. Add runs, use a law with fewer parameters, or by=None for one fit of all."
        )
    for index, group in enumerate(read.groups):
        for name, values in zip(read.columns, places[read.group == index].T, strict=True):
            if len(np.unique(values)) < 2:
                raise TooFewPoints(
                    f"{group} has one value of {name} only ({values[0]:.3g}), so how the loss changes with it cannot be "
                    f"known. Run at least 3 values of {name}, or use a law without it."
                )


Part = tuple[dict[str, Float[np.ndarray, " sets"]], float, str, Diagnosis]


def _fit(
    read: Rows,
    index: int,
    group: str,
    part: Part,
    settings: Mapping[str, Any],
    reach: float,
    noise: float | None,
    source: str,
    shared: tuple[str, ...],
) -> Fit:
    law, level, pinned = settings["law"], settings["level"], settings["pinned"]
    samples, objective, method, found = part
    here = np.flatnonzero(read.group == index)
    columns = {name: values[here] for name, values in read.columns.items()}
    loss = read.loss[here]
    predicted = np.asarray(law.predict({name: value[0] for name, value in samples.items()}, columns), dtype=float)
    free = len(law.parameters) - len(pinned)
    problems = diagnosis.findings(law, samples, len(here), level, tuple(pinned), found)
    ranges = {name: (float(values.min()), float(values.max())) for name, values in columns.items()}
    problems += diagnosis.leverage(law, ranges, tuple(pinned))
    problems += diagnosis.few_runs(len(np.unique(read.run[here])), len(here), free)
    if "E" in samples and "E" not in pinned and law.observed == "loss":
        problems += diagnosis.floor(samples["E"], float(loss.min()), level, found, "E" in shared)
    if settings["criterion"].of == LN or law.observed == "loss":
        residual = np.log(loss) - np.log(np.maximum(predicted, 1e-300))
        problems += diagnosis.misfit(columns, residual, free, noise, [read.labels[i] for i in here])
        if len(columns) == 1:
            problems += diagnosis.rising(*columns.values(), loss, law.variables[0])
    content = np.stack([*columns.values(), loss])
    return Fit(
        group=group,
        law=law,
        equation=law.equation + (f", one {' and '.join(shared)} for all groups" if shared else ""),
        samples=samples,
        objective=objective,
        points=len(here),
        range=ranges,
        reach=reach,
        level=level,
        method=method,
        findings=tuple(problems),
        criterion=settings["criterion"],
        diagnosis=found,
        pinned=pinned,
        source=source if pinned else "",
        scatter=found.scatter,
        degrees=max(found.spare, 0),
        seen=hashlib.sha256(content[:, np.lexsort(content)].tobytes()).hexdigest()[:16],
        data={**columns, law.observed: loss},
    )


def _apart(read: Rows, settings: Mapping[str, Any], generator: np.random.Generator, shared: tuple[str, ...]) -> list[Part]:
    parts: list[Part] = []
    law, criterion, draws = settings["law"], settings["criterion"], settings["draws"]
    for index in range(len(read.groups)):
        here = read.group == index
        loss, run = read.loss[here], read.run[here]
        posed = pose(law, {name: values[here] for name, values in read.columns.items()}, criterion, settings["pinned"])
        found = search(posed, loss, np.ones(len(loss)))
        fitted = posed.model.predicted(found.values[None])[0]
        drawn, weights, method = resample(loss, fitted, run, posed.free, draws, criterion.of, generator)
        values = np.concatenate([found.values[None], again(posed, drawn, weights, found)])
        samples = posed.named(values)
        runs = len(np.unique(run))
        profile = profiles(posed, loss, found, settings["level"], runs)
        scatter = _scatter(criterion.residual(loss, fitted), runs, posed.free)
        looked = _looked(found, law, samples, runs - posed.free, scatter, profile)
        parts.append((samples, found.objective, method, looked))
    return parts


def _looked(
    found: Found, law: Law, samples: Mapping[str, Any], spare: int, scatter: float, profile: dict[str, Any]
) -> Diagnosis:
    """What the search saw on its way, beside what the minimum itself shows."""
    return Diagnosis(
        screened=found.screened,
        starts=found.starts,
        agreeing=found.agreeing,
        gradient=found.gradient,
        condition=found.condition,
        at_bound=diagnosis.edges(law, {name: float(value[0]) for name, value in samples.items()}),
        unmoved=found.unmoved,
        spare=spare,
        scatter=scatter,
        profile=profile,
    )


def _scatter(residual: Float[np.ndarray, " rows"], runs: int, free: float) -> float:
    """Standard deviation of a row around the law. Rows of one run count as one where parameters are paid for."""
    return float(np.sqrt((residual**2).mean() * runs / max(1, runs - free)))


def _jointly(read: Rows, settings: Mapping[str, Any], generator: np.random.Generator, shared: tuple[str, ...]) -> list[Part]:
    law, criterion = settings["law"], settings["criterion"]
    joint = jointly(law, read.columns, read.group, criterion, shared, read.loss)
    first = joint.search(read.loss)
    fitted = joint.problem.predicted(first.values[None])[0]
    # Each group has the noise of its own runs, and pays for its own parameters and its part of the shared ones.
    free = len(law.parameters) - len(shared) + len(shared) / len(read.groups)
    drawn, weights = np.empty((2, settings["draws"], len(read.loss)))
    methods = []
    for index in range(len(read.groups)):
        mine = read.group == index
        drawn[:, mine], weights[:, mine], method = resample(
            read.loss[mine], fitted[mine], read.run[mine], free, settings["draws"], criterion.of, generator
        )
        methods.append(method)
    values = np.concatenate([first.values[None], joint.again(drawn, weights, first)])
    parts: list[Part] = []
    for index, method in enumerate(methods):
        mine = read.group == index
        residual = criterion.residual(read.loss, fitted)[mine]
        samples = joint.named(values, index)
        runs = len(np.unique(read.run[mine]))
        looked = _looked(first, law, samples, max(1, int(runs - free)), _scatter(residual, runs, free), {})
        objective = float(criterion.cost(residual).sum())
        parts.append((samples, objective, method, looked))
    return parts


def _frontier(table: pd.DataFrame, law: Additive, shared: bool, draws: int, seed: int, reach: float, level: float) -> Fits:
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
            samples = {name: value[index] for name, value in found.parameters.items()}
            fits[family] = Fit(
                group=family,
                law=law,
                equation=found.equation,
                samples=samples,
                objective=float(found.objective[index]),
                points=int(here.sum()),
                range={"C": (float(budgets.min()), float(budgets.max()))},
                reach=reach,
                level=level,
                method="draws of the study: seeds, learning rates",
                findings=tuple(diagnosis.findings(law, samples, int(here.sum()), level)),
                data={"C": budgets, "loss": np.exp(frontier.value[index, here])},
            )
    if not fits:
        reasons = "; ".join(f"{name}: {', '.join(flags)}" for name, flags in zip(found.families, found.flags, strict=True))
        raise TooFewPoints(
            f"No family has enough budgets for {law.name} ({reasons}). Add budgets, or use a law with fewer parameters."
        )
    notes = tuple(warning["text"] for warning in study.cells.warnings)
    return Fits(fits=fits, unit=study.cells.unit, notes=notes, source=table)

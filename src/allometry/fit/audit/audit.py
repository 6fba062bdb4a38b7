"""audit: what would overturn the verdict of a table of runs, whoever made it.

The verdict (`verdict.py`) is put to challenges (`challenge.py`): runs left out, other laws and criteria, shared parameters,
other ways of counting, mis-tuned learning rates. Each says the number that the verdict rests on then. What is left out and
what is taken for granted is listed beside them.
"""

# ruff: noqa: N803 - C is the letter of the field

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from allometry.fit import rows as tables
from allometry.fit.asked import check_asked
from allometry.fit.audit.best_split import grows
from allometry.fit.audit.challenge import Challenge
from allometry.fit.audit.ends import ends
from allometry.fit.audit.left_out import left_out
from allometry.fit.audit.rates import rates
from allometry.fit.audit.study import audit_study
from allometry.fit.audit.verdict import CANNOT, Case, Verdict, check_law, check_place, common_place, judge
from allometry.fit.audit.ways import assumptions, counting, other_criteria, other_laws, sharing
from allometry.fit.cells import column, is_study
from allometry.fit.criterion import LN
from allometry.fit.estimate import fit
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.fit.plain import plain
from allometry.flow import Refusal

NAMED = 5  # rows that are named where many are left out for one reason
FINDING_DRAWS = 100  # of the fits whose findings are listed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audit:
    """The verdict, what it was put to, and what it rests on."""

    verdict: Verdict
    said: str  # the verdict in words
    challenges: tuple[Challenge, ...]
    exclusions: tuple[str, ...]
    assumptions: tuple[str, ...]
    findings: tuple[str, ...]  # of the fits, and of the table
    level: float

    @property
    def table(self) -> pd.DataFrame:
        """One row for each challenge."""
        names = [field.name for field in dataclasses.fields(Challenge)]
        return pd.DataFrame([dataclasses.asdict(one) for one in self.challenges], columns=names)

    @property
    def summary(self) -> str:
        """Does anything overturn it, and what?"""
        over = [one for one in self.challenges if one.overturned]
        made = sum(one.overturned is not None for one in self.challenges)
        if not over:
            return f"Nothing tried overturns it ({made} changes were made).{self._nearest}"
        kinds = ", ".join(dict.fromkeys(one.challenge for one in over))
        first = over[0]
        found = f"now {first.verdict}" if first.of != "penalty" else f"then {first.verdict}"
        return f"Overturned by: {kinds}; the first of them: {first.challenge}, {first.change} ({found})."

    @property
    def _nearest(self) -> str:
        needed = [one for one in self.challenges if one.of == "penalty" and one.value is not None]
        if not needed:
            return ""
        return f" It would take that {min(needed, key=lambda one: abs(one.value or 0.0)).change}."

    @property
    def text(self) -> str:
        lines = [self.said, self.summary, ""]
        for one in self.challenges:
            state = {True: "OVERTURNED", False: "holds", None: "not made"}[one.overturned]
            if one.of == "penalty":
                state = "OVERTURNED" if one.overturned else "large enough"
            value = "" if one.value is None else f": {one.of} {one.value:.4g}"
            value += "" if one.low is None or one.low == one.high else f" [{one.low:.4g}, {one.high:.4g}]"
            lines.append(f"- {state}: {one.challenge}, {one.change}{value}{f' ({one.note})' if one.note else ''}")
        for title, sentences in (
            ("Left out", self.exclusions),
            ("Taken for granted", self.assumptions),
            ("Findings", self.findings),
        ):
            lines += ["", f"{title}:", *(f"- {sentence}" for sentence in sentences or ("nothing",))]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        verdict = dataclasses.asdict(self.verdict) | {"of": self.verdict.of, "text": self.said}
        return plain(
            {
                "verdict": verdict,
                "summary": self.summary,
                "challenges": [dataclasses.asdict(one) for one in self.challenges],
                "exclusions": self.exclusions,
                "assumptions": self.assumptions,
                "findings": self.findings,
                "level": self.level,
            }
        )


def audit(
    table: pd.DataFrame,
    *,
    law: str | Law | type[Law] | Callable[..., Any] = "power_floor",
    by: str | None = "family",
    columns: Mapping[str, str] | None = None,
    C: float | None = None,
    level: float = 0.9,
    draws: int = 300,
    seed: int = 0,
) -> Audit:
    """What would overturn the verdict of this table of runs?

    Two groups or more: which has the lowest loss at `C` (default: the largest that all have run). One group, or `by=None`: the
    exponent of its law. `columns` maps N, D, C, loss to the names that the table has. The table of a study is audited by
    seeds, sizes and budgets.
    """
    check_asked(level=level, draws=draws, seed=seed)
    if C is not None and not (np.isfinite(C) and C > 0):
        raise Refusal(f"C={C} is no place on the law. Give a positive number, such as 1e18.")
    if is_study(table) and by == "family" and not columns:
        verdict, said, made, left, granted, findings = audit_study(table, C=C, level=level, draws=draws, seed=seed)
        return Audit(
            verdict=verdict,
            said=said,
            challenges=tuple(made),
            exclusions=tuple(left),
            assumptions=tuple(granted),
            findings=tuple(findings),
            level=level,
        )
    chosen, names = law_of(law, columns or ()), dict(columns or {})
    check_law(chosen)
    if "loss" not in names and "loss" not in table and "bpb" in table:
        names["loss"] = "bpb"
    positive = chosen.criterion.of == LN
    read = tables.read(table, chosen.variables, by, names, observed=chosen.observed, positive=positive)
    place = float(C or common_place(read))
    check_place(read, place)
    case = Case(
        read=read,
        law=chosen,
        criterion=chosen.criterion,
        pinned={},
        place=place,
        level=level,
        draws=draws,
        seed=seed,
    )
    judged = judge(case)
    made = left_out(judged) + ends(judged)
    made += other_laws(judged) + other_criteria(judged)
    made += sharing(judged, table, names, by) + counting(judged, table, names, by) + rates(judged)
    return Audit(
        verdict=judged.verdict,
        said=_said(judged.verdict, case),
        challenges=tuple(made),
        exclusions=tuple(_exclusions(table, chosen, names)),
        assumptions=tuple(assumptions(read, judged)),
        findings=tuple(_findings(table, case, names, by)),
        level=level,
    )


def _said(verdict: Verdict, case: Case) -> str:
    ends = f"[{verdict.low:.4g}, {verdict.high:.4g}]"
    place = f"{case.law.variables[0] if len(case.law.variables) == 1 else 'C'} = {case.place:.3g}"
    if verdict.leader is not None:
        if verdict.winner is None:
            return (
                f"{CANNOT.capitalize()}: at {place}, {verdict.leader} has the lowest loss, but is ahead of {verdict.rival} by "
                f"{verdict.value:.4g} {ends} in ln loss only."
            )
        lead = f"{verdict.value:.4g} {ends} in ln loss"
        return f"{verdict.winner} has the lowest loss at {place}, ahead of {verdict.rival} by {lead}."
    if not grows(case.law):
        return f"The exponent is {verdict.value:.4g} {ends} ({case.law.equation})."
    assert verdict.N is not None
    size, low, high = verdict.N
    return (
        f"The best N grows as C to the power {verdict.value:.4g} {ends}; at {place} it is {size:.3g} [{low:.3g}, {high:.3g}] "
        f"({case.law.equation})."
    )


def _exclusions(table: pd.DataFrame, law: Law, names: Mapping[str, str]) -> list[str]:
    """Rows that were not fitted, by reason. A row is counted once, under the first."""
    left = np.zeros(len(table), dtype=bool)
    found = []

    def out(which: np.ndarray, why: str) -> None:
        nonlocal left
        rows = np.flatnonzero(which & ~left)
        if len(rows):
            named = ", ".join(str(table.index[row]) for row in rows[:NAMED]) + (", ..." if len(rows) > NAMED else "")
            found.append(f"{len(rows)} of {len(table)} rows are left out: {why} (row {named})")
        left = left | which

    if "status" in table:
        out((table["status"] != "done").to_numpy(dtype=bool), "the status is not 'done'")
    for role in (*law.variables, "N", "D", "C", law.observed):
        name = names.get(role, role)
        if name in table and (role in (*law.variables, law.observed) or role in names):
            values = column(table, name)
            out(~(np.isfinite(values) & (values > 0)), f"{name} is no positive finite number")
    return found


def _findings(table: pd.DataFrame, case: Case, names: dict[str, str], by: str | None) -> list[str]:
    try:
        fits = fit(table, law=case.law, by=by, columns=names, draws=FINDING_DRAWS, seed=case.seed, level=case.level)
    except Refusal as refusal:
        return [*map(str, case.read.findings), str(refusal)]
    return [*map(str, case.read.findings), *(f"{one.group}: {flag}" for one in fits for flag in one.flags)]

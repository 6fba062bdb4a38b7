"""Other ways to read the same runs: another law, another criterion, shared parameters, another way of counting."""

# ruff: noqa: N806 - N, D and C are the letters of the field

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from allometry.fit import rows as tables
from allometry.fit.audit.best_split import flops_of, grows, sizes_of
from allometry.fit.audit.challenge import Challenge, answered, refused, tried, unchanged
from allometry.fit.audit.verdict import CHALLENGE_DRAWS, Case, Judged, common_place, read_value, verdict_of
from allometry.fit.cells import column
from allometry.fit.criterion import Criterion
from allometry.fit.estimate import fit
from allometry.fit.laws._additive import Additive
from allometry.fit.laws._law import Law
from allometry.fit.own import law_of
from allometry.fit.rows import DERIVED, Rows
from allometry.fit.sharing import share
from allometry.fit.solve.profile import scale
from allometry.flow import Refusal

# What else a law of this name may be replaced by; a floor pinned at 0 is tried for every law that has one.
CURVES, PLANES = ("power", "power_floor"), ("chinchilla", "over_training")
CRITERIA = (
    Criterion(delta=1e-3),
    Criterion(delta=None),
)  # Huber's of Besiroglu et al., 2024; least squares; both of ln loss
WORDS = {"C": ("flop", "compute"), "N": ("param", "model_size", "model size", "non_emb", "noemb"), "D": ("token",)}
NOT_COUNTS = ("per_", "ratio", "rate", "unique")  # of columns that have such a word and count something else
ALIKE = 0.8  # rank correlation with the column in use, from which on another counts the same thing
FACTOR = 1e-6  # spread of a ratio of two columns, below which they are the same up to a factor


def other_laws(judged: Judged) -> list[Challenge]:
    law = judged.case.law
    found: list[Challenge] = []
    others = PLANES if len(law.variables) > 1 else CURVES
    for other in (law_of(name) for name in others if name != law.name):
        found += tried("another law", other.equation, lambda o=other: [_other_law(judged, o)])  # type: ignore[misc]
    if "E" in law.names and "power" not in others:
        change = f"{law.name} without a floor (E = 0)"
        case = dataclasses.replace(judged.case, pinned={"E": 0.0})
        found += tried("another law", change, lambda: [_fitted(judged, case, change)])
    return found


def _other_law(judged: Judged, law: Law) -> Challenge:
    """The same rows: the only variable of a law is that of the other; of N, D, C and M all follow from two."""
    case, read = judged.case, judged.case.read
    if judged.verdict.leader is None and grows(law) != grows(case.law):
        raise Refusal(
            f"{law.name} and {case.law.name} have no exponent in common; with one of them N* grows as C^0.5 always"
        )
    if len(law.variables) == 1:
        columns = dict(zip(law.variables, read.columns.values(), strict=True))
    else:
        C, N = flops_of(read), sizes_of(read)
        D = read.columns.get("D", C / (6 * N))
        columns = {name: value for name, value in {"N": N, "D": D, "C": C, "M": D / N}.items() if name in law.variables}
    read = dataclasses.replace(read, columns=columns)
    return _fitted(judged, dataclasses.replace(case, read=read, law=law, pinned={}), law.equation)


def _fitted(judged: Judged, case: Case, change: str) -> Challenge:
    """A law that the data refuse overturns nothing."""
    now = judged.retry(case)
    row = answered(judged.verdict, now.verdict, "another law", change)
    chance = _chance(judged, now)
    if chance is None or chance > 1 - judged.case.level:
        return row
    note = f"but the data refuse this law (probability {chance:.1g})"
    return dataclasses.replace(row, overturned=False, note="; ".join(part for part in (row.note, note) if part))


def _chance(judged: Judged, now: Judged) -> float | None:
    """F test of a law with fewer parameters, of a criterion this much higher; as in `profile.py`. None: not fewer."""
    case = judged.case
    points, runs = len(case.read.loss), len(np.unique(case.read.run))
    free, less = (sum(part.posed.free for part in one.parts) for one in (judged, now))
    if less >= free or runs <= free:
        return None
    predicted = [part.posed.model.predicted(part.found.values[None])[0] for part in judged.parts]
    residual = case.criterion.residual(np.concatenate([part.data[0] for part in judged.parts]), np.concatenate(predicted))
    spread = scale(case.criterion, residual, points - free, runs) * points / runs
    ratio = 2 * (now.criterion - judged.criterion) / (free - less) / max(spread, 1e-300)
    return float(stats.f.sf(ratio, free - less, runs - free))


def other_criteria(judged: Judged) -> list[Challenge]:
    found = []
    for criterion in CRITERIA:
        if criterion != judged.case.criterion:
            case = dataclasses.replace(judged.case, criterion=criterion)
            found += tried(
                "another criterion",
                criterion.text,
                lambda c=case, t=criterion.text: [  # type: ignore[misc]
                    answered(judged.verdict, judged.again(c), "another criterion", t)
                ],
            )
    return found


# One floor, one exponent


def sharing(judged: Judged, table: pd.DataFrame, names: dict[str, str], by: str | None) -> list[Challenge]:
    law = judged.case.law
    if by is None or len(judged.case.read.groups) < 2:
        return []
    if not isinstance(law, Additive):
        return [refused("shared parameters", "one floor or exponent", f"{law.name} is not a sum of powers")]
    # Whether all groups share them is another question: the verdict is between two.
    two = table[table[by].astype(str).isin([judged.verdict.leader, judged.verdict.rival])]
    found = []
    for name in law.names:
        if name == "E" or name in law.exponents:
            change = f"one {name} for {judged.verdict.leader} and {judged.verdict.rival}"
            found += tried("shared parameters", change, lambda n=name, c=change: [_shared(judged, two, names, by, n, c)])  # type: ignore[misc]
    return found


def _shared(judged: Judged, table: pd.DataFrame, names: dict[str, str], by: str, name: str, change: str) -> Challenge:
    case = judged.case
    differ = False
    try:
        tested = share(table, (name,), law=case.law, by=by, columns=names, level=case.level)
        said, differ = tested.text, tested.distinguishable
    except Refusal as refusal:
        said = f"whether they differ is not known: {refusal}"
    draws = min(case.draws, CHALLENGE_DRAWS)
    joint = fit(
        table, law=case.law, by=by, columns=names, shared=(name,), draws=draws, seed=case.seed, level=case.level, mixed=True
    )
    samples = [one.samples for one in joint]
    values = tuple(read_value(case, sample) for sample in samples)
    groups = tuple(one.group for one in joint)
    part = dataclasses.replace(case, read=dataclasses.replace(case.read, groups=groups))
    now = verdict_of(part, samples, values, judged.verdict.leader)
    row = answered(judged.verdict, now, "shared parameters", change, said)
    return dataclasses.replace(row, overturned=False) if differ else row  # what the data refuse overturns nothing


# Counting


def counting(judged: Judged, table: pd.DataFrame, names: dict[str, str], by: str | None) -> list[Challenge]:
    """Every other column of FLOPs, parameters or tokens in the table, and 6 N D against FLOPs that were given."""
    variables = judged.case.law.variables
    ways = _ways(table, variables, names) if set(variables) & {"N", "D", "C", "M"} else []
    if not ways:
        return [refused("counting", "another way", "the table has no other column of FLOPs, parameters or tokens")]
    found = []
    for change, columns, other in ways:
        found += tried("counting", change, lambda c=change, m=columns, o=other: [_counted(judged, o, m, by, c)])  # type: ignore[misc]
    return found


Way = tuple[str, dict[str, str], pd.DataFrame]


def _ways(table: pd.DataFrame, variables: tuple[str, ...], names: dict[str, str]) -> list[Way]:
    """What is counted otherwise, in words; the columns; the table, with a column more where one is derived."""
    have = {role: names.get(role, role) for role in ("N", "D", "C")}
    given = {role: name for role, name in have.items() if name in table}
    kinds = {role: _counts(table, role, have) for role in have}
    ways: list[Way] = []
    # Parameters: read by the law, or through C = 6 N D, or D = C / (6 N), or M = D / N.
    for role in ("N", "D"):
        read = role in variables or ("C" in variables and "C" not in given) or "M" in variables
        for name in kinds[role] if read and role in given else ():
            ways.append((f"{role} is {name} instead of {given[role]}", names | {role: name}, table))
    if "C" in variables or ({"N", "D"} & set(variables) and len(given) == 2 and "C" in given):
        used = given.get("C", "6 N D")
        ways += [(f"C is {name} instead of {used}", names | {"C": name}, table) for name in kinds["C"]]
    if "C" in variables and "C" in given:
        sizes = ([given["N"]] if "N" in given else []) + kinds["N"]
        tokens = ([given["D"]] if "D" in given else []) + kinds["D"]
        for size in sizes:
            for token in tokens[:1]:
                title = f"6 x {size} x {token}"
                product = 6 * column(table, size) * column(table, token)
                ways.append(
                    (f"C is {title} instead of {given['C']}", names | {"C": title}, table.assign(**{title: product}))
                )
    if set(variables) == {"N", "D"} and {"N", "D", "C"} <= set(given):
        title = f"{given['C']} / (6 x {given['N']})"
        D = column(table, given["C"]) / (6 * column(table, given["N"]))
        ways.append((f"D is {title} instead of {given['D']}", names | {"D": title}, table.assign(**{title: D})))
    return ways


def _counts(table: pd.DataFrame, role: str, have: Mapping[str, str]) -> list[str]:
    """Other columns that count the same thing as a role: by their name, and by the order in which they put the runs."""
    found = []
    used = column(table, have[role]) if have[role] in table else None
    for name in (str(name) for name in table.columns):
        # A prefix says it: C_non_embedding counts FLOPs, although parameters are often told apart by that word.
        prefixed = [other for other in WORDS if name.startswith(f"{other}_")]
        roles = prefixed or [other for other, words in WORDS.items() if any(word in name.lower() for word in words)]
        if name in have.values() or roles != [role] or any(word in name.lower() for word in NOT_COUNTS):
            continue
        values = column(table, name)
        if not (np.isfinite(values) & (values > 0)).any():
            continue
        if used is None or pd.Series(values).corr(pd.Series(used), method="spearman") > ALIKE:
            found.append(name)
    return found


def _counted(judged: Judged, table: pd.DataFrame, names: dict[str, str], by: str | None, change: str) -> Challenge:
    case = judged.case
    read = tables.read(table, case.law.variables, by, names, mixed=True)
    factor = _factor(case.read, read)
    if factor:
        return unchanged(judged.verdict, "counting", change, f"the same up to {factor}, which moves nothing")
    lost = len(case.read.loss) - len(read.loss)
    note = f"{lost} rows have no such number" if lost > 0 else ""
    place = common_place(read) * case.place / common_place(case.read)
    now = judged.again(dataclasses.replace(case, read=read, place=place))
    return answered(judged.verdict, now, "counting", change, note)


def _factor(one: Rows, other: Rows) -> str:
    """The factors between two ways of counting where each is one number; empty where a ratio varies."""
    if len(one.loss) != len(other.loss):
        return ""
    ratios = {name: np.log(other.columns[name] / one.columns[name]) for name in one.columns}
    if any(np.ptp(ratio) > FACTOR for ratio in ratios.values()):
        return ""
    return "the factor " + " and ".join(f"{np.exp(ratio.mean()):.3g} in {name}" for name, ratio in ratios.items())


def assumptions(read: Rows, judged: Judged) -> list[str]:
    """What the verdict takes for granted."""
    case = judged.case
    found = list(read.assumptions)
    if len(case.law.variables) > 1:
        found.append(f"The best split of {case.place:.3g} FLOPs is taken under {DERIVED['C'][2]}")
    if len(read.groups) > 1:
        found.append(
            f"Groups are compared by the law {case.law.equation}, each with its own parameters, at {case.place:.3g}"
        )
        found.append("All groups are equally well tuned: nothing in the table says so")
    found.append(f"The criterion is a {case.criterion.text}")
    if (read.run == np.arange(len(read.run))).all():
        found.append("Every row is a run of its own")
    return found

"""A user's own table of runs, read into positive numbers by role: N, D, C, loss."""

# ruff: noqa: N803 - N, D and C are the letters of the field

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from allometry.fit.cells import check_columns, column
from allometry.fit.refusals import Duplicates, Mixed, NonFinite
from allometry.flow import Refusal

# Columns in which the losses of one fit must agree, or they are losses of different things.
ALIKE = ("tokenizer", "vocab", "vocab_size", "evaluation", "eval_set", "validation", "flop_rule", "counting", "unit")
LENGTHS = 5  # of training that a model has in a table from which on they look like checkpoints
UNLIKE = 2.0  # tokens per parameter of one group over another's from which on a law of C compares them unfairly
# How a variable follows from others where a table lacks it: training takes 6 N D FLOPs (an assumption, said in the notes).
DERIVED = {
    "C": (("N", "D"), lambda N, D: 6 * N * D, "C = 6 N D"),
    "D": (("C", "N"), lambda C, N: C / (6 * N), "D = C / (6 N)"),
    "N": (("C", "D"), lambda C, D: C / (6 * D), "N = C / (6 D)"),
    "M": (("D", "N"), lambda D, N: D / N, "M = D / N"),
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows that can be fitted, in their groups."""

    groups: tuple[str, ...]
    group: Int[np.ndarray, " rows"]
    run: Int[np.ndarray, " rows"]  # rows of one run are resampled together
    columns: dict[str, Float[np.ndarray, " rows"]]  # the variables of the law
    loss: Float[np.ndarray, " rows"]  # or whatever else the law is of
    labels: tuple[str, ...]  # what to call a row
    findings: tuple[Refusal, ...]  # what was left out, what looks odd
    assumptions: tuple[str, ...]  # variables that were derived

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(str(finding) for finding in self.findings) + self.assumptions


def read(
    table: pd.DataFrame,
    variables: tuple[str, ...],
    by: str | None,
    columns: Mapping[str, str],
    *,
    observed: str = "loss",
    positive: bool = True,
    cluster: Sequence[str] = (),
    mixed: bool = False,
) -> Rows:
    """Rows with positive finite values of the loss and of all variables; what is left out is counted in the findings.

    `cluster` are the columns that tell runs apart (default: `run`, where there is one). `mixed` accepts unlike losses.
    """
    table, roles, assumptions = _derive(table, variables, columns)
    measured = columns.get(observed, columns.get("loss", observed))
    if measured == "loss" and "loss" not in table and "bpb" in table:
        measured = "bpb"
    roles |= {observed: measured}
    check_columns(table, tuple(roles.values()))
    if by is not None and by not in table.columns:
        have = ", ".join(str(name) for name in table.columns)
        raise Refusal(f"The table has no column {by} to fit by. It has: {have}. Choose one, or by=None for one fit of all.")
    check_columns(table, tuple(cluster))
    values = np.stack([column(table, name) for name in roles.values()])
    usable = np.isfinite(values).all(axis=0) & (values[:-1] > 0).all(axis=0)
    if positive:
        usable = usable & (values[-1] > 0)
    if "status" in table:
        usable = usable & np.asarray(table["status"] == "done")
    if not usable.any():
        raise NonFinite(
            f"None of the {len(table)} rows has positive numbers in all of {', '.join(roles.values())}. "
            "Check the columns, or name others with columns={'loss': ...}."
        )
    found: list[Refusal] = []
    if not usable.all():
        text = f"{int((~usable).sum())} of {len(usable)} rows are left out: no positive finite value, or not done"
        found.append(NonFinite(f"{text}. Run them again, or drop them and say so"))
    kept = table.iloc[np.flatnonzero(usable)]
    labels = kept[by].astype(str).to_numpy(dtype=object) if by is not None else np.full(len(kept), "all", dtype=object)
    groups = tuple(dict.fromkeys(labels))
    group = np.array([groups.index(label) for label in labels], dtype=int)
    if not mixed:
        _check_alike(kept, group, groups, by)
    values = values[:, usable]
    same = pd.DataFrame(np.vstack([group, values]).T).groupby(list(range(len(values) + 1)), sort=False).ngroup().to_numpy()
    repeated = len(same) - len(np.unique(same))
    if repeated:
        text = f"{repeated} rows repeat another row exactly; they count as rows of one run"
        found.append(Duplicates(f"{text}. Drop them, or give repeats of a run their own seeds"))
    assumptions += _unlike(kept, group, groups, variables, columns)
    keys = list(cluster) or [name for name in ("run",) if name in kept]
    if not keys and (same_model := _checkpoints(kept, group, columns)):
        text = f"{same_model}: if these are checkpoints of one run, intervals that count them as runs are too narrow"
        assumptions += (f"{text}. Say which columns name a run: --cluster N,seed, or cluster=('N', 'seed')",)
    run = kept[keys].astype(str).agg("|".join, axis=1).to_numpy(dtype=object) if keys else kept.index.astype(str).to_numpy()
    own = np.array([f"{index}|{name}" for index, name in zip(group, run, strict=True)], dtype=object)
    named = run if keys else np.array([f"row {index}" for index in kept.index], dtype=object)
    # Rows without a run are each their own, also where the index repeats; but copies of a row are no new run.
    order = np.unique(own, return_inverse=True)[1].ravel() if keys else same
    return Rows(
        groups=groups,
        group=group,
        run=order.astype(int),
        columns=dict(zip(variables, values[:-1], strict=True)),
        loss=values[-1],
        labels=tuple(str(name) for name in named),
        findings=tuple(found),
        assumptions=assumptions,
    )


def _unlike(
    table: pd.DataFrame,
    group: Int[np.ndarray, " rows"],
    groups: tuple[str, ...],
    variables: tuple[str, ...],
    columns: Mapping[str, str],
) -> tuple[str, ...]:
    """In words, where a law of C is asked of groups that spent it otherwise: unlike tokens per parameter at the compute of both."""
    names = {role: columns.get(role, role) for role in ("C", "N", "D")}
    if variables != ("C",) or len(groups) < 2 or not set(names.values()) <= set(table.columns):
        return ()
    compute, size, tokens = (column(table, name) for name in names.values())
    low = max(compute[group == index].min() for index in range(len(groups)))
    high = min(compute[group == index].max() for index in range(len(groups)))
    both = (compute >= low) & (compute <= high) & (size > 0) & (tokens > 0)
    found = {name: tokens[chosen] / size[chosen] for i, name in enumerate(groups) if (chosen := both & (group == i)).any()}
    if len(found) < 2:
        return ()
    middle = {name: float(np.median(ratio)) for name, ratio in found.items()}
    least, most = min(middle, key=middle.__getitem__), max(middle, key=middle.__getitem__)
    if middle[most] <= UNLIKE * middle[least]:
        return ()
    return (
        f"At one compute {least} had {middle[least]:.3g} tokens per parameter and {most} {middle[most]:.3g}: a law of C takes that "
        "for a difference of the groups. Fit law='chinchilla', or run both at one ratio",
    )


def _checkpoints(table: pd.DataFrame, group: Int[np.ndarray, " rows"], columns: Mapping[str, str]) -> str:
    """In words, where rows of one model at many lengths of training look like checkpoints: one N (and seed), many D."""
    size, length = (columns.get(role, role) for role in ("N", "D"))
    if size not in table or length not in table:
        return ""
    named = [name for name in ("seed", "rate", "lr", "size") if name in table]
    lengths = table.assign(_group=group).groupby(["_group", size, *named])[length].nunique()
    if lengths.median() < LENGTHS:
        return ""
    return f"{len(table)} rows are {len(lengths)} models at {lengths.median():.0f} lengths of training each"


def _derive(
    table: pd.DataFrame, variables: tuple[str, ...], columns: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, str], tuple[str, ...]]:
    """Add the variables that the table lacks and that follow from what it has."""
    roles = {role: columns.get(role, role) for role in variables}
    assumptions = []
    for role in variables:
        if roles[role] in table.columns or role in columns or role not in DERIVED:
            continue
        sources, rule, text = DERIVED[role]
        names = [columns.get(source, source) for source in sources]
        if all(name in table.columns for name in names):
            table = table.assign(**{role: rule(*(column(table, name) for name in names))})
            assumptions.append(f"The table has no {role}; it is taken as {text}")
    return table, roles, tuple(assumptions)


def _check_alike(table: pd.DataFrame, group: Int[np.ndarray, " rows"], groups: tuple[str, ...], by: str | None) -> None:
    for name in ALIKE:
        if name not in table or name == by:
            continue
        values = table[name].astype(str).to_numpy()
        for index, label in enumerate(groups):
            different = sorted(set(values[group == index]))
            if len(different) > 1:
                where = f"'{label}'" if by else "The table"
                raise Mixed(
                    f"{where} mixes {len(different)} values of {name} ({', '.join(different[:4])}): such losses cannot be "
                    f"compared. Fit them apart with by='{name}', or pass mixed=True if they agree after all."
                )

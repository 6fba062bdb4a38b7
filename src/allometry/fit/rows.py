"""A user's own table of runs, read into positive numbers by role: N, D, C, loss."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from allometry.fit.cells import check_columns, column
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The rows that can be fitted, in their groups."""

    groups: tuple[str, ...]
    group: Int[np.ndarray, " rows"]
    run: Int[np.ndarray, " rows"]  # rows of one run are resampled together
    columns: dict[str, Float[np.ndarray, " rows"]]  # the variables of the law
    loss: Float[np.ndarray, " rows"]
    notes: tuple[str, ...]  # what was left out, what looks odd


def read(table: pd.DataFrame, variables: tuple[str, ...], by: str | None, columns: Mapping[str, str]) -> Rows:
    """Rows with positive finite values of the loss and of all variables; what is left out is counted in the notes."""
    roles = {role: columns.get(role, role) for role in (*variables, "loss")}
    check_columns(table, tuple(roles.values()))
    if by is not None and by not in table.columns:
        have = ", ".join(str(name) for name in table.columns)
        raise Refusal(f"The table has no column {by} to fit by. It has: {have}. Choose one, or by=None for one fit of all.")
    values = np.stack([column(table, name) for name in roles.values()])
    usable = np.asarray((np.isfinite(values) & (values > 0)).all(axis=0))
    if "status" in table:
        usable = usable & np.asarray(table["status"] == "done")
    if not usable.any():
        raise Refusal(
            f"None of the {len(table)} rows has positive numbers in all of {', '.join(roles.values())}. "
            "Check the columns, or name others with columns={'loss': ...}."
        )
    notes = []
    if not usable.all():
        notes.append(f"{int((~usable).sum())} of {len(usable)} rows are left out: no positive finite value")
    kept = table.iloc[np.flatnonzero(usable)]
    labels = kept[by].astype(str).to_numpy(dtype=object) if by is not None else np.full(len(kept), "all", dtype=object)
    groups = tuple(dict.fromkeys(labels))
    group = np.array([groups.index(label) for label in labels], dtype=int)
    values = values[:, usable]
    repeated = pd.DataFrame(np.vstack([group, values]).T).duplicated().sum()
    if repeated:
        notes.append(f"{int(repeated)} rows repeat another row exactly; they count as often as they stand there")
    run = (
        kept["run"].astype(str).to_numpy(dtype=object) if "run" in kept else np.arange(len(kept)).astype(str).astype(object)
    )
    return Rows(
        groups=groups,
        group=group,
        run=np.unique(run, return_inverse=True)[1].ravel().astype(int),
        columns=dict(zip(variables, values[:-1], strict=True)),
        loss=values[-1],
        notes=tuple(notes),
    )

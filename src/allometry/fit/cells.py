"""From the table of a study to its cells: one (family, budget, size), the mean over its seeds."""

import dataclasses
import difflib
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from allometry.flow import Refusal

NEEDED = ("family", "size", "seed", "budget", "N", "D", "C")
COSTS = ("C", "C_non_embedding", "N", "N_all", "seconds", "memory")
OTHER_NAMES = {  # what other people call these columns
    "N": ("param", "model size", "model_size"),
    "D": ("token",),
    "C": ("flop", "compute"),
    "loss": ("loss", "perplexity", "nats"),
    "family": ("model", "arch"),
}
Warning_ = dict[str, str]  # {kind, text}, as in the answer


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The scored runs of a study, and their cells. Runs are rows of the table that ended well; losses are logarithms."""

    unit: str
    families: tuple[str, ...]  # in the order asked, also those without a single run that ended well
    levels: Float[np.ndarray, " levels"]  # the values of `budget`, ascending
    family: Int[np.ndarray, " cells"]  # index into families
    level: Int[np.ndarray, " cells"]  # index into levels
    size: Float[np.ndarray, " cells"]
    ln_loss: Float[np.ndarray, " cells"]
    costs: dict[str, Float[np.ndarray, " cells"]]  # C (FLOPs), N, N_all, seconds, memory (bytes) ...; NaN where unknown
    D: Float[np.ndarray, " cells"]
    rate: Float[np.ndarray, " cells"]
    mean: Float[np.ndarray, "cells runs"]  # averages runs into cells
    run_row: Int[np.ndarray, " runs"]  # row of the table
    run_ln_loss: Float[np.ndarray, " runs"]
    run_order: Int[np.ndarray, " runs"]  # which data order: one number for each (budget, seed)
    run_group: Int[np.ndarray, " runs"]  # repeats of one another: equal in all but the seed
    warnings: tuple[Warning_, ...]


def loss_column(table: pd.DataFrame) -> tuple[str, str]:
    """The column that is compared and its unit: bits per byte where there are any, else the loss as it is."""
    if np.isfinite(column(table, "bpb")).any():
        return "bpb", "bits per byte"
    return "loss", "nats per token"


def check_columns(table: pd.DataFrame, needed: tuple[str, ...]) -> None:
    """Refuse a table that lacks columns, with the nearest names that it has."""
    missing = [name for name in needed if name not in table.columns]
    if not missing:
        return
    have = [str(name) for name in table.columns]
    folded = {name.lower(): name for name in have}
    near = [folded[n] for name in missing for n in difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.5)]
    near += [one for name in missing for one in have if any(word in one.lower() for word in OTHER_NAMES.get(name, ()))]
    hint = f" Nearest: {', '.join(dict.fromkeys(near))}." if near else ""
    raise Refusal(
        f"The table has no column {', '.join(missing)}.{hint} It has: {', '.join(have)}. "
        "Rename it, or say which column is meant with columns={'C': 'flops', ...}."
    )


def is_study(table: pd.DataFrame) -> bool:
    """Has the table the columns of a study (docs/answer.md)?"""
    return {"stage", *NEEDED} <= set(table.columns)


def column(table: pd.DataFrame, name: str) -> Float[np.ndarray, " runs"]:
    """A column as numbers; NaN all over where the table lacks it."""
    if name not in table:
        return np.full(len(table), np.nan)
    return np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=float)


def read(table: pd.DataFrame, *, families: tuple[str, ...] | None, least_steps: int) -> Cells:
    """Choose the runs that may be compared and average them over seeds. What is left out stands in the warnings."""
    check_columns(table, NEEDED)
    name, unit = loss_column(table)
    check_columns(table, (name,))
    there = tuple(dict.fromkeys(table["family"].astype(str)))
    asked = families or there
    if asked and not there:
        raise Refusal("The table has no runs: none has ended yet. Go on with the study by the command that began it.")
    for family in asked:
        if family not in there:
            near = difflib.get_close_matches(family, there, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise Refusal(f"The table has no family '{family}'.{hint} It has: {', '.join(there)}.")
    loss = column(table, name)
    score = table["family"].astype(str).isin(asked).to_numpy()
    if "stage" in table:
        score = score & (table["stage"] == "score").to_numpy()
    keep, warnings = _usable(table, score, loss, least_steps)
    rows = np.flatnonzero(keep)
    used = table.iloc[rows]
    rate = column(used, "rate")
    budget, size, seed = column(used, "budget"), column(used, "size"), used["seed"].astype(str).to_numpy()
    family = np.array([asked.index(value) for value in used["family"].astype(str)], dtype=int)
    levels = np.unique(budget)
    level = np.searchsorted(levels, budget)
    keys, cell = np.unique(np.stack([family, level, size], axis=1), axis=0, return_inverse=True)
    mean = (cell.ravel()[None, :] == np.arange(len(keys))[:, None]).astype(float)
    mean /= np.maximum(mean.sum(1, keepdims=True), 1)
    orders = np.unique(np.array([f"{a}|{b}" for a, b in zip(level, seed, strict=True)], dtype=object), return_inverse=True)[
        1
    ]
    shown_rate = np.nan_to_num(rate, nan=-1.0)
    groups = np.unique(np.stack([family, level, size, shown_rate], axis=1), axis=0, return_inverse=True)[1]
    ln_loss = np.log(loss[rows])
    return Cells(
        unit=unit,
        families=asked,
        levels=levels,
        family=keys[:, 0].astype(int),
        level=keys[:, 1].astype(int),
        size=keys[:, 2],
        ln_loss=mean @ ln_loss,
        costs={cost: mean @ column(used, cost) for cost in COSTS},
        D=mean @ column(used, "D"),
        rate=mean @ rate,
        mean=mean,
        run_row=rows,
        run_ln_loss=ln_loss,
        run_order=orders.ravel().astype(int),
        run_group=groups.ravel().astype(int),
        warnings=tuple(warnings),
    )


def _usable(
    table: pd.DataFrame, score: np.ndarray, loss: Float[np.ndarray, " rows"], least_steps: int
) -> tuple[np.ndarray, list[Warning_]]:
    """Which rows are compared, and a warning for each kind that is left out."""
    warnings: list[Warning_] = []
    keep = score.copy()

    def leave_out(which: Any, kind: str, text: str) -> None:
        nonlocal keep
        bad = keep & np.asarray(which)
        if bad.any():
            names = ", ".join(dict.fromkeys(table["family"].astype(str).to_numpy()[bad]))
            warnings.append({"kind": kind, "text": f"{bad.sum()} scored runs {text} ({names})."})
        keep = keep & ~bad

    if "status" in table:
        leave_out(table["status"] == "diverged", "diverged", "diverged and have no loss")
        leave_out(table["status"] != "done", "failed", "failed or did not finish and have no loss")
    leave_out(~(np.isfinite(loss) & (loss > 0)), "no loss", "have a loss that is not a positive number and are left out")
    places = np.stack([column(table, name) for name in ("budget", "N", "C", "D")])
    leave_out(
        ~((places > 0) & np.isfinite(places)).all(0) | ~np.isfinite(column(table, "size")),
        "no cost",
        "lack a size, or a positive budget, N, D or C, and are left out",
    )
    steps = column(table, "steps")
    leave_out(steps < least_steps, "starved", f"took fewer than {least_steps} steps and are left out as starved")
    keys = ["family", "size", "budget", "seed"] + [name for name in ("rate",) if name in table]
    twice = np.zeros(len(table), dtype=bool)
    twice[keep] = table.loc[keep, keys].duplicated().to_numpy()
    leave_out(twice, "duplicate", "repeat another run's family, size, budget and seed; the first is kept")
    epochs = column(table, "epochs")[keep]
    if len(epochs) and np.nanmax(epochs, initial=0.0) > 1.01:
        text = f"The data were repeated up to {np.nanmax(epochs):.1f} times; on repeated data losses fall more slowly."
        warnings.append({"kind": "repeated data", "text": text})
    return keep, warnings

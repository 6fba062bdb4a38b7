"""Downstream accuracy of each trained model after fine-tuning, with its interval.

The learning rate of a cell (family, size, budget) is the one with the lowest loss on the set's `dev` part, over all seeds; what
is reported is accuracy on `test`. Its interval is over seeds and test texts (`data/_accuracy.py`); what seeds do is measured on all
cells of a set together, as the degrees of freedom of a cell's two seeds tell almost nothing.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from allometry.data._accuracy import LEVEL, Seeds, accuracy

CELL = ["labelled", "family", "size", "budget"]
COLUMNS = [*CELL, "accuracy", "low", "high", "seeds", "share", "test", "interval_of"]


def downstream(
    transfers: pd.DataFrame, groups: Mapping[str, Int[np.ndarray, " examples"]], level: float = LEVEL
) -> pd.DataFrame:
    """One row for each cell: accuracy, low, high, seeds, the share of the rate that was chosen, what the interval is of.

    `transfers` has a row for each fine-tuned run (`record.table.transfers`); `groups` the group of each test text by set. Of a
    set whose groups are not known there is no interval.
    """
    done = transfers[transfers["status"] == "done"]
    rows = []
    for name, of_set in done.groupby("labelled", sort=True):
        best = {key: _best(cell) for key, cell in of_set.groupby(CELL, sort=True)}
        right = {
            key: np.stack([np.frombuffer(text.encode(), dtype=np.uint8) - ord("0") for text in cell["right"]]).astype(float)
            for key, cell in best.items()
        }
        seeds, clusters = seeds_of(list(right.values())), groups.get(str(name))
        for key, cell in best.items():
            found = accuracy(right[key], [str(one) for one in clusters], level, seeds) if clusters is not None else None
            rows.append(
                dict(zip(CELL, key, strict=True))
                | {"accuracy": float(right[key].mean())}
                | {"low": found.low if found else math.nan, "high": found.high if found else math.nan}
                | {"seeds": len(cell), "share": float(cell["share"].iloc[0]), "test": right[key].shape[1]}
                | {"interval_of": "seeds and texts" if seeds else "texts"}
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _best(cell: pd.DataFrame) -> pd.DataFrame:
    """The runs of a cell at the share of the rate that the dev part chooses."""
    by_share = cell.groupby("share")
    # A share that some seed diverged at is not chosen where another has all seeds.
    most = by_share["seed"].nunique().max()
    mean = by_share["dev_loss"].mean()[by_share["seed"].nunique() == most]
    return cell[cell["share"] == mean.idxmin()]


def seeds_of(cells: list[Float[np.ndarray, "_ examples"]]) -> Seeds | None:
    """What seeds do to the accuracy, from all cells of a set that have two or more: one cell has too few to tell."""
    means = [cell.mean(1) for cell in cells if len(cell) > 1]
    freedom = sum(len(mean) - 1 for mean in means)
    if not freedom:
        return None
    return Seeds(variance=float(sum(((mean - mean.mean()) ** 2).sum() for mean in means)) / freedom, freedom=freedom)


def to_rows(table: pd.DataFrame, baselines: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For the report: each set's baselines, then its cells, best first at each budget."""
    rows: list[dict[str, Any]] = []
    for name, cells in table.groupby("labelled", sort=True):
        for kind, found in baselines.get(str(name), {}).items():
            rows.append(
                {"labelled": name, "family": "", "baseline": kind} | {k: found[k] for k in ("accuracy", "low", "high")}
            )
        ordered = cells.sort_values(["budget", "accuracy"], ascending=[True, False])
        rows += ordered.to_dict("records")
    return rows

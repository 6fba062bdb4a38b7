"""Downstream accuracy of each trained model after fine-tuning, with its interval.

The learning rate of a cell (family, size, budget) is the one with the lowest loss on the set's `dev` part, over all seeds; what
is reported is accuracy on `test`. Its variance is that of the seeds' mean plus that of the test texts, the latter clustered by
group (a package, or the two orders of a pair), as texts of one group are right or wrong together.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

LEVEL = 0.95
CELL = ["labelled", "family", "size", "budget"]


def downstream(
    transfers: pd.DataFrame, groups: Mapping[str, Int[np.ndarray, " examples"]], level: float = LEVEL
) -> pd.DataFrame:
    """One row for each cell: accuracy, low, high, seeds, the share of the rate that was chosen.

    `transfers` has a row for each fine-tuned run (`record.table.transfers`); `groups` the group of each test text by set. Of a
    set whose groups are not known there is no interval.
    """
    done = transfers[transfers["status"] == "done"]
    rows = []
    for key, cell in done.groupby(CELL, sort=True):
        by_share = cell.groupby("share")
        # A share that some seed diverged at is not chosen where another has all seeds.
        most = by_share["seed"].nunique().max()
        mean = by_share["dev_loss"].mean()[by_share["seed"].nunique() == most]
        best = cell[cell["share"] == mean.idxmin()]
        right = np.stack([np.frombuffer(text.encode(), dtype=np.uint8) - ord("0") for text in best["right"]]).astype(float)
        group = groups.get(key[0])
        low, high = interval(right, group, level) if group is not None else (math.nan, math.nan)
        rows.append(
            dict(zip(CELL, key, strict=True))
            | {
                "accuracy": float(right.mean()),
                "low": low,
                "high": high,
                "seeds": len(best),
                "share": float(mean.idxmin()),
                "test": right.shape[1],
            }
        )
    return pd.DataFrame(rows, columns=[*CELL, "accuracy", "low", "high", "seeds", "share", "test"])


def interval(
    right: Float[np.ndarray, "seeds examples"], group: Int[np.ndarray, " examples"], level: float
) -> tuple[float, float]:
    """Of the accuracy over seeds and texts to come: Student's t with one degree less than there are groups of texts."""
    seeds, examples = right.shape
    mean, per_text = right.mean(), right.mean(0)
    residual = np.bincount(group, per_text - mean)
    clusters = len(residual)
    if clusters < 2:
        return 0.0, 1.0
    of_texts = clusters / (clusters - 1) * (residual**2).sum() / examples**2
    of_seeds = right.mean(1).var(ddof=1) / seeds if seeds > 1 else 0.0
    half = float(stats.t.ppf((1 + level) / 2, clusters - 1)) * math.sqrt(of_texts + of_seeds)
    return max(0.0, mean - half), min(1.0, mean + half)


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

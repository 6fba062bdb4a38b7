"""compare: which architecture wins at which compute, by how much, and how surely; its answer is that of docs/answer.md."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry.fit.answer import answer
from allometry.fit.fits import Fits
from allometry.fit.headline import headline
from allometry.fit.plain import plain
from allometry.fit.study import measure
from allometry.flow import Refusal

PROTOCOLS = ("frontier", "fixed-tokens")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The answer. `to_json()` is the whole of it; `table` has one row for each pair; `winners()` one for each region."""

    answer: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return self.answer

    def winners(self, axis: str = "flops") -> pd.DataFrame:
        """The regions of a cost axis: ends, winner (None: cannot tell), its reason, each family's probability to be best."""
        if axis not in self.answer["regions"]:
            raise Refusal(f"There is no axis '{axis}'. Choose one of {', '.join(self.answer['regions'])}.")
        rows = [
            {key: region[key] for key in ("low_cost", "high_cost", "winner", "reason")} | region["probability"]
            for region in self.answer["regions"][axis]
        ]
        return pd.DataFrame(rows, columns=["low_cost", "high_cost", "winner", "reason", *self.answer["families"]])

    @property
    def table(self) -> pd.DataFrame:
        rows = [
            {"a": pair["a"], "b": pair["b"]} | pair["overall"] | {"detectable_ln": pair["detectable_ln"]}
            for pair in self.answer["pairs"]
        ]
        return pd.DataFrame(rows, columns=["a", "b", "ln_difference", "low", "high", "verdict", "reason", "detectable_ln"])


def compare(
    table: pd.DataFrame | Fits,
    documents: Float[np.ndarray, "rows documents"] | None = None,
    document_bytes: Float[np.ndarray, " documents"] | None = None,
    *,
    level: float = 0.9,
    draws: int = 1000,
    seed: int = 0,
    reach: float = 10.0,
    rate_penalty_ln: float = 0.002,
    target: float | None = None,
    protocol: str = "frontier",
    families: Sequence[str] | None = None,
    least_steps: int = 300,
) -> Comparison:
    """Compare the families of a study's table (columns: docs/answer.md).

    `documents` are nats per row and held-out document. `rate_penalty_ln` is what mis-tuned rates may cost: a smaller
    difference is not called. `target` asks what to train at that many FLOPs, up to `reach` times the largest budget. Runs
    of fewer than `least_steps` steps are starved and left out. Missing pieces make warnings, not errors.
    """
    if isinstance(table, Fits):
        table = table.study()
    if protocol not in PROTOCOLS:
        raise Refusal(f"There is no protocol '{protocol}'. Choose one of {', '.join(PROTOCOLS)}.")
    if not 0 < level < 1 or draws < 50:
        raise Refusal(f"level={level} with draws={draws} gives no interval. Use 0 < level < 1 and at least 50 draws.")
    if target is not None and not (np.isfinite(target) and target > 0):
        raise Refusal(f"target={target} is no number of FLOPs. Give a positive one, such as 1e18.")
    study = measure(
        table,
        documents,
        document_bytes,
        level=level,
        count=draws,
        seed=seed,
        protocol=protocol,
        families=tuple(families) if families else None,
        least_steps=least_steps,
    )
    found = plain(answer(study, protocol=protocol, level=level, reach=reach, margin=rate_penalty_ln, target=target))
    found["headline"] = headline(found)
    return Comparison(answer=found)

"""Draws of all cell losses at once: what the study might as well have measured.

Every interval of the answer comes from these draws, pushed through the same estimator as the estimate. They carry
1. noise between seeds: a run's own part, and the part that families share through the data order (it cancels between them);
2. the sampling of held-out documents: one random weight for each document, the same for all runs (Rubin 1981's Bayesian
   bootstrap: the multinomial one without its ties);
3. doubt about learning rates: what the best rate would have gained, drawn from each family's surface.
"""

# ruff: noqa: N806 - N, D and C are the letters of the field

import dataclasses

import numpy as np
from jaxtyping import Float

from allometry.fit.cells import Cells
from allometry.fit.noise import Noise
from allometry.fit.rates import RateSurface
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Logarithms of losses at the best learning rate."""

    centre: Float[np.ndarray, " cells"]
    losses: Float[np.ndarray, "draws cells"]
    documents_ln: float  # standard deviation from sampling documents, of one loss; NaN without documents


def draw(
    cells: Cells,
    noise: Noise,
    surfaces: dict[str, RateSurface],
    documents: Float[np.ndarray, "rows documents"] | None,
    document_bytes: Float[np.ndarray, " documents"] | None,
    draws: int,
    generator: np.random.Generator,
) -> Draws:
    """`documents` holds nats for each row of the table; rows without are NaN."""
    own, order = noise.draw(draws, generator)
    runs = cells.mean.shape[1]
    counts = np.maximum((cells.mean > 0).sum(1), 1)
    losses = cells.ln_loss + own[:, None] * generator.standard_normal((draws, len(counts))) / np.sqrt(counts)
    if runs:
        shared = generator.standard_normal((draws, int(cells.run_order.max()) + 1))
        orders = np.zeros((runs, shared.shape[1]))
        orders[np.arange(runs), cells.run_order] = 1
        losses += order[:, None] * (shared @ (cells.mean @ orders).T)
    documents_ln = float("nan")
    if documents is not None and document_bytes is not None and len(document_bytes) and runs:
        deviation = _sampled(cells, documents, document_bytes, draws, generator)
        losses += deviation
        documents_ln = float(deviation.std(axis=0).mean()) if deviation.size else float("nan")
    penalty = np.zeros((draws, len(counts)))
    for index, family in enumerate(cells.families):
        where = np.flatnonzero((cells.family == index) & (cells.rate > 0))
        if len(where):
            N, C = cells.costs["N"][where], cells.costs["C"][where]
            penalty[:, where] = surfaces[family].penalty(N, C, cells.rate[where], draws, generator)
    return Draws(centre=cells.ln_loss - penalty.mean(axis=0), losses=losses - penalty, documents_ln=documents_ln)


def _sampled(
    cells: Cells,
    documents: Float[np.ndarray, "rows documents"],
    document_bytes: Float[np.ndarray, " documents"],
    draws: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "draws cells"]:
    """ln of (loss on the drawn documents / loss on all of them), for each cell."""
    nats = np.asarray(documents, dtype=float)[cells.run_row]
    usable = np.isfinite(nats).all(axis=1)
    if not usable.any():
        return np.zeros((draws, len(cells.mean)))
    # A run without its documents is taken to vary as the average of the others does.
    nats[~usable] = nats[usable].mean(axis=0)
    nats = cells.mean @ nats
    weights = generator.standard_exponential((draws, nats.shape[1]))
    size = weights @ np.asarray(document_bytes, dtype=float) / document_bytes.sum()
    return np.log((weights @ nats.T) / nats.sum(axis=1) / size[:, None])


def check_documents(
    rows: int, documents: Float[np.ndarray, "rows documents"] | None, document_bytes: Float[np.ndarray, " documents"] | None
) -> None:
    """Refuse documents that do not match the table."""
    if (documents is None) != (document_bytes is None):
        raise Refusal("documents and document_bytes come together; got only one of them. Give both, or neither.")
    if documents is None or document_bytes is None:
        return
    if documents.shape != (rows, len(document_bytes)):
        raise Refusal(
            f"documents has shape {list(documents.shape)}; the table has {rows} rows, document_bytes {len(document_bytes)} "
            f"entries. Give documents as [{rows} {len(document_bytes)}], rows in the order of the table."
        )

"""Resamples of one fit: what the data might as well have been.

Whole runs are resampled where there are many (15 for each parameter): all rows of a run together, as checkpoints of one run are
correlated. With fewer, a resample often lacks the runs at the ends, which hold the exponents, and the intervals come out too
narrow. Then residuals are drawn anew, widened for their few degrees of freedom: one number for what the rows of a run have in
common, and one for each row around it.
"""

import numpy as np
from jaxtyping import Float, Int

from allometry.fit.criterion import LN

MANY = 15  # runs for each parameter, from which on runs are resampled


def resample(
    loss: Float[np.ndarray, " rows"],
    fitted: Float[np.ndarray, " rows"],
    run: Int[np.ndarray, " rows"],
    parameters: float,
    draws: int,
    of: str,
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "draws rows"], Float[np.ndarray, "draws rows"], str]:
    """Losses and weights of each draw, and how they were made."""
    names, index = np.unique(run, return_inverse=True)
    if len(names) >= MANY * parameters:
        counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        return (
            np.repeat(loss[None], draws, axis=0),
            counts[:, index.ravel()].astype(float),
            f"{len(names)} runs resampled whole",
        )
    residual = np.log(loss / fitted) if of == LN else loss - fitted
    rows, index = np.bincount(index.ravel()), index.ravel()
    mean = np.bincount(index, residual) / rows
    spare = max(1, len(names) - parameters)
    common = np.sqrt((mean**2).sum() / generator.chisquare(spare, (draws, 1)))
    shake = (common * generator.standard_normal((draws, len(names))))[:, index]
    within = len(loss) - len(names)
    if within:
        around = np.sqrt(((residual - mean[index]) ** 2).sum() / generator.chisquare(within, (draws, 1)))
        shake = shake + around * generator.standard_normal((draws, len(loss)))
    drawn = fitted * np.exp(shake) if of == LN else fitted + shake
    what = f"residuals of {len(names)} runs" if within else "residual scatter"
    return drawn, np.ones(drawn.shape), f"{what} drawn anew, Student's with {spare:.3g} degrees of freedom"

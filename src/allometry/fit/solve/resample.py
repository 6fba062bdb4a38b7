"""Resamples of one fit: what the data might as well have been.

Whole runs are resampled where there are many (5 for each parameter): all rows of a run together, as checkpoints of one run
are correlated. With fewer, resamples would often hold too few distinct points, so the residual scatter is drawn anew, widened
for its few degrees of freedom.
"""

import numpy as np
from jaxtyping import Float, Int

from allometry.fit.criterion import LN

MANY = 5  # runs for each parameter, from which on runs are resampled


def resample(
    loss: Float[np.ndarray, " rows"],
    fitted: Float[np.ndarray, " rows"],
    run: Int[np.ndarray, " rows"],
    parameters: int,
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
    spare = max(1, len(loss) - parameters)
    sd = np.sqrt((residual**2).sum() / generator.chisquare(spare, (draws, 1)))
    shake = sd * generator.standard_normal((draws, len(loss)))
    drawn = fitted * np.exp(shake) if of == LN else fitted + shake
    return drawn, np.ones(drawn.shape), f"residual scatter drawn anew, Student's with {spare} degrees of freedom"

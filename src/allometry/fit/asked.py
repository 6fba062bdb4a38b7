"""What every question is asked with: how many draws, which level and seed, how far beyond the runs. Checked in one place."""

import numpy as np

from allometry.flow import Refusal

LEAST_DRAWS = 50


def check_asked(
    *, level: float | None = None, draws: int | None = None, seed: int | None = None, reach: float | None = None
) -> None:
    """Refuse, by its name, what no question can be asked with."""
    if draws is not None and draws < LEAST_DRAWS:
        raise Refusal(f"draws={draws}: an interval is read from the draws. Use at least {LEAST_DRAWS} draws.")
    if level is not None and not 0 < level < 1:
        raise Refusal(f"level={level:g}: an interval holds a share of the draws. Use 0 < level < 1, such as 0.9.")
    if seed is not None and seed < 0:
        raise Refusal(f"seed={seed}: give 0 or a positive whole number.")
    if reach is not None and not 1 <= reach < np.inf:
        raise Refusal(f"reach={reach:g}: it is how many times beyond the runs may be asked. Give 1 or more.")

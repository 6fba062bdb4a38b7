"""Forms timed in turn, step by step in one process, so that a slow moment of the machine slows all of them."""

import time
from collections.abc import Callable, Mapping

WARM = 1  # rounds that allocate and warm the caches


def in_turn(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of every form's step in each round: on the wall, and of the processor."""
    seconds: dict[str, list[tuple[float, float]]] = {form: [] for form in steps}
    for number in range(WARM + rounds):
        for form, step in steps.items():
            wall, processor = time.perf_counter(), time.process_time()
            step()
            if number >= WARM:
                seconds[form].append((time.perf_counter() - wall, time.process_time() - processor))
    return seconds

"""What is known of a task before any run: what players attain that look at nothing, and how much is asked."""

import math
from typing import Any

from allometry.spec import Spec


def beforehand(task: Spec) -> dict[str, Any]:
    """`chance`, the loss of such a player, `floors`, what others attain by name (none where a task states none), and `answers`.

    `answers` is how many a graph asks for on average; None where a task does not count them.
    """
    try:
        floors = dict(task.floors)  # type: ignore[attr-defined]
    except (AttributeError, NotImplementedError):
        floors = {}
    counts = getattr(task, "counts", None)
    return {
        "chance": task.chance,  # type: ignore[attr-defined]
        "floors": {name: level for name, level in floors.items() if math.isfinite(level)},
        "answers": sum(sum(one) for one in counts.values()) if isinstance(counts, dict) else None,
    }

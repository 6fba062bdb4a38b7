"""Plain JSON: numpy becomes Python, and what is not finite becomes null."""

from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The same value with nothing in it that JSON lacks.

    >>> plain({"loss": np.float64(1.5), "low": float("nan"), "wins": np.bool_(True)})
    {'loss': 1.5, 'low': None, 'wins': True}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

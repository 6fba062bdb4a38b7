"""A library that only one conversion needs."""

from importlib import import_module
from typing import Any

from allometry.flow import Refusal


def needed(module: str) -> Any:
    """The module, or a Refusal that says how to get it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        library = module.split(".")[0]
        if (missing.name or "").split(".")[0] != library:
            raise
        raise Refusal(
            f"{library.replace('_', '-')} is not installed. Do `pip install {library.replace('_', '-')}`."
        ) from missing

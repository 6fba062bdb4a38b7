"""allometry: how neural-network architectures scale, what they assume, and what their parts can compute.

The names below load what they need when they are first used (PEP 562): importing the package imports no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> (module, name there)
_PUBLIC = {
    "Spec": ("allometry.spec", "Spec"),
    "Tokens": ("allometry.flow", "Tokens"),
    "Refusal": ("allometry.flow", "Refusal"),
    "TooFar": ("allometry.flow", "TooFar"),
    "Family": ("allometry.model._family", "Family"),
    "SequenceFamily": ("allometry.model._stack", "SequenceFamily"),
    "ClosedForm": ("allometry.model._family", "ClosedForm"),
    "count": ("allometry.train.meter", "count"),
    "fit": ("allometry.fit.estimate", "fit"),
    "compare": ("allometry.fit.compare", "compare"),
    "Request": ("allometry.study.request", "Request"),
    "study": ("allometry.api", "study"),
    "runs": ("allometry.api", "runs"),
    "family": ("allometry.api", "family"),
}
__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"allometry has no '{name}'. It has: {', '.join(__all__)}.")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__

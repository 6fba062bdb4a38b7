"""Where a derivative written by hand pays: on CPU, run operation by operation.

A compiler fuses the plain equation itself, GPUs have fused kernels, and on the meta device the plain equation is counted.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor

_plain = ContextVar("plain", default=False)


def in_eager_cpu(x: Tensor) -> bool:
    """True for a tensor on CPU outside torch.compile, unless the plain equations are asked for."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling() and not _plain.get()


@contextlib.contextmanager
def plain_equations() -> Iterator[None]:
    """Within it blocks run as their equations are written, so that what follows their operations sees the equations."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)

"""Signals that leave torch by no operation, and memory that comes from elsewhere: what becomes of them nobody sees."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import dlpack

from allometry.probe._census.trace import BRANCH, PYTHON, UNKNOWN, Trace, numbers

LEAVES = ("numpy", "__array__", "__dlpack__", "data_ptr", "tolist")


class Leaving(TorchFunctionMode):
    """Names the signals that leave while it is entered."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in LEAVES:
            leaves(self.trace, name, args[0])
        return func(*args, **(kwargs or {}))


def leaves(trace: Trace, name: str, tensor: Tensor) -> None:
    if name != "data_ptr":  # that is asked for before memory is written too
        trace.reads([tensor])
    if trace.marks.get(tensor) is not None:
        reason = UNKNOWN if name != "tolist" else PYTHON if numbers(tensor) else BRANCH
        trace.read.append((reason, name, trace.path))


@contextlib.contextmanager
def exchanged(trace: Trace) -> Iterator[None]:
    """Functions of DLPack that torch tells nobody of: out as a capsule, and in from anybody's memory."""
    out, into = dlpack.to_dlpack, torch._C._from_dlpack

    def to_dlpack(tensor: Tensor) -> Any:
        leaves(trace, "to_dlpack", tensor)
        return out(tensor)

    def from_dlpack(capsule: Any) -> Tensor:
        tensor = into(capsule)
        trace.unwritten.gives(tensor, "from_dlpack", trace.path)
        return tensor  # type: ignore[no-any-return]

    torch.to_dlpack = dlpack.to_dlpack = to_dlpack
    torch._C._from_dlpack = from_dlpack
    try:
        yield
    finally:
        torch.to_dlpack = dlpack.to_dlpack = out
        torch._C._from_dlpack = into

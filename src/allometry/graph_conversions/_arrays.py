"""Tensors as arrays of numpy that may be written to."""

from typing import Any

import torch
from torch import Tensor


def array(value: Tensor) -> Any:
    """A copy, on the CPU. numpy has no bf16: it becomes fp32, which holds the same number."""
    found = value.detach().cpu()
    return (found.float() if found.dtype == torch.bfloat16 else found).numpy().copy()

"""Where a derivative written by hand pays: on CPU, run operation by operation.

A compiler fuses the plain equation itself, GPUs have fused kernels, and on the meta device the plain equation is counted.
"""

import torch
from torch import Tensor


def in_eager_cpu(x: Tensor) -> bool:
    """True for a tensor on CPU outside torch.compile."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()

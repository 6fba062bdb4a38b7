"""Peak memory of a run: what it took beyond the process at rest, in bytes."""

import ctypes
import math
import sys
from pathlib import Path

import torch


class Memory:
    """Measures from its making to `peak()`. On CUDA the allocator's peak; on Linux the kernel's high-water mark, reset first."""

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")
        self.rest = math.nan
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        elif sys.platform == "linux":
            try:
                ctypes.CDLL(None).malloc_trim(0)  # give back what earlier runs left, so that it is not taken for this one's
                Path("/proc/self/clear_refs").write_text("5")
                self.rest = _status("VmRSS")
            except (OSError, AttributeError):  # not allowed in some containers; no such call outside glibc
                self.rest = math.nan

    def peak(self) -> float | None:
        """Bytes, or None where this machine does not tell."""
        if self.cuda:
            return float(torch.cuda.max_memory_allocated())
        if math.isnan(self.rest):
            return None
        return max(0.0, _status("VmHWM") - self.rest)


def _status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return float(line.split()[1]) * 1024

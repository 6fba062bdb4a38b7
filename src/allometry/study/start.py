"""What every start of a study begins with: its device, its place, and that no other process works there."""

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch

from allometry.flow import Refusal
from allometry.record.store import guarded
from allometry.study.entry import Place


def device_of(asked: str) -> str:
    """The device that is meant; `auto` is CUDA where there is one."""
    if asked != "auto":
        if asked.startswith("cuda") and not torch.cuda.is_available():
            raise Refusal(f"--device {asked}: this machine has no CUDA device. Use --device cpu.")
        return asked
    return "cuda" if torch.cuda.is_available() else "cpu"


def jobs_on(device: str, asked: int) -> int:
    """Runs at the same time: one for each core, one on a GPU, unless a number is asked."""
    return asked or (1 if device.startswith("cuda") else os.cpu_count() or 1)


def place_for(out: Path, device: str, jobs: int, study: str = "") -> Place:
    """Where a study's workers work, the cores shared among them."""
    return Place(
        store=out,
        device=device,
        threads=max(1, (os.cpu_count() or 1) // jobs),
        revision=revision(),
        checkpoint_seconds=float(os.environ.get("ALLOMETRY_CHECKPOINT_SECONDS", "15")),
        study=study,
    )


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Refuse to work in a folder in which another process works. The lock goes with the process, however that ends."""
    with guarded(out / ".lock"):
        file = open(out / ".lock", "w")  # noqa: SIM115 (closed below; it is the lock)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise Refusal(f"Another process works in {out}. Wait for it, or choose another folder with --out.") from error
    try:
        yield
    finally:
        file.close()


def revision() -> str:
    """The git revision of this package's checkout, or an empty string where it is installed otherwise."""
    here = Path(__file__).parent
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=5
        )
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""

"""Where a worker works, and its first moments: it ties its life to the study's, and only then loads torch, which takes seconds."""

import ctypes
import dataclasses
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker works."""

    store: Path
    device: str
    threads: int
    checkpoint_seconds: float = 15.0
    revision: str = ""
    study: str = ""  # the user's study file, whose own classes a worker may be sent


def begin(connection: Connection, place: Place) -> None:
    """The whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _end_with_parent()
    from allometry.study.worker import serve

    serve(connection, place)


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone, so that no orphan writes beside the next start."""
    parent = multiprocessing.parent_process()
    if sys.platform == "linux" and parent is not None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent.pid:  # it was gone before the kernel could be asked
            sys.exit()

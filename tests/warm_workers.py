"""Workers of a study that are copies of one process which has loaded torch: for tests of what workers do, not how they start.

A worker that starts from nothing loads torch for four seconds, more than most of these tests train. That workers start so, and
go with their study, is tested by commands in processes of their own and in test_study_worker.py.
"""

import multiprocessing
import os
import signal
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

import pytest

from allometry.study import pool
from allometry.study.entry import Place


def warm_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the length of a test: such workers, and one of them where none are asked for, as on a machine of one core."""
    forkserver.set_forkserver_preload(["allometry.study.worker", "torch._dynamo"])
    monkeypatch.setattr(pool, "multiprocessing", _Copying)
    monkeypatch.setattr(pool, "begin", begin)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


class _Copying:
    """Stands where the pool looks for a way to start processes."""

    @staticmethod
    def get_context(_: str) -> Any:
        return multiprocessing.get_context("forkserver")


def begin(connection: Connection, place: Place) -> None:
    """The life of a worker, which ends when the wire closes: its parent is the process that it is a copy of."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from allometry.study.worker import serve

    serve(connection, place)

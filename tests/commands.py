"""The command in this process, where torch is loaded already: for what trains nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from allometry.__main__ import main


def in_process(folder: Path, monkeypatch, capfd, *words: object) -> subprocess.CompletedProcess:
    """Run `allometry WORDS` in a folder; what it printed, and its exit status."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ALLOMETRY_CACHE", str(folder / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["allometry", *map(str, words)])
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        main()
    signal.signal(signal.SIGINT, handler)
    printed = capfd.readouterr()
    return subprocess.CompletedProcess(words, ended.value.code or 0, printed.out, printed.err)

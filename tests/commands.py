"""The command as a user runs it: in a process of its own, or in this one, which has loaded torch already."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from warm_workers import warm_workers

from allometry.__main__ import main

TINY = Path(__file__).parent / "tiny.py"
BIGRAM, TRIGRAM = f"{TINY}:Bigram", f"{TINY}:Trigram"
SMALL = ["--length", "8", "--flops", "4e8,5.6e8,8e8", "--seeds", "1"]


def allometry(
    *words: object, cwd: Path, cache: Path, timeout: float = 240, **environment: str
) -> subprocess.CompletedProcess:
    """Run `allometry WORDS` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "allometry", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"ALLOMETRY_CACHE": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def with_text(folder: Path) -> Path:
    """The folder, with some real text in it: modules of the standard library."""
    (folder / "text").mkdir()
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:60]
    for module in modules:
        shutil.copy(module, folder / "text" / module.name)
    return folder


def in_process(folder: Path, monkeypatch, capfd, *words: object, columns: int | None = 100) -> subprocess.CompletedProcess:
    """Run `allometry WORDS` in this process, in a folder, on one core; what it printed, and its exit status.

    `columns`: of the terminal; None: nobody says, as in a pipe.
    """
    warm_workers(monkeypatch)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ALLOMETRY_CACHE", str(folder / "cache"))
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "argv", ["allometry", *map(str, words)])
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        main()
    signal.signal(signal.SIGINT, handler)
    printed = capfd.readouterr()
    return subprocess.CompletedProcess(words, ended.value.code or 0, printed.out, printed.err)

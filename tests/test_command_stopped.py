"""A study that is killed, stopped, damaged or kept out ends as if it had not been, or says why it cannot."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import BIGRAM, SMALL, in_process, with_text


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    return with_text(tmp_path_factory.mktemp("home"))


@pytest.fixture
def command(home, monkeypatch, capfd) -> Callable[..., subprocess.CompletedProcess]:
    """The same in this process, where torch is loaded already."""
    return functools.partial(in_process, home, monkeypatch, capfd)


def losses(folder: Path) -> dict[str, float]:
    return {path.parent.name: json.loads(path.read_text())["loss"] for path in folder.glob("runs/*/end.json")}


def begun(folder: Path, number: int, process: subprocess.Popen) -> None:
    """Wait until so many runs of the study in a folder have begun to train."""
    deadline = time.perf_counter() + 240
    while len(list(folder.glob("runs/*/points.jsonl"))) < number:
        assert process.poll() is None, "it ended before it was stopped"
        assert time.perf_counter() < deadline
        time.sleep(0.01)


def test_a_study_that_is_killed_ends_as_if_it_had_not_been(home, command) -> None:
    """Killed while the rates are tuned, while they are bracketed or soon after, and while the last runs are scored."""
    words = [
        "compare", "text", "--families", BIGRAM, "--length", "8", "--flops", "4e8,1.2e9", "--seeds", "1",
        "--precision", "fp32",  # auto is what is faster at the moment, and so may be another in another folder
    ]  # fmt: skip
    assert command(*words, "--out", "whole", "--quiet").returncode == 0
    whole, moments = losses(home / "whole"), random.Random(0)
    own = {"ALLOMETRY_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1", "ALLOMETRY_CHECKPOINT_SECONDS": "0.1"}
    environment = os.environ | own
    for runs in (2, len(whole) // 2, len(whole) - 4):
        process = subprocess.Popen(
            [sys.executable, "-m", "allometry", *words, "--out", "killed", "--quiet", "--jobs", "2"],
            cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        begun(home / "killed", runs, process)
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended = {path: path.stat().st_mtime_ns for path in (home / "killed").glob("runs/*/end.json")}
    assert 0 < len(ended) < len(whole)
    done = command(*words, "--out", "killed", "--quiet")
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in ended} == ended  # none run twice
    assert losses(home / "killed") == whole


def test_ctrl_c_is_one_line_and_130(home) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "allometry", "compare", "text", "--families", BIGRAM, "--length", "8", "--flops", "4e8",
         "--out", "stopped"],
        cwd=home, env=os.environ | {"ALLOMETRY_CACHE": str(home / "cache")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    begun(home / "stopped", 1, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "What is finished is kept" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_folder_is_refused(home, command) -> None:
    locked = home / "locked"
    locked.mkdir(mode=0o500)
    done = command("compare", "text", "--families", BIGRAM, *SMALL, "--out", "locked/study")
    assert done.returncode == 2
    assert "--out" in done.stderr


def test_a_damaged_plan_and_a_damaged_checkpoint(home, command) -> None:
    words = ["compare", "text", "--families", BIGRAM, "--length", "8", "--flops", "4e8", "--seeds", "1", "--out", "damaged"]
    assert command(*words, "--quiet").returncode == 0
    whole = losses(home / "damaged")
    run = next((home / "damaged" / "runs").iterdir())
    (run / "end.json").unlink()
    (run / "checkpoint.safetensors").write_bytes(b"no checkpoint")
    (run / "points.jsonl").write_bytes((run / "points.jsonl").read_bytes()[:-30])
    done = command(*words, "--quiet")
    assert done.returncode == 0
    assert "starts again from its beginning" in done.stdout + done.stderr
    assert losses(home / "damaged") == whole
    (home / "damaged" / "plan.json").write_text("{")
    done = command(*words, "--quiet")
    assert done.returncode == 2
    assert "plan.json cannot be read" in done.stderr


def test_a_second_process_in_the_same_folder_is_refused(home, command) -> None:
    import fcntl

    (home / "busy").mkdir()
    with open(home / "busy" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = command("compare", "text", "--families", BIGRAM, *SMALL, "--out", "busy")
    assert done.returncode == 2
    assert "Another process works in busy" in done.stderr

"""The command as a user meets it: the demo's path run small, going on, being killed, and everything asked wrongly."""

import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import in_process

TINY = Path(__file__).parent / "tiny.py"
BIGRAM, TRIGRAM, SQUASHED = f"{TINY}:Bigram", f"{TINY}:Trigram", f"{TINY}:Squashed"
SMALL = ["--length", "8", "--flops", "4e8,8e8,1.6e9", "--seeds", "1"]


def allometry(
    *words: object, cwd: Path, cache: Path, timeout: float = 240, **environment: str
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "allometry", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"ALLOMETRY_CACHE": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture
def command(home, monkeypatch, capfd) -> Callable[..., subprocess.CompletedProcess]:
    """The same in this process, where torch is loaded already: for what trains nothing."""
    return functools.partial(in_process, home, monkeypatch, capfd)


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """A folder with some real text: modules of the standard library."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "text").mkdir()
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:60]
    for module in modules:
        shutil.copy(module, folder / "text" / module.name)
    return folder


@pytest.fixture(scope="session")
def study(home) -> dict:
    """One small study through the command line: the answer, and the folder."""
    done = allometry(
        "compare", "text", "--families", f"{TRIGRAM},{BIGRAM}", *SMALL, "--out", "study", "--json", "--quiet",
        "--target", "3e9", cwd=home, cache=home / "cache",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {"answer": json.loads(done.stdout), "folder": home / "study", "said": done.stderr}


def test_the_small_study_ends_in_an_answer_and_a_page(study) -> None:
    answer = study["answer"]
    assert len(answer["headline"]) == 3
    assert answer["families"] == ["Trigram", "Bigram"]
    assert len(answer["frontier"]) == 6
    page = Path(answer["report"])
    assert page.name == "report.html"
    assert "<script" in page.read_text()
    assert "Traceback" not in study["said"]


def test_what_looks_further_back_wins(study) -> None:
    """Three letters tell more of the next than one: text is not a Markov chain of order one."""
    at_last = next(p for p in study["answer"]["pairs"] if (p["a"], p["b"]) == ("Trigram", "Bigram"))["budgets"][-1]
    assert at_last["ln_difference"] < 0


def test_the_table_of_the_study_keeps_the_promises(study, home, command) -> None:
    import pandas as pd

    done = command("report", "study", "--table", "runs.csv", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pairs"] == study["answer"]["pairs"]  # the same draws, the same answer
    runs = pd.read_csv(home / "runs.csv")
    assert (runs["status"] == "done").all()
    scored = runs[runs["stage"] == "score"]
    assert scored["steps"].min() >= 300
    assert not set(scored["seed"]) & set(runs[runs["stage"] == "tune"]["seed"])
    assert (scored["C"] / scored["budget"] - 1).abs().max() < 0.01
    assert (scored.groupby(["family", "budget"])["size"].nunique() >= 3).all()
    assert (scored["steps"] <= 3000).all()


def test_the_same_command_again_trains_nothing(study, home) -> None:
    ends = {path: path.stat().st_mtime_ns for path in study["folder"].glob("runs/*/end.json")}
    done = allometry(
        "compare", "text", "--families", f"{TRIGRAM},{BIGRAM}", *SMALL, "--out", "study", cwd=home, cache=home / "cache"
    )
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in study["folder"].glob("runs/*/end.json")} == ends
    lines = done.stdout.strip().splitlines()
    assert any(line.startswith("Report: ") for line in lines[-6:])
    assert len(lines[-3:]) == 3
    assert "\x1b" not in done.stdout  # a plain log where there is no terminal


def test_status_and_its_json(study, command) -> None:
    content = json.loads(command("status", "study", "--json").stdout)
    assert content["ended"] >= content["planned"] > 0
    assert "planned runs ended" in command("status", "study").stdout


def test_fit_reads_a_study_and_a_table(study, command) -> None:
    assert command("report", "study", "--table", "again.csv").returncode == 0
    for place in ("study", "again.csv"):
        done = command("fit", place, "--law", "power", "--predict", "1e9", "--json")
        assert done.returncode == 0, done.stderr
        content = json.loads(done.stdout)
        assert len(content["fits"]) == 2
        assert all(row["low"] <= row["value"] <= row["high"] for row in content["predictions"])
    far = command("fit", "study", "--law", "power", "--predict", "1e15")
    assert far.returncode == 2
    assert "this fit answers up to 10 times" in far.stderr


@pytest.mark.parametrize("what", ["families", "tasks", "blocks", "laws"])
def test_lists(what: str, command) -> None:
    rows = json.loads(command("list", what, "--json").stdout)
    assert rows
    assert all({"name", "source", "claims"} <= set(row) for row in rows)
    assert rows[0]["name"] in command("list", what).stdout


def test_count_prints_what_a_script_needs(command) -> None:
    content = json.loads(command("count", "performer", "--size", "3", "--json").stdout)
    assert content["formula"] == "agrees with the count"
    assert content["training_flops_per_token"] == 3 * content["forward_flops_per_token"]
    assert sum(content["by_part"].values()) == pytest.approx(content["forward_flops_per_token"])
    keys = "parameters non_embedding_parameters active_parameters forward_flops_per_token state_bytes length"
    assert set(keys.split()) <= set(content)


def test_a_dry_run_prints_the_plan_and_leaves_nothing(home) -> None:
    words = ["compare", "text", "--families", BIGRAM, *SMALL, "--out", "dry", "--dry-run"]
    content = json.loads(allometry(*words, "--json", cwd=home, cache=home / "cache").stdout)
    assert content["cells"]
    shown = allometry(*words, cwd=home, cache=home / "cache")
    assert "Plan: " in shown.stdout
    assert not (home / "dry" / "plan.json").exists()
    assert not (home / "dry" / "runs").exists()


def test_a_study_file_runs(home) -> None:
    (home / "my_study.py").write_text(
        "from allometry import Request\n\n"
        f'study = Request(sources=("text",), families=("{BIGRAM}",), flops=(4e8,), length=8, seeds=1)\n'
    )
    done = allometry("run", "my_study.py", "--json", "--quiet", cwd=home, cache=home / "cache")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["families"] == ["Bigram"]
    assert (home / "allometry-studies" / "my_study" / "report.html").exists()


def test_a_family_that_fails_is_recorded_and_the_study_goes_on(home) -> None:
    done = allometry(
        "compare", "text", "--families", f"{BIGRAM},{TINY}:Fails,{TINY}:FailsInScoring", "--length", "8",
        "--flops", "4e8,8e8", "--seeds", "1", "--batch", "1", "--out", "failing", "--json", "--quiet",
        cwd=home, cache=home / "cache",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(allometry("status", "failing", "--json", cwd=home, cache=home / "cache").stdout)["families"]
    failed = {row["family"]: row["failed"] for row in rows if row["stage"] == "tune"}
    assert failed["Fails"] > 0 == failed["Bigram"]
    assert failed["FailsInScoring"] > 0


def losses(folder: Path) -> dict[str, float]:
    return {path.parent.name: json.loads(path.read_text())["loss"] for path in folder.glob("runs/*/end.json")}


def test_a_study_that_is_killed_ends_as_if_it_had_not_been(home) -> None:
    words = [
        "compare",
        "text",
        "--families",
        f"{BIGRAM},{SQUASHED}",
        "--length",
        "8",
        "--flops",
        "4e8,1.2e9",
        "--seeds",
        "1",
    ]
    assert allometry(*words, "--out", "whole", "--quiet", cwd=home, cache=home / "cache").returncode == 0
    moments = random.Random(0)
    own = {"ALLOMETRY_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1", "ALLOMETRY_CHECKPOINT_SECONDS": "0.1"}
    environment = os.environ | own
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "allometry", *words, "--out", "killed", "--quiet"],
            cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moments.uniform(4, 9))
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended = {path: path.stat().st_mtime_ns for path in (home / "killed").glob("runs/*/end.json")}
    done = allometry(*words, "--out", "killed", "--quiet", cwd=home, cache=home / "cache")
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in ended} == ended  # none run twice
    assert losses(home / "killed") == losses(home / "whole")


def test_ctrl_c_is_one_line_and_130(home) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "allometry", "compare", "text", "--families", "lstm", "--flops", "1e10", "--out", "stopped"],
        cwd=home, env=os.environ | {"ALLOMETRY_CACHE": str(home / "cache")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "What is finished is kept" in said


WRONG = {
    "no file": (["compare", "nowhere.txt"], "nowhere.txt"),
    "empty file": (["compare", "empty.txt"], "empty"),
    "binary": (["compare", "noise.bin"], "noise.bin"),
    "too small": (["compare", "small.txt"], "too"),
    "family": (["compare", "text", "--families", "transfomer"], "Did you mean 'transformer'"),
    "own family": (["compare", "text", "--families", "nowhere.py:Net"], "There is no file nowhere.py"),
    "no family": (["compare", "text", "--families", f"{TINY}:_Fault"], "is not a family"),
    "two names": (["compare", "text", "--families", f"{BIGRAM},twin.py:Bigram"], "are called Bigram"),
    "negative seed": (["compare", "text", "--families", BIGRAM, "--seed", "-1"], "--seed -1"),
    "no number of minutes": (["compare", "text", "--families", BIGRAM, "--minutes", "nan"], "--minutes nan"),
    "no time": (["compare", "text", "--families", BIGRAM, "--minutes", "0.01"], "--minutes"),
    "few flops": (["compare", "text", "--families", BIGRAM, "--flops", "1e3"], "smallest budget that does"),
    "no number": (["compare", "text", "--flops", "many"], "--flops many"),
    "both": (["compare", "text", "--flops", "1e9", "--minutes", "1"], "exactly one"),
    "other data": (["compare", "other", "--families", f"{TRIGRAM},{BIGRAM}", *SMALL, "--out", "study"], "--out"),
    "other request": (["compare", "text", "--families", BIGRAM, *SMALL, "--out", "study"], "another request"),
    "no study": (["report", "text"], "holds no study"),
    "no status": (["status", "nowhere"], "holds no study"),
    "no list": (["list", "colours"], "There is no list of 'colours'"),
    "no table": (["fit", "nowhere.csv"], "There is no file nowhere.csv"),
    "no columns": (["fit", "letters.csv"], "letters"),
    "does not build": (["count", "broken.py:Broken"], "cannot be built"),
    "size": (["count", "lstm", "--size", "99"], "not on the ladder"),
    "study file": (["run", "text"], "There is no file text"),
    "option": (["compare", "--colour"], "No such option"),
    "protocol": (["compare", "text", "--protocol", "fast"], "frontier, fixed-tokens"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_asked_wrongly_is_answered_in_words_with_status_2(case: str, home, study, command) -> None:
    (home / "empty.txt").write_text("")
    shutil.copy(TINY, home / "twin.py")
    (home / "broken.py").write_text(
        "import allometry\n\nclass Broken(allometry.Family):\n    def build(self, io):\n        return nowhere\n"
    )
    (home / "noise.bin").write_bytes(random.Random(0).randbytes(100_000))
    (home / "small.txt").write_text("so little text\n" * 3)
    (home / "letters.csv").write_text("letters,words\n1,2\n3,4\n")
    (home / "other").mkdir(exist_ok=True)
    shutil.copy(home / "text" / sorted(os.listdir(home / "text"))[0], home / "other")
    words, said = WRONG[case]
    done = command(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    if case != "option":  # typer's own message has a box around it
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_folder_is_refused(home) -> None:
    locked = home / "locked"
    locked.mkdir(mode=0o500)
    done = allometry(
        "compare", "text", "--families", BIGRAM, *SMALL, "--out", "locked/study", cwd=home, cache=home / "cache"
    )
    assert done.returncode == 2
    assert "--out" in done.stderr


def test_a_damaged_plan_and_a_damaged_checkpoint(home) -> None:
    words = ["compare", "text", "--families", BIGRAM, "--length", "8", "--flops", "4e8", "--seeds", "1", "--out", "damaged"]
    assert allometry(*words, "--quiet", cwd=home, cache=home / "cache").returncode == 0
    whole = losses(home / "damaged")
    run = next((home / "damaged" / "runs").iterdir())
    (run / "end.json").unlink()
    (run / "checkpoint.safetensors").write_bytes(b"no checkpoint")
    (run / "points.jsonl").write_bytes((run / "points.jsonl").read_bytes()[:-30])
    done = allometry(*words, "--quiet", cwd=home, cache=home / "cache")
    assert done.returncode == 0
    assert "starts again from its beginning" in done.stdout + done.stderr
    assert losses(home / "damaged") == whole
    (home / "damaged" / "plan.json").write_text("{")
    done = allometry(*words, "--quiet", cwd=home, cache=home / "cache")
    assert done.returncode == 2
    assert "plan.json cannot be read" in done.stderr


def test_a_second_process_in_the_same_folder_is_refused(home) -> None:
    import fcntl

    (home / "busy").mkdir()
    with open(home / "busy" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = allometry("compare", "text", "--families", BIGRAM, *SMALL, "--out", "busy", cwd=home, cache=home / "cache")
    assert done.returncode == 2
    assert "Another process works in busy" in done.stderr

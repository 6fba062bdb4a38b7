"""Studies run by the command: planned alone, from a file, and with families that fail."""

import functools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import BIGRAM, SMALL, TINY, in_process, with_text


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    return with_text(tmp_path_factory.mktemp("home"))


@pytest.fixture
def allometry(home, monkeypatch, capfd) -> Callable[..., subprocess.CompletedProcess]:
    """The command in this process."""
    return functools.partial(in_process, home, monkeypatch, capfd)


def test_a_dry_run_prints_the_plan_and_leaves_nothing(home, allometry) -> None:
    words = ["compare", "text", "--families", BIGRAM, *SMALL, "--out", "dry", "--dry-run"]
    content = json.loads(allometry(*words, "--json").stdout)
    assert content["cells"]
    shown = allometry(*words)
    assert "Plan: " in shown.stdout
    assert not (home / "dry" / "plan.json").exists()
    assert not (home / "dry" / "runs").exists()


def test_a_study_file_runs(home, allometry) -> None:
    (home / "my_study.py").write_text(
        "from allometry import Request\n\n"
        f'study = Request(sources=("text",), families=("{BIGRAM}",), flops=(4e8,), length=8, seeds=1)\n'
    )
    done = allometry("run", "my_study.py", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["families"] == ["Bigram"]
    assert (home / "allometry-studies" / "my_study" / "report.html").exists()


def test_a_family_that_fails_is_recorded_and_the_study_goes_on(home, allometry) -> None:
    done = allometry(
        "compare", "text", "--families", f"{BIGRAM},{TINY}:Fails,{TINY}:FailsInScoring", "--length", "8",
        "--flops", "4e8", "--seeds", "1", "--batch", "1", "--out", "failing", "--json", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(allometry("status", "failing", "--json").stdout)["families"]
    failed = {row["family"]: row["failed"] for row in rows if row["stage"] == "tune"}
    assert failed["Fails"] > 0 == failed["Bigram"]
    assert failed["FailsInScoring"] > 0


EXPERIMENT = """
from torch import nn
from allometry import Arm, Expectation, Experiment, Family, OneLayer, Rmsprop, task

class Own(Family):
    def build(self, io):
        return nn.Sequential(nn.Embedding(io.vocab, self.width), nn.Linear(self.width, io.vocab))

def arm(name, model):
    return Arm(
        name=name, line=name, panel="a wait", model=model, task=task("copying")(delay=5, letters=2), recipe=Rmsprop(rate=1e-2),
        steps=30, batch=4,
    )

study = Experiment(
    title="Tiny", arms=(arm("own", Own(width=4, depth=1)), arm("gated", OneLayer(width=4))), sequences=16, seeds=SEEDS,
    expectations=(Expectation(text="it remembers", arm="gated", against="own", at_most=0.1),),
)
"""


def test_an_experiment_runs_resumes_and_goes_on_with_more_seeds(home, allometry) -> None:
    """Its own network is known to the workers. What ended is not run again, but for a network whose file was edited."""
    words = ("run", "my_experiment.py", "--out", "arms", "--json", "--quiet")
    ended = []
    for seeds in (1, 3, 3):
        (home / "my_experiment.py").write_text(EXPERIMENT.replace("SEEDS", str(seeds)))
        done = allometry(*words)
        assert done.returncode == 0, done.stderr
        ended.append({end: end.stat().st_mtime_ns for end in (home / "arms" / "runs").glob("*/end.json")})
    content = json.loads(done.stdout)
    assert [outcome["status"] for arm in content["arms"] for outcome in arm["outcomes"]] == ["done"] * 6
    assert content["expectations"][0]["verdict"] == "refuted"  # 30 steps teach nothing
    assert len(ended[0]) == 2
    assert len(ended[1]) == 7  # the first run of the own network is another network's now
    assert ended[1].items() >= ended[0].items()
    assert ended[1] == ended[2]
    status = json.loads(allometry("status", "arms", "--json").stdout)
    assert (status["planned"], status["ended"]) == (6, 6)
    again = allometry("report", "arms", "--out", "again.html")
    assert "it remembers: refuted" in again.stdout
    assert (home / "again.html").exists()


def test_what_an_experiment_is_not_asked_is_refused(home, allometry) -> None:
    (home / "my_experiment.py").write_text(EXPERIMENT.replace("SEEDS", "1"))
    done = allometry("run", "my_experiment.py", "--minutes", "5")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--dry-run says how long" in done.stderr

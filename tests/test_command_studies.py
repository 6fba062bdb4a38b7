"""Studies run by the command: planned alone, from a file, and with families that fail."""

import json
from pathlib import Path

import pytest
from commands import BIGRAM, SMALL, TINY, allometry, with_text


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    return with_text(tmp_path_factory.mktemp("home"))


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

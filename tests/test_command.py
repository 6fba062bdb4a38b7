"""The command as a user meets it: the demo's path run small, its answers, and everything asked wrongly."""

import functools
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import BIGRAM, SMALL, TINY, TRIGRAM, allometry, in_process, with_text


@pytest.fixture
def command(home, monkeypatch, capfd) -> Callable[..., subprocess.CompletedProcess]:
    """The same in this process, where torch is loaded already."""
    return functools.partial(in_process, home, monkeypatch, capfd)


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    return with_text(tmp_path_factory.mktemp("home"))


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


def test_the_same_command_again_trains_nothing(study, command) -> None:
    ends = {path: path.stat().st_mtime_ns for path in study["folder"].glob("runs/*/end.json")}
    done = command("compare", "text", "--families", f"{TRIGRAM},{BIGRAM}", *SMALL, "--out", "study")
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


def test_count_of_a_graph_network_is_that_on_the_graphs_of_a_task(command) -> None:
    graphs = f"{TINY.with_name('tiny_graphs.py')}:Sized"
    content = json.loads(command("count", graphs, "--size", "3", "--task", "shortest_path", "--json").stdout)
    assert (content["task"], content["length"]) == ("shortest_path", 16)
    assert content["forward_flops_per_token"] > content["parameters"]  # edges are more than nodes
    assert "shortest_path" in command("count", graphs, "--size", "3", "--task", "shortest_path").stdout
    assert command("count", "lstm", "--task", "adding", "--json").returncode == 0


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
    "graphs": (["count", f"{TINY.with_name('tiny_graphs.py')}:Sized"], "--task shortest_path"),
    "made of text": (["count", "lstm", "--task", "text"], "Use --objective"),
    "task and objective": (["count", "lstm", "--task", "adding", "--objective", "causal"], "take one"),
    "length of a task": (
        ["count", "lstm", "--task", "adding", "--length", "64", "--vocab", "9"],
        "--length 64 --vocab 9 does not",
    ),
    "no length": (["count", "lstm", "--length", "0"], "--length 0: a sequence has at least 1 token"),
    "task as data": (["compare", "sorting", "--families", BIGRAM], "`allometry run` takes it in a file"),
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

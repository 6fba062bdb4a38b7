"""Examples and the code of the documents run: they are what a newcomer tries first, and what goes stale first."""

import functools
import json
import re
import runpy
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import in_process

from allometry import Experiment, Family, Request
from allometry.data._task import Task
from allometry.find import load_file, member
from allometry.fit.arms import LEAST

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "own_family.md"
GRU = f"{ROOT / 'examples' / 'own_family.py'}:Gru"


@pytest.fixture
def allometry(tmp_path, monkeypatch, capfd) -> Callable[..., subprocess.CompletedProcess]:
    """The command in this process and the test's folder."""
    return functools.partial(in_process, tmp_path, monkeypatch, capfd)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_python_of_the_document_runs(tmp_path, monkeypatch) -> None:
    """All blocks one after another, as a reader would type them, from the root of the repository."""
    code = blocks("python")
    assert len(code) >= 5
    (tmp_path / "typed.py").write_text("\n".join(code))
    monkeypatch.chdir(ROOT)
    names = runpy.run_path(str(tmp_path / "typed.py"))
    assert names["CheckedGru"].at(5).matched_parameters() == names["Gru"].at(5).matched_parameters()


def test_the_document_shows_the_example_as_it_is() -> None:
    example = (ROOT / "examples" / "own_family.py").read_text()
    assert example.split('"""\n\n', 1)[1] == blocks("python")[0]


def test_the_example_has_ten_lines() -> None:
    code = [line for line in blocks("python")[0].splitlines() if line.strip() and "import" not in line]
    assert len(code) == 10


def test_the_commands_of_the_document_name_what_there_is() -> None:
    commands = " ".join(blocks("console"))
    named = re.findall(r"(\S+\.py):Gru", commands)
    assert named
    assert all((ROOT / name.split(",")[-1]).is_file() for name in named)


def test_a_family_of_ones_own_is_counted(allometry) -> None:
    done = allometry("count", GRU, "--size", "5", "--length", "32", "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    width, depth = content["spec"]["width"], content["spec"]["depth"]
    assert content["non_embedding_parameters"] == depth * (6 * width**2 + 6 * width)
    assert content["forward_flops_per_token"] == 2 * (depth * 6 * width**2 + 256 * width)
    assert abs(content["non_embedding_parameters"] / 10 ** (3 + 4 / 3) - 1) < 0.1


@pytest.fixture
def text(tmp_path) -> None:
    """Some real text: modules of the standard library."""
    (tmp_path / "text").mkdir()
    for module in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:60]:
        shutil.copy(module, tmp_path / "text" / module.name)


@pytest.mark.usefixtures("text")
def test_a_family_of_ones_own_is_compared(allometry) -> None:
    words = ["compare", "text", "--families", GRU, "--flops", "1.4e8", "--length", "8", "--seeds", "1", "--out", "study"]
    done = allometry(*words, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["families"] == ["Gru"]
    assert len(answer["frontier"]) == 1
    assert 1 < answer["frontier"][0]["loss"] < 8  # better than guessing bytes, worse than a bit for each


def test_the_study_file_is_a_request_for_families_that_exist() -> None:
    path = ROOT / "examples" / "own_study.py"
    study = load_file(path, "study", f"{path}:study")
    assert isinstance(study, Request)
    assert study.families == ("lstm", GRU)
    assert all(issubclass(member("allometry.model.families", family), Family) for family in study.families)


def test_the_experiment_of_the_examples_can_tell() -> None:
    """Enough seeds on each side of each claim, and arms that differ in what is asked alone."""
    study = load_file(ROOT / "examples" / "own_experiment.py", "study", "study")
    assert isinstance(study, Experiment)
    assert study.seeds >= LEAST
    first, second = study.arms
    assert first == second.edit(name=first.name, line=first.line, model=first.model)
    assert first.model.edit(t_max=0.0) == second.model


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.py")), ids=lambda path: path.stem)
def test_the_files_of_studies_load_and_say_what_they_ask(path: Path) -> None:
    source = path.read_text()
    if "study = " not in source:
        pytest.skip("it judges a study and is none")
    study = load_file(path, "study", str(path))
    for one in study.values() if isinstance(study, dict) else [study]:
        assert isinstance(one, Request | Experiment)
        if isinstance(one, Experiment):
            assert all(isinstance(arm.model, Family) and isinstance(arm.task, Task) for arm in one.arms)
            assert one.seeds >= LEAST or not one.expectations
    assert f"allometry run studies/{path.name}" in source


def test_the_task_of_the_document_is_a_task(tmp_path, monkeypatch) -> None:
    """As typed, it fulfils the contract: an example depends on its seed and number alone, and is what it is said to be."""
    text = (ROOT / "docs" / "experiments.md").read_text()
    code = next(
        block for block in re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE) if "Parity" in block
    )
    (tmp_path / "parity.py").write_text("import math\nimport numpy as np\nimport allometry as al\n\n" + code)
    task = load_file(tmp_path / "parity.py", "Parity", "parity")(length=5)
    assert isinstance(task, Task)
    (together,), targets = task.batch(3, 0, 6)
    (alone,), target = task.batch(3, 4, 1)
    assert together.shape == (6, task.io.length, task.io.channels)
    assert (together[4] == alone[0]).all()
    assert (targets[4] == target[0]).all()
    assert (together.sum((1, 2)) % 2 == targets[:, 0]).all()

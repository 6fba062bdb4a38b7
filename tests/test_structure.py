"""The tree shows the flow: imports point backwards, the machinery names no member, light stages load no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import allometry
from allometry.find import names

ROOT = Path(allometry.__file__).parent
LEVELS = {
    "__init__": 0, "spec": 0, "stage": 0, "stop": 0,
    "flow": 1, "find": 1, "graph": 1, "graph_conversions": 1, "quark": 1, "wiring": 1,
    "data": 2, "model": 2, "train": 3, "record": 4,
    "fit": 5, "capacity": 5, "probe": 5, "study": 6, "report": 7, "progress": 8, "api": 8, "cli": 8, "__main__": 9,
}  # fmt: skip
LIGHT = ("quark", "wiring", "record", "fit", "capacity", "report")
FOLDERS = (
    "allometry.data",
    "allometry.model.families",
    "allometry.model.blocks",
    "allometry.fit.laws",
    "allometry.capacity.circuits",
)
FILES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> list[tuple[str, int]]:
    """Modules that a file imports, with the line; those inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def stage(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_backwards(path: Path) -> None:
    own = LEVELS[stage(path)]
    for name, line in imports(path):
        if name.startswith("allometry.") and (other := name.split(".")[1]) in LEVELS:
            same = other == stage(path)
            assert same or LEVELS[other] < own or (own == 8 and LEVELS[other] == 8) or own <= 1, (
                f"{path.name}:{line}: {name}"
            )


@pytest.mark.parametrize("path", [p for p in FILES if stage(p) == "model"], ids=lambda p: p.name)
def test_models_know_no_data(path: Path) -> None:
    assert not [name for name, _ in imports(path) if name.startswith("allometry.data")]


def test_the_machinery_names_no_family_and_no_law() -> None:
    members = {f"{folder}.{name}" for folder in ("allometry.model.families", "allometry.fit.laws") for name in names(folder)}
    for path in FILES:
        if path.parent.name in ("families", "laws") and not path.name.startswith("_"):
            continue
        for name, line in imports(path):
            assert not any(name.startswith(member + ".") for member in members), f"{path.name}:{line} imports {name}"


def test_light_modules_import_no_torch() -> None:
    """All of them in one fresh interpreter; the first that loads torch is named."""
    modules = ["allometry", "allometry.cli"] + [
        "allometry." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in FILES
        if stage(path) in LIGHT and path.name != "__init__.py"
    ]
    assert len(modules) > 20
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(name + ' loads torch')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_names_work_whatever_was_imported_before() -> None:
    """`al.fit` and `al.study` are functions to their users, though stages have these names too; and they are always the same."""
    program = (
        "import importlib, inspect, pkgutil, allometry as al\n"
        "both = sorted({one.name for one in pkgutil.iter_modules(al.__path__)} & {*al.__all__})\n"
        "assert {*both} >= {'capacity', 'fit', 'graph', 'study'}, both\n"
        "first = {name: getattr(al, name) for name in both}\n"
        "for name in both: importlib.import_module('allometry.' + name)\n"
        "assert all(callable(one) and one is getattr(al, name) for name, one in first.items()), first\n"
        "import allometry.study.request, allometry.fit.estimate as estimate\n"
        "for name in al.__all__: getattr(al, name)\n"
        "assert callable(al.fit) and callable(al.study) and callable(al.compare)\n"
        "assert inspect.signature(al.fit) == inspect.signature(estimate.fit)\n"
        "import pandas as pd\n"
        "table = pd.DataFrame({'C': [1e15, 1e16, 1e17, 1e18, 1e19], 'loss': [3.0, 2.6, 2.3, 2.1, 1.97]})\n"
        "assert len(al.fit(table, by=None, draws=50)) == 1\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

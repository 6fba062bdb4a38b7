"""The tables of docs/census.md are those of the stored benchmark, and every family is in one."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from allometry.find import names

ROOT = Path(__file__).parents[1]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    return importlib.import_module("census_of_families")


def test_every_family_is_in_a_table_of_the_documents(benchmark: ModuleType) -> None:
    page = (ROOT / "docs" / "census.md").read_text()
    tables = [benchmark.table(study) for study in benchmark.KINDS]
    assert all(table in page for table in tables)
    told = {line.split(" | ")[0].strip("| ") for table in tables for line in table.splitlines()[2:]}
    assert told == set(names("allometry.model.families"))

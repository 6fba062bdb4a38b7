"""The census of models of the transformers library, where it is installed, equals closed forms of their gates."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("census_of_transformers", BENCHMARKS / "census_of_transformers.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.mark.parametrize("way", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["GPT-2", "Llama", "Mixtral", "T5"])
def test_a_model_has_the_gates_of_its_closed_form(benchmark: Any, name: str, way: str) -> None:
    for size in benchmark.SIZES:
        found = benchmark.compared(name, *size, way)
        assert found["complete"]
        assert found["counted"] == found["closed_form"]

"""The simulated studies of benchmarks/coverage.py, for the tests of the fit stage."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("simulated_studies", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_studies"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


simulated = load()

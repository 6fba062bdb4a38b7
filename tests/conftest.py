"""Shared by all tests: one thread each, so that a busy machine stays fast, and where outside data may lie."""

import os
from pathlib import Path

import pytest


def pytest_configure() -> None:
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data beside the checkout, or where ALLOMETRY_SHARED says; else the test is skipped."""
    shared = os.environ.get("ALLOMETRY_SHARED") or Path(__file__).parents[2] / "shared"
    folder = Path(shared) / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared/data of published runs (or ALLOMETRY_SHARED), which is not here")
    return folder

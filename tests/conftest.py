"""Shared by all tests: one thread each, so that a busy machine stays fast, and where outside data may lie."""

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
    """The folder of published data beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared/data of published runs, which is not here")
    return folder

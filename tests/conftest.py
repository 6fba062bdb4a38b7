"""Shared by all tests: one thread each, so that a busy machine stays fast, and where outside data may lie."""

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import folder_of


def pytest_configure() -> None:
    gc.disable()  # until all is loaded, of which nothing is garbage: looking for it takes a fifth of the time
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


# Files whose few tests take long, the longest first. xdist hands out whole files, the fullest first: these would come last,
# and one worker would stand idle behind them. `make test` asks for the order given here.
LONG = (
    "test_families",
    "test_command",
    "test_command_stopped",
    "test_command_studies",
    "test_study_transfer",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; all else stays in its order."""
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONG)))


def pytest_collection_finish() -> None:
    """What the tests leave is looked for again, and not among what was loaded for them."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data beside the checkout, or where ALLOMETRY_SHARED says; else the test is skipped."""
    shared = os.environ.get("ALLOMETRY_SHARED") or Path(__file__).parents[2] / "shared"
    folder = Path(shared) / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared/data of published runs (or ALLOMETRY_SHARED), which is not here")
    return folder


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A corpus whose training token at place i is i, so that an example tells where it is from."""
    from allometry.data._corpus import Corpus  # not above: shapes are checked in what is imported after the configuration

    path = tmp_path_factory.mktemp("counted") / "train"
    train = np.memmap(path, dtype=np.uint16, mode="w+", shape=(1000,))
    train[:] = np.arange(1000)
    lengths = [5, 16, 17, 100, 40, 1]
    held_out = np.concatenate([1 + 100 * i + np.arange(n) for i, n in enumerate(lengths)]).astype(np.uint16)
    return Corpus(
        fingerprint="0" * 16,
        train=train,
        held_out=held_out,
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        texts=[b"\0"] + [b"x" * (1 + i % 3) for i in range(1, 1000)],
        about={},
        folder=path.parent,
    )


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A corpus of made-up prose."""
    from allometry.data._corpus import prepare

    path = tmp_path_factory.mktemp("words")
    return prepare([str(folder_of(path / "data", 60, 3000))], cache=path / "cache")

"""The source of the Python standard library on this machine: real text that every machine already has."""

import os
import sysconfig
from pathlib import Path

from allometry.flow import Refusal

# Tests repeat the code that they test; the rest is installed beside the library or written for this one machine.
LEFT_OUT = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "lib-dynload", "__pycache__"})


def stdlib_files() -> list[tuple[Path, str]]:
    """The files and their names below the library's folder, sorted. Refuses where Python came without its source."""
    root = Path(sysconfig.get_path("stdlib"))
    found: list[tuple[Path, str]] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not name.startswith("config-"))
        for name in files:
            if name.endswith(".py") and not name.startswith(("test_", "_sysconfigdata")):
                path = Path(folder) / name
                found.append((path, path.relative_to(root).as_posix()))
    if not found:
        raise Refusal(
            f"There is no Python source in {root}, so there is no `stdlib` corpus here. Give files or folders of text."
        )
    return sorted(found, key=lambda pair: pair[1])


def package(name: str) -> str:
    """The top-level package or module of a file: no package is on both sides of the split.

    >>> package("json/decoder.py"), package("os.py"), package("_strptime.py")
    ('json', 'os', 'strptime')
    """
    return name.split("/")[0].removesuffix(".py").lstrip("_")

"""What the user names -> the files that are meant, without reading them."""

import dataclasses
import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from allometry.data._stdlib import package, stdlib_files
from allometry.find import names
from allometry.flow import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """One file, or one data set of the Hugging Face hub (whose path is `hf:name`)."""

    path: str
    name: str  # below the folder that was named: the same on every machine
    group: str
    named: bool  # given by itself, not found in a folder: if it is not text, that is refused and not skipped
    stat: tuple[int, int] = (0, 0)  # bytes, time of change in nanoseconds

    @property
    def remote(self) -> bool:
        return self.path.startswith("hf:")


def origins(sources: Sequence[str]) -> list[Origin]:
    """All files of all sources: `stdlib`, `hf:name`, files, and folders with everything below them that is not hidden."""
    if not sources:
        raise Refusal("No data is given. Give one or more files or folders of text, hf:name, or stdlib.")
    return [origin for source in sources for origin in _of(source)]


def _of(source: str) -> list[Origin]:
    if source == "stdlib":
        return [_origin(path, name, package(name), named=False) for path, name in stdlib_files()]
    if source.startswith("hf:"):
        if source == "hf:":
            raise Refusal("hf: names no data set. Give hf:name, for example hf:roneneldan/TinyStories.")
        return [Origin(path=source, name=source, group=source, named=True)]
    path = Path(source).expanduser()
    if path.is_dir():
        return _below(path)
    if not path.exists() and source in names("allometry.data"):
        raise Refusal(
            f"{source} is a task, which is made and not read. `allometry run` takes it in a file that sets `study` to an "
            "al.Experiment (docs/experiments.md)."
        )
    if not path.exists():
        raise Refusal(f"There is no file or folder {source}.{_nearest(path)}")
    return [_origin(path, path.name, path.name, named=True)]


def _below(folder: Path) -> list[Origin]:
    found: list[Origin] = []
    for place, folders, files in os.walk(folder):
        if Path(place) != folder and _no_text(set(files), set(folders)):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        for path in (Path(place) / name for name in files if not name.startswith(".")):
            if path.is_file():  # a broken link or a socket is nothing to read
                name = path.relative_to(folder).as_posix()
                found.append(_origin(path, name, name, named=False))
    if not found:
        raise Refusal(f"The folder {folder} holds no files. Give a folder with text in it.")
    return sorted(found, key=lambda origin: origin.name)


def _no_text(files: set[str], folders: set[str]) -> bool:
    """A cache, a virtual environment, or a study of this package: what came to lie in the folder is not its text."""
    return bool(files & {"CACHEDIR.TAG", "pyvenv.cfg"}) or ("plan.json" in files and "runs" in folders)


def _origin(path: Path, name: str, group: str, named: bool) -> Origin:
    stat = path.stat()
    return Origin(path=str(path.absolute()), name=name, group=group, named=named, stat=(stat.st_size, stat.st_mtime_ns))


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either. Check the path."
    there = [p.name for p in path.parent.iterdir()]
    near = difflib.get_close_matches(path.name, there, n=3) or sorted(there)[:3]
    return f" Near it: {', '.join(near)}." if near else f" The folder {path.parent} is empty."

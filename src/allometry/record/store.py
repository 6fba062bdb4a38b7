"""The store: append-only, one folder per run id, every write atomic or a whole line.

    <study>/plan.json            what was decided at the first start (see study/)
    <study>/runs/<id>/asked.json the Run and its labels
    <study>/runs/<id>/points.jsonl
    <study>/runs/<id>/end.json   present when, and only when, the run has ended

Killing the process at any moment leaves a store that reads: a half-written line is passed over, a half-written file was
never renamed into place.
"""

import dataclasses
import errno
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from allometry.flow import End, Point, Refusal, Run


class Folder:
    """A store in a folder of the file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run_folder(self, run_id: str) -> Path:
        return self.root / "runs" / run_id

    def run_ids(self) -> list[str]:
        """The ids of all runs that were asked, in order of name."""
        runs = self.root / "runs"
        return sorted(p.name for p in runs.iterdir() if self.begun(p.name)) if runs.is_dir() else []

    def begun(self, run_id: str) -> bool:
        """Whether a run was asked."""
        return (self.run_folder(run_id) / "asked.json").exists()

    def ask(self, run: Run, labels: dict[str, Any]) -> Path:
        """Record that a run was asked, with what is known beforehand (stage, sizes, price). Asking twice changes nothing."""
        folder = self.run_folder(run.id)
        if not (folder / "asked.json").exists():
            make_folder(folder)
            write_json(folder / "asked.json", {"run": run.to_json(), "labels": labels})
        return folder

    def asked(self, run_id: str) -> dict[str, Any]:
        return read_json(self.run_folder(run_id) / "asked.json")

    def append(self, run_id: str, points: Iterable[Point]) -> None:
        """Append whole lines. A line that an earlier kill cut short is closed first, so that it spoils only itself."""
        path = self.run_folder(run_id) / "points.jsonl"
        lines = "".join(json.dumps(dataclasses.asdict(point)) + "\n" for point in points)
        with guarded(path), open(path, "ab+") as file:
            if file.tell() and _last_byte(file) != b"\n":
                lines = "\n" + lines
            file.write(lines.encode())

    def points(self, run_id: str) -> Iterator[Point]:
        """The Points of a run in order of step. Where a resumed run wrote a step again, the later line counts."""
        path = self.run_folder(run_id) / "points.jsonl"
        by_step: dict[int, Point] = {}
        for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
            try:
                point = Point(**json.loads(line))
            except (ValueError, TypeError):
                continue  # cut short by a kill; the step was or will be written again
            by_step[point.step] = point
        yield from (by_step[step] for step in sorted(by_step))

    def finish(self, run_id: str, end: End) -> None:
        write_json(self.run_folder(run_id) / "end.json", dataclasses.asdict(end))

    def end(self, run_id: str) -> End | None:
        path = self.run_folder(run_id) / "end.json"
        return End(**read_json(path)) if path.exists() else None


class guarded:  # noqa: N801 (used as a statement, like open)
    """Turn what the file system refuses into one clear line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise Refusal(explain(error, self.path)) from error


def explain(error: OSError, path: Path) -> str:
    """What the file system refused, in one line with a way out."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {path} could not be written. Free some space and start again; what is finished is kept."
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"{path} cannot be written (read-only). Choose another folder with --out."
    return f"{path}: {error.strerror or error}."


def make_folder(path: Path) -> Path:
    """Make a folder and its parents."""
    with guarded(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def check_file(path: Path) -> None:
    """Refuse where no file can be, before there is anything to write."""
    if path.is_dir():
        raise Refusal(f"{path} is a folder. Give the name of a file in it.")
    if not path.parent.is_dir():
        raise Refusal(f"There is no folder {path.parent}. Make it first, or choose another name.")


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    if path.is_dir():
        raise Refusal(f"{path} is a folder. Give the name of a file in it.")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with guarded(path):
        try:
            with open(part, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that it is there whole or not at all. Numbers that are not finite are refused."""
    write_text(path, json.dumps(content, allow_nan=False))


def read_json(path: Path) -> Any:
    """Read JSON, or refuse with the file's name."""
    try:
        return json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise Refusal(f"{path} cannot be read ({error}). Delete it to have that part done again.") from error


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)

"""The cache: one folder per fingerprint, written beside it and renamed, so that half a corpus is never taken for a whole.

A second start finds the folder by the names, sizes and times of the sources, without reading them.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allometry.flow import Refusal

TAG = "CACHEDIR.TAG"  # tells backups, and this package's own walk through folders of text, to leave the cache out
TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# Tokens of allometry; see https://bford.info/cachedir/\n"
STALE = 86400.0  # seconds after which a half-written entry is nobody's
CHECK = "check.json"  # name -> [bytes, CRC-32] of every other file in the folder


def whole(folder: Path) -> bool:
    """Is this a complete and undamaged entry?"""
    try:
        check = json.loads((folder / CHECK).read_text())
        return bool(check) and all(_sum(folder / name) == tuple(expected) for name, expected in check.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


@contextlib.contextmanager
def entry(folder: Path) -> Iterator[Path]:
    """A temporary folder to write into; on leaving it becomes `folder`, at once and whole, or nothing does."""
    with refused(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        (folder.parent / TAG).write_text(TAG_TEXT)
        _sweep(folder.parent)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        with refused(folder):
            yield part
            check = {path.name: _sum(path) for path in sorted(part.iterdir())}
            (part / CHECK).write_text(json.dumps(check))
            _move(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move(part: Path, folder: Path) -> None:
    try:
        os.rename(part, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if whole(folder):
            return  # another process made the same one meanwhile
        aside = Path(tempfile.mkdtemp(prefix=".damaged-", dir=folder.parent))
        os.rename(folder, aside / folder.name)
        os.rename(part, folder)
        shutil.rmtree(aside, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Remove what killed processes left."""
    for part in cache.glob(".part-*"):
        with contextlib.suppress(FileNotFoundError):  # another process sweeps too, or is done with its own
            if time.time() - part.stat().st_mtime > STALE:
                shutil.rmtree(part, ignore_errors=True)


def note(cache: Path, key: str, fingerprint: str) -> None:
    """Remember that sources with this stamp are the corpus of this fingerprint, where the cache can be written to."""
    with contextlib.suppress(OSError):  # without it the next start only takes longer
        (cache / "stamps").mkdir(parents=True, exist_ok=True)
        part = cache / "stamps" / f".{key}.{os.getpid()}"
        part.write_text(fingerprint)
        os.replace(part, cache / "stamps" / key)


def noted(cache: Path, key: str) -> str | None:
    """The fingerprint that was noted, or None."""
    try:
        return (cache / "stamps" / key).read_text()
    except (OSError, UnicodeDecodeError):
        return None


@contextlib.contextmanager
def refused(folder: Path) -> Iterator[None]:
    """Turn the faults of a disk into a Refusal that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            way = "Free some space there, or choose another folder."
        else:
            way = "Choose a folder that can be written to."
        raise Refusal(f"The tokens cannot be written to {folder}: {error.strerror or error}. {way}") from error


def _sum(path: Path) -> tuple[int, int]:
    size, crc = 0, 0
    with open(path, "rb") as file:
        while piece := file.read(1 << 22):
            size, crc = size + len(piece), zlib.crc32(piece, crc)
    return size, crc


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1))

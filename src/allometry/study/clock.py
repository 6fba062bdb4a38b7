"""The clock of a study: how long it has taken over all starts, and what the time went to."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from allometry.record.store import read_json, write_json


class Clock:
    """Counts from its making; `used` seconds of earlier starts are read from the study's folder."""

    def __init__(self, folder: Path, began: float) -> None:
        self._path = folder / "clock.json"
        self._began = began  # time.perf_counter() at the start of the command
        before = read_json(self._path) if self._path.exists() else {}
        self.before: float = before.get("seconds", 0.0)
        self.parts: dict[str, float] = before.get("parts", {})

    @property
    def seconds(self) -> float:
        """Wall seconds of this study over all starts."""
        return self.before + time.perf_counter() - self._began

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Book the time of a block under a name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - start

    def save(self) -> None:
        write_json(self._path, {"seconds": self.seconds, "parts": self.parts})

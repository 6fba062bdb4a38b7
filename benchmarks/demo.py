"""From `git clone` to the report: the minutes that the demo takes a new user, install included.

Clones this checkout into a temporary folder, sets it up and runs the demo there, as the README says, with a cache of its own.

    python benchmarks/demo.py                       # about 6 minutes; needs the package registry
"""

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from _result import keep, under

HERE = Path(__file__).resolve().parents[1]
LIMIT = 5 * 1.15 * 60  # seconds: `compare --minutes 5` promises to end within 1.15 of the minutes asked


def seconds(*words: str, cwd: Path, **environment: str) -> tuple[float, str]:
    """Wall seconds of a command, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "allometry"
        clone, _ = seconds("git", "clone", "--quiet", str(HERE), str(here), cwd=Path(folder))
        install, _ = seconds("make", "install", cwd=here)
        demo, said = seconds("make", "demo", cwd=here, ALLOMETRY_CACHE=str(Path(folder) / "cache"))
        report = re.search(r"^Report: (.*)$", said, re.MULTILINE)
        assert report
        assert Path(report[1]).is_file()
    whole = clone + install + demo
    keep(
        [
            {"figure": "git clone", "measured": clone, "unit": "s"},
            {"figure": "make install", "measured": install, "unit": "s"},
            under("make demo, installed", demo, "s", LIMIT),
            {"figure": "from git clone to the report", "measured": whole / 60, "unit": "minutes"},
        ],
        answer=said.strip().splitlines()[-3:],
    )


if __name__ == "__main__":
    main()

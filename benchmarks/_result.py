"""What every benchmark keeps beside its figures: the command, the machine, the versions and the day."""

import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "numpy", "pandas", "scipy", "typer", "rich", "plotly")


def keep(figures: list[dict[str, Any]], **details: Any) -> None:
    """Print the figures as a table and write results/<name of the script>.json.

    A figure has `figure`, `measured`, `unit`, and `bar` with `holds` where there is one.
    """
    name = Path(sys.argv[0]).stem
    table = Table("figure", "measured", "bar", title=name)
    for row in figures:
        verdict = f"{row['bar']}: {'holds' if row['holds'] else 'MISSED'}" if "bar" in row else ""
        table.add_row(row["figure"], f"{row['measured']:.4g} {row['unit']}", verdict)
    Console(width=120).print(table)
    content = {"command": command(), "date": str(datetime.date.today()), "machine": machine(), "versions": versions()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content | {"figures": figures} | details, indent=1) + "\n")


def under(figure: str, measured: float, unit: str, bar: float) -> dict[str, Any]:
    """A figure that has to be below its bar."""
    said = f"below {bar:g} {unit}".strip()
    return {"figure": figure, "measured": measured, "unit": unit, "bar": said, "holds": measured < bar}


def command() -> str:
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def machine() -> dict[str, Any]:
    """The processor's name, how many this process may use, how many wanted to run in the last minute, and the system."""
    names = [line.split(":", 1)[1].strip() for line in _processors() if line.startswith("model name")]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": names[0] if names else platform.processor(),
        "threads": usable,
        "load": os.getloadavg()[0],
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    there = {name for name in PACKAGES if importlib.util.find_spec(name)}
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in sorted(there)}


def _processors() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []

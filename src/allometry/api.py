"""The same from Python: what the command does, as functions. `import allometry as al` gives them as `al.family` and so on."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from allometry.find import member
from allometry.flow import Refusal
from allometry.model._family import Family
from allometry.record.store import Folder
from allometry.record.table import table
from allometry.study.job import FAMILIES, TASKS


def family(name: str) -> type[Family]:
    """The family of a name, or of `path/to/file.py:Class`. `family("lstm").at(3).build(Tokens(vocab=256, length=256))`."""
    return member(FAMILIES, name)


def task(name: str) -> type:
    """The task of a name, or of `path/to/file.py:Class`. `task("warping")(maximum=40).batch(seed=0, first=0, count=32)`."""
    return member(TASKS, name)  # type: ignore[no-any-return]


def runs(folder: str | Path) -> pd.DataFrame:
    """The table of a study's runs, one row a run; the columns are those of docs/answer.md."""
    if not (Path(folder) / "runs").is_dir():
        raise Refusal(f"{folder} holds no runs. Make some with: allometry compare --out {folder}")
    return table(Folder(Path(folder)))


def cache() -> Path:
    """Where prepared data is kept: $ALLOMETRY_CACHE, or the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ALLOMETRY_CACHE") or Path(base) / "allometry")


def default_folder(request: Any) -> Path:
    """The folder of a study that was given none: one for each question, so that the same request goes on there."""
    return Path("allometry-studies") / request.folder_name


def study(out: str | Path | None = None, *, quiet: bool = False, **request: Any) -> pd.DataFrame:
    """Carry out a study, as `allometry compare` does, and return its table of runs.

    Keywords are the fields of `Request`: `study(sources=("corpus.txt",), families=("lstm", "transformer"), minutes=10)`.
    Scripts need the usual `if __name__ == "__main__":`, as the runs are carried out in processes of their own.
    """
    from allometry.progress import listener
    from allometry.study.request import Request
    from allometry.study.run import run_study

    asked = Request(**request)
    folder = Path(out) if out else default_folder(asked)
    with listener(Console(stderr=True), quiet) as told:
        run_study(asked, folder, told, cache=cache())
    return runs(folder)


def experiment(asked: Any, out: str | Path, *, quiet: bool = False) -> dict[str, Any]:
    """Carry out an `Experiment` in the folder `out`, as `allometry run` does, and return what its page shows: arms and verdicts.

    Networks of your own stand in a file (`al.family("networks.py:Own")(width=8, depth=1)`), as workers have to load them.
    """
    from allometry.progress import listener
    from allometry.report.experiment import write_experiment
    from allometry.study.run_experiment import run_experiment

    with listener(Console(stderr=True), quiet) as told:
        run_experiment(asked, Path(out), told)
    return write_experiment(Path(out))[0]


def calibrate(out: str | Path, *, quiet: bool = False, **planted: Any) -> pd.DataFrame:
    """Run studies whose answer is known and return what they said, one row a study. Studies that ended are not run again.

    Keywords are those of `allometry.study.planted.plant`: `calibrate("calibration", family="lstm", studies=5, times=2.0)`.
    """
    from allometry.progress import Quiet, Studies
    from allometry.record.store import read_json, write_json
    from allometry.report.calibration import judged
    from allometry.report.gather import answer
    from allometry.study.planted import plant
    from allometry.study.run import run_study

    console = Console(stderr=True)
    studies, rows = plant(Path(out), **planted), []
    with Studies(console, quiet, len(studies)) as told:
        for one in studies:
            verdict = one.folder / "verdict.json"
            if not verdict.exists():
                told.began(f"{one.kind} {one.number}")
                run_study(one.request, one.folder, Quiet(console), cache=cache())
                row = judged(one.kind, one.number, one.times, answer(one.folder))
                write_json(verdict, row | {"question": one.request.question})
            row = read_json(verdict)
            if row.pop("question") != one.request.question:
                raise Refusal(f"{out} holds a calibration of other settings. Choose another folder with --out.")
            rows.append(row)
            told.ended(rows[-1]["verdict"] or "cannot tell")
    return pd.DataFrame(rows, dtype=object)  # so that a verdict that is None stays None

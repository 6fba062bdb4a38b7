"""What a study costs around its training steps: where the seconds of all its workers go.

    python benchmarks/overhead.py                        # some 2 minutes; writes results/overhead.json
    python benchmarks/overhead.py --minutes 5            # the study that `make demo` runs

A study runs in a temporary folder, as the command runs it, on the standard library's source. Its workers are processes
that import this file first (that is how `spawn` works), and there the functions below are wrapped with clocks. So nothing
is estimated: a worker's seconds are in a step of the optimiser, or in another part that is named, or it waits.

Definitions. The unit is a worker-second: one second of one of the `jobs` workers, wall time.
    training stages   from the first run's start to the last one's end, waits at the ends of stages included, times jobs
    steps             inside `train_step`: forward, loss, backward, clipping, optimiser
    scoring           the held-out loss at the end of each run: a result of the run, as its training is
    overhead          training stages - steps - scoring, over training stages. This is the figure of the bar
Printed beside it: the same with scoring counted as overhead; the same in seconds of processor time within runs, which does not
hang on what else the machine does but knows no waits; and the share of the whole command that is neither step nor
scoring, which holds the data, the pricing (steps of models that are measured for the plan), the baselines and the report.
A short study has the same pricing and data as a long one, so that last share falls with the minutes.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

BAR = 5.0  # percent
STUDY = {"flops": (3e9, 1e10), "length": 64, "seeds": 1, "precision": "fp32"}  # without --minutes
LOG = "ALLOMETRY_OVERHEAD_LOG"  # environment variable: the folder in which each worker keeps its clocks


def watch(folder: Path) -> None:
    """Wrap what a worker does with clocks. After each run a line goes to a file of this worker's own."""
    from allometry.data.text import Text
    from allometry.record.store import Folder
    from allometry.study import worker
    from allometry.train import checkpoint, loop

    clocks: dict[str, float] = {}
    processor: dict[str, float] = {}
    steps = 0

    def clocked(name: str, function):
        def run(*arguments, **keywords):
            nonlocal steps
            steps += name == "steps"
            start, spent = time.perf_counter(), time.process_time()
            try:
                return function(*arguments, **keywords)
            finally:
                processor[name] = processor.get(name, 0.0) + time.process_time() - spent
                clocks[name] = clocks.get(name, 0.0) + time.perf_counter() - start

        return run

    def whole(place, connection, job, corpus):
        nonlocal steps
        clocks.clear()
        processor.clear()
        steps, start, spent = 0, time.perf_counter(), time.process_time()
        answer = carry_out(place, connection, job, corpus)
        line = {"name": job.name, "started": start, "ended": time.perf_counter(), "train_steps": steps, "clocks": clocks}
        line |= {"processor": processor | {"all": time.process_time() - spent}}
        with open(folder / f"{os.getpid()}.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
        return answer

    carry_out = worker.carry_out
    worker._ANSWERS["run"] = whole
    loop.train_step = clocked("steps", loop.train_step)
    worker.evaluate = clocked("scoring", worker.evaluate)
    Text.batch = clocked("batches", Text.batch)
    checkpoint.write = clocked("checkpoints", checkpoint.write)
    checkpoint.remove = clocked("checkpoints", checkpoint.remove)
    worker.family_at = clocked("building models", worker.family_at)
    for name in ("ask", "append", "finish"):
        setattr(Folder, name, clocked("the record", getattr(Folder, name)))


if __name__ == "__mp_main__" and LOG in os.environ:  # a worker of the study below
    watch(Path(os.environ[LOG]))


def main() -> None:
    from _result import keep, under

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, help="instead of the study below")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lines, clock, plan, seconds = study(Path(place), {"minutes": asked.minutes} if asked.minutes else STUDY)
    jobs = plan["jobs"]
    stages = clock["parts"]["training stages"] * jobs
    parts, processor = (total(line[kind] for line in lines) for kind in ("clocks", "processor"))
    inside = sum(line["ended"] - line["started"] for line in lines)
    parts["the rest of a run"] = inside - sum(parts.values())
    parts["waiting for a run"] = stages - inside
    steps, scoring = parts["steps"], parts["scoring"]
    whole = seconds * jobs

    def share(spent: float, of: float) -> float:
        return 100 * spent / of

    figures = [
        under("overhead in the training stages", share(stages - steps - scoring, stages), "%", BAR),
        {"figure": "the same, scoring counted too", "measured": share(stages - steps, stages), "unit": "%"},
        {
            "figure": "whole command, neither step nor scoring",
            "measured": share(whole - steps - scoring, whole),
            "unit": "%",
        },
    ]
    figures += [
        {"figure": f"training stages: {name}", "measured": share(spent, stages), "unit": "%"}
        for name, spent in sorted(parts.items(), key=lambda item: -item[1])
    ]
    outside = {name: spent for name, spent in clock["parts"].items() if name != "training stages"}
    outside["start, report and the rest"] = seconds - sum(clock["parts"].values())
    figures += [
        {"figure": f"whole command: {name}", "measured": share(spent, seconds), "unit": "%"}
        for name, spent in sorted(outside.items(), key=lambda item: -item[1])
    ]
    train_steps = sum(line["train_steps"] for line in lines)
    keep(
        figures,
        runs=len(lines),
        train_steps=train_steps,
        milliseconds_per_step=1000 * steps / train_steps,
        median_run_seconds=statistics.median(line["ended"] - line["started"] for line in lines),
        jobs=jobs,
        worker_seconds=parts,
        processor_seconds=processor,
        command_seconds=seconds,
    )


def total(counts: Iterable[dict[str, float]]) -> dict[str, float]:
    """The sum of some dictionaries, by key."""
    found: dict[str, float] = {}
    for count in counts:
        for name, seconds in count.items():
            found[name] = found.get(name, 0.0) + seconds
    return found


def study(place: Path, request: dict) -> tuple[list[dict], dict, dict, float]:
    """Run a study; return the lines of its workers, its clock, its plan, and the wall seconds to the report."""
    from rich.console import Console

    from allometry.progress import listener
    from allometry.report.write import write_report
    from allometry.study.request import Request
    from allometry.study.run import run_study

    (place / "clocks").mkdir()
    os.environ[LOG] = str(place / "clocks")
    began = time.perf_counter()
    with listener(Console(stderr=True), False) as told:
        run_study(Request(**request), place / "study", told, cache=place / "cache", began=began)
    with contextlib.redirect_stdout(None):
        write_report(place / "study", None, None)
    seconds = time.perf_counter() - began
    lines = [json.loads(line) for path in (place / "clocks").glob("*.jsonl") for line in path.read_text().splitlines()]
    read = {name: json.loads((place / "study" / f"{name}.json").read_text()) for name in ("clock", "plan")}
    return lines, read["clock"], read["plan"], seconds


if __name__ == "__main__":
    main()

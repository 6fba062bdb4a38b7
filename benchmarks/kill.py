"""A study that is killed 20 times must end as one that was not: the same runs, none twice, none lost, the same losses.

    python benchmarks/kill.py                    # about 5 minutes; writes results/kill.json

Two studies of the same question run in a temporary folder through the command line, with `--flops`, so that the plan does
not hang on the clock. The first is left alone. The second is started again and again, and each start gets SIGKILL at a
random moment, sent to the command's own process alone, as the kernel or a user does; its workers have to go by themselves.
When all kills are spent, the last start is left to end.

The moments are random (seeded). Every fourth is a time since the start of the command, up to 5 seconds, so that imports,
planning and the first steps are hit. The others are an amount of work, in training points that have been written since the
start, and up to half a second on top: so they do not hang on how fast or busy the machine is, and the work of all kills
together leaves some of the study for the last start.

What is checked:
    same runs         the ids of both studies are one set, and each run has its end
    none run twice    once a run has its end, its three files never change again, in all later starts
    none lost         every run that a kill found with a checkpoint goes on behind it: its next point has a later step, and is
                      the first that is due behind the checkpoint
    same losses       held-out losses, losses by document and by position, and every training point, are equal to the last bit
    no orphans        after a kill the workers are gone within some seconds
"""

import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _result import keep

CHECKPOINT_SECONDS = 0.2
POINTS = 50  # of a run, as in the training loop
BEFORE_LAST = 0.85  # share of the work that all kills together may see done
STUDY = [
    "compare", "--families", "transformer,lstm", "--flops", "2e9,1e10", "--length", "32", "--seeds", "1",
    "--precision", "fp32", "--device", "cpu", "--quiet",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        start = time.perf_counter()
        finish(place, "whole")
        whole_seconds = time.perf_counter() - start
        runs, points = len(run_folders(place / "whole")), points_of(place / "whole")
        moments = random_moments(asked.kills, random.Random(asked.seed), points)
        kills, problems = kill_again_and_again(place, moments)
        differences = compare(place / "whole", place / "killed")
    in_runs = [kill for kill in kills if kill["under_way"]]
    with_checkpoint = [kill for kill in kills if kill["checkpoints"]]
    keep(
        [
            {"figure": "kills", "measured": len(kills), "unit": ""},
            {"figure": "kills that hit a run under way", "measured": len(in_runs), "unit": ""},
            {"figure": "kills that hit a run with a checkpoint", "measured": len(with_checkpoint), "unit": ""},
            {"figure": "runs", "measured": runs, "unit": ""},
            none("runs of one study alone (lost or added)", len(differences["sets"])),
            none("runs that were touched after their end", len(problems["touched"])),
            none("runs that began again in spite of a checkpoint", len(problems["restarted"])),
            none("workers that outlived their study by 5 seconds", len(problems["orphans"])),
            none("held-out scores that differ", len(differences["scores"])),
            none(f"training points that differ, of {points:,}", len(differences["points"])),
            {"figure": "longest that a worker outlived its study", "measured": problems["longest"], "unit": "s"},
        ],
        study="allometry " + " ".join(STUDY),
        checkpoint_seconds=CHECKPOINT_SECONDS,
        undisturbed_seconds=whole_seconds,
        kills=kills,
        problems=problems,
        differences=differences,
    )
    if any(differences.values()) or problems["touched"] or problems["restarted"] or problems["orphans"]:
        raise SystemExit(1)


def none(figure: str, count: int) -> dict[str, Any]:
    return {"figure": figure, "measured": count, "unit": "", "bar": "none", "holds": count == 0}


def begin(place: Path, name: str) -> subprocess.Popen:
    """Start the study, or start it again."""
    environment = {
        "ALLOMETRY_CACHE": str(place / "cache"),
        "ALLOMETRY_CHECKPOINT_SECONDS": str(CHECKPOINT_SECONDS),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "allometry", *STUDY, "--out", name],
        cwd=place,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=open(place / f"{name}.log", "a"),
    )


def finish(place: Path, name: str) -> None:
    """Start the study and let it end."""
    if begin(place, name).wait():
        raise SystemExit(f"The study ended with an error:\n{(place / f'{name}.log').read_text()}")


def random_moments(kills: int, chance: random.Random, points: int) -> list[tuple[int, float]]:
    """(points to wait for, seconds to wait then) of each kill."""
    shares = [0.0 if k % 4 == 0 else chance.random() for k in range(kills)]
    scale = BEFORE_LAST * points / sum(shares)
    return [(int(share * scale), chance.uniform(0.0, 0.5 if share else 5.0)) for share in shares]


def kill_again_and_again(place: Path, moments: list[tuple[int, float]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Kill the study at each moment, then let it end. Returns what each kill met, and what went wrong."""
    out = place / "killed"
    met: list[dict[str, Any]] = []
    problems: dict[str, Any] = {"touched": [], "restarted": [], "orphans": [], "longest": 0.0}
    ended: dict[str, list[Any]] = {}
    for points, seconds in moments:
        enough, start = points_of(out) + points, time.perf_counter()
        process = begin(place, "killed")
        while process.poll() is None and points_of(out) < enough:
            time.sleep(0.02)
        time.sleep(seconds)
        if process.poll() is not None:
            log = (place / "killed.log").read_text()
            raise SystemExit(f"The study ended before kill {len(met) + 1} of {len(moments)}.\n{log}")
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = time.perf_counter() - start
        outlived = wait_for_end(workers)
        problems["longest"] = max(problems["longest"], outlived)
        if outlived >= 5:
            problems["orphans"].append(len(met))
        check_resumed(out, met, problems)
        check_ended(out, ended, problems)
        met.append({"after_seconds": round(after, 2), "ended": len(ended)} | found(out))
        print(f"kill {len(met)}: {after:.1f} s after the start, {len(ended)} runs ended", file=sys.stderr, flush=True)
    finish(place, "killed")
    check_resumed(out, met, problems)
    check_ended(out, ended, problems)
    return met, problems


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_end(pids: list[int]) -> float:
    """Seconds until the last of some processes is gone, five at most."""
    start = time.perf_counter()
    while any(Path(f"/proc/{pid}").exists() and state(pid) != "Z" for pid in pids):
        if time.perf_counter() - start > 5:
            break
        time.sleep(0.01)
    return time.perf_counter() - start


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def run_folders(out: Path) -> list[Path]:
    return sorted((out / "runs").iterdir()) if (out / "runs").is_dir() else []


def found(out: Path) -> dict[str, Any]:
    """The runs that a kill interrupted: lines of points, and the step of the checkpoint where there is one."""
    under_way = [run for run in run_folders(out) if not (run / "end.json").exists()]
    return {
        "under_way": {run.name: len(steps(run)) for run in under_way},
        "checkpoints": {run.name: at for run in under_way if (at := checkpoint_step(run)) is not None},
    }


def check_resumed(out: Path, met: list[dict[str, Any]], problems: dict[str, Any]) -> None:
    """Runs with a checkpoint at the last kill, and new points since: did they go on behind it?"""
    for name, at in met[-1]["checkpoints"].items() if met else ():
        new = steps(out / "runs" / name)[met[-1]["under_way"][name] :]
        every = max(1, json.loads((out / "runs" / name / "asked.json").read_text())["run"]["budget"]["steps"] // POINTS)
        # the point at the checkpoint's own step is written before the checkpoint is
        if new and not at < new[0] <= at + every:
            problems["restarted"].append({"run": name, "checkpoint": at, "next_point": new[0]})


def check_ended(out: Path, ended: dict[str, list[Any]], problems: dict[str, Any]) -> None:
    """Runs that have their end: their files must be as they were when the end was first seen."""
    for run in run_folders(out):
        if (run / "end.json").exists():
            files = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(run.glob("*.json*"))]
            if ended.setdefault(run.name, files) != files:
                problems["touched"].append(run.name)


def points_of(out: Path) -> int:
    """Points that a study has written, counted as lines."""
    return sum(
        (run / "points.jsonl").read_bytes().count(b"\n") for run in run_folders(out) if (run / "points.jsonl").exists()
    )


def steps(run: Path) -> list[int]:
    """The steps of the points of a run, in the order in which they were written."""
    path = run / "points.jsonl"
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line)["step"])
        except ValueError:
            continue  # cut short by a kill
    return found


def checkpoint_step(run: Path) -> int | None:
    """The step of a checkpoint, from the header of the safetensors file."""
    path = run / "checkpoint.safetensors"
    if not path.exists():
        return None
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return json.loads(header["__metadata__"]["where"])["step"]


def compare(whole: Path, killed: Path) -> dict[str, list[Any]]:
    """What differs between two studies: sets of runs, scores, points."""
    from allometry.record.store import Folder

    a, b = Folder(whole), Folder(killed)
    both = sorted(set(a.run_ids()) & set(b.run_ids()))
    without_end = [run for run in both if a.end(run) is None or b.end(run) is None]
    scores, points = [], []
    for run in (run for run in both if run not in without_end):
        if score(a.end(run)) != score(b.end(run)):
            scores.append({"run": run} | {name: said(store.end(run)) for name, store in (("whole", a), ("killed", b))})
        one, other = ({p.step: (p.loss, p.tokens, p.flops) for p in store.points(run)} for store in (a, b))
        points += [
            {"run": run, "step": step} for step in sorted(one.keys() | other.keys()) if one.get(step) != other.get(step)
        ]
    return {"sets": sorted(set(a.run_ids()) ^ set(b.run_ids())) + without_end, "scores": scores, "points": points}


def said(end: Any) -> str:
    return f"{end.status} {end.loss} {end.reason}"


def score(end: Any) -> list[Any]:
    names = ("document_nats", "document_bytes", "position_nats")
    return [end.status, end.loss, end.bits_per_byte, *[end.facts.get(name) for name in names]]


if __name__ == "__main__":
    main()

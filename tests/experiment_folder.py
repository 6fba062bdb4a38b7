"""Experiments as folders, made up: what the page of an experiment is tested on."""

import json
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from allometry.flow import End, Point
from allometry.record.store import Folder

ABOUT = """Can a network learn to be slow? A warped sequence is the same sequence at another pace. The paper proves that a model
that does not mind the pace has gates, and shows that a gated network solves what a tuned one cannot.

We train the same three networks at each warp, with three seeds.

What we changed: fresh data at every step, and a fixed number of steps."""


def arm(panel: str, line: str, at: float | None, **more: Any) -> dict[str, Any]:
    """One entry of the list of arms; its name follows from the rest."""
    name = f"{line}, {panel}" + (f" {at:g}" if at is not None else "")
    words = {
        "name": name,
        "panel": panel,
        "line": line,
        "at": at,
        "axis": "longest block, steps" if at is not None else "",
        "task": {"kind": "warping"},
        "chance": math.log(8),
        "unit": "nats per target",
        "steps": 4000,
        "batch": 32,
        "N": 12345,
        "flops_per_step": 1.2e9,
        "parent": None,
        "note": "",
        "runs": [],
    }
    return words | more


def write(
    folder: Path,
    arms: Iterable[dict[str, Any]],
    expectations: Iterable[dict[str, Any]] = (),
    *,
    seeds: Iterable[int] = (0, 1, 2),
    floors: dict[str, float] | None = None,
    endings: dict[str, list[str]] | None = None,
    tests: Iterable[float] = (),
    points: int = 40,
    title: str = "Can recurrent networks warp time?",
    about: str = ABOUT,
) -> Path:
    """Write the folder of an experiment.

    `floors` is the share of chance that an arm of this name falls to (default: 0.95); `endings` the statuses of its seeds:
    done, diverged, failed, begun or missing; `tests` are the doses at which done runs are scored too.
    """
    store, seeds, arms, tests = Folder(folder), list(seeds), list(arms), list(tests)
    folder.mkdir(parents=True, exist_ok=True)
    for one in arms:
        statuses = (endings or {}).get(one["name"], ["done"] * len(seeds))
        floor = (floors or {}).get(one["name"], 0.95)
        one["runs"] = [f"{abs(hash_of(one['name'])):08x}{seed}" for seed in seeds]
        for run, seed, status in zip(one["runs"], seeds, statuses, strict=True):
            _write_run(store, one, run, seed, status, floor, tests, points)
    content = {"kind": "experiment", "title": title, "about": about, "seeds": seeds, "device": "cpu"}
    (folder / "experiment.json").write_text(json.dumps(content | {"arms": arms, "expectations": list(expectations)}))
    return folder


def hash_of(name: str) -> int:
    """A number of a name, the same in every process."""
    return random.Random(name).getrandbits(32)


def _write_run(
    store: Folder, one: dict[str, Any], run: str, seed: int, status: str, floor: float, tests: list[float], points: int
) -> None:
    if status == "missing":
        return
    store.run_folder(run).mkdir(parents=True)
    (store.run_folder(run) / "asked.json").write_text(json.dumps({"run": {}, "labels": {}}))
    chance = random.Random(f"{one['name']} {seed}")
    chance_loss, steps = one["chance"], one["steps"]
    floor *= chance_loss * math.exp(chance.gauss(0, 0.12 if floor < 0.5 else 0.01))
    middle, share = steps * chance.uniform(0.2, 0.4), {"begun": 0.5, "failed": 0.3, "diverged": 0.4}.get(status, 1.0)
    log = []
    for i in range(1, round(points * share) + 1):
        step = i * steps // points
        loss = floor + (chance_loss - floor) / (1 + math.exp((step - middle) / (steps / 25)))
        loss *= math.exp(chance.gauss(0, 0.02))
        log.append(Point(step=step, examples=32 * step, tokens=0, flops=1.2e9 * step, seconds=0.01 * step, loss=loss))
    store.append(run, log)
    if status == "begun":
        return
    facts: dict[str, Any] = {"steps": log[-1].step if log else 0, "wall_seconds": 45.0 + seed}
    loss = floor * math.exp(chance.gauss(0, 0.02)) if status == "done" else None
    if loss is not None:
        facts |= {"standard_error": 0.01 * loss, "sequences": 1000}
        if one["line"] != "rnn":
            facts["time_scales"] = {
                when: {"gate": sorted(chance.uniform(2, 40) for _ in range(8))} for when in ("start", "end")
            }
        facts["tests"] = [
            {"name": f"warp {at:g}", "at": at, "loss": min(chance_loss, loss * (1 + at / 40)), "chance": chance_loss}
            for at in tests
        ]
    reason = {"diverged": "loss is not finite", "failed": "out of memory"}.get(status, "")
    store.finish(run, End(status=status, reason=reason, loss=loss, seconds=40.0, facts=facts))


def expectation(text: str, arm: str, against: str = "", **more: Any) -> dict[str, Any]:
    """One entry of the list of expectations."""
    words = {"text": text, "arm": arm, "against": against, "measure": "loss", "at_most": 0.2, "at_least": None}
    return words | {"paper": "the tuned network stays near chance"} | more


DOSES = (10.0, 40.0, 100.0)


def paper(folder: Path, doses: Iterable[float] = DOSES, points: int = 30) -> Path:
    """An experiment as one of the papers': three panels of doses, one without, runs that went wrong."""
    doses = list(doses)
    arms, floors = [], {}
    for panel in ("uniform warping", "variable warping"):
        for line in ("tuned", "leaky", "gated"):
            for at in doses:
                one = arm(panel, line, at, N={"tuned": 4825, "leaky": 4827, "gated": 9129}[line])
                hard = at / 100 * (2 if panel[0] == "v" else 1)
                floor = {"tuned": 0.3 + 0.7 * min(1, hard), "leaky": 0.004 + 0.5 * min(1, hard) * (panel[0] == "v")}
                floors[one["name"]] = floor.get(line, 0.002 + 0.03 * hard)
                arms.append(one)
        if panel[0] == "v":
            one = arm(panel, "gated, not warped", None, note="the same network on plain sequences")
            floors[one["name"]] = 0.001
            arms.append(one)
    for line in ("constant bias", "chrono"):
        for at in (200.0, 500.0, 1000.0, 2000.0):
            more = {"chance": 10 * math.log(8) / (at + 20), "axis": "delay, steps", "steps": 8000}
            one = arm("copying", line, at, **more)
            floors[one["name"]] = 1.0 if line == "constant bias" and at > 200 else 0.01 + at / 8000
            arms.append(one)
    for line in ("constant bias", "chrono"):
        arms.append(arm("permuted pixels", line, None, chance=math.log(10), unit="nats per image", steps=2000))
        floors[arms[-1]["name"]] = 0.2 if line == "chrono" else 0.26
    top = doses[-1]
    endings = {
        f"tuned, variable warping {top:g}": ["done", "diverged", "done"],
        f"leaky, variable warping {top:g}": ["done", "failed", "begun"],
        "chrono, copying 2000": ["done", "done", "missing"],
    }
    gated, tuned = (
        f"gated, variable warping {doses[len(doses) // 2]:g}",
        f"tuned, variable warping {doses[len(doses) // 2]:g}",
    )
    expectations = [
        expectation("A gated network solves a variable warp that a tuned network cannot.", gated, tuned),
        expectation(
            "A gated network learns it in fewer steps.", gated, tuned, measure="half_chance", at_most=0.5, paper="not told"
        ),
        expectation(
            "A leaky network does no better than a tuned one where the warp is variable.",
            f"leaky, variable warping {doses[len(doses) // 2]:g}",
            tuned,
            at_most=None,
            at_least=0.9,
            paper="leaky networks suffice for uniform warps alone",
        ),
        expectation("A gated network solves it.", gated, at_most=0.1, paper="near zero"),
        expectation(
            "Chrono initialisation solves a delay of 2000 steps.",
            "chrono, copying 2000",
            "constant bias, copying 2000",
            at_most=0.5,
            paper="all delays up to 2000 are solved",
        ),
    ]
    tests = [20.0, 50.0, 100.0, 200.0, 500.0]
    return write(folder, arms, expectations, floors=floors, endings=endings, tests=tests, points=points)

"""Carry out an experiment: check, train every seed of every arm once, score. It resumes by itself."""

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from allometry.data._task import Task
from allometry.flow import IO, End, Refusal, Run, alike
from allometry.model._family import Family
from allometry.record.status import EXPERIMENT
from allometry.record.store import Folder, make_folder, write_json
from allometry.study.beforehand import beforehand
from allometry.study.clock import Clock
from allometry.study.experiment import Arm, Experiment
from allometry.study.listener import Listener, Programme, tells
from allometry.study.pool import Message, Pool, Workers
from allometry.study.rehearsal import rehearse
from allometry.study.score import missing_tests
from allometry.study.start import alone, device_of, jobs_on, place_for, revision
from allometry.study.trial import Trial
from allometry.train._recipe import AnyRecipe
from allometry.train.checkpoint import WEIGHTS
from allometry.train.example import built, counted_on
from allometry.train.meter import TRAINING, Count, count


def run_experiment(
    experiment: Experiment, out: Path, listener: Listener, *, dry_run: bool = False, file: Path | None = None
) -> list[dict[str, Any]]:
    """Start an experiment in the folder `out`, or go on with it. Returns a row for each arm with its price.

    What has ended is not run again: more seeds, more arms and more tests go on from what is there. `file` is where the experiment
    was read from: workers read it too, as it may have networks of its own. Raises Refusal for whatever the user can mend.
    """
    began = time.perf_counter()
    device = device_of(experiment.device)
    jobs = jobs_on(device, experiment.jobs)
    counts = checked(experiment)
    rows = [_row(arm, counts[arm.name], experiment.seeds_of(arm)) for arm in experiment.arms]
    runs = _runs(experiment, counts)
    trials = _trials(experiment, counts, runs)
    make_folder(out)
    if (out / "plan.json").exists():
        raise Refusal(f"{out} holds a comparison of families. Choose another folder with --out.")
    with alone(out), Pool(jobs, place_for(out, device, jobs, str(file.resolve()) if file else "")) as pool:
        if dry_run:
            return _with_seconds(rows, experiment, pool)
        store, clock = Folder(out), Clock(out, began)
        write_json(out / EXPERIMENT, _asked(experiment, counts, runs, device))
        todo = [trial for trial in trials if _lacks(trial, store)]
        listener.planned(
            Programme(
                title=experiment.title,
                arms=len(experiment.arms),
                seeds=experiment.seeds,
                to_do=len(todo),
                done=len(trials) - len(todo),
                flops=sum(trial.labels["C"] for trial in todo),
                jobs=jobs,
                device=device,
            )
        )
        listener.stage("arms", todo, len(trials) - len(todo))
        try:
            carry_out(todo, store, pool, listener, clock.save)
        finally:
            clock.save()
    return rows


def _lacks(trial: Trial, store: Folder) -> bool:
    """Whether a run has to be trained, or scored on a test that was added."""
    end = store.end(trial.run.id)
    return end is None or bool(missing_tests(trial, end))


def carry_out(todo: list[Trial], store: Folder, pool: Workers, listener: Listener, save: Callable[[], None]) -> None:
    """Every run once its parent has ended. One whose parent left no weights is left out, and said."""
    waiting, under_way = list(todo), set()

    def next_request() -> tuple[Trial, Message] | None:
        for trial in list(waiting):
            parent, end = trial.run.parent, store.end(trial.run.id)
            if parent in under_way or any(other.run.id == parent for other in waiting):
                continue
            waiting.remove(trial)
            needed = trial.run.id if end else parent
            if needed and not (store.run_folder(needed) / WEIGHTS).exists():
                listener.note(
                    f"{trial.name} is left out: it needs the weights of {store.run_folder(needed)}, which are not there. "
                    "Delete that folder to have the run done again."
                )
                continue
            under_way.add(trial.run.id)
            listener.began(trial)
            return trial, ("test" if end else "trial", trial)
        return None

    for trial, (_, _, status, _) in pool.work(next_request, tells(listener)):
        under_way.discard(trial.run.id)
        listener.ended(trial, status)
        for test in _without_loss(store.end(trial.run.id)):
            listener.note(f"{trial.name}: its test {test['name']!r} could not be made. {test['reason']}")
        save()


def _without_loss(end: End | None) -> list[dict[str, Any]]:
    """The tests that could not be made."""
    return [test for test in (end.facts.get("tests") or [] if end else []) if test.get("reason")]


def _runs(experiment: Experiment, counts: dict[str, Count]) -> dict[tuple[str, int], Run]:
    """The Run of each arm and seed. Arms that differ in how they are drawn alone are one Run."""
    runs: dict[tuple[str, int], Run] = {}
    for place in range(experiment.seeds):
        seed = experiment.first + place
        for arm in experiment.arms:
            if place >= experiment.seeds_of(arm):
                continue
            parent = runs[arm.parent, seed].id if arm.parent else None
            per_token = counts[arm.name].training_flops_per_token
            runs[arm.name, seed] = arm.run(seed, experiment.precision, per_token, parent)
    return runs


def _trials(experiment: Experiment, counts: dict[str, Count], runs: dict[tuple[str, int], Run]) -> list[Trial]:
    """Each run once, the first seed of every arm before any second, so that a look at half of it sees every arm."""
    trials: dict[str, Trial] = {}
    for (name, _), run in runs.items():
        arm, had = experiment.arm(name), trials.get(run.id)
        trials[run.id] = Trial(
            arm=had.arm if had else name,
            run=run,
            task=arm.task,  # type: ignore[arg-type]
            labels=had.labels if had else _labels(arm, counts[name]),
            sequences=experiment.sequences,
            tests=tuple({test.name: test for test in (*(had.tests if had else ()), *arm.tests)}.values()),
        )
    return list(trials.values())


def _labels(arm: Arm, counted: Count) -> dict[str, Any]:
    """What is known of a run beforehand; the table of runs reads it."""
    flops = arm.tokens * counted.training_flops_per_token
    return {
        "stage": "score",
        "family": arm.line,
        "arm": arm.name,
        "budget": flops,
        "N": counted.non_embedding_parameters,
        "N_all": counted.parameters,
        "D": float(arm.tokens),
        "C": flops,
        "C_non_embedding": flops - TRAINING * arm.tokens * counted.vocabulary_flops_per_token,
        "epochs": 0.0,
        "flops_per_token": counted.training_flops_per_token,
    }


def _asked(
    experiment: Experiment, counts: dict[str, Count], runs: dict[tuple[str, int], Run], device: str
) -> dict[str, Any]:
    """The experiment as its folder keeps it; the report reads it."""
    seeds = list(range(experiment.first, experiment.first + experiment.seeds))
    arms = [
        {name: getattr(arm, name) for name in ("name", "line", "panel", "at", "axis", "steps", "batch", "note")}
        | {
            "parent": arm.parent or None,
            "task": arm.task.to_json(),
            "model": arm.model.to_json(),
            "recipe": arm.recipe.to_json(),
            **beforehand(arm.task),
            "tests": [
                {name: getattr(test, name) for name in ("name", "at", "axis", "along", "line")}
                | {"own_model": test.model is None, **beforehand(test.task)}
                for test in arm.tests
            ],
            "unit": "squared error" if getattr(arm.io, "loss", "") == "squared" else "nats per target",
            "N": counts[arm.name].parameters,
            "flops_per_step": counts[arm.name].training_flops_per_token * arm.batch * arm.io.length,
            "network": repr(arm.model),
            "asked": repr(arm.task),
            "trained": repr(arm.recipe),
            "runs": [runs[arm.name, seed].id for seed in seeds[: experiment.seeds_of(arm)]],
        }
        for arm in experiment.arms
    ]
    claims = [
        {field.name: getattr(claim, field.name) for field in dataclasses.fields(claim)}  # type: ignore[arg-type]
        for claim in experiment.expectations
    ]
    return {
        "kind": "experiment",
        "title": experiment.title,
        "about": experiment.about,
        "seeds": seeds,
        "device": device,
        "precision": experiment.precision,
        "revision": revision(),
        "arms": arms,
        "expectations": claims,
    }


def checked(experiment: Experiment) -> dict[str, Count]:
    """What each arm's model costs. Whatever would show only after hours of training is refused here."""
    counts: dict[tuple[Any, IO], Count] = {}
    found = {}
    for arm in experiment.arms:
        for name, value, kind, way in (
            ("model", arm.model, Family, "Give a family at a size, al.family('lstm').at(3), or OneLayer(...)"),
            ("recipe", arm.recipe, AnyRecipe, "Give Rmsprop(...) or Recipe(...)"),
            *((f"task of {test.name!r}", test.task, Task, "Give a task") for test in (arm, *arm.tests)),
            *(
                (f"model of {test.name!r}", test.model, Family, "Give a family")
                for test in arm.tests
                if test.model is not None
            ),
        ):
            if not _is(value, kind):
                raise Refusal(f"{arm.name}: its {name} is {value!r}. {way}.")
        chance = [one.task.chance for one in (arm, *arm.tests)]  # type: ignore[attr-defined]
        if not all(math.isfinite(level) and level > 0 for level in chance):
            raise Refusal(f"{arm.name}: a task has a chance of {min(chance)}. It takes a loss above 0.")
        key = arm.model, arm.io
        counts[key] = counts[key] if key in counts else count(arm.model, arm.io)  # type: ignore[arg-type]
        found[arm.name] = counts[key]
        for test in arm.tests:
            if not alike(arm.io, test.task.io):  # type: ignore[attr-defined]
                raise Refusal(f"{arm.name}: its test {test.name!r} asks {test.task.io}, and it is trained on {arm.io}.")  # type: ignore[attr-defined]
        if arm.parent:
            _check_weights(arm.name, (arm.model, arm.io), arm.parent, experiment.arm(arm.parent))
        for test in arm.tests:
            if test.model is not None:
                _check_weights(f"{arm.name} in the test {test.name!r}", (test.model, test.task.io), "its training", arm)  # type: ignore[attr-defined]
    rehearse(experiment)
    return found


def _is(value: Any, kind: Any) -> bool:
    try:
        return isinstance(value, kind)
    except Exception:  # to look whether a task has all its attributes, Python reads them, and a property may raise
        return False


def _check_weights(name: str, child: tuple[Any, IO], source: str, parent: Arm) -> None:
    """Refuse a model, as (family, IO), that cannot take the weights of an arm."""
    with torch.random.fork_rng(devices=()), torch.device(counted_on(parent.io)):
        ours, theirs = (
            {at: tuple(value.shape) for at, value in built(*one).state_dict().items()}
            for one in (child, (parent.model, parent.io))
        )
    if ours != theirs:
        at = min(at for at in {*ours, *theirs} if ours.get(at) != theirs.get(at))
        raise Refusal(
            f"{name} cannot start from {source}: {at} is {ours.get(at, 'absent')} in the one and "
            f"{theirs.get(at, 'absent')} in the other. Give both one kind of network, width and vocabulary."
        )


def _row(arm: Arm, counted: Count, seeds: int) -> dict[str, Any]:
    flops = arm.tokens * counted.training_flops_per_token
    return {"arm": arm.name, "runs": seeds, "steps": arm.steps, "parameters": counted.parameters, "flops": flops}


def _with_seconds(rows: list[dict[str, Any]], experiment: Experiment, pool: Pool) -> list[dict[str, Any]]:
    """With the seconds that each run of an arm would take, from a few steps of each kind; workers measure side by side."""
    kinds = {(arm.model, arm.io, arm.batch): None for arm in experiment.arms}
    found = pool.ask([("seconds", *kind) for kind in kinds])
    seconds = {kind: answer[1] for kind, answer in zip(kinds, found, strict=True)}
    priced = []
    for row, arm in zip(rows, experiment.arms, strict=True):
        step = seconds[arm.model, arm.io, arm.batch]
        priced.append(row | {"seconds": None if step is None else arm.steps * step})
    return priced

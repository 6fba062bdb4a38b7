"""Carry out an experiment: count, train every seed of every arm, score. Resumes by itself; a longer list of arms goes on too."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from allometry.data._task import Task
from allometry.flow import Refusal, Series
from allometry.model._family import Family
from allometry.record.store import Folder, make_folder, write_json
from allometry.study.clock import Clock
from allometry.study.experiment import Arm, Experiment
from allometry.study.listener import Listener, Programme
from allometry.study.pool import Message, Pool
from allometry.study.start import alone, device_of, jobs_on, place_for
from allometry.study.trial import Trial
from allometry.train.checkpoint import WEIGHTS
from allometry.train.meter import TRAINING, Count, count

NAME = "experiment.json"


def run_experiment(
    experiment: Experiment, out: Path, listener: Listener, *, dry_run: bool = False, file: Path | None = None
) -> list[dict[str, Any]]:
    """Start an experiment in the folder `out`, or go on with it. Returns a row for each arm with its price.

    `file` is where the experiment was read from: workers read it too, as it may have networks of its own. Raises Refusal for
    whatever the user can mend.
    """
    began = time.perf_counter()
    device = device_of(experiment.device)
    jobs = jobs_on(device, experiment.jobs)
    counts = {arm.name: _count(arm) for arm in experiment.arms}
    trials = _trials(experiment, counts)
    rows = [_row(arm, counts[arm.name], experiment.seeds) for arm in experiment.arms]
    make_folder(out)
    with alone(out), Pool(jobs, place_for(out, device, jobs, str(file.resolve()) if file else "")) as pool:
        if dry_run:
            return _with_seconds(rows, experiment, pool)
        store, clock = Folder(out), Clock(out, began)
        write_json(out / NAME, _asked(experiment, counts, trials, device))
        todo = [trial for trial in trials if store.end(trial.run.id) is None]
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
            _carry_out(todo, store, pool, listener, clock)
        finally:
            clock.save()
    return rows


def _carry_out(todo: list[Trial], store: Folder, pool: Pool, listener: Listener, clock: Clock) -> None:
    """Every run once its parent has ended. One whose parent has no weights is left out, and said."""
    waiting, under_way = list(todo), set()

    def next_request() -> tuple[Trial, Message] | None:
        for trial in list(waiting):
            parent = trial.run.parent
            if parent in under_way or any(other.run.id == parent for other in waiting):
                continue
            waiting.remove(trial)
            if parent and not (store.run_folder(parent) / WEIGHTS).exists():
                listener.note(f"{trial.name}: the run that it starts from left no weights here, so it is not run")
                continue
            under_way.add(trial.run.id)
            listener.began(trial)
            return trial, ("trial", trial)
        return None

    def heard(trial: Trial, message: Message) -> None:
        if message[0] == "note":
            listener.note(message[1])
        else:
            _, _, step, loss, tokens, seconds = message
            listener.point(trial, step, loss, tokens, seconds)

    for trial, (_, _, status, _) in pool.work(next_request, heard):
        under_way.discard(trial.run.id)
        listener.ended(trial, status)
        clock.save()


def _trials(experiment: Experiment, counts: dict[str, Count]) -> list[Trial]:
    """All runs, the first seed of every arm before any second, so that a look at half of it sees every arm."""
    parents = {arm.parent for arm in experiment.arms if arm.parent}
    ids: dict[tuple[str, int], str] = {}
    trials = []
    for seed in range(experiment.first, experiment.first + experiment.seeds):
        for arm in experiment.arms:
            counted = counts[arm.name]
            per_token = counted.training_flops_per_token
            run = arm.run(seed, experiment.precision, per_token, ids[arm.parent, seed] if arm.parent else None)
            ids[arm.name, seed] = run.id
            trials.append(
                Trial(
                    arm=arm.name,
                    run=run,
                    task=arm.task,  # type: ignore[arg-type]
                    labels=_labels(arm, counted),
                    sequences=experiment.sequences,
                    points=experiment.points,
                    others=arm.others,
                    keep=arm.name in parents,
                )
            )
    return trials


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


def _asked(experiment: Experiment, counts: dict[str, Count], trials: list[Trial], device: str) -> dict[str, Any]:
    """What the report reads."""
    runs: dict[str, list[str]] = {}
    for trial in trials:
        runs.setdefault(trial.arm, []).append(trial.run.id)
    arms = [
        {name: getattr(arm, name) for name in ("name", "line", "panel", "at", "axis", "steps", "batch", "note")}
        | {
            "parent": arm.parent or None,
            "task": arm.task.to_json(),
            "model": arm.model.to_json(),
            "recipe": arm.recipe.to_json(),
            "chance": arm.task.chance,  # type: ignore[attr-defined]
            "unit": "squared error" if isinstance(arm.io, Series) and arm.io.loss == "squared" else "nats per target",
            "N": counts[arm.name].parameters,
            "flops_per_step": counts[arm.name].training_flops_per_token * arm.batch * arm.io.length,
            "runs": runs[arm.name],
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
        "seeds": list(range(experiment.first, experiment.first + experiment.seeds)),
        "device": device,
        "precision": experiment.precision,
        "arms": arms,
        "expectations": claims,
    }


def _count(arm: Arm) -> Count:
    if not (isinstance(arm.model, Family) and isinstance(arm.task, Task)):
        raise Refusal(
            f"{arm.name}: model is a {type(arm.model).__name__} and task a {type(arm.task).__name__}. They must be an "
            "allometry.Family and a task."
        )
    return count(arm.model, arm.io)


def _row(arm: Arm, counted: Count, seeds: int) -> dict[str, Any]:
    flops = arm.tokens * counted.training_flops_per_token
    return {"arm": arm.name, "runs": seeds, "steps": arm.steps, "parameters": counted.parameters, "flops": flops}


def _with_seconds(rows: list[dict[str, Any]], experiment: Experiment, pool: Pool) -> list[dict[str, Any]]:
    """With the seconds that each run of an arm would take, from a few steps of each kind; workers measure side by side."""
    kinds = {(arm.model, arm.io, arm.batch): None for arm in experiment.arms}
    found = pool.ask([("seconds", *kind) for kind in kinds])
    seconds = {kind: answer[1] for kind, answer in zip(kinds, found, strict=True)}
    return [
        row | {"seconds": arm.steps * seconds[arm.model, arm.io, arm.batch]}
        for row, arm in zip(rows, experiment.arms, strict=True)
    ]

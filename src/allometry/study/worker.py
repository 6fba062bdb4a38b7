"""A worker: a process of its own that prices models and carries out runs, one after another, as the study tells it."""

import contextlib
import dataclasses
import functools
import math
import platform
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from allometry.data._code_edits import labelled
from allometry.data._corpus import load
from allometry.data._labels import Labels
from allometry.data._task import HeldOut, Task
from allometry.find import load_file, member
from allometry.flow import IO, End, Refusal, Run, in_words
from allometry.probe._gradients import norms_by_lag
from allometry.record.store import Folder, explain
from allometry.study.entry import Place
from allometry.study.job import TASKS, Job, family_at
from allometry.study.memory import Memory
from allometry.study.price import counted_price
from allometry.study.score import missing_tests, score_on, scored, time_scales
from allometry.study.transfer import reads_shorter
from allometry.study.trial import Trial
from allometry.train import checkpoint
from allometry.train.evaluate import answer, evaluate
from allometry.train.example import built
from allometry.train.loop import Diverged, Setting, train
from allometry.train.meter import count
from allometry.train.speed import latency, seconds_per_step

Scoring = Callable[[Setting, Folder, dict[str, Any]], End]
SEQUENCES = 96  # held out
MEASURED = 8  # of them, in which the gradients of the last output are taken


def serve(connection: Connection, place: Place) -> None:
    """Answer requests until the connection closes."""
    torch.set_flush_denormal(True)  # numbers below 1e-38 take a CPU many times as long (benchmarks/denormals.py)
    torch.set_num_threads(place.threads)
    torch.backends.cudnn.allow_tf32 = False  # else a recurrence in fp32 multiplies with 10 bits on a GPU
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        if place.study:
            with contextlib.suppress(Refusal):  # then what is sent will not be understood
                load_file(Path(place.study), "study", place.study)  # its own classes are found by the name of its module
        while True:
            try:
                message = connection.recv()
            except (ImportError, AttributeError):  # an object of a class that is not there
                connection.send(("refused", f"{place.study} has changed since the study was started. Start it again."))
                continue
            if message is None:
                return
            kind, *arguments = message
            try:
                answer = _ANSWERS[kind](place, connection, *arguments)
            except Refusal as error:
                answer = ("refused", str(error))
            except Exception:
                answer = ("broken", traceback.format_exc())
            connection.send(answer)


def price(
    place: Place,
    connection: Connection,
    family: str,
    size: int,
    io: IO,
    scale: str,
    batches: tuple[int, ...],
    seconds: float,
) -> Any:
    """Count one model and, for some batches, measure its training step. None of it is a run."""
    spec = family_at(family, size, io, scale)
    priced = counted_price(family, size, spec, io, count(spec, io))
    if batches:
        with contextlib.suppress(Exception):  # a fault of the family's own: its runs will end as failed, and say why
            steps, waiting = _timed(spec, io, batches, Setting(device=place.device), seconds)
            priced = dataclasses.replace(priced, steps=steps, latency=waiting)
    return "priced", priced


def step_seconds(place: Place, connection: Connection, spec: Any, io: IO, batch: int) -> Any:
    """Seconds of a training step of one model; none where it cannot be trained, as its runs will say."""
    with contextlib.suppress(Exception):
        return "timed", seconds_per_step(built(spec, io).to(place.device), io, batch, Setting(device=place.device), 0.0)
    return "timed", None


def _timed(spec: Any, io: IO, batches: tuple[int, ...], setting: Setting, seconds: float) -> tuple[dict[int, float], float]:
    torch.manual_seed(0)
    model = built(spec, io).to(setting.device)
    steps = {batch: seconds_per_step(model, io, batch, setting, seconds) for batch in batches}
    return steps, latency(model, io, setting)


def precisions(place: Place, connection: Connection, family: str, size: int, io: IO, scale: str, batch: int) -> Any:
    """Seconds of a training step in fp32 and in bf16, side by side."""
    try:
        model = built(family_at(family, size, io, scale), io).to(place.device)
        kinds = ("fp32", "bf16")
        seconds = {p: seconds_per_step(model, io, batch, Setting(device=place.device, precision=p)) for p in kinds}
    except Exception:  # as above
        seconds = {"fp32": 0.0, "bf16": math.inf}
    return "precisions", seconds


def run_job(place: Place, connection: Connection, job: Job, corpus: Path) -> Any:
    """Do one run of a comparison from wherever it was, and record how it ended."""
    run = job.run()

    def score(setting: Setting, store: Folder, facts: dict[str, Any]) -> End:
        task = _labels(corpus, job) if job.labelled else _task(corpus, job.task, job.length)
        memory = Memory(place.device)
        model, seconds = _train(run, job.labels["flops_per_token"], task, setting, store, connection)
        facts = facts | {"memory_bytes": memory.peak()}
        if isinstance(task, Labels):
            end = _judge(model, task, setting, seconds, facts)
        else:
            end = _score(model, corpus, setting, seconds, facts, job)
        if job.keep:
            _keep(run, model, end, setting)
        return end

    return _record(place, connection, run, job, score)


def run_trial(place: Place, connection: Connection, trial: Trial) -> Any:
    """Do one run of an experiment from wherever it was, and record how it ended. Its weights are kept: arms may start from it."""
    run = trial.run

    def score(setting: Setting, store: Folder, facts: dict[str, Any]) -> End:
        memory = Memory(place.device)
        model, seconds = _train(run, trial.labels["flops_per_token"], trial.task, setting, store, connection)
        steps = max((point.step for point in store.points(run.id)), default=0)
        after = time_scales(model)
        before = time_scales(_fresh(run, store, setting)) if after else {}
        facts = facts | {"time_scales": {"start": before, "end": after}}
        end = scored(model, trial, setting, seconds, facts | {"memory_bytes": memory.peak(), "steps": steps})
        _keep(run, model, end, setting)
        return end

    return _record(place, connection, run, trial, score)


def score_tests(place: Place, connection: Connection, trial: Trial) -> Any:
    """Score a run that ended on the tests that were added since, from its weights."""
    store, run = Folder(place.store), trial.run
    began, end = time.perf_counter(), store.end(run.id)
    assert end is not None
    model = built(run.family, run.io).to(place.device)  # type: ignore[arg-type]
    checkpoint.start_from(store.run_folder(run.id), model)
    setting = Setting(device=place.device, precision=run.precision)
    tests = [score_on(model, test, trial.sequences, setting) for test in missing_tests(trial, end)]
    store.finish(run.id, dataclasses.replace(end, facts=end.facts | {"tests": [*(end.facts.get("tests") or []), *tests]}))
    return "ended", run.id, end.status, time.perf_counter() - began


def _keep(run: Run, model: nn.Module, end: End, setting: Setting) -> None:
    """Keep the weights of a run that is done."""
    if end.status == "done" and setting.folder:
        checkpoint.keep(setting.folder, model, {"family": run.family.to_json(), "io": run.io.to_json()})


def _record(place: Place, connection: Connection, run: Run, job: Job | Trial, score: Scoring) -> Any:
    """Record that a run was asked and how it ended; `score` trains and scores it, given setting, store and known facts."""
    store = Folder(place.store)
    folder = store.ask(run, job.labels)
    began = time.perf_counter()

    def notify(text: str) -> None:
        _tell(connection, ("note", f"{job.name}: {text}"))

    setting = Setting(
        device=place.device,
        precision=run.precision,
        folder=folder,
        checkpoint_seconds=place.checkpoint_seconds,
        notify=notify,
    )
    facts = _facts(place, run.precision)
    try:
        end = score(setting, store, facts)
    except Diverged as error:
        end = End(status="diverged", reason=str(error), facts=facts)
    except Refusal:
        raise  # the disk is full, or files of the task are gone: that is no fault of this run, and can be mended
    except checkpoint.Unwritable as error:
        raise Refusal(explain(error, Path(error.filename))) from error
    except Exception as error:  # whatever a family's code may raise ends this run, and the study goes on
        end = End(status="failed", reason=in_words(error), facts=facts)
    end.facts["wall_seconds"] = time.perf_counter() - began
    store.finish(run.id, end)
    checkpoint.remove(folder)
    return "ended", run.id, end.status, end.facts["wall_seconds"]


def _train(
    run: Run, flops_per_token: float, task: Task | Labels, setting: Setting, store: Folder, connection: Connection
) -> tuple[nn.Module, float]:
    """Train the run's model, storing its Points; a damaged checkpoint is put away and the run starts again."""
    model = _fresh(run, store, setting)
    batch_of = functools.partial(task.batch, run.seed)
    points = train(model, batch_of, run.recipe, run.budget, setting, flops_per_token)  # type: ignore[arg-type]
    try:
        while True:
            point = next(points)
            store.append(run.id, [point])
            _tell(connection, ("point", run.id, point.step, point.loss, point.tokens, point.seconds))
    except StopIteration as stop:
        return model, stop.value
    except checkpoint.Damaged as error:
        assert setting.folder
        setting.notify(f"{error}; this run starts again from its beginning")
        checkpoint.remove(setting.folder)
        return _train(run, flops_per_token, task, setting, store, connection)


def _fresh(run: Run, store: Folder, setting: Setting) -> nn.Module:
    """The run's model as it starts: with the weights of its parent, if it has one."""
    torch.manual_seed(run.seed)
    model = built(run.family, run.io).to(setting.device)  # type: ignore[arg-type]
    if run.parent:
        checkpoint.start_from(store.run_folder(run.parent), model)
    return model


def _tell(connection: Connection, message: Any) -> None:
    """Send a word on the way. A parent that is gone ends this process here and now.

    A parent that is killed closes its end of the wire before the kernel ends its workers; the fault is not the run's.
    """
    try:
        connection.send(message)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit()  # no Exception, so nobody on the way takes it for a fault of a family's code


def _judge(model: nn.Module, task: Labels, setting: Setting, seconds: float, facts: dict[str, Any]) -> End:
    """How often a fine-tuned model names the right label."""
    said: dict[str, Any] = {}
    for part in ("dev", "test"):
        asked = task.parts[part]
        found = answer(model, asked.inputs, asked.targets, len(task.labelled.labels), setting)
        right = (found.labels == asked.labels).tolist()
        if not math.isfinite(found.loss):
            return End(status="diverged", reason="the held-out loss is not finite", seconds=seconds, facts=facts)
        said[part] = {"loss": found.loss, "accuracy": sum(right) / len(right), "right": "".join("01"[hit] for hit in right)}
    return End(status="done", loss=said["test"]["loss"], seconds=seconds, facts=facts | said | {"cut_texts": task.cut})


def _score(model: nn.Module, corpus: Path, setting: Setting, seconds: float, facts: dict[str, Any], job: Job) -> End:
    held_out = _held_out(corpus, job.task, job.length)
    score = evaluate(model, held_out.inputs, held_out.targets, held_out.weights, held_out.document, setting)
    if not math.isfinite(score.loss):
        return End(status="diverged", reason="the held-out loss is not finite", seconds=seconds, facts=facts)
    sizes = held_out.document_bytes.tolist()
    return End(
        status="done",
        loss=score.loss,
        bits_per_byte=sum(score.documents) / sum(sizes) / math.log(2),
        seconds=seconds,
        facts=facts
        | {
            "document_nats": [round(nats, 6) for nats in score.documents],
            "document_bytes": sizes,
            "position_nats": [None if math.isnan(nats) else round(nats, 5) for nats in score.positions],
        }
        | (_reach(model, held_out, setting) if job.stage == "score" else {}),  # the report shows no others
    )


def _reach(model: nn.Module, held_out: HeldOut, setting: Setting) -> dict[str, Any]:
    """How much inputs move the last output by how far back they lie, of a language model that can be asked."""
    whole = (held_out.weights > 0).all(1)
    if len(held_out.inputs) > 1 or not whole.any():
        return {}
    try:
        norms = norms_by_lag(model, (held_out.inputs[0][whole][:MEASURED].to(setting.device),))
    except Exception as error:  # whatever a user's own module may raise under hooks: the run has its score without this
        return {"reach": None, "reach_missing": in_words(error)}
    curve = np.sqrt((norms**2).mean((0, 1)))
    told = np.isfinite(curve).all() and curve.max() > 0
    return {"reach": [float(f"{norm:.3g}") for norm in curve / curve.max()] if told else None}


@functools.lru_cache(maxsize=8)
def _asked(corpus: Path, name: str, io: IO, shorter: bool) -> Labels:
    return Labels(load(corpus), labelled(name, corpus.parent), io, shorter)


def _labels(corpus: Path, job: Job) -> Labels:
    return _asked(corpus, job.labelled, job.io, reads_shorter(job.family))


@functools.lru_cache(maxsize=2)
def _task(corpus: Path, task: str, length: int) -> Task:
    return member(TASKS, task)(load(corpus), length)  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=2)
def _held_out(corpus: Path, task: str, length: int) -> HeldOut:
    return _task(corpus, task, length).held_out(SEQUENCES)


def _facts(place: Place, precision: str) -> dict[str, Any]:
    device = torch.cuda.get_device_name() if place.device.startswith("cuda") else platform.processor() or platform.machine()
    return {
        "device": f"{place.device} ({device})",
        "threads": place.threads,
        "precision": precision,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "revision": place.revision,
    }


_ANSWERS: dict[str, Any] = {
    "price": price,
    "precisions": precisions,
    "seconds": step_seconds,
    "run": run_job,
    "trial": run_trial,
    "test": score_tests,
}

"""Carry out a study: prepare the data, plan, tune, bracket, score. Resumes by itself; finishes in the time it was given."""

import dataclasses
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any

from allometry.data._baseline import beginning
from allometry.data._code_edits import PREFIX, labelled
from allometry.data._corpus import Corpus, prepare
from allometry.data._labelled import Labelled
from allometry.data._labels import room_for
from allometry.data.text import Text
from allometry.find import member
from allometry.flow import Refusal
from allometry.model._family import Family
from allometry.record.status import is_experiment
from allometry.record.store import Folder, make_folder, read_json, write_json
from allometry.record.table import table
from allometry.spec import type_name
from allometry.study.clock import Clock
from allometry.study.design import STAGES, Cell
from allometry.study.job import FAMILIES, TASKS, Job, labels, short_name
from allometry.study.listener import Listener, tells
from allometry.study.plan import Plan, read_plan, write_plan
from allometry.study.planner import length_for, make_plan
from allometry.study.pool import Message, Pool
from allometry.study.rates import Rates
from allometry.study.request import Request
from allometry.study.start import alone, device_of, jobs_on, place_for
from allometry.study.transfer import SHARES, transfer_job
from allometry.study.worker import SEQUENCES
from allometry.train.checkpoint import WEIGHTS

RESERVE = 6.0  # seconds kept for the baselines and the report
LATEST = 1.05  # of the minutes asked: no run is started that would end later ...
MOST_BASELINE_BYTES = 2e6  # an n-gram model of more takes longer than it tells
GIVEN_UP = 1.10  # ... and what is under way then is given up (its checkpoint stays)


def run_study(
    request: Request, out: Path, listener: Listener, *, dry_run: bool = False, cache: Path, began: float | None = None
) -> Plan:
    """Start a study in the folder `out`, or go on with it. Returns the plan; the runs are in the store.

    Raises Refusal for whatever the user can mend. `began` is when the command started (time.perf_counter()).
    """
    architectures = {family: _check_family(family) for family in request.families}
    names = [short_name(family) for family in request.families]
    if len(set(names)) < len(names):
        raise Refusal(f"Two families are called {', '.join(n for n in set(names) if names.count(n) > 1)}. Rename one class.")
    device = device_of(request.device)
    jobs = jobs_on(device, request.jobs)
    make_folder(out)
    if is_experiment(out):
        raise Refusal(f"{out} holds an experiment. Choose another folder with --out.")
    with alone(out):
        clock = Clock(out, began if began is not None else time.perf_counter())
        earlier = read_plan(out)
        if earlier and earlier.request.question != request.question:
            raise Refusal(
                f"{out} holds a study of another request ({earlier.request.command()}). Choose another folder with --out."
            )
        place = place_for(out, device, jobs)
        with Pool(jobs, place) as pool:  # the workers load while the data is prepared
            with clock.part("preparing the data"):
                corpus = _prepare(request, cache)
                task = member(TASKS, request.task)(
                    corpus, earlier.length if earlier else length_for(request)
                )  # may refuse it
                for family in request.families:
                    member(FAMILIES, family).check(task.io)
                sets = {name: labelled(name, corpus.folder.parent) for name in request.downstream}
                fingerprints = {name: one.fingerprint for name, one in sets.items()}
            if earlier and earlier.data != corpus.fingerprint:
                raise Refusal(
                    f"{out} holds a study of other data: the files have changed since. Choose another folder with --out."
                )
            if earlier and earlier.labelled and earlier.labelled != fingerprints:
                changed = [name for name, seen in fingerprints.items() if earlier.labelled.get(name) != seen]
                raise Refusal(
                    f"{out} holds a study of other labelled texts: {', '.join(changed)} changed since. "
                    "Choose another folder with --out."
                )
            if earlier and earlier.architectures != architectures:
                changed = [name for name, kind in architectures.items() if earlier.architectures.get(name) != kind]
                raise Refusal(
                    f"{out} holds runs of another version of {', '.join(changed)}: the file has changed since. "
                    "Choose another folder with --out."
                )
            study = _Study(request, out, corpus, pool, clock, listener, sets)
            with clock.part("pricing and planning"):
                plan = study.plan(jobs, device, earlier, architectures, fingerprints, dry_run)
            listener.planned(plan)
            if not dry_run:
                study.carry_out(plan)
    return plan


class _Study:
    """One start of a study."""

    def __init__(
        self,
        request: Request,
        out: Path,
        corpus: Corpus,
        pool: Pool,
        clock: Clock,
        listener: Listener,
        sets: dict[str, Labelled],
    ) -> None:
        self.request, self.out, self.corpus, self.sets = request, out, corpus, sets
        self.pool, self.clock, self.listener = pool, clock, listener
        self.store = Folder(out)
        self.skipped: list[str] = []
        self.pace = 1.0  # actual over predicted seconds of the runs so far

    def plan(
        self,
        jobs: int,
        device: str,
        earlier: Plan | None,
        architectures: dict[str, str],
        fingerprints: dict[str, str],
        dry_run: bool,
    ) -> Plan:
        """The frozen plan; made or extended where there is none or more minutes are given."""
        asked, had = self.request.minutes, earlier.request.minutes if earlier else None
        if earlier and (asked is None or had is None or asked <= had):
            return earlier
        ended = self._counts(ended=True)
        longest = {name: int(one.about["most_bytes"]) for name, one in self.sets.items()}
        plan = make_plan(
            self.request,
            self.corpus,
            self.pool,
            jobs,
            device,
            self.seconds_left,
            earlier,
            lambda cell: ended[_recorded(cell)],
            longest,
        )
        plan = dataclasses.replace(
            plan,
            architectures=architectures,
            labelled=fingerprints,
            degraded=(*plan.degraded, *self._cut(plan.length), *self._seen()),
        )
        if not dry_run:
            write_plan(self.out, plan)
            self._commands()
            write_json(
                self.out / "data.json",
                self.corpus.about | {"fingerprint": self.corpus.fingerprint, "folder": str(self.corpus.folder)},
            )
        return plan

    def _cut(self, length: int) -> list[str]:
        """Which labelled sets have texts that do not fit, and how many: they lose their beginning."""
        io = member(TASKS, self.request.task).asks(self.corpus.vocab, length)
        notes = []
        for name, one in self.sets.items():
            lengths = [len(text) for part in one.parts.values() for text in self.corpus.encode([e.text for e in part])]
            cut = sum(tokens > room_for(io) for tokens in lengths)
            if cut:
                notes.append(f"{name}: {cut:,} of {len(lengths):,} texts are longer than {room_for(io)} tokens and are cut")
        return notes

    def _seen(self) -> list[str]:
        """Which labelled sets have test texts that stand in the training text, word for word: their answer was shown."""
        if not self.sets:
            return []
        shown = beginning(self.corpus, self.corpus.about["train_bytes"]).tobytes()
        notes = []
        for name, one in self.sets.items():
            seen = sum(example.text in shown for example in one.parts["test"])
            if seen:
                notes.append(f"{name}: {seen:,} of {len(one.parts['test']):,} test texts stand in the training text")
        return notes

    def _counts(self, ended: bool = False) -> Counter[tuple[Any, ...]]:
        """How many runs each cell has in the store: asked, or those that ended."""
        counts: Counter[tuple[Any, ...]] = Counter()
        for run_id in self.store.run_ids():
            if not ended or self.store.end(run_id) is not None:
                asked = self.store.asked(run_id)
                known = asked["labels"]
                labelled_set = known.get("labelled", "")
                counts[known["stage"], known["family"], asked["run"]["size"], known["budget"], labelled_set] += 1
        return counts

    def _commands(self) -> None:
        """What to type to do this again, to go on with it, and to draw it again."""
        request, place = self.request, f" --out {shlex.quote(str(self.out))}"
        more = {"minutes": 4 * request.minutes} if request.minutes else {}
        commands = {"command": request.command() + place, "report_command": f"allometry report {shlex.quote(str(self.out))}"}
        if more:
            commands["extend_command"] = request.command(**more) + place
        write_json(self.out / "commands.json", commands | {"title": f"{', '.join(request.sources)}: which architecture?"})

    def seconds_left(self) -> float:
        """Seconds left for training, or a week where no minutes were asked."""
        if self.request.minutes is None:
            return 7 * 86400.0
        return 60 * self.request.minutes - self.clock.seconds - RESERVE

    def carry_out(self, plan: Plan) -> None:
        """Tune, bracket, score; what the time does not carry is skipped in the order of the plan, from its end."""
        self._limit = None if self.request.minutes is None else 60 * self.request.minutes
        rates, asked = Rates(self.out), self._counts()
        try:
            with self.clock.part("training stages"):
                for stage in STAGES:
                    cells = [cell for cell in plan.cells if cell.stage == stage]
                    if stage == "transfer":
                        self._sets()
                        self.skipped += self._transfer(plan, cells, rates)
                        continue
                    rates.decide(cells, self._tuned(), lambda cell: asked[_recorded(cell)] > 0)
                    skipped = self._do(plan, stage, cells, rates)
                    if stage != "score" and rates.widen(cells, self._tuned()):
                        skipped = self._do(plan, stage, cells, rates)
                    self.skipped += skipped
        finally:
            self.clock.save()
        write_json(self.out / "skipped.json", self.skipped)
        with self.clock.part("baselines"):
            self._baselines(plan)
        self.clock.save()

    def _sets(self) -> None:
        """What is known of the labelled sets: their baselines, and which test texts belong together."""
        from allometry.data._label_baselines import label_baselines, likelier

        found = {}
        if not self.sets or (self.out / "downstream.json").exists():
            return
        for name, one in self.sets.items():
            names = [example.cluster for example in one.parts["test"]]
            numbers = {name: place for place, name in enumerate(sorted(set(names)))}
            groups = [numbers[name] for name in names]
            found[name] = {
                "about": one.about,
                "labels": list(one.labels),
                "groups": groups,
                "baselines": label_baselines(one),
            }
            if name.startswith(PREFIX):
                train = beginning(self.corpus, int(MOST_BASELINE_BYTES))
                found[name]["baselines"]["ngram"] = likelier(one, "true", train)
        write_json(self.out / "downstream.json", found)

    def _baselines(self, plan: Plan) -> None:
        """What needs no network, on the same held-out text: an n-gram model and xz, once for a plan. They cannot fill in."""
        if self.request.objective != "causal":
            return
        trained = max(cell.D for cell in plan.cells if cell.stage != "transfer")
        shown = min(MOST_BASELINE_BYTES, trained * self.corpus.about["train_bytes"] / len(self.corpus.train))
        path = self.out / "baselines.json"
        if not path.exists() or read_json(path)["train_bytes"] != int(shown):
            found = Text(self.corpus, plan.length).baselines(int(shown), SEQUENCES)
            write_json(
                path,
                {
                    "train_bytes": int(shown),
                    "baselines": [
                        {"name": name, "note": f"{values['text']}, {values['train_bytes']:,} bytes"} | values
                        for name, values in found.items()
                    ],
                },
            )

    def _tuned(self) -> Any:
        runs = table(self.store)
        return runs[runs["stage"] == "tune"]

    def _do(self, plan: Plan, stage: str, cells: list[Cell], rates: Rates) -> list[str]:
        """Carry out what has not ended; returns the names of the runs that the time did not carry."""
        return self._carry(stage, self._jobs(plan, cells, rates))

    def _jobs(self, plan: Plan, cells: list[Cell], rates: Rates) -> list[Job]:
        return [self._job(plan, cell, rate, seed) for cell in cells for rate in rates.of(cell) for seed in cell.seeds]

    def _transfer(self, plan: Plan, cells: list[Cell], rates: Rates) -> list[str]:
        """Fine-tune what was scored. A run without a score, or whose weights are elsewhere, is not fine-tuned."""
        scored = {cell.key: cell for cell in plan.cells if cell.stage == "score"}
        jobs = []
        for cell in cells:
            parents = self._jobs(plan, [scored[dataclasses.replace(cell, stage="score", labelled="").key]], rates)
            for parent, run in ((job, job.run()) for job in parents):
                end = self.store.end(run.id)
                if end is not None and end.status == "done":
                    if not (self.store.run_folder(run.id) / WEIGHTS).exists():
                        self.listener.note(f"{parent.name}: its weights are not here, so it is not fine-tuned")
                        continue
                    data = self.sets[cell.labelled].fingerprint
                    jobs += [transfer_job(cell, parent, run, share, data) for share in SHARES]
        return self._carry("transfer", jobs)

    def _carry(self, stage: str, jobs: list[Job]) -> list[str]:
        waiting = [(job, job.run().id) for job in in_order(stage, jobs)]
        todo = [(job, run_id) for job, run_id in waiting if self.store.end(run_id) is None]
        self.listener.stage(stage, [job for job, _ in todo], len(waiting) - len(todo))
        queue = iter(todo)

        def next_request() -> tuple[Job, Message] | None:
            for job, _ in queue:
                if self._too_late(job):
                    continue
                self.listener.began(job)
                return job, ("run", job, self.corpus.folder)
            return None

        for job, (_, _, status, seconds) in self.pool.work(next_request, tells(self.listener), self._patience):
            if job.seconds > 0 and seconds > 0:
                self.pace += 0.1 * (seconds / job.seconds - self.pace)
            self.listener.ended(job, status)
            self.clock.save()
        return [job.name for job, run_id in todo if self.store.end(run_id) is None]

    def _too_late(self, job: Job) -> bool:
        return self._limit is not None and self.clock.seconds + job.seconds * self.pace > LATEST * self._limit - RESERVE

    def _patience(self) -> float | None:
        return None if self._limit is None else GIVEN_UP * self._limit - RESERVE - self.clock.seconds

    def _job(self, plan: Plan, cell: Cell, rate: float, seed: int) -> Job:
        price = plan.prices[cell.family, cell.size]
        return Job(
            family=cell.family,
            size=cell.size,
            stage=cell.stage,
            budget=cell.budget,
            flops=cell.budget if self.request.protocol == "frontier" else cell.C,
            steps=cell.steps,
            batch=cell.batch,
            rate=rate,
            seed=seed,
            vocab=plan.vocab,
            length=plan.length,
            task=self.request.task,
            scale=self.request.scale,
            data=plan.data,
            precision=plan.precision,
            seconds=cell.seconds,
            keep=cell.stage == "score" and bool(self.request.downstream),
            labels=labels(cell, price, epochs=cell.batch * cell.steps * plan.length / len(self.corpus.train)),
        )


def in_order(stage: str, jobs: list[Job]) -> list[Job]:
    """The order in which runs start; what the time does not carry is skipped from its end.

    Scored runs: small budgets first, and within a budget every family's first seed before any second. Otherwise, and within
    these, the longest first, so that at the end of a stage no worker waits long for another.
    """
    if stage in ("score", "transfer"):
        return sorted(jobs, key=lambda job: (job.budget, job.seed, -job.seconds))
    return sorted(jobs, key=lambda job: -job.seconds)


def _recorded(cell: Cell) -> tuple[str, str, int, float, str]:
    """What the record says of the runs of a cell: their labels and size."""
    return cell.kind, short_name(cell.family), cell.size, cell.budget, cell.labelled


def _prepare(request: Request, cache: Path) -> Corpus:
    return prepare(
        request.sources,
        tokenizer=request.tokenizer,
        text_key=request.text_key,
        text_column=request.text_column,
        cache=cache,
    )


def _check_family(reference: str) -> str:
    """The stored name of a family's type, which for a user's own file carries a hash of it."""
    family = member(FAMILIES, reference)
    if not (isinstance(family, type) and issubclass(family, Family)):
        raise Refusal(f"{reference} is not a family. Make it a subclass of allometry.Family with a method build(self, io).")
    return type_name(family)

"""How a study is shown while it runs: bars where there is a terminal, plain lines where there is none."""

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from allometry.report.numbers import duration, scientific
from allometry.study.job import short_name
from allometry.study.listener import Programme, Work
from allometry.study.plan import Plan

LINE_EVERY = 15.0  # seconds between plain lines


class Quiet:
    """Says what must be known (notes) and nothing else."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> "Quiet":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def planned(self, plan: Plan | Programme) -> None:
        return None

    def stage(self, name: str, jobs: Sequence[Work], done: int) -> None:
        return None

    def began(self, job: Work) -> None:
        return None

    def point(self, job: Work, step: int, loss: float, tokens: int, seconds: float) -> None:
        return None

    def ended(self, job: Work, status: str) -> None:
        if status != "done":
            self.note(f"{job.name}: {status}")

    def note(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class Lines(Quiet):
    """Plain lines, for logs: the plan, each stage, and now and then how far it is."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._began = self._said = time.perf_counter()
        self._total = self._done = 0

    def planned(self, plan: Plan | Programme) -> None:
        for line in plan_lines(plan) if isinstance(plan, Plan) else programme_lines(plan):
            self.note(line)

    def stage(self, name: str, jobs: Sequence[Work], done: int) -> None:
        self._total, self._done = len(jobs), 0
        kept = f", {done} done before" if done else ""
        if jobs or done:
            self.note(f"{name}: {len(jobs)} runs{kept}")

    def ended(self, job: Work, status: str) -> None:
        super().ended(job, status)
        self._done += 1
        now = time.perf_counter()
        if now - self._said > LINE_EVERY or self._done == self._total:
            self._said = now
            self.note(f"  {self._done} of {self._total} runs, {duration(now - self._began)}, last: {job.name}")


class Bars(Lines):
    """One bar for the study and one for each run under way, with loss, tokens/s and time left."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._study: TaskID | None = None
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def planned(self, plan: Plan | Programme) -> None:
        super().planned(plan)
        self._study = self._progress.add_task("study", total=max(plan.flops, 1.0), said="")

    def began(self, job: Work) -> None:
        self._bars[job.name] = self._progress.add_task(job.name, total=job.steps, said="")

    def point(self, job: Work, step: int, loss: float, tokens: int, seconds: float) -> None:
        speed = tokens / seconds if seconds > 0 else 0.0
        said = f"loss {loss:.3f} · {speed:,.0f} tokens/s"
        if job.name in self._bars:
            self._progress.update(self._bars[job.name], completed=step, said=said)

    def ended(self, job: Work, status: str) -> None:
        Quiet.ended(self, job, status)
        self._done += 1
        if (bar := self._bars.pop(job.name, None)) is not None:
            self._progress.remove_task(bar)
        if self._study is not None:
            said = f"run {self._done} of {self._total} of this stage"
            self._progress.update(self._study, advance=job.labels["C"], said=said)

    def stage(self, name: str, jobs: Sequence[Work], done: int) -> None:
        self._total, self._done = len(jobs), 0
        if self._study is not None:
            self._progress.update(self._study, description=f"study: {name}")


def listener(console: Console, quiet: bool) -> Any:
    """Bars in a terminal, lines elsewhere, almost nothing with --quiet."""
    kind = Quiet if quiet else Bars if console.is_terminal else Lines
    return kind(console)


class Studies:
    """One bar over many studies, or a line for each where there is no terminal."""

    def __init__(self, console: Console, quiet: bool, total: int) -> None:
        self.console, self.lines = console, not quiet and not console.is_terminal
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[said]}"))
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True, disable=quiet or self.lines
        )
        self._bar = self._progress.add_task("studies", total=total, said="")
        self._name = ""

    def __enter__(self) -> "Studies":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def began(self, name: str) -> None:
        self._name = name
        self._progress.update(self._bar, description=name)

    def ended(self, said: str) -> None:
        self._progress.update(self._bar, advance=1, said=f"last: {said}")
        if self.lines and self._name:
            self.console.print(f"{self._name}: {said}", highlight=False)
            self._name = ""


def plan_lines(plan: Plan) -> list[str]:
    """The plan and its price in a few lines."""
    unit = "tokens" if plan.request.protocol == "fixed-tokens" else "FLOPs"
    budgets = ", ".join(scientific(budget) for budget in plan.budgets)
    scored = [cell for cell in plan.cells if cell.stage == "score"]
    lines = [
        f"Plan: {plan.runs} runs of {len(plan.families)} families ({', '.join(map(short_name, plan.families))})",
        f"  budgets      {budgets} {unit}",
        f"  sizes        {min(c.N for c in scored):,} to {max(c.N for c in scored):,} parameters, {plan.sizes} at each budget",
        f"  sequences    {plan.length} tokens, {plan.precision}, {plan.jobs} runs side by side on {plan.device}",
        f"  seeds        {plan.seeds} scored, rates tuned on others",
        f"  price        {scientific(plan.flops)} FLOPs, about {duration(plan.seconds)} of training",
    ]
    lines += [f"  note         {note}" for note in plan.degraded]
    return lines + ([f"  more         {plan.more_minutes}"] if plan.more_minutes else [])


def programme_lines(programme: Programme) -> list[str]:
    """An experiment and its price in a few lines."""
    return [
        f"{programme.title}: {programme.arms} arms, {programme.seeds} seeds",
        f"  to do        {programme.to_do} runs, {scientific(programme.flops)} FLOPs; {programme.done} ended before",
        f"  machine      {programme.jobs} runs side by side on {programme.device}",
    ]

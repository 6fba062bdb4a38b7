"""The training loop: yields Points, writes its own checkpoints, and says how it ended. It knows no store, task or family.

Inputs and targets are tensors or graphs; what an answer to them is and what it costs, `answers.py` knows.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Budget, Point
from allometry.train import checkpoint
from allometry.train._in_tensors import losses_of
from allometry.train._recipe import AnyRecipe
from allometry.train.allocator import keep_freed_memory
from allometry.train.answers import IN_TENSORS, answers_to
from allometry.train.example import Inputs, Targets

Batch = tuple[Inputs, Targets]
FETCHED = 64  # sequences at a time, where batches are smaller: one by one they cost a small model 5 % of its step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and how a run is carried out; nothing here changes what is asked, only rounding and speed."""

    device: str = "cpu"
    precision: str = "fp32"  # fp32 | bf16: autocast of matrix products, weights stay fp32
    folder: Path | None = None  # of the checkpoints; None: none are written
    checkpoint_seconds: float = 15.0
    notify: Callable[[str], None] = lambda text: None


class Diverged(Exception):
    """The loss is no longer a finite number."""


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    *,
    setting: Setting,
    clip: float = 1.0,
    parts: int = 1,
) -> Tensor:
    """One step of the optimiser; returns the mean loss of the targets asked, before the step, on the device.

    `clip` is the largest norm of the gradient; 0: it is not clipped. `parts` splits the batch and accumulates the gradient, which
    is the same to round-off.
    """
    optimizer.zero_grad(set_to_none=True)
    answers = answers_to(batch[1])
    total, asked = torch.zeros((), device=setting.device), answers.asked(batch[1])
    for *inputs, targets in zip(*(part.chunk(parts) for part in (*batch[0], batch[1])), strict=True):
        inputs = [part.to(setting.device, non_blocking=True) for part in inputs]
        targets = targets.to(setting.device, non_blocking=True)
        said = answers.said(out_of(model, tuple(inputs), setting), tuple(inputs))
        objective, loss = answers.losses(said, targets, asked)
        share = 1 if parts == 1 else len(targets) / len(batch[1])
        (objective + auxiliary(model) * share).backward()
        total += loss.detach()
    if clip:
        nn.utils.clip_grad_norm_(model.parameters(), clip, foreach=True)
    optimizer.step()
    return total


def out_of(model: nn.Module, inputs: Inputs, setting: Setting) -> Any:
    """What the model gives."""
    with torch.autocast(setting.device.split(":")[0], torch.bfloat16, enabled=setting.precision == "bf16"):
        return model(*inputs)


def token_losses(model: nn.Module, inputs: Inputs, targets: Tensor, setting: Setting) -> Float[Tensor, "batch targets"]:
    """The loss of each target, where they are tensors; see `losses_of`."""
    return losses_of(logits_of(model, inputs, setting), targets)


def logits_of(model: nn.Module, inputs: Inputs, setting: Setting) -> Float[Tensor, "batch targets vocab"]:
    """What the model gives where it gives a tensor, as fp32."""
    return IN_TENSORS.said(out_of(model, inputs, setting), inputs)


def auxiliary(model: nn.Module) -> Tensor | float:
    """What a module adds to the objective (router balance, ponder cost). The reported loss leaves it out."""
    extra = getattr(model, "auxiliary_loss", None)
    return extra() if callable(extra) else 0.0  # type: ignore[no-any-return]


def train(
    model: nn.Module,
    batch_of: Callable[[int, int], Batch],
    recipe: AnyRecipe,
    budget: Budget,
    setting: Setting,
    flops_per_token: float,
) -> Generator[Point, None, float]:
    """Train for `budget.steps` steps, or until the recipe is content, yielding Points as it goes.

    It goes on from the checkpoint in the folder, if there is one.

    `batch_of(first, count)` gives sequences first .. first + count - 1 of the run's endless stream, so that going on after
    a kill is a number. Returns the seconds spent in steps over all starts. Raises Diverged, and checkpoint.Damaged.
    """
    keep_freed_memory()
    model.train()
    optimizer = recipe.optimizer(model)
    parameters_of = torch.device(setting.device)
    where = (checkpoint.read(setting.folder, model, optimizer) if setting.folder else None) or {"step": 0, "seconds": 0.0}
    step, seconds, parts = int(where["step"]), float(where["seconds"]), int(where.get("parts", 1))
    tokens = where.get("tokens", None if step else 0)  # None: of a checkpoint of before, when all batches had as many
    window, since = torch.zeros((), device=parameters_of) + where.get("window", 0.0), int(where.get("since", 0))
    every = max(1, budget.steps // recipe.points)
    started = saved = time.perf_counter()
    for batch in _batches(batch_of, budget, step):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step, budget.steps)
        while True:
            try:
                loss = train_step(model, optimizer, batch, setting=setting, clip=recipe.clip, parts=parts)
                break
            except RuntimeError as error:
                if not out_of_memory(error) or parts >= budget.batch:
                    raise
                parts *= 2
                setting.notify(f"out of memory: the batch of {budget.batch} is now accumulated over {parts} parts")
        tokens = (step * tokens_in(batch[0]) if tokens is None else tokens) + tokens_in(batch[0])
        step, since, window = step + 1, since + 1, window + loss
        now = time.perf_counter()
        if step % every == 0 or step == budget.steps:
            mean = float(window) / since
            if not math.isfinite(mean):
                raise Diverged(f"the training loss is not finite at step {step} of {budget.steps}")
            yield Point(
                step=step,
                examples=step * budget.batch,
                tokens=tokens,
                flops=tokens * flops_per_token,
                seconds=seconds + now - started,
                loss=mean,
                metrics={"rate": optimizer.param_groups[0]["lr"]},
            )
            window, since = torch.zeros_like(window), 0
            if recipe.until is not None and mean <= recipe.until:
                break
        if setting.folder and step < budget.steps and now - saved > setting.checkpoint_seconds:
            spent = seconds + now - started
            where = {
                "step": step,
                "seconds": spent,
                "parts": parts,
                "window": float(window),
                "since": since,
                "tokens": tokens,
            }
            checkpoint.write(setting.folder, model, optimizer, where)
            saved = time.perf_counter()
    return seconds + time.perf_counter() - started


def _batches(batch_of: Callable[[int, int], Batch], budget: Budget, step: int) -> Iterator[Batch]:
    """The batches of the steps from `step` on, small ones fetched several at a time."""
    together = max(1, FETCHED // budget.batch)
    while step < budget.steps:
        count = min(together, budget.steps - step)
        inputs, targets = batch_of(step * budget.batch, count * budget.batch)
        for *some, of_them in zip(*(part.split(budget.batch) for part in (*inputs, targets)), strict=True):
            yield tuple(some), of_them
        step += count


def tokens_in(inputs: Inputs) -> int:
    """Tokens, positions of a series or nodes of graphs that a model reads."""
    return answers_to(inputs[0]).read(inputs)


def out_of_memory(error: RuntimeError) -> bool:
    """Does an error say that the device has no memory left?"""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error) or "alloc_cpu" in str(error)

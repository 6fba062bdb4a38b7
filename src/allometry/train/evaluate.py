"""The held-out loss: of the whole, of each document, and at each position."""

import dataclasses

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from allometry.train.answers import answers_to
from allometry.train.example import Inputs, Targets
from allometry.train.loop import Setting, logits_of, out_of, out_of_memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """Held-out losses."""

    loss: float  # nats per scored token, or the mean square where a number is asked; of graphs the mean of the means
    documents: list[float]  # nats of each document; a graph has the loss of all, and what it moves that by
    positions: list[float]  # mean nats per token at each position of the sequence; nan where none is scored
    accuracy: float | None  # share of the scored targets of which the likeliest is right; None where a number is asked
    solved: float | None = None  # share of the graphs in which all are right; None where none are asked for classes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model says of texts with labels."""

    loss: float  # nats per example, among the labels
    labels: Int[Tensor, " examples"]  # the likeliest label of each


def answer(
    model: nn.Module,
    inputs: Inputs,
    targets: Int[Tensor, "examples targets"],
    labels: int,
    setting: Setting,
    batch: int = 64,
) -> Answers:
    """Ask a model for one of `labels` labels (the tokens from 1 on) where a target is asked; the others are negative."""
    model.eval()
    place = (targets >= 0).long().argmax(1)
    found: list[Tensor] = []
    with torch.no_grad():
        for first in range(0, len(targets), batch):
            part = slice(first, first + batch)
            some = tuple(tensor[part].to(setting.device) for tensor in inputs)
            logits = logits_of(model, some, setting)
            rows = torch.arange(len(logits), device=logits.device)
            found.append(logits[rows, place[part].to(logits.device), 1 : labels + 1].cpu())
    scores = torch.cat(found).double().log_softmax(-1)
    asked = targets.gather(1, place[:, None]) - 1
    return Answers(loss=float(-scores.gather(1, asked).mean()), labels=scores.argmax(1))


def evaluate(
    model: nn.Module,
    inputs: Inputs,
    targets: Targets,
    weights: Float[Tensor, "batch targets"],
    document: Int[Tensor, " batch"],
    setting: Setting,
    batch: int = 16,
) -> Score:
    """Score a model on fixed sequences or graphs; `weights` says which targets count, `document` whose they are.

    A graph is one target: `weights` is [graphs 1].
    """
    model.eval()
    answers = answers_to(targets)
    with torch.no_grad():
        pieces: list[tuple[Tensor, ...]] = []
        first = 0
        while first < len(targets):
            part = slice(first, first + batch)
            try:
                some = tuple(tensor[part].to(setting.device) for tensor in inputs)
                said = answers.said(out_of(model, some, setting), some)
                rows = answers.rows(said, targets[part].to(setting.device))
            except RuntimeError as error:
                if not out_of_memory(error) or batch == 1:
                    raise
                batch //= 2
                setting.notify(f"out of memory while scoring: {batch} sequences at a time now")
                continue
            pieces.append(rows)
            first += batch
    each, accuracy, solved = answers.together(tuple(torch.cat(one) for one in zip(*pieces, strict=True)), weights)
    losses = each * weights
    documents = torch.zeros(int(document.max()) + 1, dtype=torch.float64).index_add_(0, document, losses.sum(1))
    return Score(
        loss=float(losses.sum() / weights.sum()),
        documents=documents.tolist(),
        positions=(losses.sum(0) / weights.sum(0)).tolist(),
        accuracy=accuracy,
        solved=solved,
    )

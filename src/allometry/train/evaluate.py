"""The held-out loss: of the whole, of each document, and at each position."""

import dataclasses

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from allometry.train.loop import Setting, token_losses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """Held-out losses."""

    loss: float  # nats per scored token
    documents: list[float]  # nats of each document
    positions: list[float]  # mean nats per token at each position of the sequence; nan where none is scored


def evaluate(
    model: nn.Module,
    inputs: Int[Tensor, "sequences length"],
    targets: Int[Tensor, "sequences length"],
    weights: Float[Tensor, "sequences length"],
    document: Int[Tensor, " sequences"],
    setting: Setting,
    batch: int = 16,
) -> Score:
    """Score a model on fixed sequences; `weights` says which targets count, `document` whose they are."""
    model.eval()
    with torch.no_grad():
        pieces = []
        for first in range(0, len(inputs), batch):
            part = slice(first, first + batch)
            losses = token_losses(model, inputs[part].to(setting.device), targets[part].to(setting.device), setting)
            pieces.append(losses.cpu())
    losses = torch.cat(pieces).double() * weights
    documents = torch.zeros(int(document.max()) + 1, dtype=torch.float64).index_add_(0, document, losses.sum(1))
    return Score(
        loss=float(losses.sum() / weights.sum()),
        documents=documents.tolist(),
        positions=(losses.sum(0) / weights.sum(0)).tolist(),
    )

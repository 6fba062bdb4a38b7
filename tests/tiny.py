"""Families of a user's own, small enough to train in a test: one to three tokens of the past, and one that does not work."""

import torch
from torch import nn

from allometry import Family, Tokens
from allometry.flow import Pairs


class Bigram(Family):
    """Looks at the last token alone."""

    def build(self, io: Tokens) -> nn.Module:
        return nn.Sequential(
            nn.Embedding(io.vocab, self.width), nn.Linear(self.width, self.width), nn.Linear(self.width, io.vocab)
        )


class Trigram(Family):
    """Looks at the last three tokens."""

    def build(self, io: Tokens) -> nn.Module:
        return nn.Sequential(
            nn.Embedding(io.vocab, self.width), _LastThree(self.width), nn.Tanh(), nn.Linear(self.width, io.vocab)
        )


class _LastThree(nn.Conv1d):
    def __init__(self, width: int) -> None:
        super().__init__(width, width, kernel_size=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)


class Fails(Bigram):
    """Raises in training, and is fine on meta."""

    def build(self, io: Tokens) -> nn.Module:
        return nn.Sequential(super().build(io), _Fault())


class FailsInScoring(Bigram):
    """Trains, and raises where it is scored."""

    def build(self, io: Tokens) -> nn.Module:
        return nn.Sequential(super().build(io), _FaultInScoring())


class _FaultInScoring(nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        if not self.training and logits.device.type != "meta":
            raise KeyError("a fault of the user's own")
        return logits


class _Fault(nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        if logits.requires_grad and logits.shape[0] == 1:
            raise KeyError("a fault of the user's own")
        return logits


class Summary(Family):
    """Knows the last token of the target, and what the source holds on average."""

    kinds = (Pairs,)

    def build(self, io: Pairs) -> nn.Module:
        return _Summary(io.vocab, self.width)


class Blind(Summary):
    """The same without a look at the source."""

    def build(self, io: Pairs) -> nn.Module:
        return _Summary(io.vocab, self.width, sees=0.0)


class _Summary(nn.Module):
    def __init__(self, vocab: int, width: int, sees: float = 1.0) -> None:
        super().__init__()
        self.embedding, self.inside = nn.Embedding(vocab, width), nn.Linear(width, width)
        self.head, self.sees = nn.Linear(width, vocab), sees

    def forward(self, source: torch.Tensor, target: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        read = self.embedding(source) if keep is None else self.embedding(source) * keep[..., None]
        return self.head(self.inside(self.embedding(target) + self.sees * read.mean(1, keepdim=True)).tanh())

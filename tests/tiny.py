"""Families of a user's own, small enough to train in a test: one to three tokens of the past, and one that does not work."""

import torch
from torch import nn

from allometry import Family, Tokens


class Bigram(Family):
    """Looks at the last token alone."""

    def build(self, io: Tokens) -> nn.Module:
        return nn.Sequential(
            nn.Embedding(io.vocab, self.width), nn.Linear(self.width, self.width), nn.Linear(self.width, io.vocab)
        )


class Squashed(Family):
    """The same behind a tanh."""

    def build(self, io: Tokens) -> nn.Module:
        hidden = nn.Linear(self.width, self.width)
        return nn.Sequential(nn.Embedding(io.vocab, self.width), hidden, nn.Tanh(), nn.Linear(self.width, io.vocab))


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

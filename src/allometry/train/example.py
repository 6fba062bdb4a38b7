"""Examples of an IO without data: random tokens in the shapes that a model reads."""

import torch
from jaxtyping import Int
from torch import Tensor

from allometry.flow import IO, Pairs

Inputs = tuple[Tensor, ...]  # of tokens [batch length]; or source, target so far, and perhaps which of the source is kept


def example(io: IO, batch: int, seed: int = 0) -> tuple[Inputs, Int[Tensor, "batch targets"]]:
    """Inputs and targets, uniformly random, from a seed of their own."""
    generator = torch.Generator().manual_seed(seed)

    def random(length: int) -> Int[Tensor, "batch length"]:
        return torch.randint(0, io.vocab, (batch, length), generator=generator)

    if isinstance(io, Pairs):
        return (random(io.source), random(io.target)), random(io.target)
    return (random(io.length),), random(io.length)

"""Examples of an IO without data: random tokens or numbers in the shapes that a model reads."""

import torch
from jaxtyping import Int, Num
from torch import Tensor

from allometry.flow import IO, Pairs, Series

# Of tokens [batch length]; or source, target so far, and perhaps which of the source is kept; or a series [batch length channels].
Inputs = tuple[Tensor, ...]
Targets = Num[Tensor, "batch targets"]  # tokens or classes, negative where none is asked; floating-point: the numbers asked


def example(io: IO, batch: int, seed: int = 0) -> tuple[Inputs, Targets]:
    """Inputs and targets, random, from a seed of their own: tokens and classes uniformly, numbers normally."""
    generator = torch.Generator().manual_seed(seed)

    def random(length: int) -> Int[Tensor, "batch length"]:
        return torch.randint(0, io.outputs, (batch, length), generator=generator)

    if isinstance(io, Series):
        series = torch.randn(batch, io.length, io.channels, generator=generator)
        if io.loss == "squared":
            return (series,), torch.randn(batch, io.answers, generator=generator)
        return (series,), random(io.answers)
    if isinstance(io, Pairs):
        return (random(io.source), random(io.target)), random(io.target)
    return (random(io.length),), random(io.length)

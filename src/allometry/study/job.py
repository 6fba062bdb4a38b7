"""A Job: one Run with all that a worker needs to carry it out, in words that travel between processes."""

import dataclasses
from typing import Any

from allometry.find import member
from allometry.flow import Budget, Refusal, Run, Tokens
from allometry.model._family import Family
from allometry.train.recipe import Recipe

FAMILIES = "allometry.model.families"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run. `family` is a reference: a member's name, or a user's path/to/file.py:Class."""

    family: str
    size: int
    stage: str
    budget: float  # the level of the design
    flops: float
    steps: int
    batch: int
    rate: float
    seed: int
    vocab: int
    length: int
    data: str
    precision: str
    labels: dict[str, Any]
    seconds: float  # predicted

    def run(self) -> Run:
        """The Run that this job carries out; its hash is the id under which it is stored."""
        return Run(
            family=family_at(self.family, self.size),
            size=self.size,
            task="text",
            io=Tokens(vocab=self.vocab, length=self.length),
            data=self.data,
            recipe=Recipe(rate=self.rate),
            budget=Budget(flops=self.flops, steps=self.steps, batch=self.batch),
            seed=self.seed,
            precision=self.precision,
        )

    @property
    def name(self) -> str:
        """What the progress bar calls it."""
        return f"{short_name(self.family)} {self.size} · {self.stage} · rate {self.rate:.2g} · seed {self.seed}"


def family_at(reference: str, size: int) -> Family:
    """The family of a reference at a size. Solving the width may build a user's model, so its faults show here first."""
    family = member(FAMILIES, reference)
    try:
        return family.at(size)
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(f"{reference} cannot be built at size {size}: {type(error).__name__}: {error}.") from error


def short_name(reference: str) -> str:
    """The name of a family in tables: the class of a user's own file, in small letters.

    >>> short_name("transformer"), short_name("models/mine.py:DecayNet")
    ('transformer', 'DecayNet')
    """
    return reference.rsplit(":", 1)[-1]

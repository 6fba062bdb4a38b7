"""A Job: one Run with all that a worker needs to carry it out, in words that travel between processes."""

import dataclasses
from typing import Any

from allometry.find import member
from allometry.flow import IO, NUMERICS, REFERENCE, Budget, Refusal, Run, in_words
from allometry.model._family import Family
from allometry.study.design import Cell
from allometry.study.price import Price
from allometry.train.recipe import Recipe

FAMILIES = "allometry.model.families"
TASKS = "allometry.data"


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
    length: int  # tokens of text in an example
    data: str
    precision: str
    labels: dict[str, Any]
    seconds: float  # predicted
    task: str = "text"
    scale: str = "both"  # what grows with the size
    keep: bool = False  # the weights, for runs that start from this one
    parent: str | None = None  # the id of the run that this one starts from
    labelled: str = ""  # the labelled set that it is fine-tuned on
    labelled_data: str = ""  # its fingerprint

    @property
    def io(self) -> IO:
        """What the task asks of a model."""
        return member(TASKS, self.task).asks(self.vocab, self.length)  # type: ignore[no-any-return]

    def run(self) -> Run:
        """The Run that this job carries out; its hash is the id under which it is stored."""
        return Run(
            family=family_at(self.family, self.size, self.io, self.scale),
            size=self.size,
            task=self.labelled or self.task,
            io=self.io,
            data=self.labelled_data or self.data,
            recipe=Recipe(rate=self.rate),
            budget=Budget(flops=self.flops, steps=self.steps, batch=self.batch),
            seed=self.seed,
            precision=self.precision,
            parent=self.parent,
            numerics=NUMERICS,
        )

    @property
    def name(self) -> str:
        """What the progress bar calls it."""
        on = f" on {self.labelled}" if self.labelled else ""
        return f"{short_name(self.family)} {self.size} · {self.stage}{on} · rate {self.rate:.2g} · seed {self.seed}"


def labels(cell: Cell, price: Price, epochs: float) -> dict[str, Any]:
    """What is known of a run beforehand; the table of runs reads it. `epochs`: passes over the training data."""
    return {
        "stage": cell.kind,
        "family": short_name(cell.family),
        "budget": cell.budget,
        "N": price.N,
        "N_all": price.N_all,
        "D": cell.D,
        "C": cell.C,
        "C_non_embedding": cell.D * (price.flops - price.vocabulary_flops),
        "epochs": epochs,
        "flops_per_token": price.flops,
    }


def family_at(reference: str, size: int, io: IO = REFERENCE, scale: str = "both") -> Family:
    """The family of a reference at a size, for a kind of IO. Solving the width may build a user's model: faults show here first."""
    family = member(FAMILIES, reference)
    family.check(io)
    try:
        return family.at(size, type(io), scale)  # type: ignore[no-any-return]
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(f"{reference} cannot be built at size {size}: {in_words(error)}.") from error


def short_name(reference: str) -> str:
    """The name of a family in tables: the class of a user's own file, in small letters.

    >>> short_name("transformer"), short_name("models/mine.py:DecayNet")
    ('transformer', 'DecayNet')
    """
    return reference.rsplit(":", 1)[-1]

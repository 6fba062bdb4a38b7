"""Planted effects: studies whose true answer is known, to see what the instrument can see.

A twin is the same architecture under another name, with weights of its own: no study may prefer either. A billed twin is
charged more FLOPs than it takes, so for the same loss it needs exactly that much more compute.
"""

import dataclasses
from pathlib import Path

import torch
from torch import nn

from allometry.find import member
from allometry.flow import IO, Refusal, Tokens
from allometry.model._family import Family
from allometry.record.store import make_folder, write_text
from allometry.study.design import Shape, smallest_budget
from allometry.study.job import FAMILIES, family_at
from allometry.study.price import counted_price
from allometry.study.request import LAST_SEED, Request
from allometry.train.meter import count

EQUAL, BILLED = "equal", "billed"
BYTES = 256  # symbols of the tokenizer of these studies
APART = 10  # seeds from one study to the next
MOST = LAST_SEED // APART // 2 - 1  # studies of each kind that have seeds of their own
SPACING = 1.5  # of budgets: a usual bill, so that a copy is met at the family's own budgets
FILE = '''"""Planted by `allometry calibrate`: {family} once more, under names of its own."""

import torch

from allometry.find import member
from allometry.study.planted import bill

Base = member("{folder}", {family!r})


class Twin(Base):
    """The same architecture. One number is drawn before its weights, so that these are not those of the first."""

    def build(self, io):
        torch.rand(1)
        return super().build(io)


class Billed(Twin):
    """A twin that is charged {times:g} times the FLOPs that it takes."""

    def build(self, io):
        return bill(super().build(io), self, Base, io, {times!r})
'''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planted:
    """One study whose truth is known. In it the family stands first and its copy second."""

    kind: str  # EQUAL | BILLED
    number: int
    times: float  # what the copy is billed
    request: Request
    folder: Path


def plant(
    out: Path,
    *,
    family: str = "lightweight_convolution",
    studies: int = 20,
    times: float = 1.5,
    sources: tuple[str, ...] = ("stdlib",),
    length: int = 64,
    batch: int = 4,
    flops: tuple[float, ...] = (),
    seeds: int = 1,
    device: str = "auto",
    jobs: int = 0,
) -> list[Planted]:
    """Write the copies into the folder `out` and return its studies, of both kinds in turn, each with seeds of its own.

    Without `flops`, the budgets are the four smallest that carry three sizes. One batch serves all budgets: only then is a
    copy billed k times the FLOPs at a budget C the family itself at C / k. (A study's own rule, a batch that grows with the
    budget, would give the copy a larger one.)
    """
    if not 1 <= studies <= MOST:
        raise Refusal(f"--studies {studies}: give a number from 1 to {MOST}, so that each study has seeds of its own.")
    if not 1 < times <= 100:
        raise Refusal(f"--bill {times:g}: a copy is charged more than it takes, such as 1.5 times, and at most 100 times.")
    member(FAMILIES, family)
    make_folder(out)
    place = out / "planted.py"
    text = FILE.format(folder=FAMILIES, family=str(Path(family).resolve()) if ".py:" in family else family, times=times)
    if place.exists() and place.read_text() != text:
        raise Refusal(f"{out} holds a calibration of something else. Choose another folder with --out.")
    write_text(place, text)
    copies = {EQUAL: f"{place}:Twin", BILLED: f"{place}:Billed"}
    asked = flops or smallest_budgets((family, copies[BILLED]), length, batch)
    return [
        Planted(
            kind=kind,
            number=number,
            times=1.0 if kind == EQUAL else times,
            folder=out / f"{kind}-{number:02d}",
            request=Request(
                sources=sources,
                families=(family, copies[kind]),
                flops=asked,
                length=length,
                batch=batch,
                seeds=seeds,
                sizes=3,
                precision="fp32",
                device=device,
                jobs=jobs,
                seed=APART * (2 * number + (kind == BILLED)),
            ),
        )
        for number in range(studies)
        for kind in (EQUAL, BILLED)
    ]


def smallest_budgets(families: tuple[str, ...], length: int, batch: int) -> tuple[float, ...]:
    """Four budgets, 1.5x apart, from the smallest on that carries three sizes of each family."""
    io = Tokens(vocab=BYTES, length=length)
    prices = {}
    for name in families:
        for size in range(1, 4):
            spec = family_at(name, size)
            prices[name, size] = counted_price(name, size, spec, io, count(spec, io))
    least = smallest_budget(prices, families, 3, length, batch)
    return tuple(float(f"{1.01 * least * SPACING**step:.3g}") for step in range(Shape.budgets))


def bill(model: nn.Module, family: Family, plain: type[Family], io: IO, times: float) -> nn.Module:
    """Let the count of a model's FLOPs be `times` what it takes: where it is counted, an idle product is taken too.

    `family` is the billed one; as `plain` it costs what is true.
    """
    if next(model.parameters()).is_meta:
        true = plain(**{field.name: getattr(family, field.name) for field in dataclasses.fields(family)})
        idle = round((times - 1) * count(true, io).forward_flops_per_token * io.length / 2)

        def charge(*_: object) -> None:
            torch.empty(1, idle, device="meta") @ torch.empty(idle, 1, device="meta")

        model.register_forward_hook(charge)
    return model

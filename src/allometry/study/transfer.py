"""Transfer: every scored run is fine-tuned on each labelled set, with the same effort: steps, batch, tries of the rate.

The rates tried are shares of the one that the run was trained with. Which of them counts is decided on the set's `dev` part,
for all seeds of a cell together; what is reported is the `test` part (`fit/transfer.py`).
"""

import dataclasses
from collections.abc import Iterable, Mapping

from allometry.find import member
from allometry.flow import Run
from allometry.study.design import SCORING, STARTING, Cell, Prices
from allometry.study.job import FAMILIES, Job

STEPS, BATCH = 400, 32
SHARES = (0.1, 0.3, 1.0)  # of the rate of the run that is fine-tuned


def transfer_cells(cells: Iterable[Cell], longest: Mapping[str, int], prices: Prices, length: int) -> list[Cell]:
    """One cell for each scored cell and set; `longest` is the tokens of the longest text of each set."""
    return [_cell(cell, name, longest[name], prices, length) for cell in cells if cell.stage == "score" for name in longest]


def reads_shorter(family: str) -> bool:
    """Whether a family is fine-tuned on inputs no longer than its longest text: it takes any length."""
    return "any_length" in member(FAMILIES, family).claims


def _cell(scored: Cell, name: str, longest: int, prices: Prices, length: int) -> Cell:
    read = min(length, longest + 2) if reads_shorter(scored.family) else length
    price, tokens = prices[scored.family, scored.size], STEPS * BATCH * read
    return dataclasses.replace(
        scored,
        stage="transfer",
        labelled=name,
        batch=BATCH,
        steps=STEPS,
        D=float(tokens),
        C=tokens * price.flops,
        seconds=STEPS * price.step_seconds(BATCH) * read / length + SCORING * price.step_seconds(8) + STARTING,
        rates=len(SHARES),
    )


def transfer_job(cell: Cell, parent: Job, run: Run, share: float, data: str) -> Job:
    """The job that fine-tunes a run of the scored stage on the cell's set, at a share of its rate. `data`: its fingerprint."""
    return dataclasses.replace(
        parent,
        stage=cell.stage,
        labelled=cell.labelled,
        labelled_data=data,
        parent=run.id,
        keep=False,
        flops=cell.C,
        steps=cell.steps,
        batch=cell.batch,
        rate=float(f"{share * parent.rate:.3g}"),
        seconds=cell.seconds,
        labels=parent.labels
        | {"stage": cell.stage, "labelled": cell.labelled, "share": share, "D": cell.D, "C": cell.C, "parent": run.id},
    )

"""The design of a study: which runs, at which size, on how many tokens, in which order, for how long. Pure arithmetic.

Budgets lie on a lattice of six to a decade, so that a study that is given more minutes meets its earlier runs again. At each
budget a window of neighbouring sizes is placed around the size that should be best; the window moves up with the budget.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from allometry.flow import Refusal
from allometry.study.price import Price

PER_DECADE = 6
STAGES = ("tune", "bracket", "score", "transfer")
TRAINED, FITTED = 100, 300  # fewest steps of a run that is trained, and of one that enters a fit
# A run of more steps than twice this takes larger batches: it then costs under 1 % of the loss (docs/log.md), and far less time.
MANY = 1500
HURRIED = FITTED  # the same where time is so short that it is that or no study
# Where the best size is looked for. Large models want 20 (arXiv:2203.15556); at 10^4 parameters, where the output layer and
# attention cost more than the rest, the demo of docs/log.md found 50 to 180 where the optimum was inside.
TOKENS_PER_PARAMETER = 80.0
TUNE_SEED = 1000  # rates are chosen on this seed + the first scored one: never on a seed that is scored
REPEATS = 4  # seeds of the one cell per family that measures the seed noise
TUNE_RATES, BRACKET_RATES = 4, 3
SCORING = 4.0  # what the held-out loss of a run takes, in steps of 8 sequences
STARTING = 0.1  # seconds to build its model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """Runs that differ in rate and seed only."""

    stage: str  # tune | bracket | score | transfer
    family: str
    size: int
    budget: float  # the level: training FLOPs, or tokens under fixed-tokens
    batch: int
    steps: int
    N: int
    D: float  # tokens
    C: float  # training FLOPs
    seconds: float  # of one run, predicted
    rates: int  # how many rates are tried; 1: the best, as tuned
    seeds: tuple[int, ...]
    labelled: str = ""  # the set that runs of the stage transfer are fine-tuned on

    @property
    def key(self) -> str:
        return f"{self.stage}/{self.family}/{self.size}/{self.budget:.6g}" + (f"/{self.labelled}" if self.labelled else "")

    @property
    def runs(self) -> int:
        return self.rates * len(self.seeds)

    @property
    def kind(self) -> str:
        """What the record calls its stage: runs that chose rates are `tune`, whether on the grid or in a bracket."""
        return self.stage if self.stage in ("score", "transfer") else "tune"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """What a design may use: the knobs that are turned down, in this order, when the time does not carry all."""

    budgets: int = 4
    stride: int = 3  # lattice points between budgets: 3 spans 10^1.5 = 32x over four budgets, 2 spans 10x
    seeds: int = 3
    sizes: int = 5
    families: tuple[str, ...] = ()
    many: int = MANY  # steps from which on a run takes larger batches


Prices = dict[tuple[str, int], Price]


def lattice(index: int) -> float:
    """A budget in FLOPs.

    >>> lattice(60), lattice(66)
    (10000000000.0, 100000000000.0)
    """
    return float(f"{10.0 ** (index / PER_DECADE):.4g}")


def batch_for(tokens: float, length: int, fixed: int) -> int:
    """Sequences in a step: the largest power of two that leaves FITTED steps, so that small budgets have small batches."""
    return fixed or 2 ** int(math.log2(max(1.0, tokens / length / FITTED)))


def best_size(prices: Prices, family: str, flops: float) -> int:
    """The size at which `flops` buy TOKENS_PER_PARAMETER tokens for each parameter, the nearest of those priced."""

    def miss(size: int) -> float:
        price = prices[family, size]
        return abs(math.log(flops / price.flops / price.N / TOKENS_PER_PARAMETER))

    return min((s for f, s in prices if f == family), key=miss)


def window(prices: Prices, family: str, flops: float, sizes: int, length: int, batch: int) -> list[int]:
    """Neighbouring sizes around the best, moved down until each has FITTED steps; fewer where there are no more."""
    known = sorted(s for f, s in prices if f == family)
    possible = [s for s in known if flops / prices[family, s].flops >= FITTED * length * (batch or 1)]
    first = max(0, best_size(prices, family, flops) - sizes // 2 - known[0])
    first = max(0, min(first, len(possible) - sizes))
    return possible[first : first + sizes]


def frontier_cells(
    prices: Prices,
    budgets: Sequence[float],
    shape: Shape,
    length: int,
    batch: int,
    seed: int,
    kept: Mapping[float, int] = MappingProxyType({}),
) -> list[Cell]:
    """The cells of the compute-optimal frontier, in the order in which they run (and, from the end, are skipped).

    `kept` holds the batch of budgets that an earlier start has decided.
    """
    windows = {(f, c): window(prices, f, c, shape.sizes, length, batch) for f in shape.families for c in budgets}
    short = [(f, c) for (f, c), sizes in windows.items() if len(sizes) < 3]
    if short:
        family, flops = short[0]
        least = 1.05 * smallest_budget(prices, shape.families, 3, length, batch)  # two digits of it are enough
        raise Refusal(
            f"{flops:.3g} FLOPs do not carry three sizes of {family} for {FITTED} steps at length {length}. "
            f"The smallest budget that does is about {least:.2g} FLOPs."
        )
    low, high = min(budgets), max(budgets)
    seeds = tuple(range(seed, seed + shape.seeds))
    repeats = tuple(range(seed, seed + max(REPEATS, shape.seeds)))
    make = _Maker(prices, length, batch, kept, shape.many)
    cells: list[Cell] = []
    for family in shape.families:
        for size in (sizes := windows[family, low]):
            rates = TUNE_RATES if size == _middle(sizes) else BRACKET_RATES
            # Three neighbouring sizes span so little that the best rate hardly moves over them.
            if size == _middle(sizes) or (len(sizes) > 3 and size in (sizes[0], sizes[-1])):
                cells.append(make("tune", family, size, low, windows, rates, (TUNE_SEED + seed,)))
    brackets = [high] if len(budgets) < 5 else [sorted(budgets)[len(budgets) // 2], high]
    for flops in brackets if high > low else []:
        for family in shape.families:
            size = _middle(windows[family, flops])
            cells.append(make("bracket", family, size, flops, windows, BRACKET_RATES, (TUNE_SEED + seed,)))
    for flops in sorted(budgets):
        for family in shape.families:
            for size in (sizes := windows[family, flops]):
                own = repeats if flops == low and size == _middle(sizes) else seeds
                cells.append(make("score", family, size, flops, windows, 1, own))
    return cells


def fixed_token_cells(prices: Prices, sizes: Sequence[int], tokens: float, shape: Shape, length: int, batch: int, seed: int):
    """The cells of Tay et al. 2022: every size of every family on the same tokens."""
    make = _Maker(prices, length, batch or batch_for(tokens, length, 0))
    seeds = tuple(range(seed, seed + shape.seeds))
    repeats = tuple(range(seed, seed + max(REPEATS, shape.seeds)))
    cells: list[Cell] = []
    for stage, some in (("tune", sizes[:1]), ("bracket", sizes[-1:])):
        for family in shape.families:
            rates = TUNE_RATES if stage == "tune" else BRACKET_RATES
            cells += [make.on_tokens(stage, family, size, tokens, rates, (TUNE_SEED + seed,)) for size in some]
    for size in sizes:
        for family in shape.families:
            cells.append(make.on_tokens("score", family, size, tokens, 1, repeats if size == sizes[0] else seeds))
    return cells


def smallest_budget(prices: Prices, families: Iterable[str], sizes: int, length: int, batch: int = 0) -> float:
    """The fewest FLOPs at which so many sizes of every family have FITTED steps."""
    tokens = FITTED * length * (batch or 1)
    least = {family: min(size for other, size in prices if other == family) for family in families}
    return max(tokens * prices[family, size + sizes - 1].flops for family, size in least.items())


def nothing(cell: Cell) -> int:
    """Of a study that has no runs yet: how many of a cell's runs are done."""
    return 0


def wall_seconds(cells: Iterable[Cell], jobs: int, done: Callable[[Cell], int] = nothing) -> float:
    """Predicted wall time of what is not `done`: the work shared by the jobs, and in each stage the wait for the longest run."""
    total = 0.0
    for stage in STAGES:
        runs = [(cell.seconds, cell.runs - done(cell)) for cell in cells if cell.stage == stage]
        runs = [(seconds, count) for seconds, count in runs if count > 0]
        if runs:
            total += sum(s * n for s, n in runs) / jobs + (max(s for s, _ in runs) / 2 if jobs > 1 else 0.0)
    return total


class _Maker:
    """Makes cells with batch, steps and prediction filled in."""

    def __init__(
        self,
        prices: Prices,
        length: int,
        batch: int,
        kept: Mapping[float, int] = MappingProxyType({}),
        many: int = MANY,
    ) -> None:
        self.prices, self.length, self.batch, self.kept, self.many = prices, length, batch, kept, many

    def __call__(
        self,
        stage: str,
        family: str,
        size: int,
        flops: float,
        windows: dict[tuple[str, float], list[int]],
        rates: int,
        seeds: tuple[int, ...],
    ) -> Cell:
        # One batch for a budget, whatever the family and size, but for runs of many steps. All read one stream of sequences.
        fewest = min(flops / self.prices[f, s].flops for (f, c), sizes in windows.items() if c == flops for s in sizes)
        batch = self.kept.get(flops) or batch_for(fewest, self.length, self.batch)
        tokens = flops / self.prices[family, size].flops
        batch = self.batch or max(batch, batch_for(tokens * FITTED / self.many, self.length, 0))
        steps = round(tokens / self.length / batch)
        return self._cell(stage, family, size, flops, batch, steps, rates, seeds)

    def on_tokens(self, stage: str, family: str, size: int, tokens: float, rates: int, seeds: tuple[int, ...]) -> Cell:
        steps = round(tokens / self.length / self.batch)
        return self._cell(stage, family, size, tokens, self.batch, steps, rates, seeds)

    def _cell(
        self, stage: str, family: str, size: int, budget: float, batch: int, steps: int, rates: int, seeds: Any
    ) -> Cell:
        price, tokens = self.prices[family, size], steps * batch * self.length
        return Cell(
            stage=stage,
            family=family,
            size=size,
            budget=budget,
            batch=batch,
            steps=steps,
            N=price.N,
            D=float(tokens),
            C=tokens * price.flops,
            seconds=steps * price.step_seconds(batch) + SCORING * price.step_seconds(8) + STARTING,
            rates=rates,
            seeds=seeds,
        )


def _middle(sizes: Sequence[int]) -> int:
    return sizes[len(sizes) // 2]

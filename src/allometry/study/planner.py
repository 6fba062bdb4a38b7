"""From a request to a plan: price the models, then find the largest design that the time carries.

When the minutes do not carry all, a design is turned down in this order: span, seeds, sizes, families. What is left out, and
how many minutes would bring it back, is part of the plan.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from allometry.data._corpus import Corpus
from allometry.find import member
from allometry.flow import IO, Refusal
from allometry.model._family import LARGEST, TOLERANCE, ends_of, parameters_at
from allometry.study.design import (
    FITTED,
    HURRIED,
    MANY,
    PER_DECADE,
    Cell,
    Prices,
    Shape,
    best_size,
    fixed_token_cells,
    frontier_cells,
    lattice,
    nothing,
    smallest_budget,
    wall_seconds,
)
from allometry.study.job import TASKS, short_name
from allometry.study.plan import Plan
from allometry.study.pool import Pool
from allometry.study.request import Request
from allometry.study.transfer import transfer_cells

USED = 0.92  # share of the time that is left that a plan fills: predictions err
TIGHT = 1.05  # the same for the smallest design of all, where the choice is that or none; the last runs may be skipped
BATCHES = (1, 8)  # at which steps are timed
FULL = Shape(budgets=4, stride=3, seeds=3, sizes=5)
MOST_BUDGETS = 7
Design = tuple[Sequence[float], list[Cell]]  # budgets, cells
SPEED = {"cpu": 3e10, "cuda": 5e13}  # FLOPs per second of one job: only to decide which sizes to price


def length_for(request: Request) -> int:
    """Tokens in a sequence: as asked, else what the time can train on: short sequences for short studies on a CPU."""
    if request.length:
        return request.length
    if request.minutes is None or request.device.startswith("cuda"):
        return 256
    return 64 if request.minutes < 3 else 128 if request.minutes < 30 else 256


def make_plan(
    request: Request,
    corpus: Corpus,
    pool: Pool,
    jobs: int,
    device: str,
    seconds_left: Callable[[], float],
    earlier: Plan | None,
    done: Callable[[Cell], int] = nothing,
    longest: Mapping[str, int] = MappingProxyType({}),
) -> Plan:
    """Price and design. `seconds_left` is the time for training alone; `longest`: the longest text of each labelled set.

    With an `earlier` plan, extend it; `done` tells how many runs of a cell have ended, which cost nothing more.
    """
    length = earlier.length if earlier else length_for(request)
    io = member(TASKS, request.task).asks(corpus.vocab, length)
    rough = 40 * max(request.flops, default=0.0)
    if request.minutes:
        rough = max(1.0, seconds_left()) * jobs * SPEED[device.split(":")[0]]
    prices = _priced(request, io, pool, rough, earlier)
    precision = request.precision if request.precision != "auto" else ""
    if earlier:
        precision = earlier.precision
    if not precision:
        precision = _faster(request, io, pool, prices, rough)
    if request.flops:
        shape, budgets, cells = _by_flops(request, prices, io.length)
        used = sorted({(cell.family, cell.size) for cell in cells})
        prices = _timed(prices, used, tuple(sorted({cell.batch for cell in cells})), 0.0, io, request.scale, pool)
        shape, budgets, cells = _by_flops(request, prices, io.length)
        cells = [*cells, *transfer_cells(cells, longest, prices, io.length)]
        notes, more = _thin(request, budgets) + _unmatched(prices, cells), ""
    else:
        left = seconds_left()
        shape, budgets, cells, notes, more = _by_minutes(request, prices, io.length, jobs, left, earlier, done, longest)
    return Plan(
        request=request,
        data=corpus.fingerprint,
        vocab=corpus.vocab,
        length=length,
        precision=precision,
        device=device,
        jobs=jobs,
        families=shape.families,
        budgets=tuple(budgets),
        seeds=shape.seeds,
        sizes=shape.sizes,
        stride=shape.stride,
        cells=tuple(cells),
        prices=prices,
        seconds=wall_seconds(cells, jobs),
        degraded=tuple(notes),
        more_minutes=more,
    )


def _priced(request: Request, io: IO, pool: Pool, rough: float, earlier: Plan | None) -> Prices:
    """Count every size that could matter, then time the training steps of those that the time could carry.

    Larger sizes are counted too, so that it can be said what more minutes would buy.
    """
    known = dict(earlier.prices) if earlier else {}
    top = _largest_size(rough / 20)
    least, most = ends_of(request.scale)
    ahead = 1 if request.scale == "depth" else 4  # four sizes deeper are twenty times the layers, each to be counted
    wanted = [(f, s) for f in request.families for s in range(least, min(most, top + ahead) + 1)]
    wanted = [key for key in wanted if key not in known or not known[key].steps]
    known |= {(p.family, p.size): p for _, p in pool.ask([("price", f, s, io, request.scale, (), 0.0) for f, s in wanted])}
    if request.flops:
        return _timed(known, [], BATCHES, 0.0, io, request.scale, pool)
    assert request.minutes
    timed = [(family, size) for family, size in wanted if size <= top]
    return _timed(known, timed, BATCHES, 0.6 * request.minutes / max(1, len(timed)), io, request.scale, pool)


def _timed(
    prices: Prices,
    timed: Sequence[tuple[str, int]],
    batches: tuple[int, ...],
    seconds: float,
    io: IO,
    scale: str,
    pool: Pool,
) -> Prices:
    """Prices with the steps of some models timed; the others are guessed from the largest timed one of their family."""
    at_most = max(0.02, min(0.3, seconds))
    measured = pool.ask([("price", family, size, io, scale, batches, at_most) for family, size in timed])
    prices = prices | {(p.family, p.size): p for _, p in measured}
    for family in {f for f, _ in prices}:
        speeds = [
            (p.size, p.flops * io.length * b / t) for p in prices.values() if p.family == family for b, t in p.steps.items()
        ]
        speed = max(speeds)[1] if speeds else SPEED["cpu"]
        for key, price in prices.items():
            if key[0] == family and not price.steps:
                prices[key] = dataclasses.replace(price, flops_per_second=speed)
    return prices


def _largest_size(flops: float) -> int:
    """The largest size that a budget could make best, with room above: 6 N D at ten tokens for each parameter."""
    parameters = (flops / 60) ** 0.5
    return max(6, min(LARGEST, round(1 + 3 * (math.log10(max(parameters, 1e3)) - 3)) + 1))


def _faster(request: Request, io: IO, pool: Pool, prices: Prices, rough: float) -> str:
    """fp32 or bf16, by what is the faster on this machine at the largest size that the study is likely to train."""
    family = request.families[0]
    size = best_size(prices, family, rough / 40)
    batch = max(1, 2048 // io.length)
    (_, seconds), *_ = pool.ask([("precisions", family, size, io, request.scale, batch)])
    return "bf16" if seconds["bf16"] < 0.95 * seconds["fp32"] else "fp32"


def _by_flops(request: Request, prices: Prices, length: int) -> tuple[Shape, list[float], list[Cell]]:
    shape = Shape(budgets=len(request.flops), seeds=request.seeds or 2, sizes=request.sizes or 3, families=request.families)
    budgets = sorted(request.flops)
    if request.protocol == "fixed-tokens":
        first = request.families[0]
        sizes = sorted(
            {
                min((s for f, s in prices if f == first), key=lambda s: abs(prices[first, s].N - 1e4)) + 2 * k
                for k in range(len(budgets))
            }
        )
        if (first, sizes[-1]) not in prices:
            raise Refusal(
                f"--protocol fixed-tokens trains one size for each number in --flops; {len(budgets)} of them need sizes beyond "
                f"what {max(budgets):.3g} FLOPs carry. Give fewer numbers, or a larger one."
            )
        tokens = max(budgets) / max(prices[f, sizes[-1]].flops for f in request.families)
        _enough(tokens, length, request)
        return shape, [tokens], fixed_token_cells(prices, sizes, tokens, shape, length, request.batch, request.seed)
    return shape, budgets, frontier_cells(prices, budgets, shape, length, request.batch, request.seed)


def _by_minutes(
    request: Request,
    prices: Prices,
    length: int,
    jobs: int,
    seconds: float,
    earlier: Plan | None,
    done: Callable[[Cell], int] = nothing,
    longest: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Shape, Sequence[float], list[Cell], list[str], str]:
    """The first shape, in the order of preference, whose smallest design fits; then the largest budgets that still fit."""
    search = _Search(request, prices, length, earlier, longest)

    def cost(design: Design | None) -> float:
        return wall_seconds(design[1], jobs, done) if design else math.inf

    room = USED * seconds
    shapes = list(_shapes(request, earlier))
    for shape in shapes:
        least = cost(search.design(shape, 0))
        if least <= (TIGHT * seconds if shape == shapes[-1] else room):
            most = max(room, least)
            budgets, cells = search.largest(shape, lambda design, most=most: cost(design) <= most)
            notes = _notes(request, shape) + _unmatched(prices, cells)
            more = _more(cost(search.design(shapes[0], 0)), shapes[0], shape, request, seconds)
            return shape, budgets, cells, notes, more
    assert request.minutes
    spent = 60 * request.minutes - seconds
    raise Refusal(
        f"{request.minutes:g} minutes carry no plan for {', '.join(map(short_name, shapes[-1].families))} at length {length}. "
        f"The smallest that would: --minutes {(cost(search.design(shapes[-1], 0)) / TIGHT + spent) / 60 + 0.1:.1f}"
        f"{'' if request.length else f' --length {length}'}."
    )


def _shapes(request: Request, earlier: Plan | None) -> Iterator[Shape]:
    """Designs in the order of preference: span goes first, then seeds, sizes, families. An earlier plan never shrinks."""
    seeds = [request.seeds] if request.seeds else [3, 2, 1]
    sizes = [request.sizes] if request.sizes else [5, 4, 3]
    everyone = request.families
    fewest = min(2, len(everyone))
    strides = [3, 2]
    groups = [everyone[:count] for count in range(len(everyone), fewest - 1, -1)]
    if earlier:
        strides = [earlier.stride]
        seeds = [s for s in seeds if s >= earlier.seeds] or [earlier.seeds]
        sizes = [s for s in sizes if s >= earlier.sizes] or [earlier.sizes]
        groups = [g for g in groups if len(g) >= len(earlier.families)]
    yield Shape(stride=strides[0], seeds=seeds[0], sizes=sizes[0], families=everyone)
    last = strides[-1]
    steps = [(s, sizes[0], everyone) for s in seeds]
    steps += [(seeds[-1], k, everyone) for k in sizes[1:]]
    steps += [(seeds[-1], sizes[-1], group) for group in groups[1:]]
    for some_seeds, some_sizes, some_families in steps:
        yield Shape(stride=last, seeds=some_seeds, sizes=some_sizes, families=some_families)
    yield Shape(stride=last, seeds=seeds[-1], sizes=sizes[-1], families=groups[-1], many=HURRIED)


class _Search:
    """The designs of a request, from the smallest (index 0) up. Their cost grows with the index."""

    def __init__(
        self, request: Request, prices: Prices, length: int, earlier: Plan | None, longest: Mapping[str, int]
    ) -> None:
        self.request, self.prices, self.length, self.earlier = request, prices, length, earlier
        self.longest = longest
        self.fixed = request.protocol == "fixed-tokens"

    def design(self, shape: Shape, index: int, more: int = 0) -> Design | None:
        """Design number `index` of a shape, with `more` budgets below the usual four; None if it cannot be."""
        found = self._trained(shape, index, more)
        if found is None:
            return None
        budgets, cells = found
        trained = [cell for cell in cells if cell.stage != "transfer"]  # those of an earlier plan are made anew
        return budgets, [*trained, *transfer_cells(trained, self.longest, self.prices, self.length)]

    def _trained(self, shape: Shape, index: int, more: int) -> Design | None:
        if self.fixed:
            return self._fixed_tokens(shape, index)
        if self.earlier:
            return self._extended(shape, index)
        floor = smallest_budget(self.prices, shape.families, shape.sizes, self.length, self.request.batch)
        low = math.ceil(PER_DECADE * math.log10(floor) - 1e-9) + index
        return self._frontier(shape, [lattice(low + shape.stride * k) for k in range(-more, shape.budgets)], floor)

    def largest(self, shape: Shape, fits: Callable[[Design | None], bool]) -> Design:
        """The design of a shape with the largest budgets that fit; of those, the one with the widest span."""
        low, high = 0, 1
        while fits(self.design(shape, high)) and high < 128:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(self.design(shape, middle)) else (low, middle)
        for more in range(MOST_BUDGETS - shape.budgets, 0, -1) if shape.stride == FULL.stride else ():
            if fits(wider := self.design(shape, low, more)):
                assert wider
                return wider
        found = self.design(shape, low)
        assert found
        return found

    def _frontier(self, shape: Shape, budgets: list[float], floor: float) -> Design | None:
        top = max(budgets)
        largest = {f: max(s for g, s in self.prices if g == f) for f in shape.families}
        if min(budgets) < floor or any(best_size(self.prices, f, top) + shape.sizes // 2 > largest[f] for f in largest):
            return None  # too small for its sizes, or larger than what was priced
        try:
            return budgets, frontier_cells(self.prices, budgets, shape, self.length, self.request.batch, self.request.seed)
        except Refusal:
            return None

    def _extended(self, shape: Shape, extra: int) -> Design | None:
        """The earlier plan with `extra` larger budgets, and with the seeds, sizes and families of the shape."""
        earlier = self.earlier
        assert earlier
        top = round(PER_DECADE * math.log10(earlier.budgets[-1]))
        above = [lattice(top + shape.stride * (k + 1)) for k in range(extra)]
        budgets = [*earlier.budgets, *above]
        largest = {f: max(s for g, s in self.prices if g == f) for f in shape.families}
        if any(best_size(self.prices, f, budgets[-1]) + shape.sizes // 2 > largest[f] for f in largest):
            return None
        kept: dict[float, int] = {}  # the batch of the largest size, as sizes below may have more
        for cell in earlier.cells:
            kept[cell.budget] = min(cell.batch, kept.get(cell.budget, cell.batch))
        try:
            cells = frontier_cells(self.prices, budgets, shape, self.length, self.request.batch, self.request.seed, kept)
        except Refusal:
            return None
        return budgets, _joined(earlier.cells, cells)

    def _fixed_tokens(self, shape: Shape, index: int) -> Design | None:
        """Every size on the same tokens; sizes two steps apart (one, when the span is turned down)."""
        request, earlier = self.request, self.earlier
        if earlier:
            if index:
                return None  # other tokens would make every earlier run useless
            sizes = sorted({cell.size for cell in earlier.cells})
            new = fixed_token_cells(
                self.prices, sizes, earlier.budgets[0], shape, self.length, earlier.cells[0].batch, request.seed
            )
            return earlier.budgets, _joined(earlier.cells, new)
        tokens = float(round(FITTED * self.length * (request.batch or 1) * 10 ** (index / PER_DECADE)))
        apart = 2 if shape.stride == FULL.stride else 1
        first = max(3, ends_of(request.scale)[0])
        sizes = [first + apart * k for k in range(max(4, shape.sizes))]
        if sizes[-1] > min(max(s for g, s in self.prices if g == f) for f in shape.families):
            return None
        return [tokens], fixed_token_cells(self.prices, sizes, tokens, shape, self.length, request.batch, request.seed)


def _joined(old: Sequence[Cell], new: Sequence[Cell]) -> list[Cell]:
    """All cells of both plans. A cell of both stays as the old has it, with the seeds of both: its runs are there."""
    before = {cell.key: cell for cell in old}
    after = {cell.key: cell for cell in new}
    joined = [
        dataclasses.replace(before[key], seeds=tuple(sorted({*cell.seeds, *before[key].seeds}))) if key in before else cell
        for key, cell in after.items()
    ]
    return joined + [cell for key, cell in before.items() if key not in after]


def _enough(tokens: float, length: int, request: Request) -> None:
    if tokens < FITTED * length * (request.batch or 1):
        raise Refusal(
            f"{max(request.flops):.3g} FLOPs give the largest size {tokens:.3g} tokens, under {FITTED} steps at length {length}. "
            "Give more --flops, fewer of them, or a shorter --length."
        )


def _notes(request: Request, shape: Shape) -> list[str]:
    """What was turned down, in words."""
    notes = []
    if shape.stride < FULL.stride:
        notes.append("span: neighbouring budgets are 2.2x apart instead of 3.2x, four of them 10x of compute instead of 32x")
    if not request.seeds and shape.seeds < FULL.seeds:
        notes.append(f"seeds: {shape.seeds} instead of {FULL.seeds} (one cheap cell of each family has four, for the noise)")
    if not request.sizes and shape.sizes < FULL.sizes:
        notes.append(f"sizes: {shape.sizes} for each budget instead of {FULL.sizes}")
    if len(shape.families) < len(request.families):
        left = [short_name(f) for f in request.families if f not in shape.families]
        notes.append(f"families: without {', '.join(left)}")
    if shape.many < MANY:
        notes.append(f"steps: runs of over {2 * shape.many} steps take larger batches (usually from {2 * MANY} on)")
    return notes


def _thin(request: Request, budgets: Sequence[float]) -> list[str]:
    """What budgets that were asked do not carry."""
    if request.protocol == "fixed-tokens":
        return []
    notes = []
    if len(budgets) < FULL.budgets:
        notes.append(f"budgets: {len(budgets)}; laws and slopes need {FULL.budgets}")
    if max(budgets) / min(budgets) < 30:
        notes.append(f"span: the budgets span {max(budgets) / min(budgets):.3g}x of compute instead of 32x")
    return notes


def _unmatched(prices: Prices, cells: Sequence[Cell]) -> list[str]:
    """Models whose parameters miss their size by more than the tolerance: at the bottom of the ladder widths are coarse."""
    used = sorted({(cell.family, cell.size) for cell in cells})
    missed = [(f, s, prices[f, s].N / parameters_at(s) - 1) for f, s in used]
    said = [f"{short_name(f)} {s} ({miss:+.0%})" for f, s, miss in missed if abs(miss) > TOLERANCE]
    return [f"matching: parameters off their size: {', '.join(said)}"] if said else []


def _more(least: float, full: Shape, shape: Shape, request: Request, seconds: float) -> str:
    assert request.minutes
    if shape == full:
        return f"--minutes {2 * request.minutes:g} would add larger budgets."
    minutes = request.minutes + (least / USED - seconds) / 60
    return (
        f"About --minutes {max(minutes, request.minutes + 1):.0f} would carry all that was turned down "
        f"({full.seeds} seeds, {full.sizes} sizes, 32x of compute, every family)."
    )

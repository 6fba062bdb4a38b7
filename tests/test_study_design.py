"""The design of a study: what must hold of any plan, whatever the prices."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allometry.flow import Refusal
from allometry.study import planner
from allometry.study.design import (
    FITTED,
    MANY,
    TUNE_SEED,
    Cell,
    Shape,
    batch_for,
    best_size,
    fixed_token_cells,
    frontier_cells,
    smallest_budget,
    wall_seconds,
)
from allometry.study.plan import Plan, read_plan, write_plan
from allometry.study.price import Price
from allometry.study.request import Request

FAMILIES = ("one", "two", "three", "four")
LENGTH = 128


def prices_of(speed: float = 2e10, costs=(1.0, 0.6, 2.0, 0.8)):
    """Families whose tokens cost 6 N and something for the vocabulary, at a speed in FLOPs per second."""
    prices = {}
    for family, cost in zip(FAMILIES, costs, strict=True):
        for size in range(1, 17):
            n = 10 ** (3 + (size - 1) / 3)
            flops = cost * (6 * n + 60 * n**0.5 * 16)
            steps = {b: 0.002 + b * LENGTH * flops / speed for b in (1, 8)}
            prices[family, size] = Price(
                family=family, size=size, N=int(n), N_all=int(2 * n), flops=flops, vocabulary_flops=flops / 5,
                state_bytes=4, state_grows=False, by_part={}, steps=steps, tokens_per_step=LENGTH,
            )  # fmt: skip
    return prices


def plan_of(minutes: float, earlier: Plan | None = None, **request):
    asked = Request(families=FAMILIES, minutes=minutes, **request)
    prices = prices_of()
    shape, budgets, cells, notes, more = planner._by_minutes(asked, prices, LENGTH, 2, 60 * minutes - 15, earlier)
    return Plan(
        request=asked, data="d", vocab=256, length=LENGTH, precision="fp32", device="cpu", jobs=2, families=shape.families,
        budgets=tuple(budgets), seeds=shape.seeds, sizes=shape.sizes, stride=shape.stride, cells=tuple(cells), prices=prices,
        seconds=wall_seconds(cells, 2), degraded=tuple(notes), more_minutes=more,
    )  # fmt: skip


def scored(plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if cell.stage == "score"]


@pytest.mark.parametrize("minutes", [4, 10, 30, 120, 600])
def test_a_plan_fits_its_time_and_keeps_its_promises(minutes: int) -> None:
    plan = plan_of(minutes)
    assert plan.seconds <= 60 * minutes - 15
    assert len(plan.budgets) >= 4
    assert plan.budgets[-1] / plan.budgets[0] >= 9.9
    assert plan.budgets[-1] / plan.budgets[0] >= 30 or any("span" in note for note in plan.degraded)
    ratios = [b / a for a, b in itertools.pairwise(plan.budgets)]
    assert max(ratios) / min(ratios) < 1.01
    for family, budget in itertools.product(plan.families, plan.budgets):
        own = [cell for cell in scored(plan) if (cell.family, cell.budget) == (family, budget)]
        assert len({cell.size for cell in own}) >= 3
        assert all(cell.steps >= FITTED for cell in own)
        assert all(abs(cell.C / budget - 1) < 0.01 for cell in own)  # matched compute, to the rounding of steps
        assert all(cell.steps < 2 * MANY + 1 for cell in own)  # runs of many steps take larger batches instead


@pytest.mark.parametrize("minutes", [4, 30, 300])
def test_every_family_gets_the_same_effort(minutes: int) -> None:
    plan = plan_of(minutes)
    for stage in ("tune", "bracket", "score"):
        efforts = {
            f: sorted((c.rates, len(c.seeds)) for c in plan.cells if c.family == f and c.stage == stage)
            for f in plan.families
        }
        assert len({tuple(e) for e in efforts.values()}) == 1
        assert efforts[plan.families[0]]
    assert any(cell.stage == "bracket" and cell.budget == plan.budgets[-1] for cell in plan.cells)


def test_rates_are_chosen_on_other_seeds_than_those_that_are_scored() -> None:
    plan = plan_of(30)
    tuned = {seed for cell in plan.cells if cell.stage != "score" for seed in cell.seeds}
    judged = {seed for cell in scored(plan) for seed in cell.seeds}
    assert min(tuned) >= TUNE_SEED > max(judged)


def test_one_cell_of_each_family_measures_the_noise() -> None:
    for family in FAMILIES:
        repeated = [cell for cell in scored(plan_of(30)) if cell.family == family and len(cell.seeds) >= 4]
        assert len(repeated) == 1


def test_it_degrades_in_the_stated_order() -> None:
    states = []
    for minutes in (2000, 300, 60, 20, 8, 4, 3, 2.5, 2, 1.5):
        try:
            plan = plan_of(minutes)
        except Refusal:
            break
        wide = plan.budgets[-1] / plan.budgets[0] >= 30
        states.append((wide, plan.seeds, plan.sizes, len(plan.families)))
        turned_down = [note.split(":")[0] for note in plan.degraded if not note.startswith(("matching", "steps"))]
        expected = [name for name, down in zip(("span", "seeds", "sizes", "families"),
                    (not wide, plan.seeds < 3, plan.sizes < 5, len(plan.families) < 4), strict=True) if down]  # fmt: skip
        assert turned_down == expected
        if plan.sizes < 5:
            assert plan.seeds == 1
        if len(plan.families) < 4:
            assert plan.sizes == 3
    assert states == sorted(states, reverse=True)
    assert len(set(states)) >= 4


def test_too_little_time_says_how_much_would_do() -> None:
    with pytest.raises(Refusal, match=r"The smallest that would: --minutes (\d+\.\d)") as refusal:
        plan_of(0.4)
    enough = float(str(refusal.value).rsplit(" ", 1)[1].rstrip("."))
    assert plan_of(enough).cells


@pytest.mark.parametrize(("before", "after"), [(4, 8), (4, 60), (10, 30), (30, 300)])
def test_more_minutes_keep_every_run(before: int, after: int) -> None:
    def runs(plan: Plan) -> set[tuple]:
        return {(c.key, c.steps, c.batch, seed) for c in plan.cells for seed in c.seeds}

    earlier = plan_of(before)
    later = plan_of(after, earlier)
    assert runs(earlier) <= runs(later)
    assert len(runs(later)) > len(runs(earlier))
    assert later.seconds <= 60 * after


@pytest.mark.parametrize(("before", "after"), [(5, 8), (10, 20), (10, 30)])
def test_more_minutes_pay_for_new_runs_alone(before: int, after: int) -> None:
    """The runs of the first start are done: what is left of the new minutes goes into others, and little of it is idle."""
    earlier = plan_of(before)
    have = {(cell.key, seed) for cell in earlier.cells for seed in cell.seeds}

    def done(cell: Cell) -> int:
        return cell.rates * sum((cell.key, seed) in have for seed in cell.seeds)

    left = 60.0 * after - 15 - earlier.seconds
    asked = Request(families=FAMILIES, minutes=after)
    _, _, cells, _, _ = planner._by_minutes(asked, prices_of(), LENGTH, 2, left, earlier, done)
    assert 0.2 * left < wall_seconds(cells, 2, done) <= left


def test_what_is_printed_asks_the_same_question() -> None:
    asked = Request(flops=(1234567890.0, 2e10, 7e10, 3e11), length=64, seeds=2, protocol="fixed-tokens")
    words = asked.command().split()
    flops = tuple(float(word) for word in words[words.index("--flops") + 1].split(","))
    assert Request(flops=flops, length=64, seeds=2, protocol="fixed-tokens").question == asked.question


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 998}, {"minutes": float("nan")}, {"minutes": float("inf")}])
def test_seeds_that_rates_are_chosen_on_and_times_that_are_none_are_refused(wrong: dict) -> None:
    with pytest.raises(Refusal):
        Request(**{"minutes": 5.0} | wrong)


def test_a_plan_reads_back_as_it_was_written(tmp_path) -> None:
    plan = plan_of(10)
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(Refusal, match=r"plan\.json is not a plan"):
        read_plan(tmp_path)


def test_budgets_that_carry_nothing_say_the_smallest_that_do() -> None:
    prices = prices_of()
    floor = smallest_budget(prices, FAMILIES, 3, LENGTH)
    shape = Shape(seeds=1, sizes=3, families=FAMILIES)
    assert frontier_cells(prices, [floor * 1.01], shape, LENGTH, 0, 0)
    with pytest.raises(Refusal, match="smallest budget that does is about"):
        frontier_cells(prices, [floor * 0.9], shape, LENGTH, 0, 0)


def test_fixed_tokens_are_the_same_for_every_size() -> None:
    cells = fixed_token_cells(prices_of(), [3, 5, 7, 9], 1e6, Shape(seeds=2, families=FAMILIES), LENGTH, 0, 0)
    assert len({(cell.D, cell.steps, cell.batch, cell.budget) for cell in cells}) == 1
    plan = plan_of(30, protocol="fixed-tokens")
    assert {cell.D for cell in plan.cells} == {plan.cells[0].D}
    assert plan.seconds <= 30 * 60


@settings(max_examples=50, deadline=None)
@given(st.floats(1e3, 1e12), st.integers(8, 4096))
def test_the_batch_leaves_enough_steps(tokens: float, length: int) -> None:
    batch = batch_for(tokens, length, 0)
    assert batch == 1 or tokens / length / batch >= FITTED
    assert tokens / length / (2 * batch) < FITTED


def test_the_best_size_grows_with_compute() -> None:
    prices = prices_of()
    best = [best_size(prices, "one", 10.0**k) for k in range(9, 15)]
    assert best == sorted(best)
    assert best[-1] > best[0] + 2


def test_the_time_of_a_step_is_what_was_measured_and_grows_between() -> None:
    price = prices_of()["one", 5]
    assert price.step_seconds(1) == price.steps[1]
    assert price.step_seconds(8) == price.steps[8]
    assert price.steps[1] < price.step_seconds(3) < price.steps[8]
    assert price.step_seconds(32) == pytest.approx(4 * price.steps[8])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "exactly one of --minutes and --flops"),
        ({"minutes": 1, "flops": (1.0,)}, "exactly one"),
        ({"minutes": -1}, "no time"),
        ({"flops": (1.0, 1.0)}, "different positive numbers"),
        ({"minutes": 1, "protocol": "fast"}, "frontier, fixed-tokens"),
        ({"minutes": 1, "precision": "fp8"}, "auto, fp32, bf16"),
        ({"minutes": 1, "device": "tpu"}, "auto, cpu, cuda"),
        ({"minutes": 1, "families": ()}, "--families"),
        ({"minutes": 1, "length": 3}, "--length 3 is too small"),
        ({"minutes": 1, "sizes": 2}, "--sizes 2 is too small"),
    ],
)
def test_a_wrong_request_is_refused(wrong, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        Request(**wrong)


def test_minutes_alone_do_not_make_another_question() -> None:
    assert Request(minutes=5).question == Request(minutes=50).question
    assert Request(minutes=5).question != Request(minutes=5, length=64).question
    assert Request(minutes=5).question != Request(flops=(1e9,)).question
    assert Request(flops=(1e9,)).question != Request(flops=(2e9,)).question


def test_the_command_of_a_request_asks_the_same() -> None:
    request = Request(
        sources=("my file.txt",), families=("lstm", "transformer"), flops=(1e9, 2e9), text_key="body", length=64
    )
    command = request.command()
    assert command.startswith("allometry compare 'my file.txt' --families lstm,transformer --flops 1e+09,2e+09")
    assert "--length 64 --text-key body" in command
    assert "--minutes 20" in Request(minutes=5).command(minutes=20)

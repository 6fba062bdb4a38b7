"""Reducers over groups: each is its definition in a loop, with its derivative; empty groups give 0; ties go to the first."""

import itertools
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from allometry.flow import Refusal
from allometry.graph import Groups
from allometry.model.blocks._eager import plain_equations
from allometry.model.graph_network import _extreme
from allometry.model.graph_network._attention import attended, shares
from allometry.model.graph_network._extreme import SMALL, largest, smallest
from allometry.model.graph_network._reduce import REDUCERS, Attention, PrincipalNeighbourhood, parts, reducer
from allometry.model.graph_network._sum import spread, summed


def spread_of(rows: Tensor) -> Tensor:
    """The standard deviation; where it is 0 its derivative is 0, not that of a square root."""
    variance = (rows - rows.mean(0)).square().mean(0)
    return torch.where(variance > 0, variance, 1).sqrt() * (variance > 0)


LITERAL = {
    "sum": lambda rows: rows.sum(0),
    "mean": lambda rows: rows.mean(0),
    "max": lambda rows: rows.amax(0),
    "min": lambda rows: rows.amin(0),
    "std": spread_of,
    "softmax": lambda rows: (rows.softmax(0) * rows).sum(0),
}
INDEXES = {
    "sorted": torch.tensor([0, 0, 1, 3, 3, 3, 5]),
    "mixed": torch.tensor([3, 0, 5, 3, 0, 3, 1]),
    "one": torch.zeros(7, dtype=torch.int64),
    "each": torch.arange(7).flip(0),
    "none": torch.zeros(0, dtype=torch.int64),
}
every_reducer = pytest.mark.parametrize("name", REDUCERS)
every_index = pytest.mark.parametrize("index", INDEXES)


def rows(groups: Groups, *channels: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(len(groups.index), *channels, generator=draw, dtype=dtype).requires_grad_()


def loop(name: str, x: Tensor, groups: Groups) -> Tensor:
    each = [x[groups.index == i] for i in range(groups.count)]
    return torch.stack([LITERAL[name](of) if len(of) else x.new_zeros(x.shape[1:]) for of in each])


def test_every_reducer_has_a_definition() -> None:
    assert set(LITERAL) == set(REDUCERS)


@every_reducer
@every_index
@pytest.mark.parametrize("channels", [(), (3,), (2, 3), (0,)])
def test_a_reducer_is_its_definition(name, index, channels) -> None:
    groups = Groups(INDEXES[index], 8)
    x = rows(groups, *channels)
    found, wanted = REDUCERS[name](x, groups), loop(name, x, groups)
    torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-13)
    if name in ("max", "min"):
        assert torch.equal(found, wanted)
    seed = torch.randn_like(found)
    (ours,) = torch.autograd.grad(found, x, seed)
    if wanted.requires_grad:
        (theirs,) = torch.autograd.grad(wanted, x, seed)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@every_reducer
@every_index
def test_the_derivative_is_that_of_the_values(name, index) -> None:
    groups = Groups(INDEXES[index], 8)
    x = rows(groups, 2)
    if name == "std":  # not differentiable where rows are equal: a row alone always is
        keep = groups.sizes[groups.index] > 1
        groups = Groups(groups.index[keep], 8)
        x = x.detach()[keep].requires_grad_()
    assert not len(x) or torch.autograd.gradcheck(lambda x: REDUCERS[name](x, groups), (x,))


@every_reducer
@pytest.mark.parametrize("index", ["sorted", "mixed"])
@pytest.mark.parametrize("small", [SMALL, 0], ids=["few rows", "many"])
def test_the_second_derivative_is_that_of_the_first(monkeypatch, name, index, small) -> None:
    """In the values and in the gradient that comes in; of a maximum it is 0 in the values, as its pieces are linear."""
    monkeypatch.setattr(_extreme, "SMALL", small)
    groups = Groups(INDEXES[index], 8)
    keep = (groups.sizes[groups.index] > 1) | (name != "std")
    groups = Groups(groups.index[keep], 8)
    x = rows(groups, 2)
    assert torch.autograd.gradgradcheck(lambda x: REDUCERS[name](x, groups), (x,), fast_mode=True)
    if name in ("max", "min"):  # at every order: x times its largest has a second derivative
        by = REDUCERS[name]
        assert torch.autograd.gradgradcheck(lambda x: by(x * spread(by(x, groups), groups), groups), (x,), fast_mode=True)


@pytest.mark.parametrize("small", [SMALL, 0], ids=["few rows", "many"])
def test_of_equal_rows_the_first_has_the_second_derivative_too(monkeypatch, small) -> None:
    monkeypatch.setattr(_extreme, "SMALL", small)
    groups = Groups(torch.tensor([1, 0, 1, 0]), 3)
    x = torch.tensor([[2.0], [5.0], [2.0], [5.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(largest(x, groups).square().sum(), x, create_graph=True)
    assert slope[:, 0].tolist() == [4, 10, 0, 0]
    (second,) = torch.autograd.grad(slope.sum(), x)
    assert second[:, 0].tolist() == [2, 2, 0, 0]


def test_equal_rows_have_a_second_derivative_of_0() -> None:
    groups = Groups(torch.tensor([0, 0, 0, 2, 3, 3]), 5)
    x = torch.tensor([[0.1], [0.1], [0.1], [7.0], [1.0], [3.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(REDUCERS["std"](x, groups).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope[:5].sum(), x)
    assert not second[:4].any()
    assert second.isfinite().all()


@every_index
def test_spreading_is_the_transpose_of_summing(index) -> None:
    groups = Groups(INDEXES[index], 8)
    x, y = rows(groups, 3), torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close((summed(x, groups) * y).sum(), (x * spread(y, groups)).sum())
    if len(x):
        assert torch.autograd.gradcheck(lambda y: spread(y, groups), (y,))
        assert torch.autograd.gradgradcheck(lambda y: summed(spread(y, groups) ** 3, groups), (y,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("ties", ["many", "few", "none"])
def test_the_first_of_equal_rows_gets_the_gradient(dtype, sign, ties) -> None:
    """As torch.max over an axis says, in one channel and not in another; also in pieces, and where more than half are equal."""
    draw = torch.Generator().manual_seed(0)
    index = torch.randint(0, 400, (6000,), generator=draw)
    groups = Groups(index, 401)
    x = torch.randint(0, 3, (6000, 70), generator=draw).to(dtype)
    x[:, 0] = torch.randn(6000, generator=draw).to(dtype)
    if ties != "many":  # all numbers differ, in the order of a shuffle; a bfloat16 has too few of them
        x = torch.stack([torch.randperm(6000, generator=draw) for _ in range(70)], 1).to(dtype)
    if ties == "few":
        x[index == 7, 3] = x[index == 8, 5] = sign * 7000
    x.requires_grad_()
    found = (largest if sign > 0 else smallest)(x, groups)
    seed = torch.randn(found.shape, generator=draw).to(dtype)
    (gradient,) = torch.autograd.grad(found, x, seed)
    wanted = torch.zeros_like(x)
    for i in index.unique().tolist():
        of = (index == i).nonzero()[:, 0]
        first = of[(sign * x[of].detach()).max(0).indices]
        wanted.scatter_(0, first[None], seed[i][None])
    assert torch.equal(gradient, wanted)


@pytest.mark.parametrize("more", [0, 1])
def test_answers_are_counted_to_the_last_however_many(more) -> None:
    """Beyond 2^24 fp32 has not all whole numbers, and a lone tie would not be seen."""
    assert int(_extreme._ones_in(torch.ones(()).expand(2**24 + more))) == 2**24 + more


@pytest.mark.parametrize("small", [SMALL, 0])
def test_a_group_that_is_no_number_changes_no_other(monkeypatch, small) -> None:
    """One answer less there, and one more where two rows are equal."""
    monkeypatch.setattr(_extreme, "SMALL", small)
    x = torch.tensor([[2.0], [2.0], [float("nan")], [1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(largest(x, Groups(torch.tensor([0, 0, 1, 2]), 3))[0], x, torch.ones(1))
    assert gradient.tolist() == [[1.0], [0.0], [0.0], [0.0]]


@pytest.mark.parametrize("sign", [largest, smallest], ids=["largest", "smallest"])
@every_index
@pytest.mark.parametrize("held", ["ties", "not a number", "without bound"])
def test_every_way_to_an_extreme_gives_the_same_bits(monkeypatch, sign, index, held) -> None:
    """Few rows, many rows, and as the equation is written: values, and whose the gradient is."""
    groups = Groups(INDEXES[index], 8)
    x = rows(groups, 4).detach().round()
    x[1:2, 0] = {"ties": 0.0, "not a number": float("nan"), "without bound": float("inf")}[held]
    found = []
    for small, way in ((SMALL, nullcontext), (0, nullcontext), (0, plain_equations)):
        monkeypatch.setattr(_extreme, "SMALL", small)
        own = x.clone().requires_grad_()
        with way():
            values = sign(own, groups)
        (gradient,) = torch.autograd.grad(values, own, torch.arange(32.0, dtype=x.dtype).view(8, 4))
        found.append((values.detach(), gradient))
    for each in zip(*found, strict=True):
        for other in each[1:]:
            torch.testing.assert_close(other, each[0], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("value", [0.1, 123.4, -1e8])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_equal_rows_have_no_deviation_however_their_mean_is_rounded(dtype, value, count) -> None:
    x = torch.full((count, 2), value, dtype=dtype, requires_grad=True)
    found = REDUCERS["std"](x, Groups(torch.full((count,), 1), 3))
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert not found.any()
    assert not gradient.any()


@every_index
def test_what_moves_all_rows_alike_does_not_move_their_deviation(index) -> None:
    """The gradients of each group add up to 0, also far from 0, where a channel is equal, and where one row is far from others."""
    groups = Groups(INDEXES[index], 8)
    x = rows(groups, 4).detach() + torch.tensor([0.0, 1e6, 0.0, 0.0], dtype=torch.float64)
    x[:, 2] = 0.1
    x[:1, 3] = 1e6
    x.requires_grad_()
    found = REDUCERS["std"](x, groups)
    (gradient,) = torch.autograd.grad(found, x, torch.randn_like(found))
    torch.testing.assert_close(summed(gradient, groups), torch.zeros_like(found), rtol=0, atol=1e-12)


def test_a_row_that_is_no_number_leaves_other_groups_alone() -> None:
    groups = Groups(torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]), 5)
    bad = [[1.0], [float("inf")], [-float("inf")], [2.0], [float("nan")], [3.0], [1.0], [3.0]]
    found = REDUCERS["std"](torch.tensor(bad), groups)[:, 0]
    assert found[:3].isnan().all()
    assert found[3:].tolist() == [1.0, 0.0]


def test_equal_and_lone_rows_have_no_deviation_and_a_finite_gradient() -> None:
    groups = Groups(torch.tensor([0, 0, 0, 2, 3, 3]), 5)
    x = torch.tensor([[2.0], [2.0], [2.0], [7.0], [1.0], [3.0]], dtype=torch.float64, requires_grad=True)
    found = REDUCERS["std"](x, groups)
    found.sum().backward()
    assert found[:, 0].tolist() == [0, 0, 0, 1, 0]
    assert x.grad[:, 0].tolist() == [0, 0, 0, 0, -0.5, 0.5]


@every_index
def test_shares_are_a_softmax_of_each_group(index) -> None:
    groups = Groups(INDEXES[index], 8)
    logits, values = rows(groups, 2), rows(groups, 2, 3, seed=1)
    weights = shares(logits + 1000, groups)  # large numbers do not matter
    torch.testing.assert_close(summed(weights, groups), (groups.sizes > 0).double()[:, None].expand(-1, 2))
    found = attended(logits, values, groups)
    for i in range(8):
        of = groups.index == i
        wanted = (logits[of].softmax(0)[..., None] * values[of]).sum(0)
        torch.testing.assert_close(found[i], wanted)
    assert torch.equal(Attention()((logits, values), groups), found.flatten(1))
    if len(logits):
        assert torch.autograd.gradcheck(lambda a, b: attended(a, b, groups), (logits, values))
        assert torch.autograd.gradgradcheck(lambda a, b: attended(a, b, groups), (logits, values), fast_mode=True)


@pytest.mark.parametrize("way", [nullcontext, plain_equations])
def test_a_group_where_all_is_masked_has_no_shares_and_its_mean_is_0(way) -> None:
    """In one channel and not in another; a masked row among others has no share, and others have theirs. Gradients are 0 there."""
    groups = Groups(INDEXES["mixed"], 8)
    logits, values = rows(groups, 2), rows(groups, 2, 3, seed=1)
    masked = torch.zeros_like(logits, dtype=torch.bool)
    masked[groups.index == 3, 1] = True  # all three of its rows
    masked[groups.index == 1] = True  # a row alone
    masked[1, 0] = True  # one of two
    with way():
        found = shares(logits.masked_fill(masked, -torch.inf), groups)
        means = attended(logits.masked_fill(masked, -torch.inf), values, groups)
    for i, channel in itertools.product(range(8), range(2)):
        there = (groups.index == i) & ~masked[:, channel]
        torch.testing.assert_close(found[there, channel], logits[there, channel].softmax(0))
    assert not found[masked].any()
    assert not means[1].any()
    assert not means[3, 1].any()
    of_logits, of_values = torch.autograd.grad(means, (logits, values), torch.randn_like(means))
    assert not of_logits[masked].any()
    assert not of_values[masked].any()
    assert of_logits.isfinite().all()
    assert of_values.isfinite().all()


@every_index
def test_ordinary_shares_are_the_plain_softmax_by_a_bit(index) -> None:
    groups = Groups(INDEXES[index], 8)
    logits = rows(groups, 2).detach()
    most = loop("max", logits, groups)[groups.index]
    wanted = (logits - most).exp()
    assert torch.equal(shares(logits, groups), wanted / summed(wanted, groups)[groups.index])


@every_index
def test_principal_neighbourhoods_scale_by_the_logarithm_of_size(index) -> None:
    groups = Groups(INDEXES[index], 8)
    x, by = rows(groups, 2), PrincipalNeighbourhood(delta=1.3)
    found = by(x, groups).unflatten(1, (3, 4, 2))
    each = torch.stack([loop(name, x, groups) for name in ("mean", "max", "min", "std")], 1)
    scale = torch.log(groups.sizes.double() + 1)[:, None, None] / 1.3
    torch.testing.assert_close(found[:, 0], each)
    torch.testing.assert_close(found[:, 1], each * scale)
    torch.testing.assert_close(found[:, 2], torch.where(scale > 0, each / scale, 0))
    assert parts(by) == 12


def test_several_stand_side_by_side() -> None:
    groups = Groups(INDEXES["mixed"], 8)
    x = rows(groups, 2)
    both = reducer(("sum", "max"))
    assert parts(both) == 2
    assert torch.equal(both(x, groups), torch.cat([summed(x, groups), largest(x, groups)], 1))


def test_the_same_numbers_every_time() -> None:
    draw = torch.Generator().manual_seed(0)
    index = torch.randint(0, 50, (5000,), generator=draw)
    x = torch.randn(5000, 16, generator=draw)
    runs = [{name: by(x, Groups(index, 50)) for name, by in REDUCERS.items()} for _ in range(3)]
    assert all(torch.equal(run[name], runs[0][name]) for run in runs for name in REDUCERS)


def test_an_unknown_reducer_is_refused() -> None:
    with pytest.raises(Refusal, match="one of sum, mean"):
        reducer("median")
    with pytest.raises(Refusal, match="above 0"):
        PrincipalNeighbourhood(delta=0)

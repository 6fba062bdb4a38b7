"""The largest and the smallest of the rows of a group, channel by channel; 0 where a group has no rows.

The gradient goes to one row: of equal ones, to the first. Which one it was is asked in the backward pass, by comparing the rows
with what came out, in pieces that stay in the cache. Where more rows than groups answer there are ties (a ReLU's zeros, or an edge
twice), and the first is the one of the largest key, rows left in the group, among those that answered; where ties are few, only
their groups are asked again.

What came out is a product of matrices, with a maximum in place of the sum. On one thread of a busy Xeon (200,000 rows of 64
channels, 20,000 groups, fp32, medians of CPU time) forward and backward take 30 ms where the rows stand by their groups and 48
where they do not, 50 and 95 with a ReLU's ties; scatter_reduce and its own derivative take 150 and 250. scatter_reduce alone,
in place of the product, adds 10. Other ways to know the first in the forward pass: that product with its places, 64; torch.max
over tables of groups of about one size, 75; embedding_bag's maximum, 77; a loop over the places within a group, 95.

Graphs of a few nodes cost calls, not sums. There it is embedding_bag's maximum, which says which row was the first: with 1,150 rows
of 16 in 380 groups it takes 0.13 ms and the above 0.3 to 0.4, with 4,700 rows 0.34 and 0.5 to 0.9. The bits are the same.
"""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from allometry.graph import Groups
from allometry.model.blocks._eager import in_eager_cpu
from allometry.model.graph_network._sum import bags, summed

PIECE = 256 * 1024  # numbers of a piece for each thread: two of them stay in a core's cache
SMALL = 2**17  # numbers of so few rows that calls decide
FEW = 2000  # rows that are looked at to see whether there are ties


def largest(x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *channels"]:
    """The largest of each group's rows."""
    return _Extreme.apply(x, groups, "amax")


def smallest(x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *channels"]:
    """The smallest of each group's rows."""
    return _Extreme.apply(x, groups, "amin")


def extremes(x: Float[Tensor, " rows *channels"], groups: Groups, which: str) -> Float[Tensor, " groups *channels"]:
    """Largest (`amax`) or smallest (`amin`), without a derivative."""
    channels = x.shape[1:]
    if not x.numel():
        return x.new_zeros(groups.count, *channels)
    flat = x.reshape(len(x), -1)
    if in_eager_cpu(x) and x.is_floating_point():
        found = torch.sparse.mm(_ones(groups, flat), flat.detach(), which)
    else:
        index = groups.index[:, None].expand_as(flat)
        found = flat.new_zeros(groups.count, flat.shape[1]).scatter_reduce_(0, index, flat, which, include_self=False)
    return found.view(groups.count, *channels)


def _ones(groups: Groups, x: Tensor) -> Tensor:
    """The matrix that adds up rows: with `amax` in place of a sum, products with it are the largest rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says once that CSR matrices are in beta
        parts, size = (groups.starts, groups.rows, x.new_ones(len(x))), (groups.count, len(x))
        return torch.sparse_csr_tensor(*parts, size=size, check_invariants=False)


class _Extreme(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: Groups, which: str) -> Tensor:
        ctx.groups, ctx.shape = groups, x.shape
        if (by_bags := _by_bags(x, groups, which)) is not None:
            found, first = by_bags
            ctx.save_for_backward(first)
            return found
        found = extremes(x, groups, which)
        ctx.save_for_backward(x, found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        chosen = tuple(part.detach() for part in ctx.saved_tensors)
        return _Given.apply(gradient, ctx.groups, ctx.shape, *chosen), None, None


class _Given(torch.autograd.Function):
    """The gradient of the rows: linear in that of the groups, and so is its own. That of a maximum is constant between ties."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, groups: Groups, shape: torch.Size, *chosen: Tensor) -> Tensor:
        ctx.groups, ctx.shape = groups, shape
        ctx.save_for_backward(*chosen)
        return _given(gradient, groups, shape, *chosen)

    @staticmethod
    def backward(ctx: Any, of_rows: Tensor) -> tuple[Tensor | None, ...]:
        groups, chosen = ctx.groups, ctx.saved_tensors
        with torch.no_grad():
            ones = of_rows.new_ones(groups.count, *ctx.shape[1:])
            there = _given(ones, groups, ctx.shape, *chosen)
        return summed(of_rows * there, groups), None, None, *(None for _ in chosen)


def _given(gradient: Tensor, groups: Groups, shape: torch.Size, *chosen: Tensor) -> Tensor:
    """The gradient to one row of each group: to that which is named, or to the first that is what was found."""
    if len(chosen) == 1:
        there = (groups.sizes > 0)[:, None]  # of a group without rows the first is said to be row 0
        return gradient.new_zeros(shape).scatter_add_(0, chosen[0], gradient * there)
    x, found = chosen
    of_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    flat = of_x.view(len(x), x.shape[1:].numel())
    if x.numel():
        gradient, found = (part.reshape(groups.count, -1).contiguous() for part in (gradient, found))
        _routed(flat, x.reshape(flat.shape), found, gradient, groups)
    return of_x


def _by_bags(x: Tensor, groups: Groups, which: str) -> tuple[Tensor, Tensor] | None:
    """What is found and the first row of which, where graphs are small; None where they are not, or not all are finite numbers:
    bags look over what is not a number."""
    small = x.ndim == 2 and 0 < x.numel() <= SMALL and x.dtype in (torch.float32, torch.float64) and not x.is_cuda
    if not small or not math.isfinite(x.sum()):
        return None
    signed = x if which == "amax" else -x
    found, _, _, first = torch.embedding_bag(signed, groups.rows, groups.starts, mode=2, include_last_offset=True)
    return (found if which == "amax" else 0 - found), first


def _routed(out: Tensor, x: Tensor, found: Tensor, gradient: Tensor, groups: Groups) -> None:
    """Writes the gradient of the rows, all of two axes: that of their group where they are what was found, else 0."""
    if _tied(x, found, groups):
        _of_the_first(out, x, found, gradient, groups)
    elif not _of_all(out, x, found, gradient, groups) or not math.isfinite(found.sum()):  # what is no number hides a tie
        wrong = (bags(out, groups) != gradient).any(1)  # groups that gave more or less than they were given
        rows, number = wrong[groups.index].nonzero()[:, 0], wrong.cumsum(0) - 1
        of, alone = x.new_empty(len(rows), x.shape[1]), Groups(number[groups.index[rows]], int(wrong.sum()))
        _of_the_first(of, x[rows], found[wrong], gradient[wrong], alone)
        out[rows] = of


def _tied(x: Tensor, found: Tensor, groups: Groups) -> bool:
    """Whether a few groups have ties already."""
    rows = groups.rows[:FEW]
    index = groups.index[rows]
    answers = (x.index_select(0, rows) == found.index_select(0, index)).count_nonzero()
    return bool(answers > (1 + (index[1:] != index[:-1]).sum()) * x.shape[1])


def _of_all(out: Tensor, x: Tensor, found: Tensor, gradient: Tensor, groups: Groups) -> bool:
    """The gradient to all rows that are what was found; whether that was one for each group."""
    answers = []
    for rows, index, written in _pieces(groups, x, groups.index, out):
        torch.eq(rows, found.index_select(0, index), out=written)
        answers.append(_ones_in(written))
        written.mul_(gradient.index_select(0, index))
    return float(torch.stack(answers).double().sum()) == int((groups.sizes > 0).sum()) * x.shape[1]


def _ones_in(written: Tensor) -> Tensor:
    """How many of the numbers, 0 and 1, are 1. Up to 2^24 of them fp32 is exact, and four times as fast as a count on the CPU; on a
    GPU a piece is everything."""
    return written.sum(dtype=torch.float32 if written.numel() <= 2**24 else torch.float64)


def _of_the_first(out: Tensor, x: Tensor, found: Tensor, gradient: Tensor, groups: Groups) -> None:
    """The gradient to the first of these rows: that with the most rows left in its group."""
    left = (groups.sizes[groups.index] - groups.place).to(torch.float32)[:, None]
    keys = x.new_empty(x.shape, dtype=torch.float32)
    for rows, index, key, many in _pieces(groups, x, groups.index, keys, left):
        torch.eq(rows, found.index_select(0, index), out=key).mul_(many)
    most = extremes(keys, groups, "amax")
    most[most == 0] = -1  # where nothing is equal to what was found, which is not a number
    for key, index, written in _pieces(groups, keys, groups.index, out):
        torch.eq(key, most.index_select(0, index), out=written).mul_(gradient.index_select(0, index))


def _pieces(groups: Groups, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some rows of each tensor after some."""
    channels = max(tensor.shape[1] for tensor in tensors if tensor.ndim == 2)
    length = len(groups.index) if groups.index.is_cuda else max(1, PIECE * torch.get_num_threads() // channels)
    return zip(*(tensor.split(length) for tensor in tensors), strict=True)

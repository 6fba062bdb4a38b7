"""Numbers in other places: views, pieces, joins and choices multiply nothing."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

from torch import Tensor

from allometry.probe._census import ops
from allometry.probe._census.marks import ADDITIVE, PLAIN, STATIC, Mark
from allometry.probe._census.trace import CHOICE, Call, tensors


def row(x: Tensor, dim: int) -> int:
    """Numbers in a row along an axis, at least 1; one number alone has no axis, and torch lets 0 and -1 name it."""
    return max(1, x.shape[dim]) if x.ndim else 1


def constant(call: Call) -> list[Mark | None]:
    return [None for _ in tensors(call.out)]


def filling(call: Call) -> list[Mark | None]:
    """fill: one number everywhere; what was there before is gone."""
    mark = call.mark(call.args[1])
    if mark is None:
        return constant(call)
    root = call.trace.marks.root(("spread", mark.root, tuple(call.first.shape)))
    return [Mark(call.node, root, mark.distinct, rank=mark.rank)]


def same(call: Call) -> Mark:
    return call.marks()[0]


def reshaped(call: Call) -> Mark:
    """The same numbers in another shape: two that went the same way still lie number on number."""
    mark = call.marks()[0]
    return dataclasses.replace(mark, root=way(call, mark, 0))


def piece(call: Call) -> Mark | list[Mark | None]:
    mark, whole = call.marks()[0], max(1, tensors(call.args[0])[0].numel())
    found: list[Mark | None] = []
    for place, out in enumerate(tensors(call.out)):
        share = Fraction(out.numel(), whole)
        distinct = min(out.numel(), math.ceil(mark.distinct * share)) if share <= 1 else mark.distinct
        found.append(Mark(call.node, way(call, mark, place), distinct, role=mark.role, rank=mark.rank))
    return found


def way(call: Call, mark: Mark, place: int) -> int:
    """The root of what a view gives: the same for the same view of the same root, however it was asked for."""
    given, out = call.args[0], tensors(call.out)[place]
    if call.op in ("slice", "narrow"):
        dim, start, step = call.arg(1, "dim", 0), call.arg(2, "start") or 0, call.arg(4, "step", 1)
        key: tuple[Any, ...] = ("slice", dim % given.ndim, max(0, start + given.shape[dim] * (start < 0)), step)
    elif "split" in call.op or call.op in ("chunk", "unsafe_chunk"):
        dim = call.arg(2, "dim", 0)
        key = ("slice", dim % given.ndim, sum(t.shape[dim] for t in tensors(call.out)[:place]), 1)
    elif call.op in ("unbind", "select"):
        dim = call.arg(1, "dim", 0)
        index = place if call.op == "unbind" else call.args[2] % given.shape[dim]
        key = ("select", dim % given.ndim, index)
    else:
        words = [repr(a) for a in call.args[1:]] + [f"{k}={v!r}" for k, v in sorted(call.kwargs.items())]
        key = (call.op, *words, place)
    return call.trace.marks.root((mark.root, tuple(given.shape), tuple(out.shape), *key))


def joined(call: Call) -> Mark:
    marks = call.marks()
    pieces = tensors(call.args[0])
    distinct = sum(mark.distinct if (mark := call.mark(t)) is not None else 0 for t in pieces)
    return call.new(min(distinct, call.first.numel()), role=max(m.role for m in marks), rank=min(m.rank for m in marks))


def chosen(call: Call) -> Mark | list[Mark | None]:
    """Where the index is static it is a view; else signals are chosen by signals, which is no operation, and is said."""
    source = call.args[0]
    index = [t for t in tensors([call.args[1:], call.kwargs]) if call.mark(t) is not None]
    outs = tensors(call.out)
    if call.op in ops.BY_INDEX:
        if call.mark(source) is None or (call.op == "embedding" and not index):
            return [
                call.new(out.numel()) for out in outs
            ]  # a row of a table for each signal: a linear unit of one-hot inputs
        if not index:
            mark = call.marks()[0]
            return [call.new(min(mark.distinct, out.numel()), role=mark.role, rank=mark.rank) for out in outs]
    if call.op not in ops.QUIET:
        call.note(CHOICE)
    return [call.new(out.numel(), rank=max(m.rank for m in call.marks())) for out in outs]


def placed(call: Call) -> Mark:
    """Numbers put into their places. A copy over the whole is the same numbers."""
    if call.op == "copy":
        given, over = call.args[1], call.args[0]
        mark = call.mark(given)
        if mark is not None and given.shape == over.shape:
            return mark
        return call.new(call.first.numel())
    if call.op in ops.PLACES and any(call.mark(t) is not None for t in tensors(call.args[ops.PLACES[call.op]])):
        call.note(CHOICE)
    how, number = call.arg(4, "reduce"), max((t.numel() for t in tensors([call.args[1:]])), default=0)
    if how in ("prod", "multiply"):  # what is put gates what is there
        gate = call.mark(call.args[3])
        if gate is None:
            call.add(STATIC, number)
        else:
            call.gate(number, gate.distinct, gate.root)
    elif how not in ("amax", "amin") and _sums(call, how):
        call.add(ADDITIVE, max((t.numel() for t in tensors([call.args[1:]]) if call.mark(t) is not None), default=0))
    return call.new(call.first.numel(), role=PLAIN)


def _sums(call: Call, how: Any) -> bool:
    return bool(call.op in ops.PLACED_SUMS or how == "add" or (call.op in ops.PUTS and call.arg(3, "accumulate")))

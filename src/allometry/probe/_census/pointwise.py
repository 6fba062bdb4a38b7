"""Units of a fixed function of their own activation: f of numbers in the same place."""

import math
from fractions import Fraction

from torch import Tensor

from allometry.probe._census import ops
from allometry.probe._census.marks import SHAPING, Mark
from allometry.probe._census.trace import Call, tensors


def pointwise(call: Call) -> Mark:
    """f of numbers in the same place. Of one signal and constants it has the root of that signal."""
    marks, shape = call.marks(), call.first.shape
    roots = {mark.root for mark in marks}
    dependent = [t for t in tensors([call.args, call.kwargs]) if call.mark(t) is not None]
    scores = tuple(dict.fromkeys(entry for mark in marks for entry in mark.scores))
    kept, never = _left(call, marks)
    details = {"role": max(mark.role for mark in marks), "kept": kept, "never": never, "scores": scores}
    rank = ops.RANK.get(call.op, max(mark.rank for mark in marks) if call.op not in ops.POINTWISE else 0)
    if len(roots) == 1:
        first = marks[0]
        root = first.root
        if any(t.shape != shape for t in dependent):
            root = call.trace.marks.root(("spread", root, tuple(shape)))
        spread = any(varies(t) for t in tensors([call.args, call.kwargs]) if call.mark(t) is None)
        distinct = math.prod(shape) if spread else first.distinct
        return Mark(call.node, root, distinct, rank=rank, **details)
    return call.new(math.prod(shape), rank=rank, **details)


def _left(call: Call, marks: list[Mark]) -> tuple[Fraction, bool]:
    """What masks leave of a function of numbers: -inf stays in sums and is 0 after exp, and 0 stays in some functions."""
    never = [mark.kept for mark in marks if mark.never]
    if never:
        return min(never), call.op not in ops.OF_NEVER
    if call.op in ops.POINTWISE and call.op not in ops.OF_ZERO:
        return Fraction(1), False
    return max(mark.kept for mark in marks), False


def self_gated(call: Call) -> Mark:
    """ReLU and its kin."""
    call.add(SHAPING, call.first.numel())
    return pointwise(call)


def power(call: Call) -> Mark:
    exponent = call.args[1]
    if (
        isinstance(exponent, Tensor)
        and exponent.ndim == 0
        and call.mark(exponent) is None
        and exponent.device.type != "meta"
    ):
        exponent = exponent.item()
    if isinstance(exponent, int | float) and exponent > 1 and exponent == int(exponent):
        call.add(SHAPING, call.first.numel() * (int(exponent) - 1))
    return pointwise(call)


def varies(x: Tensor) -> bool:
    """Whether a constant has more than one number: one number scales all, and is absorbed by the weights around it."""
    return x.numel() > 1

"""Units of a fixed function of their own activation: f of numbers in the same place."""

import math
from fractions import Fraction

from torch import Tensor

from allometry.probe._census import ops
from allometry.probe._census.marks import ADDITIVE, SHAPING, STATIC, Mark
from allometry.probe._census.trace import CHOICE, Call, tensors


def pointwise(call: Call) -> Mark:
    """f of numbers in the same place. Of one signal and constants it has the root of that signal."""
    marks, shape = call.marks(), call.first.shape
    roots = {mark.root for mark in marks}
    dependent = [t for t in tensors([call.args, call.kwargs]) if call.mark(t) is not None]
    scores = tuple(dict.fromkeys(entry for mark in marks for entry in mark.scores))
    kept, never = _left(call, marks)
    details = {"role": max(mark.role for mark in marks), "kept": kept, "never": never, "scores": scores}
    rank = ops.RANK.get(call.op, max(mark.rank for mark in marks) if call.op not in ops.FIXED else 0)
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
    if call.op in ops.FIXED and call.op not in ops.OF_ZERO:
        return Fraction(1), False
    return max(mark.kept for mark in marks), False


def self_gated(call: Call) -> Mark:
    """ReLU and its kin."""
    call.add(SHAPING, call.first.numel())
    return pointwise(call)


def clamped(call: Call) -> Mark:
    """A signal or a bound, whichever is larger: ReLU and its kin. Between two signals that is a choice, which is said.

    Functions of the same numbers, as in max(x, x / 10), are one signal.
    """
    operands = [t for t in tensors([call.args, call.kwargs]) if call.mark(t) is not None]
    if len({mark.root for mark in call.marks()}) > 1 or len({t.shape for t in operands}) > 1:
        call.note(CHOICE)
        return call.new(call.first.numel())
    return self_gated(call)


def sampled(call: Call) -> Mark | list[Mark | None]:
    """normal and bernoulli: mean + deviation noise, or a unit whose threshold is noise. What is only written over is no signal."""
    in_place = call.func._schema.name.endswith("_")
    given = tensors([call.args[in_place or call.func._overloadname == "p" :], call.kwargs])
    marks = [mark for one in given if (mark := call.mark(one)) is not None]
    if not marks:
        return [None for _ in tensors(call.out)]
    number = call.first.numel()
    if call.op == "normal" and call.mark(call.arg(1, "std")) is not None:
        call.add(STATIC, number)
    if len(marks) > 1:
        call.add(ADDITIVE, number)
    return call.new(number)


def varies(x: Tensor) -> bool:
    """Whether a constant has more than one number: one number scales all, and is absorbed by the weights around it."""
    return x.numel() > 1

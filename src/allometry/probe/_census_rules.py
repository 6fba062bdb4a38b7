"""What each operation of torch is, in the terms of the quarks of attention (Baldi and Vershynin 2022, arXiv:2202.08371).

Where two signals meet in a product, one is the attending signal:

- of a product number by number, the one with fewer distinct scalars (it is repeated over the other); of two with as many, the one
  that is a gate by its range (sigmoid, softmax, exp before tanh before others); then the first. Of a quotient, the divisor.
- of a matrix product, the one that is a dynamic synapse: weights of a softmax before fast weights before sums of products. That is
  synaptic gating, and all other products are output gating. Where neither or both are, the left one, whose rows ask.
- A number times a function of itself (x sigmoid(x), x x, ReLU) is the shaping of an activation: counted beside, not among gatings.
- A gate and a function of it alone, number by number, such as z and 1 - z, are one signal.
"""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from allometry.probe import _census_ops as ops
from allometry.probe._census_marks import (
    ADDITIVE,
    NORMALISED,
    OUTER,
    PLAIN,
    PRODUCT,
    SHAPING,
    STATIC,
    SYNAPTIC,
    Mark,
)
from allometry.probe._census_trace import CHOICE, PYTHON, UNKNOWN, Call, tensors

NEVER = -1e4  # a score that a softmax makes 0: a mask


def pointwise(call: Call) -> Mark:
    """f of numbers in the same place. Of one signal and constants it has the root of that signal."""
    marks, shape = call.marks(), _first(call).shape
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
        spread = any(_varies(t) for t in tensors([call.args, call.kwargs]) if call.mark(t) is None)
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
    call.add(SHAPING, _first(call).numel())
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
        call.add(SHAPING, _first(call).numel() * (int(exponent) - 1))
    return pointwise(call)


def addition(call: Call) -> Mark:
    """A sum of two signals is in the standard model; of a signal and a constant it may be a mask."""
    _sum(call, call.args[0], call.args[1])
    plain, constant = pointwise(call), call.args[1] if call.mark(call.args[0]) is not None else call.args[0]
    if call.mark(constant) is None and not plain.never:  # what was 0 is so no more
        plain = dataclasses.replace(plain, kept=Fraction(1))
    return _masked(call, plain, constant)


def _sum(call: Call, left: Any, right: Any) -> None:
    a, b = call.mark(left), call.mark(right)
    if a is not None and b is not None and (a.root != b.root or left.shape != right.shape):
        call.add(ADDITIVE, _first(call).numel())


def product(call: Call) -> Mark:
    return _product(call, call.args[0], call.args[1], pointwise(call))


def _product(call: Call, left: Any, right: Any, plain: Mark, number: int | None = None) -> Mark:
    a, b = call.mark(left), call.mark(right)
    number = _first(call).numel() if number is None else number
    if a is None and b is None:
        return plain
    if a is None or b is None:
        signal, constant = (b, left) if a is None else (a, right)
        if isinstance(constant, Tensor) and (_varies(constant) or isinstance(constant, nn.Parameter)):
            call.add(STATIC, number * (4 if left.is_complex() and right.is_complex() else 1))
        return _masked(call, plain, constant, zero=True) if signal is not None else plain
    if a.root == b.root and left.shape == right.shape:
        call.add(SHAPING, number)
        return plain
    spread_a, spread_b = a.distinct < number, b.distinct < number
    role = max(a.role, b.role, OUTER if spread_a and spread_b else PLAIN)
    for one, other in ((a, b), (b, a)):
        if one.role == NORMALISED and one.distinct < number and other.role != NORMALISED:
            call.gate(number, one.distinct, one.root, SYNAPTIC, kept=one.kept, masks_signals=True)
            return dataclasses.replace(
                plain, root=call.trace.marks.root(), distinct=number, role=PRODUCT, rank=0, kept=Fraction(1)
            )
    gate, given = (a, b) if (a.distinct, -a.rank) <= (b.distinct, -b.rank) else (b, a)
    kept = min(a.kept, b.kept)
    entry = call.gate(number, gate.distinct, gate.root, kept=kept)
    if given.role == OUTER and gate.distinct < given.distinct == number:
        entry.otherwise = given
    for score in plain.scores:  # a gate that is masked hides what it gates
        score.kept = min(score.kept, kept)
    scores = (*plain.scores, entry) if role == PRODUCT else plain.scores
    mark = call.new(number, role=role, kept=kept, scores=scores, rank=0)
    return dataclasses.replace(mark, product=entry)


def quotient(call: Call) -> Mark:
    left, right = call.args[0], call.args[1]
    a, b = call.mark(left), call.mark(right)
    if b is None:
        return product(call)
    plain, number = pointwise(call), _first(call).numel()
    if a is None:
        return plain  # a constant by a signal is a function of the signal
    if a.root == b.root and left.shape == right.shape:
        call.add(SHAPING, number)
        return plain
    call.gate(number, b.distinct, b.root, kept=a.kept)
    return call.new(number, role=a.role, kept=a.kept, scores=a.scores, rank=a.rank)


def product_added(call: Call) -> Mark:
    """x + value * a * b."""
    x, left, right = call.args[:3]
    plain = pointwise(call)
    mark = _product(call, left, right, plain)
    if call.mark(x) is not None and (call.mark(left) is not None or call.mark(right) is not None):
        call.add(ADDITIVE, _first(call).numel())
    return mark if call.mark(left) is not None and call.mark(right) is not None else plain


def between(call: Call) -> Mark:
    """lerp: x + share (y - x)."""
    x, y, share = call.args[:3]
    plain, number = pointwise(call), _first(call).numel()
    moves, weight = call.mark(x) is not None or call.mark(y) is not None, call.mark(share)
    if call.mark(x) is not None and call.mark(y) is not None:
        call.add(ADDITIVE, number)
    if call.mark(x) is not None:
        call.add(ADDITIVE, number)
    if weight is not None and moves:
        call.gate(number, weight.distinct, weight.root)
        return call.new(number)
    if moves and isinstance(share, Tensor) and _varies(share):
        call.add(STATIC, number)
    return plain


def where(call: Call) -> Mark:
    """condition x + (1 - condition) y: gating by a signal, or a mask."""
    condition, x, y = call.args[:3]
    gate, a, b = call.mark(condition), call.mark(x), call.mark(y)
    plain, number = pointwise(call), _first(call).numel()
    if gate is None:
        if a is not None and b is not None:
            return plain
        return _masked(call, plain, condition if a is not None else ~condition, hides=y if a is not None else x)
    if a is None and b is None:
        return plain
    if all(mark is None or mark.root == gate.root for mark in (a, b)):
        call.add(SHAPING, number)
        return plain
    call.gate(number * ((a is not None) + (b is not None)), gate.distinct, gate.root)
    return call.new(number, role=plain.role)


def filled(call: Call) -> Mark:
    """masked_fill: where(mask, value, x)."""
    x, mask, value = call.args[:3]
    gate, signal = call.mark(mask), call.mark(x)
    plain = pointwise(call)
    if gate is None:
        return _masked(call, plain, ~mask, hides=value)
    if signal is None or signal.root == gate.root:
        return plain
    call.gate(_first(call).numel(), gate.distinct, gate.root)
    return call.new(plain.distinct, role=plain.role)


def _masked(call: Call, mark: Mark, mask: Any, zero: bool = False, hides: Any = None) -> Mark:
    """Note which share of the numbers a constant leaves: by -inf in a sum, by 0 in a product, by a condition."""
    masks = isinstance(mask, Tensor) and call.mark(mask) is None and mask.numel() > 1 and mask.device.type != "meta"
    if not masks or not (mark.scores or mark.role == NORMALISED or hides is not None):
        return mark
    never = not zero
    if hides is not None:
        gone = torch.as_tensor(hides)
        if call.mark(hides) is not None or gone.device.type == "meta" or not gone.numel():
            return mark
        never = bool((gone <= NEVER).all())
        if not never and bool(gone.any()):
            return mark
        left = mask.bool()
    elif zero:
        if isinstance(mask, nn.Parameter):
            return mark
        left = mask != 0
    else:
        left = mask > NEVER
    share = Fraction(int(left.sum()), left.numel())
    if share == 1:
        return mark
    for entry in mark.scores:
        entry.kept = min(entry.kept, share)
    return dataclasses.replace(mark, kept=min(mark.kept, share), never=never)


def matrix(call: Call) -> Mark:
    return _matrix(call, call.args[0], call.args[1], _first(call).numel() * call.args[0].shape[-1])


def matrix_added(call: Call) -> Mark:
    """x + A B, the parts of which may be static."""
    x, left, right = call.args[:3]
    if call.mark(left) is None and call.mark(right) is None:
        return pointwise(call)
    operations = _first(call).numel() * left.shape[-1] * (left.shape[0] if call.op == "addbmm" else 1)
    mark = _matrix(call, left, right, operations)
    if call.mark(x) is not None:
        call.add(ADDITIVE, _first(call).numel())
        return mark
    return _masked(call, mark, x)


def outer_product(call: Call) -> Mark:
    left, right = call.args[:2]
    if call.mark(left) is None or call.mark(right) is None:
        call.add(STATIC, _first(call).numel())
        return call.new(_first(call).numel())
    a = call.mark(left)
    assert a is not None
    call.gate(_first(call).numel(), a.distinct, a.root)
    return call.new(_first(call).numel(), role=OUTER)


def _matrix(call: Call, left: Any, right: Any, operations: int) -> Mark:
    a, b = call.mark(left), call.mark(right)
    number = _first(call).numel()
    if a is None or b is None:
        call.add(STATIC, operations)
        return call.new(number)
    if a.role == b.role:
        entry = call.gate(operations, a.distinct, a.root, kept=min(a.kept, b.kept))
    else:
        gate = a if a.role > b.role else b
        entry = call.gate(operations, gate.distinct, gate.root, SYNAPTIC, kept=gate.kept, masks_signals=True)
    return call.new(number, role=PRODUCT, scores=(entry,))


def convolution(call: Call) -> Mark:
    x, weight, transposed = call.args[0], call.args[1], bool(call.arg(6, "transposed", False))
    taps = math.prod(weight.shape[2:]) * weight.shape[1]
    operations, number = (x.numel() if transposed else _first(call).numel()) * taps, _first(call).numel()
    gate = call.mark(weight)
    if gate is None or call.mark(x) is None:
        call.add(STATIC, operations)
        return call.new(number)
    call.gate(operations, gate.distinct, gate.root, SYNAPTIC, masks_signals=True)
    return call.new(number, role=PRODUCT)


def trilinear(call: Call) -> Mark:
    """nn.Bilinear: y_o = sum_ij W_oij a_i b_j, each pair multiplied once."""
    left, _, right = call.args[:3]
    rows, a, b = left.numel() // left.shape[-1], left.shape[-1], right.shape[-1]
    outs = _first(call).shape[-1]
    mark, other = call.mark(left), call.mark(right)
    if mark is not None and other is not None and mark is not other:
        gate = mark if mark.distinct <= other.distinct else other
        call.gate(rows * a * b, gate.distinct, gate.root)
    call.add(STATIC, rows * a * b * outs)
    return call.new(_first(call).numel())


def softmax(call: Call) -> Mark:
    """Units of exp, each gated by one over the sum of its row."""
    x = call.args[0]
    mark = call.mark(x)
    assert mark is not None
    number = _first(call).numel()
    call.gate(number, number // max(1, x.shape[call.arg(1, "dim")]), kept=mark.kept)
    return call.new(number, role=NORMALISED, rank=2, kept=mark.kept)


def log_softmax(call: Call) -> Mark:
    """x minus the logarithm of a sum."""
    call.add(ADDITIVE, _first(call).numel())
    return call.new(_first(call).numel())


def normalised(call: Call) -> Mark | list[Mark | None]:
    """Layer, group, batch and RMS norm: output gating by 1 / sigma. x - mean is a sum, (x - mean)^2 a shaping, the gain static."""
    x, number = call.args[0], call.args[0].numel()
    if call.op in ("native_layer_norm", "_fused_rms_norm"):
        gain, signals = call.args[2], number // math.prod(call.args[1])
    elif call.op == "native_group_norm":
        gain, signals = call.args[1], x.shape[0] * call.args[6]
    else:
        gain, training = call.args[1], call.arg(5, "training", False) if "legit" not in call.op else call.args[5]
        signals = x.shape[1] if training else 0
    outs = tensors(call.out)
    if call.mark(x) is None:
        return [pointwise(call) for _ in outs]
    if signals:
        if call.op != "_fused_rms_norm":
            call.add(ADDITIVE, number)
        call.add(SHAPING, number)
        call.gate(number, signals)
        if gain is not None:
            call.add(STATIC, number)
    else:
        call.add(STATIC, number)
        return [Mark(call.node, call.marks()[0].root, number)] + [None] * (len(outs) - 1)
    return [call.new(out.numel()) for out in outs]


def gated_linear_unit(call: Call) -> Mark:
    """x_1 sigmoid(x_2), of the halves of x."""
    number = _first(call).numel()
    call.gate(number, number)
    return call.new(number)


def constant(call: Call) -> list[Mark | None]:
    return [None for _ in tensors(call.out)]


def same(call: Call) -> Mark:
    return call.marks()[0]


def reshaped(call: Call) -> Mark:
    """The same numbers in another shape: two that went the same way still lie number on number."""
    mark = call.marks()[0]
    return dataclasses.replace(mark, root=_way(call, mark, 0))


def piece(call: Call) -> Mark | list[Mark | None]:
    mark, whole = call.marks()[0], max(1, tensors(call.args[0])[0].numel())
    found: list[Mark | None] = []
    for place, out in enumerate(tensors(call.out)):
        share = Fraction(out.numel(), whole)
        distinct = min(out.numel(), math.ceil(mark.distinct * share)) if share <= 1 else mark.distinct
        found.append(Mark(call.node, _way(call, mark, place), distinct, role=mark.role, rank=mark.rank))
    return found


def triangle(call: Call) -> Mark | list[Mark | None]:
    """tril and triu are masks too."""
    found = piece(call)
    if call.args[0].device.type == "meta" or not isinstance(found, list):
        return found
    mask = getattr(torch, call.op)(torch.ones_like(call.args[0]), *call.args[1:])
    whole = call.marks()[0]
    masked = _masked(call, dataclasses.replace(whole, root=_way(call, whole, 0)), mask, zero=True)
    return [masked]


def _way(call: Call, mark: Mark, place: int) -> int:
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
    return call.new(min(distinct, _first(call).numel()), role=max(m.role for m in marks), rank=min(m.rank for m in marks))


def chosen(call: Call) -> Mark | list[Mark | None]:
    """Where the index is static it is a view; else signals are chosen by signals, which is no operation, and is said."""
    source = call.args[0]
    index = [t for t in tensors([call.args[1:], call.kwargs]) if call.mark(t) is not None]
    outs = tensors(call.out)
    if call.op in ops.BY_INDEX:
        if call.op == "embedding" or call.mark(source) is None:
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
        return call.new(_first(call).numel())
    if call.op in ops.PLACED_SUMS or call.kwargs.get("accumulate") or (call.op == "index_put" and call.arg(3, "accumulate")):
        call.add(ADDITIVE, max((t.numel() for t in tensors([call.args[1:]]) if call.mark(t) is not None), default=0))
    return call.new(_first(call).numel(), role=PLAIN)


def bagged(call: Call) -> list[Mark | None]:
    """embedding_bag: sums of chosen rows, each perhaps times a weight of its own."""
    table, index, weights = call.args[0], call.args[1], call.arg(6, "per_sample_weights")
    number = index.numel() * table.shape[1]
    outs = tensors(call.out)
    if call.mark(index) is not None:
        call.note(CHOICE)
    gate = call.mark(weights)
    if call.mark(table) is not None:
        call.add(ADDITIVE, number)
        if gate is not None:
            call.gate(number, gate.distinct, gate.root)
    elif gate is not None:
        call.add(STATIC, number)
    return [call.new(outs[0].numel()), *[None] * (len(outs) - 1)]


def reduced(call: Call) -> Mark | list[Mark | None]:
    """A sum over fixed weights. A sum of products number by number is a matrix product."""
    mark = call.marks()[0]
    role = mark.role
    if call.op in ("sum", "mean", "cumsum"):
        if mark.product is not None:
            role = max(role if role != OUTER else PRODUCT, PRODUCT)
            if call.op == "sum" and (state := mark.product.otherwise) is not None:
                mark.product.quark, mark.product.signals = SYNAPTIC, state.distinct
                mark.product.root = state.root
            return [call.new(out.numel(), role=role, scores=(mark.product,)) for out in tensors(call.out)]
        role = PLAIN if role == NORMALISED else role
    else:
        role = PLAIN
    return [call.new(out.numel(), role=role) for out in tensors(call.out)]


def squares(call: Call) -> list[Mark | None]:
    """Norms and variances: each number gates itself, after its mean is taken away where there is one."""
    number = call.args[0].numel()
    call.add(SHAPING, number)
    if "norm" not in call.op:
        call.add(ADDITIVE, number)
    return [call.new(out.numel()) for out in tensors(call.out)]


def products_of_a_row(call: Call) -> list[Mark | None]:
    """prod and cumprod: each number gates the product of those before it."""
    x = call.args[0]
    dim = call.arg(1, "dim")
    rows = x.numel() // max(1, x.shape[dim]) if isinstance(dim, int) else 1
    mark = call.marks()[0]
    call.gate(x.numel() - rows, min(mark.distinct, x.numel() - rows), mark.root)
    return [call.new(out.numel(), role=PRODUCT) for out in tensors(call.out)]


def read(call: Call) -> None:
    call.note(PYTHON)


def unknown(call: Call) -> list[Mark | None]:
    """Named, and what it gives depends on the input."""
    call.note(UNKNOWN)
    return [call.new(out.numel()) for out in tensors(call.out)]


def _first(call: Call) -> Tensor:
    return tensors(call.out)[0]


def _varies(x: Tensor) -> bool:
    """Whether a constant has more than one number: one number scales all, and is absorbed by the weights around it."""
    return x.numel() > 1


def _table() -> dict[str, Any]:
    table: dict[str, Any] = {"": unknown}
    for names, rule in (
        (ops.POINTWISE, pointwise), (ops.CONSTANTS, constant), (ops.SELF_GATED, self_gated), (ops.SAME, same),
        (ops.RESHAPES, reshaped), (ops.PIECES, piece), (ops.JOINS, joined), (ops.CHOICES, chosen),
        (ops.PLACED | ops.PLACED_SUMS, placed), (ops.REDUCTIONS, reduced), (ops.SQUARES, squares), (ops.READ, read),
    ):  # fmt: skip
        table |= dict.fromkeys(names, rule)
    return table | {
        "add": addition, "sub": addition, "rsub": addition, "mul": product, "multiply": product, "div": quotient,
        "true_divide": quotient, "addcmul": product_added, "lerp": between, "where": where, "masked_fill": filled, "pow": power,
        "mm": matrix, "bmm": matrix, "mv": matrix, "dot": matrix, "vdot": matrix, "addmm": matrix_added,
        "_grouped_mm": matrix, "_addmm_activation": matrix_added, "baddbmm": matrix_added, "addbmm": matrix_added,
        "addmv": matrix_added, "ger": outer_product, "outer": outer_product, "convolution": convolution,
        "_convolution": convolution, "_trilinear": trilinear, "_softmax": softmax, "_safe_softmax": softmax,
        "softmax": softmax, "_log_softmax": log_softmax, "native_layer_norm": normalised, "native_group_norm": normalised,
        "native_batch_norm": normalised, "_native_batch_norm_legit": normalised,
        "_native_batch_norm_legit_no_training": normalised, "_fused_rms_norm": normalised, "glu": gated_linear_unit,
        "tril": triangle, "triu": triangle, "prod": products_of_a_row, "cumprod": products_of_a_row, "_embedding_bag": bagged,
        "_embedding_bag_forward_only": bagged,
    }  # fmt: skip


RULES = _table()

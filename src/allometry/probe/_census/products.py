"""Products number by number, and quotients: where two signals meet in one, one is the attending signal.

- The gate is the one with fewer distinct scalars (it is repeated over the other); of two with as many, the one that is a gate by
  its range (sigmoid, softmax, exp before tanh before others); then the first. Of a quotient, the divisor.
- A gate and a function of it alone, number by number, such as z and 1 - z, are one signal.
- A number times a function of itself (x sigmoid(x), x x, ReLU) is the shaping of an activation: counted beside, not among gatings.
"""

import dataclasses
from fractions import Fraction
from typing import Any

from torch import Tensor, nn

from allometry.probe._census.marks import ADDITIVE, NORMALISED, OUTER, PLAIN, PRODUCT, SHAPING, STATIC, SYNAPTIC, Mark
from allometry.probe._census.masks import masked
from allometry.probe._census.places import row
from allometry.probe._census.pointwise import pointwise, varies
from allometry.probe._census.trace import Call, tensors


def product(call: Call) -> Mark:
    return multiplied(call, call.args[0], call.args[1], pointwise(call))


def multiplied(call: Call, left: Any, right: Any, plain: Mark, number: int | None = None) -> Mark:
    a, b = call.mark(left), call.mark(right)
    number = call.first.numel() if number is None else number
    if a is None and b is None:
        return plain
    if a is None or b is None:
        signal, constant = (b, left) if a is None else (a, right)
        if isinstance(constant, Tensor) and (varies(constant) or isinstance(constant, nn.Parameter)):
            call.add(STATIC, number * (4 if left.is_complex() and right.is_complex() else 1))
        return masked(call, plain, constant, zero=True) if signal is not None else plain
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
    plain, number = pointwise(call), call.first.numel()
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
    mark = multiplied(call, left, right, plain)
    if call.mark(x) is not None and (call.mark(left) is not None or call.mark(right) is not None):
        call.add(ADDITIVE, call.first.numel())
    return mark if call.mark(left) is not None and call.mark(right) is not None else plain


def between(call: Call) -> Mark:
    """lerp: x + share (y - x)."""
    x, y, share = call.args[:3]
    plain, number = pointwise(call), call.first.numel()
    moves, weight = call.mark(x) is not None or call.mark(y) is not None, call.mark(share)
    if call.mark(x) is not None and call.mark(y) is not None:
        call.add(ADDITIVE, number)
    if call.mark(x) is not None:
        call.add(ADDITIVE, number)
    if weight is not None and moves:
        call.gate(number, weight.distinct, weight.root)
        return call.new(number)
    if moves and isinstance(share, Tensor) and varies(share):
        call.add(STATIC, number)
    return plain


def parametric_relu(call: Call) -> Mark:
    """x where it is positive, else slope x: a ReLU whose slope is a parameter or a signal."""
    call.add(SHAPING, call.first.numel())
    return multiplied(call, call.args[0], call.args[1], pointwise(call))


def gated_linear_unit(call: Call) -> Mark:
    """x_1 sigmoid(x_2), of the halves of x."""
    number = call.first.numel()
    call.gate(number, number)
    return call.new(number)


def segments(call: Call) -> list[Mark | None]:
    """segment_reduce: products of the numbers of each segment, or another function of them."""
    x, mark = call.args[0], call.marks()[0]
    if call.args[1] == "prod":
        number = max(0, x.numel() - call.first.numel())
        call.gate(number, min(mark.distinct, number), mark.root)
    return [call.new(out.numel()) for out in tensors(call.out)]


def products_of_a_row(call: Call) -> list[Mark | None]:
    """prod and cumprod: each number gates the product of those before it."""
    x = call.args[0]
    dim = call.arg(1, "dim")
    rows = x.numel() // row(x, dim) if isinstance(dim, int) else 1
    mark = call.marks()[0]
    number = max(0, x.numel() - rows)
    call.gate(number, min(mark.distinct, number), mark.root)
    return [call.new(out.numel(), role=PRODUCT) for out in tensors(call.out)]

"""Products of matrices, and convolutions.

The gate is the one that is a dynamic synapse: weights of a softmax before fast weights before sums of products. That is synaptic
gating, and all other products are output gating. Where neither or both are, the left one, whose rows ask.
"""

import math
from typing import Any

from allometry.probe._census.marks import ADDITIVE, OUTER, PRODUCT, STATIC, SYNAPTIC, Mark
from allometry.probe._census.masks import masked
from allometry.probe._census.pointwise import pointwise
from allometry.probe._census.trace import Call


def matrix(call: Call) -> Mark:
    return _matrix(call, call.args[0], call.args[1], call.first.numel() * call.args[0].shape[-1])


def matrix_added(call: Call) -> Mark:
    """x + A B, the parts of which may be static."""
    x, left, right = call.args[:3]
    if call.mark(left) is None and call.mark(right) is None:
        return pointwise(call)
    operations = call.first.numel() * left.shape[-1] * (left.shape[0] if call.op == "addbmm" else 1)
    mark = _matrix(call, left, right, operations)
    if call.mark(x) is not None:
        call.add(ADDITIVE, call.first.numel())
        return mark
    return masked(call, mark, x)


def outer_product(call: Call) -> Mark:
    left, right = call.args[:2]
    if call.mark(left) is None or call.mark(right) is None:
        call.add(STATIC, call.first.numel())
        return call.new(call.first.numel())
    a = call.mark(left)
    assert a is not None
    call.gate(call.first.numel(), a.distinct, a.root)
    return call.new(call.first.numel(), role=OUTER)


def _matrix(call: Call, left: Any, right: Any, operations: int) -> Mark:
    a, b = call.mark(left), call.mark(right)
    number = call.first.numel()
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
    operations, number = (x.numel() if transposed else call.first.numel()) * taps, call.first.numel()
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
    outs = call.first.shape[-1]
    mark, other = call.mark(left), call.mark(right)
    if mark is not None and other is not None and mark is not other:
        gate = mark if mark.distinct <= other.distinct else other
        call.gate(rows * a * b, gate.distinct, gate.root)
    call.add(STATIC, rows * a * b * outs)
    return call.new(call.first.numel())

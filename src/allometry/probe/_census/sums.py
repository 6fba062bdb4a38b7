"""Sums: in the standard model of neurons. A sum of products number by number is a matrix product."""

import dataclasses
from fractions import Fraction
from typing import Any

from allometry.probe._census.marks import ADDITIVE, NORMALISED, OUTER, PLAIN, PRODUCT, SHAPING, STATIC, SYNAPTIC, Mark
from allometry.probe._census.masks import masked
from allometry.probe._census.pointwise import pointwise
from allometry.probe._census.trace import CHOICE, Call, tensors


def addition(call: Call) -> Mark:
    """A sum of two signals is in the standard model; of a signal and a constant it may be a mask."""
    _counted(call, call.args[0], call.args[1])
    plain, constant = pointwise(call), call.args[1] if call.mark(call.args[0]) is not None else call.args[0]
    if call.mark(constant) is None and not plain.never:  # what was 0 is so no more
        plain = dataclasses.replace(plain, kept=Fraction(1))
    return masked(call, plain, constant)


def _counted(call: Call, left: Any, right: Any) -> None:
    a, b = call.mark(left), call.mark(right)
    if a is not None and b is not None and (a.root != b.root or left.shape != right.shape):
        call.add(ADDITIVE, call.first.numel())


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

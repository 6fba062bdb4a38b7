"""What a condition leaves: gating by a signal of 0 or 1, or a constant mask that makes products 0."""

import dataclasses
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from allometry.probe._census.marks import NORMALISED, SHAPING, Mark
from allometry.probe._census.places import piece, way
from allometry.probe._census.pointwise import pointwise
from allometry.probe._census.trace import Call

NEVER = -1e4  # a score that a softmax makes 0: a mask


def where(call: Call) -> Mark:
    """condition x + (1 - condition) y: gating by a signal, or a mask."""
    return _where(call, *call.args[:3])


def filled(call: Call) -> Mark:
    """masked_fill: where(mask, value, x)."""
    x, mask, value = call.args[:3]
    return _where(call, mask, value, x)


def _where(call: Call, condition: Any, x: Any, y: Any) -> Mark:
    gate, a, b = call.mark(condition), call.mark(x), call.mark(y)
    plain, number = pointwise(call), call.first.numel()
    if gate is None:
        if a is not None and b is not None:
            return plain
        return masked(call, plain, condition if a is not None else ~condition, hides=y if a is not None else x)
    if a is None and b is None:
        return plain
    if all(mark is None or mark.root == gate.root for mark in (a, b)):
        call.add(SHAPING, number)
        return plain
    for mark in (a, b):  # what is a function of the condition's numbers is shaped by them
        if mark is not None and mark.root == gate.root:
            call.add(SHAPING, number)
        elif mark is not None:
            call.gate(number, gate.distinct, gate.root)
    return call.new(number, role=plain.role)


def triangle(call: Call) -> Mark | list[Mark | None]:
    """tril and triu are masks too."""
    found = piece(call)
    if call.args[0].device.type == "meta" or not isinstance(found, list):
        return found
    mask = getattr(torch, call.op)(torch.ones_like(call.args[0]), *call.args[1:])
    whole = call.marks()[0]
    return [masked(call, dataclasses.replace(whole, root=way(call, whole, 0)), mask, zero=True)]


def masked(call: Call, mark: Mark, mask: Any, zero: bool = False, hides: Any = None) -> Mark:
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

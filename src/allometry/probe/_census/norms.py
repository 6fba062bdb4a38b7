"""Divisive normalisation: each number is gated by one over a size of its row."""

import math
from typing import Any

from allometry.probe._census.marks import ADDITIVE, NORMALISED, SHAPING, STATIC, Mark
from allometry.probe._census.places import row
from allometry.probe._census.trace import Call, tensors


def softmax(call: Call) -> Mark:
    """Units of exp, each gated by one over the sum of its row."""
    x = call.args[0]
    mark = call.mark(x)
    assert mark is not None
    number = call.first.numel()
    call.gate(number, number // row(x, call.arg(1, "dim")), kept=mark.kept)
    return call.new(number, role=NORMALISED, rank=2, kept=mark.kept)


def log_softmax(call: Call) -> Mark:
    """x minus the logarithm of a sum."""
    call.add(ADDITIVE, call.first.numel())
    return call.new(call.first.numel())


def normalised(call: Call) -> Mark | list[Mark | None]:
    """Layer, group, batch and RMS norm: output gating by 1 / sigma. x - mean is a sum, (x - mean)^2 a shaping, the gain static.

    A gain that is a signal gates, as in conditional normalisation; statistics that are kept are constants, or signals too.
    """
    x, number, outs = call.args[0], call.args[0].numel(), tensors(call.out)
    gain, shift, mean, variance, signals = _parts(call)
    if call.mark(x) is None:
        return _of_constants(call, number, gain)
    if signals:
        if call.op != "_fused_rms_norm":
            call.add(ADDITIVE, number)
        call.add(SHAPING, number)
        call.gate(number, signals)
    scales = [mark for part in (gain, variance) if (mark := call.mark(part)) is not None]
    moves = [mark for part in (shift, mean) if (mark := call.mark(part)) is not None]
    for mark in scales:
        call.gate(number, mark.distinct, mark.root)
    for _ in moves:
        call.add(ADDITIVE, number)
    if (gain is not None and call.mark(gain) is None) or not (signals or scales):
        call.add(STATIC, number)
    if not (signals or scales or moves):
        return [Mark(call.node, call.marks()[0].root, number)] + [None] * (len(outs) - 1)
    return [call.new(out.numel()) for out in outs]


def _parts(call: Call) -> tuple[Any, Any, Any, Any, int]:
    """Gain, shift, the statistics where they are given, and how many scalars gate where they are made."""
    x, number = call.args[0], call.args[0].numel()
    if call.op == "native_layer_norm":
        return call.args[2], call.args[3], None, None, number // math.prod(call.args[1])
    if call.op == "_fused_rms_norm":
        return call.args[2], None, None, None, number // math.prod(call.args[1])
    if call.op == "native_group_norm":
        return call.args[1], call.args[2], None, None, x.shape[0] * call.args[6]
    names = [argument.name for argument in call.func._schema.arguments]
    training = "training" in names and bool(call.arg(names.index("training"), "training", False))
    mean, variance = (None, None) if training or "running_mean" not in names else call.args[3:5]
    return call.args[1], call.args[2], mean, variance, x.shape[1] if training else 0


def _of_constants(call: Call, number: int, gain: Any) -> list[Mark | None]:
    """Constants, normalised and then scaled by a signal."""
    if call.mark(gain) is not None:
        call.add(STATIC, number)
    first, *rest = tensors(call.out)
    return [call.new(first.numel()), *(None for _ in rest)]

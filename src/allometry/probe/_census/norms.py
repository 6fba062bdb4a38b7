"""Divisive normalisation: each number is gated by one over a size of its row."""

import math

from allometry.probe._census.marks import ADDITIVE, NORMALISED, SHAPING, STATIC, Mark
from allometry.probe._census.pointwise import pointwise
from allometry.probe._census.trace import Call, tensors


def softmax(call: Call) -> Mark:
    """Units of exp, each gated by one over the sum of its row."""
    x = call.args[0]
    mark = call.mark(x)
    assert mark is not None
    number = call.first.numel()
    call.gate(number, number // max(1, x.shape[call.arg(1, "dim")]), kept=mark.kept)
    return call.new(number, role=NORMALISED, rank=2, kept=mark.kept)


def log_softmax(call: Call) -> Mark:
    """x minus the logarithm of a sum."""
    call.add(ADDITIVE, call.first.numel())
    return call.new(call.first.numel())


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

"""Kernels that hold whole layers, by formula: recurrent layers, and this package's own operations; the table of all kernels.

Each formula is what the same census gives of the kernel's equation, operation by operation; tests hold them against it. A state
that begins as a constant (zero) multiplies nothing in its first step.
"""

from typing import Any

from allometry.probe._census.attention import FUSED, attention, causal_attention
from allometry.probe._census.marks import ADDITIVE, NORMALISED, PRODUCT, STATIC, SYNAPTIC, Mark
from allometry.probe._census.rules import unknown
from allometry.probe._census.trace import Call, tensors

LSTM, GRU = 2, 3  # what cuDNN calls them


def recurrent_layer(call: Call) -> list[Mark | None]:
    """One layer of an LSTM on CPU by oneDNN: input [length batch channels], weights [4 width, ...], states [batch width]."""
    x, into, recurrent = call.args[:3]
    hidden, cell = call.args[5:7]
    length, batch, width = x.shape[0], x.shape[1], recurrent.shape[1]
    call.add(STATIC, length * batch * into.numel())
    _long_memory(call, length, batch, width, call.mark(hidden) is not None, call.mark(cell) is not None)
    return [call.new(out.numel()) for out in tensors(call.out)]


def recurrent_layers(call: Call) -> list[Mark | None]:
    """cuDNN's recurrent layers, each in one or two directions; all weights of a layer and direction lie side by side."""
    x, weights, stride = call.args[:3]
    hidden, cell, mode, width = call.args[4], call.args[5], call.args[6], call.args[7]
    batch_first, sizes = call.args[10], call.args[14]
    length, batch = (1, x.shape[0]) if sizes else (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
    if sizes or call.args[8]:  # sequences of several lengths, or projected states
        return unknown(call)
    for into in weights[::stride]:
        call.add(STATIC, length * batch * into.numel())
        if mode == LSTM:
            _long_memory(call, length, batch, width, call.mark(hidden) is not None, call.mark(cell) is not None)
        elif mode == GRU:
            _gated(call, length, batch, width, call.mark(hidden) is not None)
        else:
            later = length - (call.mark(hidden) is None)
            call.add(STATIC, batch * width * width * later)
            call.add(ADDITIVE, batch * width * later)
    return [call.new(out.numel()) for out in tensors(call.out)]


def _long_memory(call: Call, length: int, batch: int, width: int, hidden: bool = False, cell: bool = False) -> None:
    """c <- f c + i g; h <- o tanh(c), of sums W x + R h: 3 gatings for each unit and step."""
    step = batch * width
    call.add(STATIC, 4 * step * width * (length - (not hidden)))
    call.add(ADDITIVE, 4 * step * (length - (not hidden)) + step * length)
    call.add(STATIC, step * (not cell))  # f times the constant
    for steps in (length, length - (not cell), length):  # i, f, o
        call.gate(step * steps, step * steps)


def long_memory(call: Call) -> list[Mark | None]:
    """allometry::long_memory(inputs [length batch 4 width], R [4 width, width])."""
    inputs, recurrent = call.args[:2]
    _long_memory(call, inputs.shape[0], inputs.shape[1], recurrent.shape[1])
    return [call.new(out.numel()) for out in tensors(call.out)]


def forgetting(call: Call) -> list[Mark | None]:
    """allometry::forgetting: h <- h + g (tanh(n) - h), or h <- tanh(n) without a gate."""
    inputs, recurrent, leak = call.args[:3]
    (length, batch, rows), width = inputs.shape, recurrent.shape[1]
    step, later = batch * width, length - 1
    call.add(STATIC, batch * rows * width * later)
    call.add(ADDITIVE, batch * rows * later)
    if rows == width and leak is None:
        return [call.new(out.numel()) for out in tensors(call.out)]
    call.add(ADDITIVE, 2 * step * later)
    if leak is None:
        call.gate(step * length, batch * (rows - width) * length)
    else:
        call.add(STATIC, step * length)
    return [call.new(out.numel()) for out in tensors(call.out)]


def resetting(call: Call) -> list[Mark | None]:
    """allometry::resetting(inputs [length batch 3 width], R [3 width, width], b)."""
    inputs, recurrent = call.args[:2]
    _gated(call, inputs.shape[0], inputs.shape[1], recurrent.shape[1])
    return [call.new(out.numel()) for out in tensors(call.out)]


def _gated(call: Call, length: int, batch: int, width: int, hidden: bool = False) -> None:
    """torch's GRU, n = tanh(W x + r (R h + b)); h <- n + z (h - n): 2 gatings for each unit and step."""
    step, later = batch * width, length - (not hidden)
    call.add(STATIC, 3 * step * width * later + step * (not hidden))  # at first r meets the constant b
    call.add(ADDITIVE, 2 * step * later)  # R h in r and z
    call.gate(step * later, step * later)
    call.add(ADDITIVE, step * length)  # r (R h + b), to W x
    call.gate(step * length, step * length)
    call.add(ADDITIVE, step * (later + length))  # h - n, and n


def normalising(call: Call) -> list[Mark | None]:
    """allometry::normalising, sLSTM in its stabilised form: a <- a + s (tanh(z) - a); h = sigma(o) a."""
    inputs, recurrent = call.args[:2]
    (length, heads, batch, rows), head = inputs.shape, recurrent.shape[1]
    step, later = heads * batch * head, length - 1
    call.add(STATIC, heads * batch * rows * head * later)
    call.add(ADDITIVE, heads * batch * rows * later)
    call.add(ADDITIVE, 2 * step * later)  # in the logarithms of sizes
    call.add(ADDITIVE, step * max(0, later - 1))  # the sizes themselves, of which none reads the last
    call.add(ADDITIVE, 2 * step * later)  # z - a, and a
    call.gate(step * later, step * later)
    call.gate(step * length, step * length)
    return [call.new(out.numel()) for out in tensors(call.out)]


def recurrence(call: Call) -> Mark:
    """allometry::recurrence: h_t = keep_t h_{t-1} + enters_t, each [batch length ...]."""
    keep, enters = call.args[:2]
    length, number = enters.shape[1], enters.numel()
    later = number - number // length
    mark, state = call.mark(keep), call.mark(enters)
    if mark is not None and state is not None:
        call.gate(later, min(later, mark.distinct - mark.distinct // length), mark.root)
        call.add(ADDITIVE, later)
    elif state is not None:
        call.add(STATIC, later)
        call.add(ADDITIVE, later)
    else:  # constants enter: the first step multiplies a constant by a signal
        call.gate(later - number // length, later - number // length)
        call.add(STATIC, number // length)
    return call.new(number, role=0 if state is None else state.role)


def filtered(call: Call) -> list[Mark | None]:
    """allometry::filtered: sum_j softmax(logits)_j x_{t - before + j}, of logits [(batch length) heads kernel]."""
    x, logits = call.args[:2]
    operations = x.numel() * logits.shape[-1]
    if call.mark(logits) is None:
        call.add(STATIC, operations)
    else:
        call.gate(logits.numel(), logits.numel() // logits.shape[-1])
        if call.mark(x) is not None:
            call.gate(operations, logits.numel(), quark=SYNAPTIC, masks_signals=True)
        else:
            call.add(STATIC, operations)
    return [call.new(out.numel(), role=role) for out, role in zip(tensors(call.out), (PRODUCT, NORMALISED), strict=True)]


KERNELS: dict[str, Any] = dict.fromkeys(FUSED, attention) | {
    "mkldnn_rnn_layer": recurrent_layer,
    "_cudnn_rnn": recurrent_layers,
    "allometry::causal_attention": causal_attention,
    "allometry::forgetting": forgetting,
    "allometry::long_memory": long_memory,
    "allometry::resetting": resetting,
    "allometry::normalising": normalising,
    "allometry::recurrence": recurrence,
    "allometry::filtered": filtered,
}

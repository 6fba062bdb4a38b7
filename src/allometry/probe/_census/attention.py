"""Fused attention, by formula: what the same census gives of softmax(q k^T) v written out."""

import math
from fractions import Fraction

from torch import Tensor

from allometry.probe._census.marks import ADDITIVE, PRODUCT, STATIC, SYNAPTIC, Mark
from allometry.probe._census.masks import NEVER
from allometry.probe._census.trace import Call, tensors

FUSED = (
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)  # fmt: skip


def attention(call: Call) -> list[Mark | None]:
    """softmax(q k^T) v of q [... length head]."""
    query, key, value = call.args[:3]
    rest = (call.kwargs, call.args[3:])
    causal = _flag(call, "is_causal")
    mask = next((t for t in tensors(rest) if t.is_floating_point() or str(t.dtype) == "torch.bool"), None)
    return _attention(call, query, key, value, causal, mask)


def _attention(
    call: Call, query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: Tensor | None
) -> list[Mark | None]:
    length, seen = query.shape[-2], key.shape[-2]
    scores = math.prod(query.shape[:-1]) * seen
    kept = Fraction(1)
    if causal:
        kept = Fraction(sum(min(t + 1, seen) for t in range(length)), length * seen)
    elif mask is not None and call.mark(mask) is None and mask.device.type != "meta":
        left = mask if str(mask.dtype) == "torch.bool" else mask > NEVER
        kept = Fraction(int(left.sum()), left.numel())
    q, k, v = (call.mark(part) for part in (query, key, value))
    if q is not None and k is not None:
        call.gate(scores * query.shape[-1], q.distinct, q.root, kept=kept)
    elif q is not None or k is not None:
        call.add(STATIC, scores * query.shape[-1])
    if mask is not None and call.mark(mask) is not None:
        call.add(ADDITIVE, scores)
    if q is not None or k is not None:
        call.gate(scores, scores // seen, kept=kept)
        if v is not None:
            call.gate(scores * value.shape[-1], scores, quark=SYNAPTIC, kept=kept, masks_signals=True)
        else:
            call.add(STATIC, scores * value.shape[-1])
    else:
        call.add(STATIC, scores * value.shape[-1])
    return [call.new(out.numel(), role=PRODUCT) for out in tensors(call.out)]


def _flag(call: Call, name: str) -> bool:
    names = [argument.name for argument in call.func._schema.arguments]
    return bool(call.arg(names.index(name), name, False)) if name in names else False


def causal_attention(call: Call) -> list[Mark | None]:
    """allometry::causal_attention of [batch length 3 heads head], with rotary positions: by fixed angles, so static."""
    query, key, value = call.args[0].permute(2, 0, 3, 1, 4)
    mark = call.mark(call.args[0])
    assert mark is not None
    thirds = [Mark(call.node, call.trace.marks.root(), query.numel()) for _ in range(3)]
    call._marks |= {id(part): third for part, third in zip((query, key, value), thirds, strict=True)}
    call.add(STATIC, 2 * 2 * query.numel())
    return _attention(call, query, key, value, causal=True, mask=None)

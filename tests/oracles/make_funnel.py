"""Pooling and pooled attention of transformers 5.24's Funnel, with gradients. Writes funnel.npz beside itself.

Run it where `transformers` is installed. Its relative positions are switched off (their weights begin at 0, as do all its
biases here), and no position is kept apart: what remains is the pool of queries and residual, over keys that are not pooled.
Its scores are masked in fp32, so agreement ends near 1e-6.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import FunnelConfig
from transformers.models.funnel.modeling_funnel import FunnelAttentionStructure, FunnelRelMultiheadAttention

CONFIG = FunnelConfig(
    d_model=24, n_head=3, d_head=8, block_sizes=[1, 1], separate_cls=False, truncate_seq=False, hidden_dropout=0.0,
    attention_dropout=0.0, attention_type="relative_shift", pooling_type="mean", pool_q_only=True,
)  # fmt: skip


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    layer, structure = FunnelRelMultiheadAttention(CONFIG, block_index=1).eval(), FunnelAttentionStructure(CONFIG)
    for name, parameter in layer.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
        elif name in ("q_head.weight", "k_head.weight"):
            parameter.data *= 3
    names = ("q_head", "k_head", "v_head", "post_proj")
    weights = [layer.get_parameter(f"{name}.weight") for name in names]
    kept = {f"weight {name}": weight for name, weight in zip(names, weights, strict=True)}
    for case, length, real in (("whole", 14, 14), ("odd", 13, 13), ("padded", 14, 8)):
        x = torch.randn(2, length, CONFIG.d_model, requires_grad=True)
        keep = (torch.arange(length) < real).expand(2, -1)
        given = structure.init_attention_inputs(x, attention_mask=keep.to(x.dtype))
        pooled, given = structure.pre_attention_pooling(x, given)
        (out,) = layer(pooled, x, x, given)
        seed = torch.randn_like(out)
        seed[:, -(-real // 2) :] = 0  # their means are of padding too
        gradients = torch.autograd.grad((out * seed).sum(), [x, *weights])
        kept |= {f"{case} x": x, f"{case} keep": keep, f"{case} pooled": pooled, f"{case} out": out, f"{case} seed": seed}
        kept |= {f"{case} gradient {name}": g for name, g in zip(("x", *names), gradients, strict=True)}
    arrays = {name: tensor.detach().numpy() for name, tensor in kept.items()}
    np.savez_compressed(Path(__file__).with_name("funnel.npz"), **arrays)


if __name__ == "__main__":
    main()

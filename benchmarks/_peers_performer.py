"""performer-pytorch's language model: causal FAVOR+ attention with as many features, heads and layers as ours."""

from collections.abc import Callable
from typing import Any

from torch import nn


def performer(**kernel: Any) -> nn.Module:
    from performer_pytorch import PerformerLM

    from allometry.model.blocks.kernel_attention import feature_count

    return PerformerLM(
        num_tokens=256,
        max_seq_len=256,
        dim=256,
        depth=4,
        heads=8,
        dim_head=32,
        causal=True,
        nb_features=feature_count(32),
        rotary_position_emb=True,
        **kernel,
    )


PACKAGE = "performer_pytorch"
PEERS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "performer": {"performer-pytorch": performer},
    "performer_relu": {"performer-pytorch": lambda: performer(generalized_attention=True, kernel_fn=nn.ReLU())},
}

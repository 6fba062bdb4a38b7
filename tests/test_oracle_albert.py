"""ALBERT against that of Hugging Face transformers, with its weights (tests/oracles/make_albert.py says how it was made).

Norms are taken out on both sides, and positions: theirs stand elsewhere. The oracle is in double precision.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from allometry.model.blocks._block import Block
from allometry.model.blocks._norm import RMSNorm
from allometry.model.blocks.attention import Attention
from allometry.model.families.albert import Albert

ORACLE = Path(__file__).parent / "oracles" / "albert.npz"
LAYER = "albert_layer_groups.0.albert_layers.0."
OURS = {
    "mixer.query_key_value": [LAYER + f"attention.{name}.weight" for name in ("query", "key", "value")],
    "mixer.out": [LAYER + "attention.dense.weight"],
    "channel.into": [LAYER + "ffn.weight"],
    "channel.out": [LAYER + "ffn_output.weight"],
}


class Unplaced(Albert):
    """Without rotary positions."""

    def mixer(self, layer: int) -> Block:
        return Attention(width=self.width, heads=self.heads, positions="none")


def bare(stack: nn.Module) -> nn.Module:
    for layer in set(stack.layers):
        for name, _ in [(n, m) for n, m in layer.named_children() if isinstance(m, RMSNorm)]:
            setattr(layer, name, nn.Identity())
    return stack.double()


@pytest.mark.parametrize("form", ["causal", "padded"])
def test_albert_is_that_of_transformers(form: str) -> None:
    oracle = {name: torch.from_numpy(a) for name, a in np.load(ORACLE).items() if name != "versions"}
    family = Unplaced(width=16, depth=3, heads=2)
    embedding = family.embedding(11).double()
    stack = bare(family.decoder(crossing=False) if form == "causal" else family.encoder())
    layer = stack.layers[0]
    weights = {
        embedding.table.weight: ["word_embeddings.weight"],
        embedding.widen.weight: ["embedding_hidden_mapping_in.weight"],
        **{layer.get_submodule(ours).weight: theirs for ours, theirs in OURS.items()},
    }
    with torch.no_grad():
        for ours, theirs in weights.items():
            ours.copy_(torch.cat([oracle[name] for name in theirs]))
    x, keep = embedding(oracle["tokens"]), oracle["keep"]
    out, kept = (stack(x), torch.ones_like(keep)) if form == "causal" else (stack(x, keep)[0], keep)
    assert ((out - oracle[f"{form} out"]) * kept[..., None]).abs().max() < 1e-10
    gradients = torch.autograd.grad((out * oracle["seed"] * kept[..., None]).sum(), list(weights))
    for ours, theirs in zip(gradients, weights.values(), strict=True):
        gradient = torch.cat([oracle[f"{form} gradient {name}"] for name in theirs])
        assert (ours - gradient).abs().max() <= 1e-10 * gradient.abs().max()

"""The gated feed-forward part against transformers' T5DenseGatedActDense, by oracles/make_gated_feed_forward.py."""

from pathlib import Path

import numpy as np
import pytest
import torch

from allometry.model.blocks.gated_feed_forward import GatedFeedForward

KEPT = np.load(Path(__file__).parent / "oracles" / "gated_feed_forward.npz")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("activation", ["gelu", "silu", "relu"])
def test_values_and_gradients_are_those_of_t5(activation, dtype, tolerance) -> None:
    def kept(name: str) -> torch.Tensor:
        return torch.from_numpy(KEPT[f"{activation} {name}"]).to(dtype)

    layer = GatedFeedForward(width=12, hidden=20, activation=activation).build(1).to(dtype)
    with torch.no_grad():
        layer.into.weight.copy_(torch.cat([kept("wi_0.weight"), kept("wi_1.weight")]))
        layer.out.weight.copy_(kept("wo.weight"))
    x = kept("x").requires_grad_()
    y = layer(x)
    (y * kept("seed")).sum().backward()
    of_into = torch.cat([kept("gradient wi_0.weight"), kept("gradient wi_1.weight")])
    pairs = [(y, kept("y")), (x.grad, kept("gradient x")), (layer.into.weight.grad, of_into)]
    for ours, theirs in [*pairs, (layer.out.weight.grad, kept("gradient wo.weight"))]:
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp_min(1)

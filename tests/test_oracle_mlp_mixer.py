"""A layer of MlpMixer's encoder against timm (tests/oracles/make_mlp_mixer.py), and what its fixed length means."""

from pathlib import Path

import numpy as np
import pytest
import torch

from allometry.flow import Pairs
from allometry.model.blocks.token_mixing import TokenMixing
from allometry.model.families.mlp_mixer import MlpMixer

ORACLE = {name: torch.tensor(array) for name, array in np.load(Path(__file__).parent / "oracles" / "mlp_mixer.npz").items()}
OURS = {
    "norm1": "mixer_norm",
    "mlp_tokens.fc1": "mixer.into",
    "mlp_tokens.fc2": "mixer.out",
    "norm2": "channel_norm",
    "mlp_channels.fc1": "channel.into",
    "mlp_channels.fc2": "channel.out",
}


def test_values_and_all_gradients_are_those_of_timm() -> None:
    model = MlpMixer(width=12, depth=1, heads=2).build(Pairs(vocab=11, source=20, target=4)).double()
    (layer,) = model.encoder.layers
    names = {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in OURS.items() for kind in ("weight", "bias")}
    layer.load_state_dict({ours: ORACLE[f"weight {theirs}"] for theirs, ours in names.items()})
    x = ORACLE["x"].requires_grad_()
    out = layer(x)
    assert (out - ORACLE["out"]).abs().max() < 1e-10
    (out * ORACLE["seed"]).sum().backward()
    assert (x.grad - ORACLE["gradient x"]).abs().max() < 1e-10
    for theirs, ours in names.items():
        assert (layer.get_parameter(ours).grad - ORACLE[f"gradient {theirs}"]).abs().max() < 1e-10, ours


def test_padding_changes_the_token_mixing_through_its_biases_alone() -> None:
    torch.manual_seed(0)
    layer = TokenMixing(width=6, length=10, hidden=5).build(1).double()
    x = torch.randn(2, 10, 6, dtype=torch.float64)
    keep = (torch.arange(10) < 7).expand(2, -1)
    with torch.no_grad():
        assert torch.allclose(layer(x, keep)[:, :7], layer(x[:, :7]))  # shorter is padded
        assert layer(x, torch.zeros_like(keep)).abs().max() == 0  # biases are 0 at first
        layer.out.bias += 1.0
        assert torch.allclose(layer(x, torch.zeros_like(keep)), torch.ones_like(x))


def test_channels_share_the_weights_of_the_positions() -> None:
    torch.manual_seed(0)
    layer = TokenMixing(width=6, length=10, hidden=5).build(1)
    x, order = torch.randn(2, 10, 6), torch.randperm(6)
    assert torch.allclose(layer(x[..., order]), layer(x)[..., order], atol=1e-6)


def test_a_longer_source_than_it_was_built_for_is_refused() -> None:
    model = MlpMixer(width=4, depth=1, heads=1).build(Pairs(vocab=11, source=8, target=4))
    target = torch.zeros(1, 4, dtype=torch.int64)
    assert model(torch.zeros(1, 5, dtype=torch.int64), target).shape == (1, 4, 11)
    with pytest.raises(ValueError, match="Build it for as many"):
        model(torch.zeros(1, 9, dtype=torch.int64), target)


def test_the_length_is_that_of_the_io() -> None:
    spec, io = MlpMixer(width=8, depth=2, heads=2), Pairs(vocab=11, source=40, target=4)
    model = spec.build(io)
    assert model.encoder.layers[0].mixer.into.weight.shape == (4, 40)
    assert sum(p.numel() for p in model.parameters()) == spec.closed_form(io).parameters

"""Lightweight and dynamic convolution are espnet's, with its weights, where the definitions agree (tests/oracles).

They differ in three ways. Its lightweight convolution has head c mod heads for channel c, ours c // (width / heads): channels
are renamed. Its causal forms cut a centred kernel before the softmax: k // 2 + 1 of its taps are a causal kernel of ours. Its
dynamic convolution makes the softmax over the taps inside the sequence alone: positions away from the ends are compared.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from allometry.model.blocks.dynamic_convolution import DynamicConvolution
from allometry.model.blocks.lightweight_convolution import LightweightConvolution

FIXTURE = Path(__file__).parent / "oracles" / "convolution.npz"
KINDS = {"lightweight": LightweightConvolution, "dynamic": DynamicConvolution}


@pytest.mark.parametrize("causal", [False, True], ids=["centred", "causal"])
@pytest.mark.parametrize("name", list(KINDS))
def test_espnets_convolution_is_ours(name: str, causal: bool) -> None:
    prefix = name + ("_causal" if causal else "")
    with np.load(FIXTURE) as file:
        heads, centred = int(file["heads"]), int(file["kernel"])
        given = {key.removeprefix(f"{prefix}."): torch.from_numpy(file[key]) for key in file if key.startswith(f"{prefix}.")}
    width, length = given["x"].shape[-1], given["x"].shape[1]
    kernel = centred // 2 + 1 if causal else centred
    # Channel c of ours is channel `of[c]` of theirs; the first `kernel` of their taps are the ones in use.
    of = torch.arange(width).view(-1, heads).T.flatten() if name == "lightweight" else torch.arange(width)
    both = torch.cat([of, width + of])

    def renamed(prefix: str) -> dict[str, torch.Tensor]:
        taps = given[f"{prefix}weight"][:, 0] if name == "lightweight" else given[f"{prefix}linear_weight.weight"]
        if name == "dynamic":
            taps = taps.view(heads, centred, width)
        taps = taps[:, :kernel] if name == "lightweight" else taps[:, :kernel].flatten(0, 1)
        return {
            "into.weight": given[f"{prefix}linear1.weight"][both],
            "taps" if name == "lightweight" else "taps.weight": taps,
            "out.weight": given[f"{prefix}linear2.weight"][:, of],
        }

    layer = KINDS[name](width=width, heads=heads, kernel=kernel, causal=causal).build(1).double()
    layer.load_state_dict(renamed(""))
    x = given["x"].clone().requires_grad_()
    out = layer(x)
    inside = slice(centred, length - centred)
    (out * given["seed"])[:, inside].sum().backward()
    alike = slice(None) if name == "lightweight" else inside
    assert (out - given["out"])[:, alike].abs().max() < 1e-10
    assert (x.grad - given["of_x"]).abs().max() < 1e-10
    for key, gradient in renamed("of_").items():
        assert (layer.get_parameter(key).grad - gradient).abs().max() < 1e-9, key
    if name == "dynamic":  # at the ends theirs sums to one, and ours to less
        ends = torch.ones(length, dtype=torch.bool).scatter(0, torch.arange(kernel, length - kernel), False)
        assert (out - given["out"])[:, ends].abs().max() > 0.01

"""The switch layer against transformers' router, experts and losses, by oracles/make_switch.py."""

from pathlib import Path

import numpy as np
import pytest
import torch

from allometry.model.blocks.switch import Switch

KEPT = np.load(Path(__file__).parent / "oracles" / "switch.npz")
WIDTH, HIDDEN, EXPERTS, LENGTH = 12, 20, 4, 24


def built(case: str, dtype: torch.dtype, **fields: float) -> tuple[torch.nn.Module, torch.Tensor]:
    """Groups are sequences; `few` places are 6 of the 24 tokens, which is the even share."""
    spec = Switch(width=WIDTH, hidden=HIDDEN, experts=EXPERTS, group=LENGTH, capacity=1.0, jitter=0.0, **fields)
    layer = spec.build(1).to(dtype).train(case == "few")
    with torch.no_grad():
        layer.router.weight.copy_(torch.from_numpy(KEPT[f"{case} router"]))
        layer.into.copy_(torch.from_numpy(KEPT[f"{case} into"]))
        layer.out.copy_(torch.from_numpy(KEPT[f"{case} out"]))
    return layer, torch.from_numpy(KEPT[f"{case} x"]).to(dtype).requires_grad_()


both = pytest.mark.parametrize("case", ["all", "few"])
precisions = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])


@both
@precisions
def test_values_and_gradients_are_those_of_transformers(case, dtype, tolerance) -> None:
    layer, x = built(case, dtype)
    y = layer(x)
    (y * torch.from_numpy(KEPT[f"{case} seed"]).to(dtype)).sum().backward()
    found = {"y": y, "gradient x": x.grad, "gradient router": layer.router.weight.grad}
    for name, ours in (found | {"gradient into": layer.into.grad, "gradient out": layer.out.grad}).items():
        theirs = torch.from_numpy(KEPT[f"{case} {name}"]).to(dtype)
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp_min(1), name


@both
def test_the_same_tokens_are_dropped(case) -> None:
    layer, x = built(case, torch.float64)
    dropped = (layer(x) == 0).all(-1)
    assert torch.equal(dropped, torch.from_numpy(KEPT[f"{case} served"]).sum(-1) == 0)
    assert bool(dropped.any()) == (case == "few")


@both
@pytest.mark.parametrize("loss", ["balance", "z"])
def test_the_losses_are_those_of_transformers(case, loss) -> None:
    """Its shares of tokens are float32 numbers, whatever the model is."""
    layer, x = built(case, torch.float64, **({"balance": 1.0} if loss == "balance" else {"balance": 0.0, "z": 1.0}))
    layer(x)
    layer.auxiliary_loss().backward()
    assert layer.auxiliary_loss().item() == pytest.approx(float(KEPT[f"{case} {loss}"]), rel=1e-6)
    assert (layer.router.weight.grad - torch.from_numpy(KEPT[f"{case} gradient {loss}"])).abs().max() <= 1e-6

"""The selective state space against the Mamba-2 of transformers (tests/oracles/make_mamba2.py), weights and gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from allometry.model.blocks import _state_space
from allometry.model.blocks._state_space import state_space
from allometry.model.blocks.selective_state_space import SelectiveStateSpace

ORACLE = {name: torch.tensor(array) for name, array in np.load(Path(__file__).parent / "oracles" / "mamba2.npz").items()}
OURS = {  # their name of each of our parameters
    "into.weight": "in_proj.weight",
    "taps": "conv1d.weight",
    "taps_bias": "conv1d.bias",
    "log_rate": "A_log",
    "step_bias": "dt_bias",
    "skip": "D",
    "norm.scale": "norm.weight",
    "out.weight": "out_proj.weight",
}


@pytest.mark.parametrize("by_hand", [True, False])
def test_the_chunks_are_those_of_transformers(by_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the same decays, with what enters multiplied by the step as there."""
    monkeypatch.setattr(_state_space, "in_eager_cpu", lambda x: by_hand)
    names = ("x", "step", "rates", "write", "read", "skip")
    given = [ORACLE[f"scan.{name}"].clone().requires_grad_() for name in names]
    x, step, rates, write, read, skip = given
    delta, gate = F.softplus(step), torch.full_like(x, 40.0)  # silu(40) is 40 in double precision
    out = state_space(x, read, write, -rates * delta, delta, skip, gate) / 40
    torch.testing.assert_close(out, ORACLE["scan.out"], rtol=0, atol=1e-12)
    for name, gradient in zip(names, torch.autograd.grad(out, given, ORACLE["scan.seed"]), strict=True):
        torch.testing.assert_close(gradient, ORACLE[f"scan.of_{name}"], rtol=1e-10, atol=1e-10, msg=name)


def test_the_block_is_that_of_transformers_but_for_the_step() -> None:
    width, (inner, state) = ORACLE["mixer.x"].shape[2], (16, 6)
    layer = SelectiveStateSpace(width=width, inner=inner, heads=2, state=state).build(1).double()
    parameters = dict(layer.named_parameters())
    assert set(parameters) == set(OURS)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(ORACLE[f"mixer.{OURS[name]}"].view_as(parameter))
    x = ORACLE["mixer.x"].clone().requires_grad_()
    out = layer(x)
    torch.testing.assert_close(out, ORACLE["mixer.out"], rtol=0, atol=1e-10)
    of_x, *gradients = torch.autograd.grad(out, [x, *parameters.values()], ORACLE["mixer.seed"])
    torch.testing.assert_close(of_x, ORACLE["mixer.of_x"], rtol=1e-9, atol=1e-9)
    for name, gradient in zip(parameters, gradients, strict=True):
        expected = ORACLE[f"mixer.of_{OURS[name]}"].view_as(gradient)
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9, msg=name)

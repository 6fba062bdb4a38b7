"""Time scales from gates and from gradients: they agree where a unit forgets exponentially."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import allometry as al
from allometry.flow import Tokens
from allometry.model.blocks.leaky_recurrence import LeakyRecurrence
from allometry.model.blocks.minimal_gated_recurrence import MinimalGatedRecurrence
from allometry.probe.time_scales import _interval


class Leaks(nn.Module):
    """h_t = (1 - 1/T) h_{t-1} + x_t / T, a unit for each T."""

    def __init__(self, scales: list[float]) -> None:
        super().__init__()
        self.keep = nn.Parameter(1 - 1 / torch.tensor(scales, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, rows = torch.zeros_like(x[:, 0]), []
        for row in x.unbind(1):
            state = self.keep * state + (1 - self.keep) * row
            rows.append(state)
        return torch.stack(rows, 1)


def test_linear_units_are_measured_one_by_one() -> None:
    scales = [2.0, 5.0, 20.0, 60.0]
    found = al.timescales(nn.Sequential(Leaks(scales)), torch.randn(3, 100, 4, dtype=torch.float64), layer="0")
    np.testing.assert_allclose(found.units["scale"], scales, rtol=1e-6)


@pytest.mark.parametrize("block", [MinimalGatedRecurrence, LeakyRecurrence])
def test_gradients_agree_with_gates_within_two_percent(block) -> None:
    """With gates that see their bias alone, and states so small that tanh is linear."""
    torch.manual_seed(0)
    layer = al.chrono_(block(width=16).build(1).double(), t_max=40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "recurrent" in name:
                parameter.zero_()
        if block is MinimalGatedRecurrence:
            layer.into.weight[:16] = 0
        layer.out.weight.copy_(torch.eye(16))
    x = 1e-3 * torch.randn(4, 200, 16, dtype=torch.float64)
    found = al.timescales(nn.Sequential(layer), x, layer="0")
    np.testing.assert_allclose(found.units["scale"], found.gates["scale"], rtol=0.02)


def test_the_interval_is_over_sequences_and_holds_the_scale() -> None:
    held = []
    for seed in range(10):
        x = torch.randn(8, 120, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        found = al.timescales(Leaks([12.0]), x, seed=seed)
        held.append(found.low - 1e-6 <= 12 <= found.high + 1e-6)
        assert found.scale == pytest.approx(12, rel=1e-6)
    assert all(held)


def test_what_is_longer_than_the_sequence_cannot_be_told() -> None:
    found = al.timescales(Leaks([5000.0]), torch.randn(2, 50, 1, dtype=torch.float64))
    assert found.scale is None
    assert "longer than the 50 steps" in found.verdict


@pytest.mark.parametrize("family", ["lstm", "transformer", "gated_rnn", "lightweight_convolution"])
def test_any_language_model_is_measured(family: str) -> None:
    torch.manual_seed(0)
    model = al.family(family).at(2).build(Tokens(vocab=11, length=40)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = al.timescales(model, torch.randint(11, (3, 40)))
    assert len(found.lags) == 40
    assert found.lags["norm"].max() == 1
    assert (found.lags["low"] <= found.lags["norm"] + 1e-9).all()
    assert (found.lags["norm"] <= found.lags["high"] + 1e-9).all()
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert (len(found.gates) > 0) == (family in ("lstm", "gated_rnn"))


def test_a_filter_sees_as_far_as_its_taps() -> None:
    """Lags beyond what a stack of filters reaches have no gradient at all."""
    torch.manual_seed(0)
    model = al.family("lightweight_convolution").at(1).build(Tokens(vocab=11, length=60))
    reach = sum(part.taps.shape[1] - 1 for part in model.modules() if hasattr(part, "taps"))
    norm = al.timescales(model, torch.randint(11, (2, 60))).lags["norm"]
    if reach < 59:
        assert (norm[reach + 1 :] == 0).all()
    assert norm[min(reach, 59)] > 0


def test_longer_scales_are_seen_to_be_longer() -> None:
    """Chrono with a larger t_max moves the measured scale, and the horizon, up."""
    seen = []
    for t_max in (4, 30, 300):
        torch.manual_seed(0)
        layer = al.chrono_(nn.LSTM(3, 32, batch_first=True), t_max=t_max, generator=torch.Generator().manual_seed(0))
        seen.append(al.timescales(layer, torch.randn(8, 200, 3)).horizon)
    assert seen == sorted(seen)
    assert seen[-1] > 3 * seen[0]


def test_torch_layers_are_read_without_inputs() -> None:
    layer = al.chrono_(nn.GRU(3, 8), t_max=9)
    gates = al.timescales(layer).gates
    assert set(gates["clock"]) == {"l0"}
    assert gates["scale"].between(2, 9 + 1e-4).all()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: al.timescales(nn.Linear(2, 2)), "no gates to read"),
        (lambda: al.timescales(Leaks([2.0]), torch.randn(2, 5, 1).double(), layer="x"), "no part 'x'"),
        (lambda: al.timescales(nn.Flatten(1, 1), torch.ones(2, 5, 1) * math.nan), None),
    ],
)
def test_what_cannot_be_measured_is_refused(ask, said) -> None:
    if said is None:
        assert ask().scale is None  # no memory at all
    else:
        with pytest.raises(al.Refusal, match=said):
            ask()


@pytest.mark.parametrize("cell", ["rnn", "leaky", "gated", "gru", "lstm"])
def test_networks_of_one_layer_are_measured_on_tokens_too(cell: str) -> None:
    """A one-hot input has a gradient as an embedding has."""
    torch.manual_seed(0)
    model = al.OneLayer(cell=cell, width=8, t_max=0.0 if cell == "rnn" else 20.0).build(al.Tokens(vocab=5, length=30))
    found = al.timescales(model, torch.randint(5, (4, 30)))
    assert len(found.lags) == 30
    assert found.lags["norm"].max() == 1
    assert len(found.gates) == (0 if cell == "rnn" else 8)


def test_an_interval_is_open_where_resamples_cannot_tell() -> None:
    told = [(10.0, "measured")] * 94
    assert _interval([*told, *[(None, "cannot tell")] * 6], 0.9) == (10.0, None)
    assert _interval([*told, *[(None, "cannot tell")] * 3], 0.9) == (10.0, 10.0)
    assert _interval([(None, "cannot tell")] * 10, 0.9) == (None, None)

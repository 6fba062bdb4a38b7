"""Chrono initialisation: the formula, its biases in torch's order, and that an optimiser moves a gate once."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import allometry as al
from allometry.model._timescale import draw, keep_bias, scale_of
from allometry.model.chrono import clocks

UNITS = 64
LAYERS = {
    "lstm": lambda: nn.LSTM(3, UNITS),
    "gru": lambda: nn.GRU(3, UNITS),
    "deep lstm": lambda: nn.LSTM(3, UNITS, num_layers=3, batch_first=True),
    "deep gru, both ways": lambda: nn.GRU(3, UNITS, num_layers=2, bidirectional=True),
    "lstm, both ways, projected": lambda: nn.LSTM(3, UNITS, bidirectional=True, proj_size=5),
    "lstm cell": lambda: nn.LSTMCell(3, UNITS),
    "gru cell": lambda: nn.GRUCell(3, UNITS),
}
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
every_layer = pytest.mark.parametrize("name", LAYERS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gates(layer: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Both biases of every layer and direction."""
    named = dict(layer.named_parameters())
    return [(named[name], named[name.replace("ih", "hh")]) for name in named if name.startswith("bias_ih")]


def out_of(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output of a layer, or the last state of a cell that reads x position by position."""
    if not isinstance(layer, nn.RNNCellBase):
        return layer(x)[0]
    state = None
    for row in x:
        state = layer(row, state)
    return state[0] if isinstance(state, tuple) else state


@every_layer
def test_the_gates_have_the_formula(name: str) -> None:
    """log(T - 1) on what keeps, its negative on what lets in, T in [2, t_max], and no second bias."""
    layer = al.chrono_(LAYERS[name](), t_max=100, generator=seeded())
    for first, second in gates(layer):
        keep, let_in = first[UNITS : 2 * UNITS], first[:UNITS]
        scales = 1 + keep.double().exp()
        assert 2 - 1e-5 < scales.min() < 10
        assert 90 < scales.max() < 100 + 1e-3
        if isinstance(layer, nn.LSTM | nn.LSTMCell):
            assert torch.equal(keep, -let_in)
            assert (second == 0).all()
        else:
            assert (second[: 2 * UNITS] == 0).all()
            assert (second[2 * UNITS :] != 0).any()  # r multiplies it, so it is a parameter of its own


@every_layer
def test_layers_and_directions_draw_their_own(name: str) -> None:
    biases = [first[UNITS : 2 * UNITS] for first, _ in gates(al.chrono_(LAYERS[name](), t_max=100, generator=seeded()))]
    assert all(not torch.equal(a, b) for a, b in pairwise(biases))


@every_layer
def test_a_generator_decides_the_draws(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]()
    a, b, c = (al.chrono_(copy.deepcopy(layer), t_max=100, generator=seeded(s)).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


@every_layer
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.RMSprop, torch.optim.AdamW])
@pytest.mark.parametrize("copied", [False, True])
def test_a_step_moves_a_gate_once(name: str, optimizer, copied: bool) -> None:
    """Both biases of torch.nn would move, and the gate twice as far; also in a copy, which has no hooks of the original."""
    layer = al.chrono_(LAYERS[name]().double(), t_max=100, generator=seeded())
    layer = copy.deepcopy(layer) if copied else layer
    before = [(first + second).detach().clone() for first, second in gates(layer)]
    rate = 1e-3 if optimizer is not torch.optim.RMSprop else 1e-4
    step = optimizer(layer.parameters(), lr=rate)
    x = torch.randn(7, 5, 3, dtype=torch.float64)
    for _ in range(3):
        step.zero_grad()
        out_of(layer, x).square().sum().backward()
        step.step()
    for (first, second), old in zip(gates(layer), before, strict=True):
        pinned = 2 * UNITS if "gru" in name else 4 * UNITS
        assert (second[:pinned] == 0).all()
        moved = (first + second - old)[UNITS : 2 * UNITS].abs()
        assert 0 < moved.max() < 3.3 * 1e-3  # Adam's steps are at most about the rate each, RMSprop's first ten times it


@every_layer
def test_what_is_no_clock_computes_as_before(name: str) -> None:
    """The second bias is added to the first before it is dropped: other gates have the bias that they had."""
    torch.manual_seed(0)
    layer = LAYERS[name]()
    before = [(first + second).detach().clone() for first, second in gates(layer)]
    al.chrono_(layer, t_max=100, generator=seeded())
    for (first, second), old in zip(gates(layer), before, strict=True):
        rest = slice(2 * UNITS, None)
        torch.testing.assert_close((first + second)[rest], old[rest])


@pytest.mark.parametrize("prior", ["uniform", "log_uniform", "inverse", "power"])
def test_draws_follow_their_law(prior: str) -> None:
    """Kolmogorov and Smirnov's test against the distribution function, written down apart from the quantiles."""
    low, high = 2.0, 500.0
    laws = {
        "uniform": lambda t: (t - low) / (high - low),
        "log_uniform": lambda t: np.log(t / low) / np.log(high / low),
        "inverse": lambda t: (1 / low - 1 / t) / (1 / low - 1 / high),
        "power": lambda t: (low**-0.56 - t**-0.56) / (low**-0.56 - high**-0.56),
    }
    assert stats.kstest(draw(20_000, high, low, prior, seeded()).numpy(), laws[prior]).pvalue > 0.01


def test_the_draws_of_a_layer_are_the_papers() -> None:
    """exp(b_f) is uniform on [1, t_max - 1], equation 16."""
    layer = al.chrono_(nn.LSTM(1, 4_000), t_max=784, generator=seeded())
    bias = layer.bias_ih_l0.detach()[4_000:8_000].double().exp().numpy()
    assert stats.kstest(bias, stats.uniform(1, 782).cdf).pvalue > 0.01


@pytest.mark.parametrize("t_max", [40.0, math.inf])
def test_the_heavy_tail_is_the_law_of_the_footnote(t_max: float) -> None:
    k = torch.arange(1, 10**7 if math.isinf(t_max) else int(t_max), dtype=torch.float64)
    weights = 1 / (k * torch.log(k + 1) ** 2)
    tail = 1 / math.log(10**7) if math.isinf(t_max) else 0.0
    scales = draw(100_000, t_max, 2.0, "heavy", seeded())
    assert (scales == scales.floor()).all()
    assert scales.max() <= t_max
    for x in (1, 2, 5, 20, 39, 300, 10**5):
        expected = float((weights[k + 1 <= x].sum()) / (weights.sum() + tail))
        assert abs(float((scales <= x).double().mean()) - expected) < 0.005


def test_a_prior_of_ones_own() -> None:
    layer = al.chrono_(nn.LSTM(3, UNITS), t_max=7, prior=lambda u, low, high: torch.full_like(u, high))
    torch.testing.assert_close(clocks(layer)["l0"].read(), torch.full((UNITS,), 7.0, dtype=torch.float64), rtol=1e-6, atol=0)


def test_the_links_are_inverse_and_a_step_has_the_same_number() -> None:
    """sigmoid(b) = 1 - 1/T; and -log(T - 1) is the inverse softplus of the step that forgets 1/T (A = -1)."""
    scale = torch.tensor([1.5, 2.0, 10.0, 1e4], dtype=torch.float64)
    torch.testing.assert_close(scale_of(keep_bias(scale)), scale)
    torch.testing.assert_close(keep_bias(scale).sigmoid(), 1 - 1 / scale)
    torch.testing.assert_close(1 - torch.exp(-nn.functional.softplus(-keep_bias(scale))), 1 / scale)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"t_max": 1}, "below t_min"),
        ({"t_max": 10, "t_min": 1}, "t_min 1"),
        ({"t_max": math.nan}, "below t_min"),
        ({"t_max": 10, "prior": "gauss"}, "no prior"),
        ({"t_max": math.inf}, "finite"),
    ],
)
def test_ranges_that_are_none_are_refused_and_change_nothing(words: dict, said: str) -> None:
    layer = nn.LSTM(3, 4)
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(ValueError, match=said):
        al.chrono_(layer, **words)
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())


@pytest.mark.parametrize(
    ("module", "said"), [(nn.RNN(3, 4), "no gate"), (nn.LSTM(3, 4, bias=False), "bias=True"), (nn.Linear(2, 2), "no gate")]
)
def test_what_has_no_gate_is_refused(module: nn.Module, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        al.chrono_(module, t_max=10)


def test_gates_are_found_wherever_they_stand() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ModuleDict({"deep": nn.GRU(3, 4, num_layers=2)}), nn.LSTMCell(3, 4))
    assert list(clocks(model)) == ["1.deep.l0", "1.deep.l1", "2"]


def test_two_is_the_shortest() -> None:
    """t_max = t_min = 2 gives every unit the scale 2."""
    assert (clocks(al.chrono_(nn.GRU(3, 9), t_max=2))["l0"].read() == 2).all()

"""minGRU and minLSTM: the equation in fp32 too, clocks that say what the layer does, and gates of any size."""

import pytest
import torch
import torch.nn.functional as F
from compiled import succeeds
from torch import Tensor, nn

import allometry as al
from allometry.flow import Tokens
from allometry.model._timescale import keep_bias
from allometry.model.blocks import minimal_gated_recurrence, minimal_long_short_term_memory
from allometry.model.blocks.minimal_gated_recurrence import MinimalGatedRecurrence
from allometry.model.blocks.minimal_long_short_term_memory import MinimalLongShortTermMemory, share
from allometry.model.chrono import clocks
from allometry.model.families.min_gru import MinGru
from allometry.model.families.min_lstm import MinLstm
from allometry.train.meter import count

KINDS = {MinimalGatedRecurrence: minimal_gated_recurrence, MinimalLongShortTermMemory: minimal_long_short_term_memory}
WIDTH = 12
every_kind = pytest.mark.parametrize("kind", KINDS)
every_family = pytest.mark.parametrize("family", [MinGru, MinLstm])


def built(kind, dtype: torch.dtype = torch.float64) -> nn.Module:
    """With biases that are not zero."""
    torch.manual_seed(1)
    layer = kind(width=WIDTH).build(1).to(dtype)
    nn.init.normal_(layer.into.bias)
    return layer


def the_clock(layer: nn.Module):
    (clock,) = clocks(layer).values()
    return clock


def bare(kind, scale: Tensor) -> nn.Module:
    """A layer whose gates do not see the input, whose candidate is the input and whose output is the state."""
    layer = built(kind)
    with torch.no_grad():
        layer.into.weight.zero_()[-WIDTH:] = torch.eye(WIDTH)
        layer.into.bias.zero_()
        layer.out.weight.copy_(torch.eye(WIDTH))
    the_clock(layer).write(scale)
    return layer


@every_kind
@pytest.mark.parametrize("length", [1, 2, 37])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_every_length_is_the_equation_with_all_gradients(kind, length, dtype, tolerance) -> None:
    layer = built(kind, dtype)
    x = torch.randn(3, length, WIDTH, dtype=dtype, requires_grad=True)
    results = []
    for out in (layer(x), KINDS[kind].reference(layer, x)):
        combination = torch.randn(out.shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
        gradients = torch.autograd.grad(
            out, [x, *layer.parameters()], combination, allow_unused=True, materialize_grads=True
        )
        results.append([out, *gradients])
    for fast, slow in zip(*results, strict=True):
        assert (fast - slow).abs().max() < tolerance * (1 + slow.abs().max())


@every_kind
def test_chrono_draws_the_time_scales_of_the_gates(kind) -> None:
    layer = al.chrono_(kind(width=500).build(1), t_max=100, generator=torch.Generator().manual_seed(0))
    scales = the_clock(layer).read()
    assert scales.dtype == torch.float64
    assert 2 - 1e-5 < scales.min() < 3
    assert 98 < scales.max() < 100 + 1e-3
    assert scales.mean() == pytest.approx(51, abs=4)  # (t_max + 2) / 2; the error of 500 draws is 1.3


@every_kind
def test_a_clock_reads_what_it_wrote_and_what_training_made_of_it(kind) -> None:
    scales = torch.logspace(0.3, 4, WIDTH, dtype=torch.float64)
    layer = bare(kind, scales)
    torch.testing.assert_close(the_clock(layer).read(), scales)
    with torch.no_grad():
        layer.into.bias[:-WIDTH] += torch.randn(len(layer.into.bias) - WIDTH)
    gates = layer.into.bias[:-WIDTH].detach().sigmoid()
    lets_in = gates if kind is MinimalGatedRecurrence else gates[WIDTH:] / (gates[WIDTH:] + gates[:WIDTH])
    torch.testing.assert_close(the_clock(layer).read(), 1 / lets_in)


@every_kind
def test_a_state_decays_at_its_time_scale(kind) -> None:
    """The gradient of an output with respect to an input `lag` before is (1 - 1/T)^lag / T, over all units and lags."""
    scales = torch.linspace(2, 50, WIDTH, dtype=torch.float64)
    layer, length = bare(kind, scales), 60
    x = torch.zeros(1, length, WIDTH, dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(layer(x)[0, -1].sum(), x)[0][0].flip(0)
    lag = torch.arange(length, dtype=torch.float64)[:, None]
    torch.testing.assert_close(gradient, (1 - 1 / scales) ** lag / scales)


def test_minlstm_with_opposite_biases_keeps_the_share_of_one_gate() -> None:
    b = torch.linspace(-30, 30, 61, dtype=torch.float64)
    torch.testing.assert_close(share(b, -b), torch.sigmoid(-b), rtol=1e-12, atol=0)
    scale = torch.tensor([2.0, 10.0, 1e5], dtype=torch.float64)
    torch.testing.assert_close(share(keep_bias(scale), -keep_bias(scale)), 1 / scale)


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shares_are_exact_where_both_gates_are_nothing(eager: bool, dtype: torch.dtype, monkeypatch) -> None:
    """sigma(-200) is no fp32 number; the share is still that of the logarithms. Values and gradients, 1 and 0 among them."""
    monkeypatch.setattr(minimal_long_short_term_memory, "in_eager_cpu", lambda x: eager)
    logits = torch.tensor([-1e4, -200, -120, -100.5, -100, -40, -38, -35, -20, -1, 0, 3, 100, 1e4], dtype=dtype)
    inputs = [side.reshape(-1).requires_grad_() for side in torch.meshgrid(logits, logits, indexing="ij")]
    exact = [side.detach().double().requires_grad_() for side in inputs]
    fast, slow = share(*inputs), torch.sigmoid(F.logsigmoid(exact[1]) - F.logsigmoid(exact[0]))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    pairs = zip(torch.autograd.grad(fast.sum(), inputs), torch.autograd.grad(slow.sum(), exact), strict=True)
    for a, b in [(fast, slow), *pairs]:
        torch.testing.assert_close(a.double(), b, rtol=0, atol=tolerance)


def test_torchs_checks_of_a_derivative_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for eager in (True, False):
        monkeypatch.setattr(minimal_long_short_term_memory, "in_eager_cpu", lambda x, eager=eager: eager)
        logits = 3 * torch.randn(2, 5, 4, dtype=torch.float64)
        assert torch.autograd.gradcheck(share, [part.requires_grad_() for part in logits])


@every_kind
def test_gates_of_any_size_are_survived(kind) -> None:
    layer = built(kind, torch.float32)
    x = 1e4 * torch.randn(2, 50, WIDTH)
    x.requires_grad_()
    out = layer(x)
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), [x, *layer.parameters()]))


@every_kind
def test_under_autocast_states_are_averages_in_fp32(kind) -> None:
    """A thousand steps of a unit that keeps 99.9 %: states in bf16 would not move by a thousandth."""
    layer = bare(kind, torch.full((WIDTH,), 1000.0, dtype=torch.float64)).float()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(torch.ones(1, 1000, WIDTH))[0, -1].float()
    assert out.detach() == pytest.approx(1 - (1 - 1e-3) ** 1000, rel=0.01)


@every_family
def test_chrono_reaches_every_layer_of_a_model(family) -> None:
    model = family(width=16, depth=3).build(Tokens(vocab=11, length=8))
    al.chrono_(model, t_max=50)
    found = clocks(model)
    assert len(found) == 3
    assert len({tuple(clock.read().tolist()) for clock in found.values()}) == 3


@every_family
def test_the_cost_is_linear_in_the_length(family) -> None:
    costs = [count(family(width=32, depth=3), Tokens(vocab=17, length=n)).forward_flops_per_token for n in (64, 4096)]
    assert costs[0] == costs[1]


COMPILED = """
import torch
from allometry.flow import Tokens
from allometry.model.blocks import _scan
from allometry.model.families.min_gru import MinGru
from allometry.model.families.min_lstm import MinLstm

tokens = torch.randint(11, (2, 70))
for family in (MinGru, MinLstm):
    torch.manual_seed(0)
    model = family(width=16, depth=1).build(Tokens(vocab=11, length=70))
    results = []
    for whole in (None, ("cpu",), ()):
        form = model if whole is None else torch.compile(model, backend="aot_eager", fullgraph=True)
        _scan.WHOLE = whole or ()
        torch.compiler.reset()
        model.zero_grad()
        logits = form(tokens)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
        results.append([logits.detach(), *(p.grad for p in model.parameters())])
    for eager, *compiled in zip(*results, strict=True):
        for form in compiled:
            torch.testing.assert_close(form, eager, rtol=1e-4, atol=1e-6)
"""


def test_compiled_is_eager_in_one_graph() -> None:
    """The scan as one operation and by doubling."""
    succeeds(COMPILED)

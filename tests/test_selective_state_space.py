"""The selective state space: chunks against the recurrence, steps of any size, warped time, clocks, memory."""

import copy

import pytest
import torch
import torch.nn.functional as F
from compiled import OF_TOKENS, compiled_is_eager
from torch import Tensor, nn

import allometry as al
from allometry.flow import Tokens
from allometry.model.blocks import _short_convolution, _state_space
from allometry.model.blocks._short_convolution import short_convolution
from allometry.model.blocks._state_space import state_space
from allometry.model.blocks.selective_state_space import SelectiveStateSpace, reference
from allometry.model.chrono import clocks
from allometry.model.families.mamba2 import Mamba2
from allometry.train.meter import count

HEADS, HEAD, STATE = 2, 3, 4
both_forms = pytest.mark.parametrize("by_hand", [True, False])
DECAYS = {
    "ordinary": lambda u: -2 * u,
    "kept": lambda u: -1e-7 * u,
    "reset": lambda u: torch.where(u < 0.1, -1e4, -0.05 * u),
    "lost": lambda u: -100 * u,
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def form(by_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_state_space, _short_convolution):
        monkeypatch.setattr(module, "in_eager_cpu", lambda x: by_hand)


def given(length: int, decays: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """x, read, write, decay, enters, skip, gate."""
    x, gate = torch.randn(2, 2, length, HEADS, HEAD, dtype=dtype)
    read, write = torch.randn(2, 2, length, STATE, dtype=dtype)
    enters = torch.rand(2, length, HEADS, dtype=dtype)
    decay = DECAYS[decays](torch.rand(2, length, HEADS, dtype=torch.float64)).to(dtype)
    return [part.requires_grad_() for part in (x, read, write, decay, enters, torch.randn(HEADS, dtype=dtype), gate)]


def recurrence(x, read, write, decay, enters, skip, gate) -> Tensor:
    state, rows = x.new_zeros(len(x), HEADS, STATE, HEAD), []
    for t in range(x.shape[1]):
        new = torch.einsum("bh,bs,bhp->bhsp", enters[:, t], write[:, t], x[:, t])
        state = decay[:, t, :, None, None].exp() * state + new
        rows.append(torch.einsum("bs,bhsp->bhp", read[:, t], state) + skip[:, None] * x[:, t])
    return torch.stack(rows, 1) * gate * gate.sigmoid()


@both_forms
@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("decays", DECAYS)
@pytest.mark.parametrize("length", [1, 63, 64, 65, 150])
def test_chunks_are_the_recurrence_with_all_gradients(decays, length) -> None:
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        parts = given(length, decays, dtype)
        results = []
        for mixed in (state_space, recurrence):
            exact = [p.detach().double().requires_grad_() for p in parts] if mixed is recurrence else parts
            out = mixed(*exact)
            seed = torch.randn(out.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(out.dtype)
            results.append([out, *torch.autograd.grad(out, exact, seed, allow_unused=True, materialize_grads=True)])
        for fast, slow in zip(*results, strict=True):
            assert (fast - slow).abs().max() < tolerance * (1 + slow.abs().max())


@both_forms
@pytest.mark.usefixtures("form")
def test_a_reset_leaves_what_comes_after_it_exact() -> None:
    """The trap of differences of a running sum: beside -1e4, single precision holds a decay of 0.01 to a tenth."""
    parts = [part.detach() for part in given(40, "kept", torch.float32)]
    parts[3] = torch.full_like(parts[3], -0.01)
    parts[3][:, 10:20] = -1e4
    alone = state_space(*(part if part.ndim == 1 else part[:, 19:] for part in parts))
    torch.testing.assert_close(state_space(*parts)[:, 19:], alone, rtol=1e-5, atol=1e-6)


def layer_of(dtype: torch.dtype = torch.float64, width: int = 12) -> nn.Module:
    """With steps near 1, so that the states matter beside the skip."""
    layer = SelectiveStateSpace(width=width, inner=2 * width, heads=3, state=5).build(1).to(dtype)
    nn.init.normal_(layer.step_bias)
    nn.init.normal_(layer.taps_bias)
    return layer


@both_forms
@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("length", [1, 3, 70])
def test_the_block_is_its_equation_in_fp32_too(length) -> None:
    layer, x = layer_of(torch.float32), torch.randn(2, length, 12)
    results = []
    for mixed, dtype in ((nn.Module.__call__, torch.float32), (reference, torch.float64)):
        typed, given = copy.deepcopy(layer).to(dtype), x.to(dtype).requires_grad_()
        out, leaves = mixed(typed, given), [given, *typed.parameters()]
        seed = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
        results.append([out, *torch.autograd.grad(out, leaves, seed, allow_unused=True, materialize_grads=True)])
    for fast, slow in zip(*results, strict=True):
        assert (fast - slow).abs().max() < 1e-5 * (1 + slow.abs().max())


@pytest.mark.parametrize("times", [2, 7])
def test_slower_time_is_a_smaller_step(times: int) -> None:
    """Each symbol `times` times, with delta / times: the same states where its repeats end. Not so if delta multiplies x."""
    layer = layer_of()
    x, read, write, _, _, skip, gate = (part.detach() for part in given(20, "ordinary"))
    layer.log_rate, layer.step_bias = nn.Parameter(layer.log_rate[:HEADS]), nn.Parameter(layer.step_bias[:HEADS])
    step = torch.randn(2, 20, HEADS, dtype=torch.float64)

    def out(times: int, held: bool) -> Tensor:
        delta = F.softplus(step + layer.step_bias) / times
        slow = torch.log(torch.expm1(delta)) - layer.step_bias
        decay, enters = layer.held(slow)
        parts = (x, read, write, decay, enters if held else delta, gate)
        x_, read_, write_, decay_, enters_, gate_ = (part.repeat_interleave(times, 1) for part in parts)
        return state_space(x_, read_, write_, decay_, enters_, skip, gate_)[:, times - 1 :: times]

    with torch.no_grad():
        torch.testing.assert_close(out(times, held=True), out(1, held=True), rtol=0, atol=1e-12)
        assert (out(times, held=False) - out(1, held=False)).abs().max() > 0.01


def test_with_rate_one_the_step_is_a_gate() -> None:
    """Theorem 1 of Gu and Dao 2023: keep = 1 - sigma(z), enters = sigma(z), for large and small z."""
    layer = layer_of()
    with torch.no_grad():
        layer.log_rate.zero_()
        z = torch.linspace(-40, 40, 81, dtype=torch.float64)[None, :, None].expand(1, 81, 3)
        decay, enters = layer.held(z - layer.step_bias)
    torch.testing.assert_close(decay, F.logsigmoid(-z), rtol=1e-9, atol=0)  # torch's softplus(z) is z from 20 on
    torch.testing.assert_close(enters, z.sigmoid(), rtol=1e-9, atol=0)


def test_chrono_draws_the_time_scales_of_the_heads() -> None:
    spec = SelectiveStateSpace(width=4, inner=400, heads=400, state=2)
    layer = spec.build(1)
    rates = layer.log_rate.detach().clone()
    al.chrono_(layer, t_max=100, generator=torch.Generator().manual_seed(0))
    (clock,) = clocks(layer).values()
    scales = clock.read()
    assert scales.dtype == torch.float64
    assert 2 - 1e-5 < scales.min() < 3
    assert 97 < scales.max() < 100 + 1e-3
    assert scales.mean() == pytest.approx(51, abs=5)  # (t_max + 2) / 2; the error of 400 draws is 1.4
    assert torch.equal(layer.log_rate, rates)
    decay, _ = layer.held(torch.zeros(1, 1, 400))
    torch.testing.assert_close(-torch.expm1(decay[0, 0].double()), 1 / scales, rtol=1e-4, atol=0)


def test_a_clock_reads_what_it_wrote() -> None:
    layer = SelectiveStateSpace(width=4, inner=60, heads=60, state=2).build(1).double()
    (clock,) = clocks(layer).values()
    scales = torch.logspace(0.01, 6, 60, dtype=torch.float64)
    clock.write(scales)
    torch.testing.assert_close(clock.read(), scales, rtol=1e-9, atol=0)


def test_steps_and_rates_begin_as_published() -> None:
    layer = SelectiveStateSpace(width=4, inner=1000, heads=1000, state=2).build(1)
    steps, rates = F.softplus(layer.step_bias.detach()), layer.log_rate.detach().exp()
    assert 0.001 * 0.999 < steps.min() < 0.0011
    assert 0.09 < steps.max() < 0.1 * 1.001
    assert steps.log().mean() == pytest.approx(-2 * torch.log(torch.tensor(10.0)).item(), abs=0.15)
    assert 1 <= rates.min() < 1.2
    assert 15.8 < rates.max() <= 16.001


@both_forms
@pytest.mark.usefixtures("form")
def test_inputs_of_any_size_are_survived() -> None:
    layer = layer_of(torch.float32)
    x = (1e4 * torch.randn(2, 100, 12)).requires_grad_()
    out = layer(x)
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), [x, *layer.parameters()]))


def test_under_autocast_states_are_kept_in_fp32() -> None:
    """A thousand steps of heads that keep 99.9 %: a state in bf16 would not move by a thousandth."""
    parts = [torch.ones(1, 1000, HEADS, HEAD), *torch.ones(2, 1, 1000, STATE)]
    keep = torch.full((1, 1000, HEADS), 0.999)
    with torch.autocast("cpu", torch.bfloat16):
        rough = [part.bfloat16() for part in parts]
        out = state_space(*rough, keep.log(), 1 - keep, torch.zeros(HEADS), torch.full_like(parts[0], 40.0)) / 40
    torch.testing.assert_close(out[0, -1].float(), torch.full((HEADS, HEAD), STATE * (1 - 0.999**1000)), rtol=1e-2, atol=0)


@both_forms
@pytest.mark.usefixtures("form")
def test_nothing_has_the_size_of_all_states() -> None:
    spec, length = SelectiveStateSpace(width=16, inner=32, heads=4, state=16), 1024
    kept: list[int] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        spec.build(1)(torch.randn(1, length, 16))
    assert max(kept) <= length * _state_space.CHUNK * spec.heads  # what positions of a chunk make of each other
    assert max(kept) < length * spec.inner * spec.state


def test_the_cost_is_linear_in_the_length() -> None:
    family = Mamba2(**Mamba2.shape(32, 3))
    costs = [count(family, Tokens(vocab=17, length=n)).forward_flops_per_token for n in (64, 2048, 4096, 8192)]
    assert costs == sorted(costs)  # the first chunk finds no state
    assert costs[-1] < 1.01 * costs[1]


def test_the_filter_is_a_sum_of_taps_with_all_gradients() -> None:
    for length in (1, 2, 5, 130):
        x, seed = torch.randn(2, 3, length, 7, dtype=torch.float64)
        taps, bias = torch.randn(7, 4, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
        leaves = [part.requires_grad_() for part in (x, taps, bias)]
        padded = F.pad(x, (0, 0, 3, 0))
        sums = bias + sum(padded[:, j : j + length] * taps[:, j] for j in range(4))
        results = [[out, *torch.autograd.grad(out, leaves, seed)] for out in (short_convolution(*leaves), F.silu(sums))]
        for fast, slow in zip(*results, strict=True):
            torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)


def test_torchs_check_of_a_derivative_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_state_space, "CHUNK", 3)
    assert torch.autograd.gradcheck(state_space, given(8, "ordinary"), fast_mode=True)


def test_chrono_reaches_every_layer_of_a_model() -> None:
    model = Mamba2(**Mamba2.shape(32, 3)).build(Tokens(vocab=11, length=8))
    al.chrono_(model, t_max=50)
    found = clocks(model)
    assert len(found) == 3
    assert len({tuple(clock.read().tolist()) for clock in found.values()}) == 3


def test_heads_that_share_no_channels_evenly_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 3"):
        SelectiveStateSpace(width=8, inner=16, heads=3, state=4)


COMPILED = """
from allometry.flow import Tokens
from allometry.model.families.mamba2 import Mamba2

x = torch.randint(11, (2, 70))
model = Mamba2(**Mamba2.shape(16, 1)).build(Tokens(vocab=11, length=70))
"""


def test_compiled_is_eager_in_one_graph() -> None:
    compiled_is_eager(COMPILED, "rtol=1e-4, atol=1e-5", OF_TOKENS)

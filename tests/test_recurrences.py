"""Recurrences with tanh: the loop and torch's kernels are the equation, gates are clocks, and a closed gate holds bit by bit."""

from itertools import pairwise

import pytest
import torch
from compiled import compiled_is_eager
from torch import Tensor, nn

import allometry as al
from allometry.flow import Tokens
from allometry.model.blocks import gated_recurrence, gated_recurrent_unit, leaky_recurrence, recurrence
from allometry.model.blocks._forgetting import forgetting, forgetting_by_kernel
from allometry.model.blocks._resetting import resetting, resetting_by_kernel
from allometry.model.blocks.gated_recurrence import GatedRecurrence
from allometry.model.blocks.gated_recurrent_unit import GatedRecurrentUnit
from allometry.model.blocks.leaky_recurrence import LeakyRecurrence
from allometry.model.blocks.recurrence import Recurrence
from allometry.model.chrono import clocks
from allometry.model.families.gated_rnn import GatedRnn
from allometry.train.meter import check, count

WIDTH = 12
BLOCKS = {
    "plain": (Recurrence(width=WIDTH), recurrence),
    "leaky": (LeakyRecurrence(width=WIDTH), leaky_recurrence),
    "each": (GatedRecurrence(width=WIDTH), gated_recurrence),
    "one": (GatedRecurrence(width=WIDTH, gate="one"), gated_recurrence),
    "gru": (GatedRecurrentUnit(width=WIDTH), gated_recurrent_unit),
}
every_block = pytest.mark.parametrize("name", BLOCKS)
with_clock = pytest.mark.parametrize("name", [name for name in BLOCKS if name != "plain"])


def built(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A layer away from its start, so that no bias and no leak is that of another unit."""
    torch.manual_seed(1)
    layer = BLOCKS[name][0].build(1).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return layer


def states(layer: nn.Module, x: Tensor, by_kernel: bool = False) -> Tensor:
    """What stands before the output's weights."""
    if hasattr(layer, "sums"):
        return (resetting_by_kernel if by_kernel else resetting)(x, layer.sums, layer.inner)
    parts = layer.candidate, getattr(layer, "gate", None), getattr(layer, "leak", None)
    return (forgetting_by_kernel if by_kernel else forgetting)(x, *parts)


def noise(length: int, batch: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, length, WIDTH, dtype=dtype, requires_grad=True)


def differences(first: Tensor, second: Tensor, leaves: list[Tensor]) -> tuple[float, float]:
    """The largest difference of values; and of gradients, in units of the largest of each."""
    seed = torch.randn_like(first)
    of_first, of_second = (torch.autograd.grad(out, leaves, seed, retain_graph=True) for out in (first, second))
    pairs = zip(of_first, of_second, strict=True)
    apart = max(float((a - b).abs().max() / (b.abs().max() + 1e-300)) for a, b in pairs)
    return float((first - second).detach().abs().max()), apart


@every_block
@pytest.mark.parametrize("length", [1, 2, 23])
def test_every_length_is_the_equation(name, length) -> None:
    layer, x = built(name), noise(length)
    values, gradients = differences(layer(x), BLOCKS[name][1].reference(layer, x), [x, *layer.parameters()])
    assert max(values, gradients) < 1e-12


@every_block
def test_the_kernels_of_torch_give_the_same(name) -> None:
    """Equation 10 and its relatives as torch.nn.GRU with the reset gate held open, of 500 steps in fp32: 1e-6."""
    layer, x = built(name), noise(30)
    leaves = [x, *(p for n, p in layer.named_parameters() if n != "out.weight")]
    values, gradients = differences(states(layer, x, by_kernel=True), states(layer, x), leaves)
    assert max(values, gradients) < 1e-12
    torch.manual_seed(0)
    layer, x = BLOCKS[name][0].build(1), noise(500, dtype=torch.float32)
    if name != "plain":
        al.chrono_(layer, t_max=100)
    leaves = [x, *(p for n, p in layer.named_parameters() if n != "out.weight")]
    nn.init.eye_(layer.out.weight)
    literal = BLOCKS[name][1].reference(layer, x)
    for form in (states(layer, x), states(layer, x, by_kernel=True)):
        values, gradients = differences(form, literal, leaves)
        assert values < 1e-6
        assert gradients < 1e-5


def test_gru_and_rnn_are_those_of_torch() -> None:
    """Rows r, z, n; the second bias is zero but for n."""
    layer, x = built("gru"), noise(20)
    twin = nn.GRU(WIDTH, WIDTH, batch_first=True).double()
    zeros = torch.zeros(2 * WIDTH, dtype=torch.float64)
    weights = layer.sums.into.weight, layer.sums.recurrent, layer.sums.into.bias, torch.cat([zeros, layer.inner])
    for parameter, weight in zip(twin.parameters(), weights, strict=True):
        parameter.data = weight.detach()
    assert (twin(x)[0] - states(layer, x)).abs().max() < 1e-12
    torch.testing.assert_close(clocks(twin)["l0"].read(), clocks(layer)["update"].read())
    layer, twin = built("plain"), nn.RNN(WIDTH, WIDTH, batch_first=True).double()
    bias = layer.candidate.into.bias
    weights = layer.candidate.into.weight, layer.candidate.recurrent, bias, torch.zeros_like(bias)
    for parameter, weight in zip(twin.parameters(), weights, strict=True):
        parameter.data = weight.detach()
    assert (twin(x)[0] - states(layer, x)).abs().max() < 1e-12


@with_clock
def test_a_gate_without_input_and_state_is_one_over_t(name) -> None:
    layer = al.chrono_(built(name), t_max=50, generator=torch.Generator().manual_seed(0))
    ((_, clock),) = clocks(layer).items()
    scale = clock.read()
    assert len(scale) == (1 if name == "one" else WIDTH)
    assert 2 <= scale.min() <= scale.max() <= 50
    zero = torch.zeros(1, WIDTH, dtype=torch.float64)
    if name == "leaky":
        gate = layer.leak.sigmoid()
    elif name == "gru":
        gate = 1 - layer.sums(zero, zero).sigmoid()[0, WIDTH : 2 * WIDTH]
    else:
        gate = layer.gate(zero, zero).sigmoid()[0]
    torch.testing.assert_close(gate, 1 / scale)


@with_clock
def test_a_unit_forgets_in_its_time(name) -> None:
    """Without weights, a state decays by 1 - 1/T at every step: after the input of one position, the slope of log h is known."""
    layer = al.chrono_(built(name), t_max=20)
    ((_, clock),) = clocks(layer).items()
    with torch.no_grad():
        for parameter in layer.parameters():
            if parameter.ndim == 2:
                parameter.zero_()
        sums = layer.sums if name == "gru" else layer.candidate
        nn.init.eye_(sums.into.weight[-WIDTH:])
        sums.into.bias[-WIDTH:] = 0
        if name == "gru":
            layer.inner.zero_()
        x = torch.zeros(1, 9, WIDTH, dtype=torch.float64)
        x[:, 0] = 1
        decay = states(layer, x)[0].log().diff(dim=0)
    torch.testing.assert_close(decay, torch.log1p(-1 / clock.read()).expand(8, WIDTH))


def test_a_plain_recurrence_has_no_clock() -> None:
    with pytest.raises(ValueError, match="no gate"):
        al.chrono_(built("plain"), t_max=10)


@pytest.mark.parametrize("name", ["each", "one"])
def test_a_closed_gate_holds_the_state_bit_by_bit(name) -> None:
    """A gate that is 1 on symbols and 0 on blanks: a padded sequence gives what the sequence gives (the paper's paddings)."""
    layer = built(name, torch.float32)
    symbols = torch.randn(2, 5, WIDTH)
    symbols[..., 0] = 1
    with torch.no_grad():
        layer.gate.recurrent.zero_()
        layer.gate.into.weight.zero_()[:, 0] = 300.0  # sigma is exactly 1 and exactly 0
        layer.gate.into.bias.fill_(-200.0)
        padded = torch.zeros(2, 20, WIDTH)
        padded[:, ::4] = symbols
        short, long = states(layer, symbols), states(layer, padded).unflatten(1, (5, 4))
    assert (long == long[:, :, :1]).all()
    torch.testing.assert_close(long[:, :, 0], short, rtol=0, atol=1e-6)


def test_one_gate_is_the_same_gate_for_each() -> None:
    one, each, x = built("one"), built("each"), noise(20)
    each.candidate, each.out = one.candidate, one.out
    with torch.no_grad():
        for parameter, shared in zip(each.gate.parameters(), one.gate.parameters(), strict=True):
            parameter.copy_(shared.expand_as(parameter))
    assert (one(x) - each(x)).abs().max() < 1e-13


def test_a_gate_that_sees_nothing_is_a_leak_and_an_open_one_is_none() -> None:
    plain, leaky, each, x = built("plain"), built("leaky"), built("each"), noise(20)
    each.candidate = leaky.candidate = plain.candidate
    with torch.no_grad():
        for parameter in each.gate.parameters():
            parameter.zero_()
        each.gate.into.bias.copy_(leaky.leak)
        assert (states(each, x) - states(leaky, x)).abs().max() < 1e-13
        each.gate.into.bias.fill_(40.0)
        assert (states(each, x) - states(plain, x)).abs().max() < 1e-13


def test_a_leak_follows_the_speed_of_time_and_its_absence_does_not() -> None:
    """The theorem: inputs k times as slow, leaks k times as small, the same states, up to the step of Euler's method."""
    leaky, plain, x = built("leaky"), built("plain"), noise(15, batch=1).detach()
    alpha = leaky.leak.sigmoid()

    def slowed(k: int) -> Tensor:
        return forgetting(x.repeat_interleave(k, 1), leaky.candidate, leak=torch.logit(alpha / k))[:, k - 1 :: k]

    with torch.no_grad():
        truth = slowed(1024)
        errors = [float((slowed(k) - truth).abs().max()) for k in (4, 8, 16, 32)]
        ratios = [a / b for a, b in pairwise(errors)]
        assert all(1.8 < ratio < 2.2 for ratio in ratios)
        assert errors[-1] < 0.05
        slow = states(plain, x.repeat_interleave(32, 1))[:, 31::32]
        assert (slow - states(plain, x)).abs().max() > 0.5


@every_block
def test_states_move_by_less_than_bf16_resolves(name) -> None:
    """Under autocast, units of T = 10,000 steps: each is less than the last bit of bf16, and their sum is not."""
    layer, x = built(name, torch.float32), noise(400, dtype=torch.float32)
    for clock in clocks(layer).values():
        clock.write(torch.full((clock.units,), 1e4, dtype=torch.float64))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = states(layer, x + 2)
    exact = states(layer, x + 2)
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() < 0.05 * exact.norm()


def test_one_gate_is_counted_and_trained_as_the_family_says() -> None:
    for gate in ("each", "one"):
        spec, io = GatedRnn(width=20, depth=2, gate=gate), Tokens(vocab=11, length=33)
        assert check(spec, io, count(spec, io)) == "agrees with the count"
    with pytest.raises(ValueError, match="Choose one of each, one"):
        GatedRecurrence(width=4, gate="two")


@pytest.mark.parametrize("name", ["leaky", "one", "gru"])
def test_torchs_checks_of_an_operation_hold(name) -> None:
    layer, operation = built(name), torch.ops.allometry.resetting if name == "gru" else torch.ops.allometry.forgetting
    sums = [part for part in (getattr(layer, key, None) for key in ("sums", "candidate", "gate")) if part is not None]
    recurrent = torch.cat([part.recurrent for part in sums]).detach().requires_grad_()
    other = layer.inner if name == "gru" else layer.leak.sigmoid() if name == "leaky" else None
    inputs = torch.randn(4, 2, len(recurrent), dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(operation.default, (inputs, recurrent, None if other is None else other.detach().requires_grad_()))


def test_a_second_derivative_is_refused() -> None:
    layer, x = built("each"), noise(4)
    (first,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    with pytest.raises((RuntimeError, NotImplementedError)):
        first.square().sum().backward()


COMPILED = """
from allometry.model.blocks.gated_recurrence import GatedRecurrence
from allometry.model.blocks.gated_recurrent_unit import GatedRecurrentUnit
from allometry.model.blocks.leaky_recurrence import LeakyRecurrence

torch.manual_seed(0)
model = torch.nn.Sequential(*(block(width=8).build(1) for block in (GatedRecurrence, LeakyRecurrence, GatedRecurrentUnit)))
x = torch.randn(2, 30, 8)
"""


def test_compiled_is_eager_in_one_graph() -> None:
    compiled_is_eager(COMPILED)

"""sLSTM and mLSTM: loop and chunks are the equation, the stabiliser drops out and sees no later position, gates are clocks."""

import math

import pytest
import torch
from compiled import compiled_is_eager
from torch import Tensor, nn

import allometry as al
from allometry.flow import Tokens
from allometry.model.blocks import matrix_memory, scalar_memory
from allometry.model.blocks.matrix_memory import MatrixMemory, remembered
from allometry.model.blocks.scalar_memory import ScalarMemory
from allometry.model.chrono import clocks
from allometry.model.families.mlstm import Mlstm
from allometry.train.meter import check, count

WIDTH = 12
BLOCKS = {
    "scalar": (ScalarMemory(width=WIDTH, heads=3), scalar_memory),
    "one head": (ScalarMemory(width=WIDTH, heads=1, place=1.0), scalar_memory),
    "exponential": (ScalarMemory(width=WIDTH, heads=2, forget="exponential"), scalar_memory),
    "matrix": (MatrixMemory(width=WIDTH, heads=3), matrix_memory),
}
every_block = pytest.mark.parametrize("name", BLOCKS)


def built(name: str, dtype: torch.dtype = torch.float64, by: float = 0.2) -> nn.Module:
    """A layer away from its start, where recurrent weights and those of gates are zero."""
    torch.manual_seed(1)
    layer = BLOCKS[name][0].build(1).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += by * torch.randn_like(parameter)
    return layer


def noise(length: int, batch: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, length, WIDTH, dtype=dtype, requires_grad=True)


def gates_of(name: str) -> slice:
    """The rows of both exponential gates."""
    return slice(4 * WIDTH, 4 * WIDTH + 6) if name == "matrix" else slice(0, 2 * WIDTH)


def driven(name: str, dtype: torch.dtype, size: float = 50.0) -> nn.Module:
    """Whose gates are the signs of the first channels, times `size`: any of the four combinations, at any step."""
    layer, rows = built(name, dtype), gates_of(name)
    with torch.no_grad():
        layer.into.bias[rows] = 0
        layer.into.weight[rows] = 0
        row = torch.arange(rows.stop - rows.start)
        layer.into.weight[rows][row, (row + row // WIDTH) % WIDTH] = size
        if name != "matrix":
            layer.recurrent *= 0.1
    return layer


def differences(first: Tensor, second: Tensor, leaves: list[Tensor]) -> tuple[float, float]:
    """The largest difference of values and of gradients, in units of the largest of each."""
    seed = torch.randn_like(first)
    of_first, of_second = (torch.autograd.grad(out, leaves, seed, retain_graph=True) for out in (first, second))
    apart = max(float((a - b).abs().max() / (b.abs().max() + 1e-30)) for a, b in zip(of_first, of_second, strict=True))
    return float((first - second).detach().abs().max() / second.detach().abs().max()), apart


@pytest.mark.parametrize(
    ("name", "length"),
    [(name, length) for name in BLOCKS for length in ((1, 2, 64, 65, 150) if name == "matrix" else (1, 2, 23))],
)
def test_every_length_is_the_equation(name, length) -> None:
    layer, x = built(name), noise(length)
    values, gradients = differences(layer(x), BLOCKS[name][1].reference(layer, x), [x, *layer.parameters()])
    assert max(values, gradients) < 1e-11


@every_block
def test_single_precision_is_the_equation_too(name) -> None:
    torch.manual_seed(0)
    layer, x = BLOCKS[name][0].build(1), noise(150, dtype=torch.float32)
    values, gradients = differences(layer(x), BLOCKS[name][1].reference(layer, x), [x, *layer.parameters()])
    assert max(values, gradients) < 1e-5


@every_block
def test_extreme_gates_are_finite_and_the_equation(name) -> None:
    """Logits of 50 and -50 in all combinations, 100 positions of them: weights from exp(-5000) to exp(5000)."""
    layer, signs = driven(name, torch.float64), noise(100).detach().sign().requires_grad_()
    values, gradients = differences(layer(signs), BLOCKS[name][1].reference(layer, signs), [signs, *layer.parameters()])
    assert max(values, gradients) < 1e-10
    layer, signs = driven(name, torch.float32), signs.detach().float().requires_grad_()
    out = layer(signs)
    for part in (out, *torch.autograd.grad(out.square().sum(), [signs, *layer.parameters()])):
        assert part.isfinite().all()


def weights_of(lets_in: Tensor, keeps: Tensor) -> Tensor:
    """log of what s weighs at t, [... t s]: log i_s + the sum of log f from s + 1 to t; the equations unrolled."""
    gone = keeps.cumsum(-1)
    logs = lets_in[..., None, :] + gone[..., :, None] - gone[..., None, :]
    return logs.masked_fill(torch.ones(logs.shape[-2:]).triu(1).bool(), -math.inf)


def test_scalar_memory_without_mixing_is_a_softmax_over_the_past() -> None:
    for name in ("scalar", "exponential"):
        layer, x = built(name), noise(20)
        with torch.no_grad():
            layer.recurrent.zero_()
        lets_in, forget, new, opens = layer.into(x).transpose(1, 2).chunk(4, 1)
        keeps = forget if name == "exponential" else forget.sigmoid().log()
        mean = torch.einsum("bcts,bcs->btc", weights_of(lets_in, keeps).softmax(-1), new.tanh())
        assert (layer(x) - layer.out(mean * opens.transpose(1, 2).sigmoid())).abs().max() < 1e-12


def test_matrix_memory_is_a_ratio_of_sums_without_any_stabiliser() -> None:
    """Weights as they are, over the whole length at once; half of the denominators are below 1."""
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 150, 4, dtype=torch.float64)
    lets_in, forget = torch.randn(2, 2, 3, 150, dtype=torch.float64)
    keeps = forget.sigmoid().log()
    weights = weights_of(lets_in, keeps).exp() * (query @ key.mT) / 2
    below = weights.sum(-1).abs()
    assert 0.2 < (below < 1).double().mean() < 0.8
    literal = weights @ value / below.clamp_min(1)[..., None]
    assert (remembered(query, key, value, lets_in, keeps) - literal).abs().max() < 1e-11


def test_a_matrix_gives_back_what_is_stored_under_a_key() -> None:
    """Orthogonal keys, nothing forgotten: values from 200 positions, and three chunks, before."""
    key = torch.zeros(1, 1, 208, 8)
    key[..., :8, :] = key[..., 200:, :] = 3 * torch.eye(8)
    value = torch.randn(1, 1, 208, 8)
    value[..., 200:, :] = 0
    lets_in, keeps = torch.zeros(1, 1, 208), torch.full((1, 1, 208), -1e-12)
    lets_in[..., 200:] = -50
    read = remembered(key, key, value, lets_in, keeps)
    torch.testing.assert_close(read[..., 200:, :], value[..., :8, :])


@every_block
def test_the_future_moves_no_bit_of_the_past(name) -> None:
    """Also where a later input gate is exp(50) times an earlier one, in the same chunk: a stabiliser would show it."""
    layer, x = driven(name, torch.float32), noise(100, dtype=torch.float32).detach().clamp(-1, 1)
    with torch.no_grad():
        before = layer(x)
        for start in (30, 64, 99):
            other = x.clone()
            other[:, start:] = -x[:, start:].sign()
            after = layer(other)
            assert torch.equal(before[:, :start], after[:, :start])
            assert not torch.equal(before[:, start:], after[:, start:])


@pytest.mark.parametrize("name", ["scalar", "exponential"])
def test_a_large_input_gate_replaces_what_is_stored(name) -> None:
    """What a sigmoid cannot do: exp(50) at one step, and the state is the candidate of that step."""
    layer, x = built(name), noise(20).detach()
    with torch.no_grad():
        layer.recurrent.zero_()
        layer.into.weight[:WIDTH] = 0
        layer.into.weight[:WIDTH, 0] = 50.0
        x[..., 0] = 0
        x[:, 10, 0] = 1
        _, _, new, opens = layer.into(x[:, 10]).chunk(4, -1)
        assert (layer(x)[:, 10] - layer.out(new.tanh() * opens.sigmoid())).abs().max() < 1e-14


@every_block
def test_a_gate_without_input_and_state_is_one_over_t(name) -> None:
    layer = al.chrono_(built(name), t_max=50, generator=torch.Generator().manual_seed(0))
    ((_, clock),) = clocks(layer).items()
    scale = clock.read()
    assert len(scale) == (3 if name == "matrix" else WIDTH)
    assert 2 <= scale.min() <= scale.max() <= 50
    bias = layer.into(torch.zeros(1, WIDTH, dtype=torch.float64))[0]
    forget = bias[-3:] if name == "matrix" else bias[WIDTH : 2 * WIDTH]
    keep = forget.exp() if name == "exponential" else forget.sigmoid()
    torch.testing.assert_close(1 - keep, 1 / scale)


@every_block
def test_a_unit_forgets_in_its_time(name) -> None:
    """Without weights of gates, what an input of k steps ago moves is (1 - 1/T)^k of what the newest moves."""
    layer, x = al.chrono_(built(name), t_max=20), noise(9, batch=1)
    ((_, clock),) = clocks(layer).items()
    with torch.no_grad():
        layer.into.weight[gates_of(name)] = 0
        layer.into.weight[3 * WIDTH : 4 * WIDTH] = 0
        nn.init.eye_(layer.out.weight)
        if name == "matrix":  # one value for all positions to write, one key and query: the sums are those of the weights
            layer.into.weight[: 2 * WIDTH] = 0
            layer.into.bias[: 2 * WIDTH] = 1e-3
            layer.into.weight[2 * WIDTH : 3 * WIDTH] = torch.eye(WIDTH)
        else:
            layer.recurrent.zero_()
            layer.into.weight[2 * WIDTH : 3 * WIDTH] = 1e-6 * torch.eye(WIDTH)
    of_input = torch.autograd.grad(layer(x)[0, -1].sum(), x)[0][0]
    fades = of_input.log().diff(dim=0)
    scale = clock.read() if name != "matrix" else clock.read().repeat_interleave(4)
    rise = -torch.log1p(-1 / scale)
    torch.testing.assert_close(fades, rise.expand(8, WIDTH), rtol=1e-4, atol=1e-4)


def test_the_start_is_the_published_one() -> None:
    """Biases 5 - 12 u^(0.3 + 1.3 place) of sLSTM's heads, linspace(3, 6) over those of mLSTM: T = 1 + exp(bias)."""
    for place, exponent in ((0.0, 0.3), (0.5, 0.95), (1.0, 1.6)):
        bias = 5 - 12 * torch.tensor([0, 1 / 3, 2 / 3, 1], dtype=torch.float64) ** exponent
        for forget in ("sigmoid", "exponential"):
            layer = ScalarMemory(width=8, heads=2, forget=forget, place=place).build(1)
            torch.testing.assert_close(layer.clocks()["forget"].read(), 1 + bias.repeat(2).exp(), rtol=1e-5, atol=0)
    scale = MatrixMemory(width=8, heads=4).build(1).clocks()["forget"].read()
    torch.testing.assert_close(scale, 1 + torch.tensor([3, 4, 5, 6], dtype=torch.float64).exp(), rtol=1e-5, atol=0)


def test_a_heads_weights_add_up_to_one() -> None:
    """At the start and after chrono_, exp(i) is 1/T: as many inputs as it remembers weigh 1 together, whatever T is."""
    layer = MatrixMemory(width=8, heads=4).build(1)
    for _ in range(2):
        scale = layer.clocks()["forget"].read()
        torch.testing.assert_close(layer.into.bias[-8:-4].exp().double(), 1 / scale, rtol=1e-5, atol=0)
        al.chrono_(layer, t_max=1000)


def test_an_exponential_gate_of_one_or_more_forgets_nothing() -> None:
    layer = BLOCKS["exponential"][0].build(1)
    clock = layer.clocks()["forget"]
    with torch.no_grad():
        layer.into.bias[WIDTH : 2 * WIDTH] = torch.tensor([0.0, -0.0, 3.0, -1e-6]).repeat(3)
    scale = clock.read()
    assert scale[:3].isposinf().all()
    assert float(scale[3]) == pytest.approx(1e6, rel=1e-5)
    al.chrono_(layer, t_max=1e6)
    assert clock.read().isfinite().all()


@pytest.mark.parametrize("name", ["scalar", "matrix"])
def test_states_move_by_less_than_bf16_resolves(name) -> None:
    """Under autocast, units of T = 10,000 steps: each is less than the last bit of bf16, and their sum is not."""
    torch.manual_seed(0)
    layer, x = BLOCKS[name][0].build(1), noise(300, dtype=torch.float32).detach() + 1
    for clock in clocks(layer).values():
        clock.write(torch.full((clock.units,), 1e4, dtype=torch.float64))
    with torch.no_grad():
        exact = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = layer(x)
    assert (rough - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("length", [2, 63, 65, 192])
def test_chunks_are_counted_as_they_are(length) -> None:
    spec, io = Mlstm(width=12, depth=2, heads=3), Tokens(vocab=11, length=length)
    assert check(spec, io, count(spec, io)) == "agrees with the count"


def test_a_gate_or_a_head_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Choose one of sigmoid, exponential"):
        ScalarMemory(width=4, heads=2, forget="softplus")
    for block in (ScalarMemory, MatrixMemory):
        with pytest.raises(ValueError, match="multiple of 3"):
            block(width=4, heads=3)


@pytest.mark.parametrize("exponential", [False, True])
def test_torchs_checks_of_the_operation_hold(exponential) -> None:
    inputs = torch.randn(4, 3, 2, 8, dtype=torch.float64, requires_grad=True)
    recurrent = torch.randn(3, 2, 8, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.allometry.normalising.default, (inputs, recurrent, exponential))


COMPILED = """
from allometry.model.blocks.matrix_memory import MatrixMemory
from allometry.model.blocks.scalar_memory import ScalarMemory

torch.manual_seed(0)
model = torch.nn.Sequential(*(block(width=8, heads=2).build(1) for block in (ScalarMemory, MatrixMemory)))
x = torch.randn(2, 70, 8)
"""


def test_compiled_is_eager_in_one_graph() -> None:
    compiled_is_eager(COMPILED, "rtol=1e-4, atol=1e-6")

"""The loop of the LSTM is the equation and torch.nn.LSTM, values and gradients, in every precision; the block takes either."""

import pytest
import torch
from compiled import compiled_is_eager
from torch import Tensor, nn

import allometry as al
from allometry.model.blocks import _long_memory, long_short_term_memory
from allometry.model.blocks._long_memory import long_memory
from allometry.model.blocks.long_short_term_memory import LongShortTermMemory, by_loop
from allometry.model.chrono import clocks

WIDTH = 12


def built(dtype: torch.dtype = torch.float64, width: int = WIDTH) -> nn.Module:
    """A layer away from its start, so that no two gates have the same bias."""
    torch.manual_seed(1)
    layer = LongShortTermMemory(width=width).build(1).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return layer


def noise(length: int, batch: int = 3, dtype: torch.dtype = torch.float64, width: int = WIDTH) -> Tensor:
    return torch.randn(batch, length, width, dtype=dtype, requires_grad=True)


def far(first: Tensor, second: Tensor, leaves: list[Tensor]) -> float:
    """The largest distance of values and of gradients from the second's, each in units of its size."""
    seed = torch.randn_like(second)
    of_first, of_second = (torch.autograd.grad(out, leaves, seed, retain_graph=True) for out in (first, second))
    pairs = zip((first, *of_first), (second, *of_second), strict=True)
    return max(float((a - b).detach().norm() / b.detach().norm().clamp_min(1e-30)) for a, b in pairs)


@pytest.mark.parametrize("near", [2**18, 1, 7 * 3 * 4 * WIDTH])  # slopes at once: of all positions, of one, of seven
@pytest.mark.parametrize("length", [1, 2, 7, 23])
def test_every_length_is_the_equation(length: int, near: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_long_memory, "NEAR", near)
    layer, x = built(), noise(length)
    assert far(layer(x), long_short_term_memory.reference(layer, x), [x, *layer.parameters()]) < 1e-10


@pytest.mark.parametrize(("batch", "length", "width"), [(8, 60, 32), (2, 300, 20), (1, 40, 1)])
def test_it_is_torch_nn_lstm_in_fp32(batch: int, length: int, width: int) -> None:
    layer = al.chrono_(built(torch.float32, width), t_max=100)
    x = noise(length, batch, torch.float32, width)
    leaves = [x, *layer.recurrence.parameters()]
    assert far(by_loop(layer.recurrence, x), layer.recurrence(x)[0], leaves) < 1e-5


def test_a_second_bias_that_is_not_zero_adds_up() -> None:
    twin, x = nn.LSTM(5, WIDTH, batch_first=True).double(), noise(20, width=5)
    assert far(by_loop(twin, x), twin(x)[0], [x, *twin.parameters()]) < 1e-10


def test_the_derivative_is_that_of_differences() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(5, 2, 12, dtype=torch.float64, requires_grad=True)
    recurrent = torch.randn(12, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(long_memory, (inputs, recurrent))


def test_gates_that_do_nothing_but_keep_hold_a_cell_bit_by_bit() -> None:
    """An input gate that is 1 on symbols and 0 on blanks, and a forget gate that is 1."""
    sums = torch.zeros(9, 2, 4 * WIDTH)
    lets_in, keeps, _, out = sums.unflatten(-1, (4, WIDTH)).unbind(-2)
    lets_in.fill_(-200.0)[0] = 200.0
    keeps.fill_(200.0)
    out.fill_(200.0)
    sums[0, :, 2 * WIDTH : 3 * WIDTH] = torch.randn(2, WIDTH)
    states = long_memory(sums, torch.zeros(4 * WIDTH, WIDTH))
    assert (states == states[0]).all()
    torch.testing.assert_close(states[0], sums[0, :, 2 * WIDTH : 3 * WIDTH].tanh().tanh())


def test_cells_move_by_less_than_bf16_resolves() -> None:
    """Under autocast, units of T = 10,000 steps: torch.nn.LSTM in bf16 is 3 % off."""
    layer, x = LongShortTermMemory(width=32).build(1), noise(400, dtype=torch.float32, width=32).detach() + 2
    for clock in clocks(layer).values():
        clock.write(torch.full((clock.units,), 1e4, dtype=torch.float64))
    nn.init.eye_(layer.out.weight)
    with torch.no_grad():
        exact = layer.recurrence(x)[0]
        with torch.autocast("cpu", torch.bfloat16):
            rough = by_loop(layer.recurrence, x)
            assert layer(x).dtype == torch.bfloat16
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() < 0.01 * exact.norm()


def test_autocast_trains_every_parameter() -> None:
    layer, x = built(torch.float32), noise(30, dtype=torch.float32)
    leaves = [x, *layer.parameters()]
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x)
    seed = torch.randn(x.shape)
    of_rough, of_exact = (torch.autograd.grad((out.float() * seed).sum(), leaves) for out in (rough, layer(x)))
    for a, b in zip(of_rough, of_exact, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.03 * b.norm()


def test_a_second_derivative_is_refused() -> None:
    layer, x = built(), noise(4)
    (first,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    with pytest.raises((RuntimeError, NotImplementedError)):
        first.square().sum().backward()


def test_torchs_checks_of_the_operation_hold() -> None:
    inputs = torch.randn(4, 2, 12, dtype=torch.float64, requires_grad=True)
    recurrent = torch.randn(12, 3, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.allometry.long_memory.default, (inputs, recurrent))


COMPILED = """
from allometry.model.blocks._long_memory import long_memory

class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.recurrent = torch.nn.Linear(8, 32), torch.nn.Parameter(torch.randn(32, 8))

    def forward(self, x):
        return long_memory(self.into(x), self.recurrent)

torch.manual_seed(0)
model = torch.nn.Sequential(Layer(), Layer())
x = torch.randn(30, 2, 8)
"""


def test_compiled_is_eager_in_one_graph() -> None:
    compiled_is_eager(COMPILED)

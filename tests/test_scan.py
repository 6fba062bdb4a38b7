"""Linear recurrences: every form is the loop, gates may be 0 and 1, and time may be warped."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from allometry.model.blocks import _scan
from allometry.model.blocks._scan import CHUNK, average, by_doubling, by_position, recurrence, scan

LENGTHS = [1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, CHUNK**2 - 1, CHUNK**2, CHUNK**2 + CHUNK + 1]
PRECISIONS = [(torch.float64, 1e-12), (torch.float32, 1e-5)]
FORMS = {"by position": by_position, "by doubling": by_doubling, "as one operation": recurrence}
every_form = pytest.mark.parametrize("form", FORMS)


def loop(keep: Tensor, enters: Tensor) -> Tensor:
    """The equation."""
    rows = [enters[:, 0]]
    for t in range(1, enters.shape[1]):
        rows.append(keep[:, t] * rows[-1] + enters[:, t])
    return torch.stack(rows, 1)


def running(share: Tensor, x: Tensor) -> Tensor:
    return loop(1 - share, share * x)


def drawn(length: int, dtype: torch.dtype = torch.float64, channels: tuple[int, ...] = (5,)) -> tuple[Tensor, Tensor]:
    """Gates near 0, near 1 and between, and inputs."""
    generator = torch.Generator().manual_seed(length)
    gates, x = torch.randn(2, 3, length, *channels, generator=generator, dtype=torch.float64)
    return (4 * gates).sigmoid().to(dtype).requires_grad_(), x.to(dtype).requires_grad_()


def derived(out: Tensor, inputs: tuple[Tensor, Tensor]) -> list[Tensor]:
    combination = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad(out, inputs, combination.to(out.dtype), allow_unused=True, materialize_grads=True)
    return [out.detach(), *gradients]


def far(values: list[Tensor], oracle: list[Tensor]) -> float:
    return max(float((a - b).abs().max() / (1 + b.abs().max())) for a, b in zip(values, oracle, strict=True))


@pytest.fixture(params=[*FORMS])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every form that a device or a compiler would choose, on this one."""
    form = FORMS[request.param]
    monkeypatch.setattr(_scan, "_run", lambda keep, enters, back=False: form(keep, enters, back))


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_scan_is_the_loop_with_all_gradients(length: int, dtype: torch.dtype, tolerance: float) -> None:
    inputs = drawn(length, dtype)
    assert far(derived(scan(*inputs), inputs), derived(loop(*inputs), inputs)) < tolerance


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("eager", [True, False])
def test_average_is_the_loop_with_all_gradients(length, dtype, tolerance, eager, monkeypatch) -> None:
    """In its own form on CPU, and as the scan that it is elsewhere."""
    monkeypatch.setattr(_scan, "in_eager_cpu", lambda x: eager)
    inputs = drawn(length, dtype)
    assert far(derived(average(*inputs), inputs), derived(running(*inputs), inputs)) < tolerance


@every_form
@pytest.mark.parametrize("length", LENGTHS)
def test_backwards_is_the_scan_of_the_reversed_sequence(form: str, length: int) -> None:
    """The gate between two positions is the same both ways; it stands at the later one."""
    keep, enters = (part.detach() for part in drawn(length))
    late = torch.cat([keep[:, :1], keep[:, 1:].flip(1)], 1)
    assert far([FORMS[form](keep, enters, True)], [loop(late, enters.flip(1)).flip(1)]) < 1e-12


@every_form
def test_gates_of_one_add_up_and_gates_of_zero_forget(form: str) -> None:
    x = drawn(100)[1].detach()
    assert far([FORMS[form](torch.ones_like(x), x, False)], [x.cumsum(1)]) < 1e-12
    assert torch.equal(FORMS[form](torch.zeros_like(x), x, False), x)


@pytest.mark.usefixtures("run")
def test_what_lies_before_a_gate_of_zero_is_gone() -> None:
    """To the last bit, in values and gradients, though it was of another order; and what a gate of one holds is held so."""
    keep, x = (part.detach().clone() for part in drawn(100))
    keep[:, 50] = 0
    keep[:, 51:60] = 1
    x[:, 51:60] = 0
    loud = x.clone()
    loud[:, :50] *= 1e30
    both = [part.requires_grad_() for part in (x, loud)]
    quiet, noisy = (scan(keep, part) for part in both)
    assert torch.equal(quiet[:, 50:], noisy[:, 50:])
    assert torch.equal(quiet[:, 50:60], quiet[:, 50:51].expand(-1, 10, -1))
    for out, part in zip((quiet, noisy), both, strict=True):
        assert (torch.autograd.grad(out[:, 50:].sum(), part)[0][:, :50] == 0).all()


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("gate", [0.0, 1e-30, 1e-3, 0.5, 0.999, 1 - 1e-7, 1.0])
def test_long_products_of_gates_neither_overflow_nor_underflow(gate: float) -> None:
    """Against the sum of the geometric series; its derivative is that of the sum of all states, seen from each input."""
    length = 4000
    x = torch.ones(1, length, 1, requires_grad=True)
    out = scan(torch.full_like(x, gate), x)
    steps = torch.arange(1, length + 1, dtype=torch.float64)
    near = torch.tensor(gate).double()  # as fp32 has it
    series = steps if gate == 1 else -torch.expm1(steps * torch.log(near)) / (1 - near)
    torch.testing.assert_close(out[0, :, 0].double(), series, rtol=1e-4, atol=0)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), x)[0][0, :, 0].double(), series.flip(0), rtol=1e-4, atol=0)


def test_the_first_gate_multiplies_nothing() -> None:
    keep, enters = (part.detach().clone() for part in drawn(40))
    expected = loop(keep, enters)
    keep[:, 0] = torch.inf
    for form in FORMS.values():
        assert torch.allclose(form(keep, enters, False), expected, atol=1e-12)


@pytest.mark.parametrize("eager", [True, False])
def test_an_average_stays_between_what_it_averages_and_forgets_all_at_a_share_of_one(eager, monkeypatch) -> None:
    monkeypatch.setattr(_scan, "in_eager_cpu", lambda x: eager)
    share, x = (part.detach().clone() for part in drawn(200, torch.float32))
    share[:, 0] = 1
    share[:, 20] = 1
    share[:, 21:30] = 0
    out = average(share, x)
    assert torch.equal(out[:, 20], x[:, 20])
    assert torch.equal(out[:, 20:30], x[:, 20:21].expand(-1, 10, -1))
    assert (out <= x.amax(1, keepdim=True) + 1e-6).all()
    assert (out >= x.amin(1, keepdim=True) - 1e-6).all()


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("times", [2, 7])
def test_a_warped_sequence_gives_the_same_states(times: int, eager: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every input `times` times, with 1 - g to the power 1 / times: invariance to time warping, here exact.

    g / times, and the step of backward Euler divided by it, are the same to first order alone.
    """
    monkeypatch.setattr(_scan, "in_eager_cpu", lambda x: eager)
    g, x = drawn(20)
    step = g / (1 - g)

    def warped(share: Tensor) -> Tensor:
        return average(share.repeat_interleave(times, 1), x.repeat_interleave(times, 1))[:, times - 1 :: times]

    def error(share: Tensor) -> float:
        return float((warped(share) - average(g, x)).detach().abs().max())

    assert error(1 - (1 - g) ** (1 / times)) < 1e-14
    assert error(g / times) > 0.1
    assert error((step / times) / (1 + step / times)) > 0.1


@pytest.mark.parametrize("warp", [0, 1, 2])
def test_time_may_be_warped_by_another_factor_at_each_input(warp: int) -> None:
    generator = torch.Generator().manual_seed(warp)
    times = torch.randint(1, 12, (30,), generator=generator)
    g, x = drawn(30)
    share = 1 - (1 - g) ** (1 / times[:, None].double())
    long = average(share.repeat_interleave(times, 1), x.repeat_interleave(times, 1))
    assert (long[:, times.cumsum(0) - 1] - average(g, x)).abs().max() < 1e-14


@pytest.mark.parametrize("function", [scan, average])
@pytest.mark.parametrize("channels", [(), (4,), (3, 2, 2)])
def test_torchs_checks_of_a_derivative_hold(function, channels: tuple[int, ...], monkeypatch) -> None:
    for eager in (True, False):
        monkeypatch.setattr(_scan, "in_eager_cpu", lambda x, eager=eager: eager)
        assert torch.autograd.gradcheck(function, drawn(9, channels=channels))


def test_torchs_checks_of_an_operation_hold() -> None:
    keep, enters = (part.detach() for part in drawn(40))
    for back in (False, True):
        torch.library.opcheck(torch.ops.allometry.recurrence.default, (keep, enters, back))


@pytest.mark.parametrize("function", [scan, average])
def test_parts_of_larger_tensors_and_expanded_gradients_are_taken(function) -> None:
    both = torch.rand(2, 40, 12, dtype=torch.float64).requires_grad_()
    gates, x = both.transpose(1, 2).chunk(2, -1)  # the positions are the last axis in memory
    oracle = {scan: loop, average: running}[function]
    results = [torch.autograd.grad(f(gates, x).sum(), both, retain_graph=True)[0] for f in (function, oracle)]
    assert far(results[:1], results[1:]) < 1e-12


@pytest.mark.parametrize("function", [scan, average])
@pytest.mark.parametrize("kinds", [(torch.bfloat16, torch.bfloat16), (torch.float32, torch.bfloat16)])
def test_states_are_kept_in_fp32(function, kinds) -> None:
    """A thousand additions to a state in bf16 would stand still at 256."""
    gates = torch.full((1, 1000, 1), 1.0 if function is scan else 0.0, dtype=kinds[0]).requires_grad_()
    x = torch.ones(1, 1000, 1, dtype=kinds[1], requires_grad=True)
    out = function(gates, x)
    assert out.dtype == torch.float32
    assert out[0, -1, 0] == (1000 if function is scan else 0)
    gradients = torch.autograd.grad(out.sum(), (gates, x))
    assert tuple(g.dtype for g in gradients) == kinds


@pytest.mark.parametrize("function", [scan, average])
def test_the_meter_sees_a_multiply_add_for_each_number(function) -> None:
    mode = FlopCounterMode(display=False)
    with mode:
        function(*torch.empty(2, 3, 50, 7, device="meta"))
    assert mode.get_total_flops() == 2 * 3 * 50 * 7


class Numbers(TorchDispatchMode):
    """How many numbers all operations wrote, and how many operations there were."""

    def __init__(self) -> None:
        super().__init__()
        self.written = self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.written += out.numel() if isinstance(out, Tensor) and not out._is_view() else 0
        self.operations += 1
        return out


def test_doubling_is_linear_in_the_length_with_few_steps() -> None:
    counted = []
    for length in (CHUNK**2, CHUNK**3, CHUNK**4):
        x = torch.empty(1, length, 1, device="meta")
        with Numbers() as numbers:
            by_doubling(x, x)
        counted.append(numbers)
    for short, long in pairwise(counted):
        assert long.written < 1.1 * CHUNK * short.written
        assert long.operations < short.operations + 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("function", [scan, average])
@pytest.mark.parametrize("length", [1, 37, 300, 5000])
def test_a_gpu_gives_what_a_cpu_gives(function, length: int) -> None:
    here = drawn(length)
    there = tuple(part.detach().cuda().requires_grad_() for part in here)
    seed = torch.randn_like(here[0])
    results = [
        [out, *torch.autograd.grad(out, inputs, seed.to(out.device))]
        for inputs in (here, there)
        for out in [function(*inputs)]
    ]
    assert far([part.cpu() for part in results[1]], results[0]) < 1e-12

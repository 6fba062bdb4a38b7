"""Lightweight and dynamic convolution: one tap, the ends, the head of a channel, and every length and precision."""

import time

import pytest
import torch
import torch.nn.functional as F
from compiled import OF_TOKENS, compiled_is_eager
from torch import nn

from allometry.flow import Tokens
from allometry.model.blocks import dynamic_convolution, lightweight_convolution
from allometry.model.blocks._filter import BLOCK, filtered
from allometry.model.blocks.dynamic_convolution import DynamicConvolution
from allometry.model.blocks.lightweight_convolution import LightweightConvolution
from allometry.model.families.dynamic_convolution import DynamicConvolution as Family
from allometry.train.meter import count

KINDS = {LightweightConvolution: lightweight_convolution, DynamicConvolution: dynamic_convolution}
every_kind = pytest.mark.parametrize("kind", KINDS)
both_forms = pytest.mark.parametrize("causal", [True, False])


def built(kind, kernel: int, causal: bool = True, width: int = 12, heads: int = 3) -> nn.Module:
    torch.manual_seed(1)
    return kind(width=width, heads=heads, kernel=kernel, causal=causal).build(1).double()


@every_kind
@both_forms
def test_one_tap_is_the_gated_product(kind, causal) -> None:
    """The softmax of one number is 1."""
    layer, x = built(kind, 1, causal), torch.randn(2, 50, 12, dtype=torch.float64)
    expected = layer.out(F.glu(layer.into(x), dim=-1))
    assert (layer(x) - expected).abs().max() < 1e-12


@every_kind
@both_forms
@pytest.mark.parametrize("kernel", [3, BLOCK + 1, 2 * BLOCK + 5])
@pytest.mark.parametrize("length", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_every_length_and_kernel_is_the_equation(kind, causal, kernel, length) -> None:
    """Also where the kernel is longer than the sequence, or than a block."""
    layer = built(kind, kernel, causal)
    x = torch.randn(2, length, 12, dtype=torch.float64, requires_grad=True)
    fast, slow = layer(x), KINDS[kind].reference(layer, x)
    seed = torch.randn_like(fast)
    assert (fast - slow).abs().max() < 1e-12
    gradients = [torch.autograd.grad((out * seed).sum(), [x, *layer.parameters()]) for out in (fast, slow)]
    assert max(float((a - b).abs().max()) for a, b in zip(*gradients, strict=True)) < 1e-10


@every_kind
@both_forms
def test_the_softmax_is_over_all_taps_and_those_outside_are_dropped(kind, causal) -> None:
    """On a constant input the taps inside the sequence are the output: 1 where all are, less at the ends, and in order."""
    kernel, ones = 5, torch.ones(1, 40, 6, dtype=torch.float64)
    shape = (3, kernel) if kind is LightweightConvolution else (1, 40, 3, kernel)
    logits = torch.zeros(shape, dtype=torch.float64)
    out = filtered(ones, logits, kernel - 1 if causal else kernel // 2)[0][0, :, 0]
    start = [1, 2, 3, 4, 5] if causal else [3, 4, 5, 5, 5]
    end = [5, 5, 5, 5, 5] if causal else [5, 5, 5, 4, 3]
    torch.testing.assert_close(out[:5] * 5, torch.tensor(start, dtype=torch.float64))
    torch.testing.assert_close(out[-5:] * 5, torch.tensor(end, dtype=torch.float64))


@every_kind
def test_neighbouring_channels_share_a_filter(kind) -> None:
    """Head of channel c is c // (width / heads): moving the filter of the first head moves the first channels alone."""
    x = torch.randn(1, 20, 12, dtype=torch.float64)
    shape = (3, 4) if kind is LightweightConvolution else (1, 20, 3, 4)
    logits = torch.randn(shape, dtype=torch.float64)
    other = logits.clone()
    other[..., 0, 2] += 1
    moved = (filtered(x, logits, 3)[0] - filtered(x, other, 3)[0]).abs().amax((0, 1)) > 0
    assert moved.tolist() == [True] * 4 + [False] * 8


@every_kind
@pytest.mark.parametrize("kernel", [5, 31])
def test_bf16_is_the_sum_of_rounded_numbers(kind, kernel) -> None:
    x = torch.randn(2, 50, 32).bfloat16().requires_grad_()
    logits = torch.randn((4, kernel) if kind is LightweightConvolution else (2, 50, 4, kernel), requires_grad=True)
    seed = torch.randn(2, 50, 32).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        out = filtered(x, logits, kernel - 1)[0]
    gradients = torch.autograd.grad(out, [x, logits], seed)
    exact = [x.detach().double().requires_grad_(), logits.detach().double().requires_grad_()]
    truth = filtered(*exact, kernel - 1)[0]
    assert (out.dtype, *(g.dtype for g in gradients)) == (torch.bfloat16, torch.bfloat16, torch.float32)
    for a, b in zip([out, *gradients], [truth, *torch.autograd.grad(truth, exact, seed.double())], strict=True):
        assert (a.double() - b).norm() < 2**-8 * b.norm()


@every_kind
def test_logits_of_any_size_are_survived(kind) -> None:
    x = torch.randn(1, 40, 6)
    logits = 1e4 * torch.randn((3, 5) if kind is LightweightConvolution else (1, 40, 3, 5))
    logits.requires_grad_()
    out = filtered(x, logits, 4)[0]
    assert torch.isfinite(out).all()
    assert torch.isfinite(torch.autograd.grad(out.sum(), logits)[0]).all()


def test_torchs_checks_of_an_operation_hold() -> None:
    x = torch.randn(2, 40, 6, dtype=torch.float64, requires_grad=True)
    for shape in ((3, 5), (2, 40, 3, 5)):
        logits = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        torch.library.opcheck(torch.ops.allometry.filtered.default, (x, logits, 2))
        assert torch.autograd.gradcheck(lambda x, logits: filtered(x, logits, 2)[0], (x[:1, :9], logits[:1, :9]))


def test_the_cost_is_linear_in_the_length() -> None:
    costs = [
        count(Family(width=32, depth=3, heads=2), Tokens(vocab=17, length=n)).forward_flops_per_token for n in (64, 4096)
    ]
    assert costs[0] == costs[1]


COMPILED = """
from allometry.flow import Tokens
from allometry.model.families.{module} import {name}

torch.manual_seed(0)
model = {name}(width=16, depth=1, heads=2).build(Tokens(vocab=11, length=70))
x = torch.randint(11, (2, 70))
"""


@every_kind
def test_compiled_is_eager_in_one_graph(kind) -> None:
    setup = COMPILED.format(module=kind.__module__.rsplit(".", 1)[-1], name=kind.__name__)
    compiled_is_eager(setup, "rtol=1e-4, atol=1e-6", OF_TOKENS)


@pytest.mark.slow
@every_kind
def test_the_time_is_linear_in_the_length(kind) -> None:
    """The same positions, as many short sequences or few long ones, take about the same time; a square would take 32 times it."""
    layer = built(kind, 31, width=64, heads=4).float()
    seconds = []
    for length in (128, 4096):
        x = torch.randn(4096 * 2 // length, length, 64, requires_grad=True)
        times = []
        for _ in range(7):
            start = time.process_time()
            layer(x).sum().backward()
            times.append(time.process_time() - start)
        seconds.append(min(times))
    assert seconds[1] < 3 * seconds[0]

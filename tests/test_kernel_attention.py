"""Kernel attention in fp32: large queries and keys, and wide heads, do not take its exponents out of range."""

import pytest
import torch

from allometry.model.blocks.kernel_attention import KernelAttention

CASES = [(head, times) for head in (16, 64, 128, 136) for times in (1, 3)] + [(16, 6), (32, 5), (64, 6)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("head", "times"), CASES)
def test_fp32_is_close_to_fp64(head: int, times: float, causal: bool) -> None:
    torch.manual_seed(0)
    layer = KernelAttention(width=2 * head, heads=2, causal=causal).build(1)
    with torch.no_grad():
        layer.query_key_value.weight[: 4 * head] *= times
    x = torch.randn(2, 100, 2 * head, requires_grad=True)
    rough = layer(x)
    of_rough = torch.autograd.grad(rough.square().sum(), [x, *layer.parameters()])
    layer, y = layer.double(), x.detach().double().requires_grad_()
    exact = layer(y)
    of_exact = torch.autograd.grad(exact.square().sum(), [y, *layer.parameters()])
    for a, b in zip((rough, *of_rough), (exact, *of_exact), strict=True):
        assert torch.isfinite(a).all()
        assert (a.double() - b).norm() < 2e-4 * b.norm()


def test_a_key_to_come_moves_nothing_however_large() -> None:
    """Queries and keys are those of weights, so that a position is made loud by its input."""
    torch.manual_seed(0)
    layer = KernelAttention(width=32, heads=2).build(1)
    x = torch.randn(1, 130, 32)
    for at in (5, 63, 64, 100):
        loud = x.clone()
        loud[:, at] *= 6
        with torch.no_grad():
            assert torch.equal(layer(x)[:, :at], layer(loud)[:, :at])


def test_a_source_that_is_all_padding_gives_numbers() -> None:
    layer = KernelAttention(width=16, heads=2, causal=False).build(1)
    x = torch.randn(2, 6, 16, requires_grad=True)
    out = layer(x, torch.tensor([[True] * 6, [False] * 6]))
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(x.grad).all()

"""Kernel attention against performer-pytorch (tests/oracles/make_performer.py), given the same random features."""

from pathlib import Path

import numpy as np
import pytest
import torch

from allometry.model.blocks.kernel_attention import KernelAttention, causal_product, product

ORACLE = {name: torch.tensor(array) for name, array in np.load(Path(__file__).parent / "oracles" / "performer.npz").items()}


@pytest.mark.parametrize("kernel", ["softmax", "relu"])
@pytest.mark.parametrize("causal", [False, True])
def test_values_and_gradients_are_those_of_performer_pytorch(kernel, causal) -> None:
    heads, head = ORACLE["query"].shape[1], ORACLE["query"].shape[3]
    layer = KernelAttention(width=heads * head, heads=heads, causal=causal, kernel=kernel).build(1).double()
    assert layer.directions.shape == ORACLE["directions"].shape
    layer.directions = ORACLE["directions"]
    parts = [ORACLE[part].clone().requires_grad_() for part in ("query", "key", "value")]
    mixed = (causal_product if causal else product)(layer.features(parts[0])[0], *layer.features(parts[1]), parts[2])
    name = f"{kernel}_{'causal' if causal else 'both_sides'}"
    assert (mixed - ORACLE[name]).abs().max() < 1e-10
    for part, gradient in zip(("query", "key", "value"), torch.autograd.grad(mixed, parts, ORACLE["seed"]), strict=True):
        assert (gradient - ORACLE[f"{name}_gradient_{part}"]).abs().max() < 1e-10


@pytest.mark.parametrize("kernel", ["softmax", "relu"])
def test_loud_keys_of_the_future_move_nothing(kernel) -> None:
    """The trap of the published causal kernel: a stabiliser over all positions, beside a number that is added."""
    torch.manual_seed(0)
    layer = KernelAttention(width=16, heads=2, kernel=kernel).build(1).double()
    query, key, value = torch.randn(3, 1, 2, 130, 8, dtype=torch.float64)
    loud = torch.cat([key[:, :, :65], 3 * key[:, :, 65:]], dim=2)
    of_query = layer.features(query)[0]
    quiet, other = (causal_product(of_query, *layer.features(k), value) for k in (key, loud))
    assert (quiet[:, :, :65] - other[:, :, :65]).abs().max() < 1e-9  # sums of the future cancel to round-off
    assert (quiet[:, :, 65:] - other[:, :, 65:]).abs().max() > 1e-3


def test_the_weights_of_the_softmax_kernel_tend_to_softmax() -> None:
    """With 400 times the features the error is far smaller; the ReLU kernel has another limit."""
    torch.manual_seed(0)
    query, key, value = 0.5 * torch.randn(3, 1, 1, 20, 8, dtype=torch.float64)
    exact = torch.nn.functional.scaled_dot_product_attention(query, key, value)

    def error(kernel: str, draws: int) -> float:
        layer = KernelAttention(width=8, heads=1, causal=False, kernel=kernel).build(1).double()
        layer.directions = torch.cat([KernelAttention(width=8, heads=1).build(1).directions.double() for _ in range(draws)])
        mixed = product(layer.features(query)[0], *layer.features(key), value)
        return float((mixed - exact).abs().mean())

    assert error("softmax", 400) < error("softmax", 1) / 3
    assert error("relu", 400) > 3 * error("softmax", 400)


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="softmax, relu"):
        KernelAttention(width=8, heads=1, kernel="cosine")

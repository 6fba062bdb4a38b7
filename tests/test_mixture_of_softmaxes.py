"""The head of a mixture of softmaxes: its definition in the probability domain, its rank, its precision and its memory."""

import pytest
import torch
from torch import nn

from allometry.flow import Tokens
from allometry.model.blocks import _mixture
from allometry.model.blocks._mixture import MixtureOfSoftmaxes
from allometry.model.families.mixture_of_softmaxes import MixtureOfSoftmaxes as Family
from allometry.train.meter import count

WIDTH, VOCAB = 6, 40


def built(components: int, scale: float = 3.0) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    head = MixtureOfSoftmaxes(WIDTH, components, VOCAB).double()
    with torch.no_grad():
        head.output.weight.normal_(std=scale)
    return head, torch.randn(3, 50, WIDTH, dtype=torch.float64, requires_grad=True)


def literal(head: nn.Module, h: torch.Tensor) -> torch.Tensor:
    """log of the sum of probabilities, one component at a time."""
    priors = (h @ head.prior.weight.T).softmax(-1)
    total = torch.zeros(())
    for j, matrix in enumerate(head.latent.weight.split(WIDTH)):
        total = total + priors[..., j, None] * (torch.tanh(h @ matrix.T) @ head.output.weight.T).softmax(-1)
    return total.log()


def gradients(head: nn.Module, h: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(1)
    seed = torch.randn(y.shape, dtype=torch.float64).to(y.dtype)
    return list(torch.autograd.grad((y * seed).sum(), [h, *head.parameters()]))


def close(some: list[torch.Tensor], others: list[torch.Tensor], tolerance: float) -> bool:
    return all((a - b).abs().max() <= tolerance * (1 + b.abs().max()) for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("components", [1, 2, 15])
@pytest.mark.parametrize("cached", [1, 1 << 12, 1 << 30])
def test_it_is_the_sum_of_probabilities_with_all_gradients(components, cached, monkeypatch) -> None:
    monkeypatch.setattr(_mixture, "CACHED", cached)
    head, h = built(components)
    fast, slow = head(h), literal(head, h)
    assert close([fast], [slow], 1e-12)
    assert close(gradients(head, h, fast), gradients(head, h, slow), 1e-10)
    assert torch.allclose(fast.logsumexp(-1), torch.zeros((), dtype=torch.float64), atol=1e-12)


def test_one_component_is_a_softmax() -> None:
    head, h = built(1)
    plain = (torch.tanh(h @ head.latent.weight.T) @ head.output.weight.T).log_softmax(-1)
    assert torch.allclose(head(h), plain, atol=1e-12)


def test_its_rank_is_bound_by_the_width_for_one_component_alone() -> None:
    ranks = {k: int(torch.linalg.matrix_rank(built(k)[0](built(k)[1]).detach().flatten(0, 1))) for k in (1, 2, 15)}
    assert ranks[1] <= WIDTH + 1
    assert ranks[2] > WIDTH + 1
    assert ranks[15] > WIDTH + 1


@pytest.mark.parametrize("kept", [1, 10_000])
def test_positions_in_shares_are_the_same(kept, monkeypatch) -> None:
    head, h = built(15)
    whole = head(h)
    of_whole = gradients(head, h, whole)
    monkeypatch.setattr(_mixture, "KEPT", kept)
    shares = head(h)
    assert close([shares, *gradients(head, h, shares)], [whole, *of_whole], 1e-12)
    with torch.no_grad():
        assert close([head(h)], [whole], 1e-12)


def test_probabilities_below_the_smallest_number_have_a_logarithm() -> None:
    head, h = built(15, scale=300.0)
    y = head.float()(h.float())
    assert y.min() < -200
    assert torch.isfinite(y).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(y.mean(), list(head.parameters())))


def test_under_autocast_it_is_summed_in_fp32() -> None:
    head, h = built(15, scale=0.3)
    exact = head(h)
    of_exact = gradients(head, h, exact)
    rough, x = head.float(), h.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = rough(x)
    assert y.dtype == torch.float32
    assert (y.logsumexp(-1)).abs().max() < 1e-5
    for a, b in zip([y, *gradients(rough, x, y)], [exact, *of_exact], strict=True):
        assert (a.double() - b).norm() < 0.05 * b.norm()


def test_the_head_of_the_count_is_the_softmaxes() -> None:
    family, io = Family(width=32, depth=1, heads=2), Tokens(vocab=64, length=16)
    counted = count(family, io)
    assert counted.vocabulary_flops_per_token == 2 * 15 * 32 * 64
    assert dict(counted.by_part)["head"] == 15 * (2 * 32**2 + 2 * 32 + 2 * 32 * 64)

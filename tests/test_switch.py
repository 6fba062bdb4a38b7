"""What a switch layer promises: capacity and its order, evaluation without drops, balance, the router's precision."""

import copy
import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from allometry.flow import Tokens
from allometry.model.blocks.switch import Switch, reference
from allometry.model.families.switch_transformer import SwitchTransformer
from allometry.train.example import example
from allometry.train.loop import Setting, train_step
from allometry.train.meter import count
from allometry.train.recipe import Recipe

SPEC = Switch(width=8, hidden=16, experts=4, group=16, jitter=0.0)


def built(spec: Switch = SPEC, batch: int = 3, length: int = 15) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layer = spec.build(1).double().train()
    return layer, torch.randn(batch, length, spec.width, dtype=torch.float64, requires_grad=True)


def dropped(y: torch.Tensor) -> torch.Tensor:
    return (y == 0).all(-1)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("capacity", [0.1, 1.0, 1.25])
def test_training_equals_the_reference_with_all_gradients(capacity, padded) -> None:
    """45 tokens in groups of 16: the last group has 13. Jitter aside, which the reference leaves out."""
    layer, x = built(SPEC.edit(capacity=capacity))
    keep = torch.arange(15) < torch.tensor([[15], [4], [9]]) if padded else None
    fast, slow = layer(x, keep), reference(layer, x, keep)
    assert (fast - slow).abs().max() < 1e-12
    assert dropped(fast).any()
    seed = torch.randn_like(fast)
    leaves = [x, *layer.parameters()]
    for a, b in zip(*(torch.autograd.grad((y * seed).sum(), leaves) for y in (fast, slow)), strict=True):
        assert (a - b).abs().max() < 1e-12


def test_one_expert_is_the_dense_layer() -> None:
    layer, x = built(SPEC.edit(experts=1))
    assert torch.allclose(layer(x), F.gelu(x @ layer.into[0].T) @ layer.out[0].T, atol=1e-12)
    assert layer.auxiliary_loss().item() == pytest.approx(SPEC.balance)


def test_all_to_one_expert_serves_the_first_of_each_group_and_drops_none_in_evaluation() -> None:
    layer, x = built()
    with torch.no_grad():
        layer.router.weight.zero_()  # a tie: the first expert
    served = ~dropped(layer(x)).flatten()
    assert served.tolist() == [t % 16 < SPEC.places(16 if t < 32 else 13) for t in range(45)]
    assert not dropped(layer.eval()(x)).any()


def test_balance_is_one_where_the_router_is_uniform_and_all_experts_where_it_is_certain() -> None:
    layer, x = built(SPEC.edit(balance=1.0))
    with torch.no_grad():
        layer.router.weight.zero_()
    layer(x)
    assert layer.auxiliary_loss().item() == pytest.approx(1.0)  # P is uniform, whatever f is
    with torch.no_grad():
        layer.router.weight[0] = 1e3
    layer(x.abs())
    assert layer.auxiliary_loss().item() == pytest.approx(SPEC.experts)


def test_a_token_is_displaced_by_earlier_ones_alone() -> None:
    """Of its own sequence or of one before it in the batch; in evaluation by none."""
    layer, x = built(SPEC.edit(capacity=0.1))
    with torch.no_grad():
        other = x.clone()
        other[1, 7] = torch.randn(8, dtype=torch.float64)
        moved = (layer(x) != layer(other)).any(-1).flatten()
        assert not moved[: 15 + 7].any()
        layer.eval()
        assert (layer(x) != layer(other)).any(-1).flatten().nonzero().tolist() == [[15 + 7]]


def test_padding_takes_no_place_and_no_part_in_the_balance() -> None:
    layer, x = built(SPEC.edit(capacity=4.0), batch=1, length=16)
    keep = torch.arange(16) % 2 == 0
    y = layer(x, keep[None])
    objective = layer.auxiliary_loss().item()
    assert torch.allclose(y[:, keep], layer(x[:, keep]), atol=1e-12)
    assert objective == pytest.approx(layer.auxiliary_loss().item())
    assert dropped(y)[0, ~keep].all()


def test_the_router_is_in_fp32_under_autocast_and_its_input_is_left_alone() -> None:
    torch.manual_seed(0)
    layer, x = SPEC.edit(jitter=0.01).build(1), torch.randn(2, 40, 8)
    before = x.clone()
    with torch.autocast("cpu", torch.bfloat16):
        layer.train()(x)
        assert layer._logits(x.flatten(0, 1)).dtype == torch.float32
        exact = x.flatten(0, 1) @ layer.router.weight.detach().float().T  # rounded: this product is under autocast
        plain = layer.eval()._logits(x.flatten(0, 1))
    assert torch.equal(x, before)
    assert (plain - x.flatten(0, 1) @ layer.router.weight.T).abs().max() < 1e-6 < (plain - exact).abs().max()


def test_jitter_is_in_training_alone_and_within_its_bounds() -> None:
    torch.manual_seed(0)
    layer = SPEC.edit(jitter=0.01).build(1).double()
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(4, 8))
    rows = torch.ones(1000, 8, dtype=torch.float64)
    noise = layer.train()._logits(rows) - 1
    assert 0.009 < noise.abs().max() <= 0.01
    assert abs(noise.mean()) < 1e-3
    assert torch.equal(layer.eval()._logits(rows), rows[:, :4])


def test_the_graph_of_a_step_does_not_outlive_the_next() -> None:
    layer, x = built()
    marks = []
    for _ in range(3):
        inner = x * 1.0
        (layer(inner).sum() + layer.auxiliary_loss()).backward()
        marks.append(weakref.ref(inner))
        del inner
    gc.collect()
    assert [mark() is None for mark in marks[:2]] == [True, True]
    assert copy.deepcopy(layer).auxiliary_loss() == 0.0


def test_the_balance_reaches_the_objective_of_a_step_in_each_part_of_a_batch() -> None:
    """Where every sequence is a group, the parts of a batch are the whole."""
    io = Tokens(vocab=11, length=32)
    weights = []
    for parts in (1, 2):
        torch.manual_seed(0)
        model = SwitchTransformer(width=8, depth=2, heads=2).build(io).double()
        layer = model.decoder.layers[1].channel
        layer.spec = layer.spec.edit(group=32, jitter=0.0, balance=0.5)
        train_step(model, Recipe(rate=1e-2).optimizer(model), example(io, 4), setting=Setting(), clip=1e9, parts=parts)
        weights.append(layer.router.weight.detach().clone())
    assert torch.allclose(*weights, atol=1e-9)


def test_the_only_layer_of_a_model_is_sparse_and_then_every_second() -> None:
    for depth, sparse in ((1, [0]), (2, [1]), (5, [1, 3])):
        family = SwitchTransformer(width=8, depth=depth, heads=2)
        assert [i for i in range(depth) if isinstance(family.channel(i), Switch)] == sparse


def test_a_token_meets_one_expert() -> None:
    io = Tokens(vocab=11, length=64)
    few, many = (count(SwitchTransformer(width=32, depth=2, heads=2, experts=e), io) for e in (2, 16))
    router = 32 * (16 - 2)
    assert many.active_parameters - few.active_parameters == router
    assert many.parameters - few.parameters == router + 14 * 8 * 32**2
    assert many.forward_flops_per_token - few.forward_flops_per_token == 2 * router


def test_tokens_without_an_expert_left_do_no_harm() -> None:
    layer, x = built(batch=1, length=1)
    y = layer(x, torch.zeros(1, 1, dtype=torch.bool))  # nothing but padding
    y.sum().backward()
    assert dropped(y).all()
    assert layer.into.grad.abs().max() == 0

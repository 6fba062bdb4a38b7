"""Families whose layers are one layer: the ordinary stack with equal weights in every layer is their oracle."""

import copy
import math

import pytest
import torch
from torch import nn

from allometry.flow import Pairs, Tokens
from allometry.model._timing import SIZE, Timing
from allometry.model.families.adaptive_universal_transformer import AdaptiveUniversalTransformer
from allometry.model.families.albert import Albert, narrow
from allometry.model.families.transformer import Transformer
from allometry.model.families.universal_transformer import UniversalTransformer
from allometry.train.example import example
from allometry.train.meter import count

IOS = [Tokens(vocab=11, length=12), Pairs(vocab=11, source=12, target=7)]
every_io = pytest.mark.parametrize("io", IOS, ids=lambda io: type(io).__name__)
sharing = pytest.mark.parametrize("family", [Albert, UniversalTransformer], ids=lambda family: family.__name__)
every_family = pytest.mark.parametrize(
    "family", [Albert, UniversalTransformer, AdaptiveUniversalTransformer], ids=lambda family: family.__name__
)


def built(family, io, depth: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return family(width=16, depth=depth, heads=2).build(io).double()


def stacks(model: nn.Module) -> list[nn.Module]:
    return [getattr(model, name) for name in ("encoder", "decoder") if hasattr(model, name)]


def learn(model: nn.Module, inputs, seed: torch.Tensor) -> torch.Tensor:
    out = model(*inputs)
    (out * seed).sum().backward()
    return out


@sharing
@every_io
@pytest.mark.parametrize("depth", [1, 3])
def test_a_shared_stack_is_an_ordinary_one_with_equal_weights(family, io, depth) -> None:
    """The same outputs, and the shared gradient is the sum over the layers of the other."""
    shared, ordinary = built(family, io, depth), built(family, io, depth)
    for stack in stacks(ordinary):
        stack.layers = nn.ModuleList([copy.deepcopy(layer) for layer in stack.layers])
    inputs, _ = example(io, 2)
    seed = torch.randn_like(shared(*inputs))
    assert (learn(shared, inputs, seed) - learn(ordinary, inputs, seed)).abs().max() < 1e-12
    for ours, others in zip(stacks(shared), stacks(ordinary), strict=True):
        uses = [layer for layer in ours.layers if list(layer.parameters())]
        copies = [layer for layer in others.layers if list(layer.parameters())]
        assert len(uses) == len(copies) == depth
        assert len(set(uses)) == 1
        assert len(set(copies)) == depth
        for name, parameter in uses[0].named_parameters():
            total = sum(layer.get_parameter(name).grad for layer in copies)
            assert (parameter.grad - total).abs().max() < 1e-10


@every_io
def test_albert_is_a_transformer_whose_tables_are_products(io) -> None:
    """The transformer with ALBERT's layer in every place, and the products of its factors for embedding and head."""
    albert, transformer = built(Albert, io), built(Transformer, io)
    with torch.no_grad():
        for ours, others in zip(stacks(albert), stacks(transformer), strict=True):
            for mine, other in zip(ours.layers, others.layers, strict=True):
                other.load_state_dict(mine.state_dict())
        transformer.embedding.weight.copy_(albert.embedding.table.weight @ albert.embedding.widen.weight.T)
        transformer.head.weight.copy_(albert.head.output.weight @ albert.head.narrow.weight)
    inputs, _ = example(io, 2)
    seed = torch.randn_like(albert(*inputs))
    assert (learn(albert, inputs, seed) - learn(transformer, inputs, seed)).abs().max() < 1e-12
    of_table = transformer.embedding.weight.grad
    assert (albert.embedding.table.weight.grad - of_table @ albert.embedding.widen.weight).abs().max() < 1e-10
    assert (albert.embedding.widen.weight.grad - of_table.T @ albert.embedding.table.weight).abs().max() < 1e-10
    of_head = transformer.head.weight.grad
    assert (albert.head.output.weight.grad - of_head @ albert.head.narrow.weight.T).abs().max() < 1e-10


@every_family
@every_io
def test_parameters_do_not_grow_with_depth_and_flops_do(family, io) -> None:
    costs = [count(family(width=16, depth=depth, heads=2), io) for depth in (1, 2, 3, 5)]
    assert len({cost.parameters for cost in costs}) == 1
    per_layer = costs[1].forward_flops_per_token - costs[0].forward_flops_per_token
    assert per_layer > 0
    for depth, cost in zip((1, 2, 3, 5), costs, strict=True):
        grown = cost.forward_flops_per_token - costs[0].forward_flops_per_token
        assert grown == pytest.approx((depth - 1) * per_layer, rel=1e-12)


def test_the_tables_are_narrower_than_the_width_and_never_shrink() -> None:
    channels = [narrow(width) for width in range(8, 2049)]
    assert channels == sorted(channels)
    assert channels[0] == 8
    assert channels[-1] == 128
    assert all(narrow(width) < width for width in range(9, 2049))


@pytest.mark.parametrize("width", [1, 7, 8])
def test_timing_is_the_equation(width: int) -> None:
    """Position and step, one number at a time; tables made for short inputs serve long ones and the other way round."""
    for step in (1, 2, 30):
        timing = Timing(width, step)
        for length in (5, 40, 3):
            signal = timing(torch.zeros(1, length, width, dtype=torch.float64))[0]
            for position in range(length):
                for channel in range(width):
                    period = 10000 ** (2 * (channel // 2) / width)
                    wave = math.sin if channel % 2 == 0 else math.cos
                    there = SIZE * (wave(position / period) + wave(step / period))
                    assert float(signal[position, channel]) == pytest.approx(there, abs=1e-12)


@pytest.mark.parametrize("family", [UniversalTransformer, AdaptiveUniversalTransformer], ids=lambda family: family.__name__)
def test_without_its_signals_an_encoder_knows_no_order(family) -> None:
    """All that it knows of positions is in the signals: without them, sources in another order are the same to it."""
    model, ((source, target), _) = built(family, IOS[1]), example(IOS[1], 2)
    with torch.no_grad():
        assert (model(source, target) - model(source.flip(1), target)).abs().max() > 1e-3
        for timing in (module for module in model.modules() if isinstance(module, Timing)):
            timing.forward = lambda x, *_: x
        assert (model(source, target) - model(source.flip(1), target)).abs().max() < 1e-12

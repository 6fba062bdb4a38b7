"""Adaptive computation time: the fast form is the rule, position by position; the weights are those of its source."""

import copy

import pytest
import torch
from torch import nn

from allometry.flow import Pairs
from allometry.model import _adaptive
from allometry.model._adaptive import EPSILON, PONDER, RULES, Adaptive
from allometry.model._layers import Layer
from allometry.model.blocks.attention import Attention
from allometry.model.blocks.cross_attention import CrossAttention
from allometry.model.blocks.feed_forward import FeedForward
from allometry.model.families.adaptive_universal_transformer import AdaptiveUniversalTransformer
from allometry.train.example import example

WIDTH = 8
every_rule = pytest.mark.parametrize("rule", RULES)


def stack(rule: str, causal: bool, steps: int = 5, crossing: bool = False) -> Adaptive:
    """With halting that differs from position to position."""
    torch.manual_seed(3)
    cross = {"cross": CrossAttention(width=WIDTH, heads=2)} if crossing else {}
    mixer = Attention(width=WIDTH, heads=2, causal=causal, positions="none")
    layer = Layer(WIDTH, {"mixer": mixer, **cross, "channel": FeedForward(width=WIDTH, hidden=16)}, 2 * steps, causal)
    adaptive = Adaptive(layer, WIDTH, steps, rule).double()
    nn.init.normal_(adaptive.layers[1].halting.weight, std=1.5)
    nn.init.constant_(adaptive.layers[1].halting.bias, -6.0)
    return adaptive


class Next(nn.Module):
    """In the place of a layer: the state after n steps is the n-th unit vector, so an output lists the weights."""

    causal = True

    def forward(self, x: torch.Tensor, *_) -> torch.Tensor:
        return x.roll(1, dims=-1)


class Chance(nn.Module):
    """In the place of the halting unit: the given probabilities `[batch length]` at one step."""

    def __init__(self, p: torch.Tensor) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.p


def weights(rule: str, chances: torch.Tensor) -> torch.Tensor:
    """`[batch length steps]` of given probabilities `[batch length steps]`."""
    *shape, steps = chances.shape
    adaptive = Adaptive(Next(), steps + 1, steps, rule)
    for step in range(steps):
        adaptive.layers[3 * step] = nn.Identity()
        adaptive.layers[3 * step + 1] = Chance(chances[..., step])
    start = torch.zeros(*shape, steps + 1, dtype=chances.dtype)
    start[..., 0] = 1
    return adaptive(start)[..., 1:]


@every_rule
@pytest.mark.parametrize("form", ["language model", "decoder", "encoder", "padded encoder"])
def test_the_fast_form_is_the_rule_position_by_position(rule, form) -> None:
    """Values, ponder cost and all gradients, in double precision, where positions halt at several different steps."""
    adaptive = stack(rule, "encoder" not in form, crossing=form == "decoder")
    x = torch.randn(3, 9, WIDTH, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(3, 6, WIDTH, dtype=torch.float64) if form == "decoder" else None
    keep = torch.arange(9) < torch.tensor([[9], [4], [1]]) if form == "padded encoder" else None
    fast, ponder = adaptive(x, memory, keep), adaptive.ponder
    slow, cost = _adaptive.reference(adaptive, x, memory, keep)
    assert (fast - slow).abs().max() < 1e-12
    assert abs(ponder - cost) < 1e-12
    leaves, seed = [x, *adaptive.parameters()], torch.randn_like(fast)
    ours = torch.autograd.grad((fast * seed).sum() + 3 * ponder, leaves)
    literal = torch.autograd.grad((slow * seed).sum() + 3 * cost, leaves)
    assert max((a - b).abs().max() for a, b in zip(ours, literal, strict=True)) < 1e-10


def test_the_literal_test_meets_every_way_to_halt() -> None:
    adaptive = stack("accumulated", causal=True)
    x = torch.randn(3, 9, WIDTH, dtype=torch.float64)
    chances: list[torch.Tensor] = []
    adaptive.layers[1].register_forward_hook(lambda module, inputs, output: chances.append(output))
    adaptive(x)
    halts = (torch.stack(chances).cumsum(0) > 1 - EPSILON).sum(0)  # steps left when a position halts, 0: it never does
    assert (halts == 0).any()
    assert len(halts.unique()) >= 3


@every_rule
def test_weights_add_up_to_one_only_where_they_accumulate(rule) -> None:
    chances = torch.rand(20, 50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 2
    given = weights(rule, chances)
    assert (given >= 0).all()
    total = given.sum(-1)
    if rule == "accumulated":
        assert (total - 1).abs().max() < 1e-12
    else:
        assert (total < 1 - 1e-3).double().mean() > 0.5


def test_the_two_rules_on_the_example_of_the_source() -> None:
    chances = torch.full((1, 1, 4), 0.6, dtype=torch.float64)
    assert torch.allclose(weights("accumulated", chances)[0, 0], torch.tensor([0.6, 0.4, 0, 0], dtype=torch.float64))
    assert torch.allclose(weights("basic", chances)[0, 0], torch.tensor([0.36, 0.4, 0, 0], dtype=torch.float64))


def test_certainty_at_the_first_step_takes_it_whole() -> None:
    chances = torch.ones(1, 1, 4, dtype=torch.float64)
    for rule in RULES:
        assert weights(rule, chances)[0, 0].tolist() == [1, 0, 0, 0]


def test_what_never_halts_takes_the_rest_at_the_last_step() -> None:
    given = weights("accumulated", torch.full((1, 1, 4), 0.01, dtype=torch.float64))[0, 0]
    assert torch.allclose(given, torch.tensor([0.01, 0.01, 0.01, 0.97], dtype=torch.float64))


@every_rule
def test_one_step_is_the_layer(rule) -> None:
    adaptive = stack(rule, causal=True, steps=1)
    timing, _, layer = adaptive.layers
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    assert torch.equal(adaptive(x), layer(timing(x)))
    assert adaptive.ponder.item() == 2  # one step, and a remainder of one


@pytest.mark.parametrize("depth", [1, 2, 5, 12])
def test_at_the_start_every_step_weighs_the_same(depth: int) -> None:
    torch.manual_seed(0)
    family = AdaptiveUniversalTransformer(width=WIDTH, depth=depth, heads=2)
    adaptive, x = family.decoder(crossing=False).double(), torch.randn(2, 5, WIDTH, dtype=torch.float64)
    states: list[torch.Tensor] = []
    adaptive.layers[2].register_forward_hook(lambda module, inputs, output: states.append(output))
    y = adaptive(x)
    assert len(states) == family.steps == depth + 1
    assert (y - torch.stack(states).mean(0)).abs().max() < 1e-6  # the bias is made in fp32
    assert adaptive.auxiliary_loss().item() == pytest.approx(PONDER * (depth + 1 + 1 / (depth + 1)), rel=1e-6)


def test_the_ponder_cost_of_both_stacks_is_in_the_objective_and_padding_is_not_in_it() -> None:
    io = Pairs(vocab=11, source=12, target=7)
    torch.manual_seed(0)
    model, ((source, target), _) = (
        AdaptiveUniversalTransformer(width=WIDTH, depth=2, heads=2).build(io).double(),
        example(io, 2),
    )
    for adaptive in (model.encoder.stack, model.decoder):
        nn.init.normal_(adaptive.layers[1].halting.weight, std=1.5)
    keep = (torch.arange(12) < 8).expand(2, -1)
    model(source, target, keep)
    padded, parts = model.auxiliary_loss(), model.encoder.stack.auxiliary_loss() + model.decoder.auxiliary_loss()
    assert padded.item() == pytest.approx(parts.item(), rel=1e-12)
    model(source[:, :8], target)
    assert padded.item() == pytest.approx(model.auxiliary_loss().item(), rel=1e-9)


def test_halting_looks_at_a_position_alone() -> None:
    """Whether and when others halt does not move a position before them."""
    adaptive, x = stack("accumulated", causal=True), torch.randn(1, 9, WIDTH, dtype=torch.float64)
    for scale in (0.1, 10.0, -10.0):
        other = x.clone()
        other[:, 5:] *= scale
        assert (adaptive(x) - adaptive(other))[:, :5].abs().max() < 1e-12


def test_a_model_can_be_copied_after_a_pass() -> None:
    adaptive, x = stack("accumulated", causal=True), torch.randn(1, 9, WIDTH, dtype=torch.float64)
    y, copied = adaptive(x), copy.deepcopy(adaptive)
    assert torch.equal(copied(x), y)
    assert torch.equal(copied.auxiliary_loss(), adaptive.auxiliary_loss())
    assert len(list(copied.parameters())) == len(list(adaptive.parameters()))  # shared in the copy too


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="Choose one of accumulated, basic"):
        AdaptiveUniversalTransformer(width=8, depth=1, heads=2, rule="global")

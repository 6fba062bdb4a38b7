"""The contract of every family, found in the folder: no member is named here."""

import importlib
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from allometry.find import member, names
from allometry.flow import REFERENCE, Refusal, Tokens
from allometry.model._family import LARGEST, SMALLEST, TOLERANCE, parameters_at
from allometry.train.loop import Setting, train_step
from allometry.train.meter import check, count
from allometry.train.recipe import Recipe

FOLDER = "allometry.model.families"
every_family = pytest.mark.parametrize("family", [member(FOLDER, name) for name in names(FOLDER)], ids=lambda f: f.__name__)
SMALL = Tokens(vocab=11, length=64)


def model_of(family, size=3, io=SMALL, seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return family.at(size).build(io).double().eval()


def tokens_of(io=SMALL, batch=2, length=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, io.vocab, (batch, length or io.length), generator=generator)


def changed(family, at: int) -> torch.Tensor:
    """How much the logits at each position move when the token at one position is another."""
    model, tokens = model_of(family), tokens_of(batch=1)
    other = tokens.clone()
    other[0, at] = (other[0, at] + 1) % SMALL.vocab
    with torch.no_grad():
        return (model(tokens) - model(other)).abs().amax(-1)[0]


def is_causal(family) -> bool:
    return bool((changed(family, 40)[:40] == 0).all())


def sees_the_whole_past(family) -> bool:
    return bool(changed(family, 0)[-1] > 0)


def takes_any_length(family) -> bool:
    model, tokens = model_of(family), tokens_of(batch=1, length=2 * SMALL.length)
    with torch.no_grad():
        long, short = model(tokens), model(tokens[:, : SMALL.length])
    return torch.allclose(long[:, : SMALL.length], short, atol=1e-9)


def has_a_fixed_state(family) -> bool:
    form = family.at(3)
    return form.closed_form(SMALL).state_numbers == form.closed_form(Tokens(vocab=11, length=640)).state_numbers


CLAIMS = {
    "causal": is_causal,
    "whole_past": sees_the_whole_past,
    "any_length": takes_any_length,
    "fixed_state": has_a_fixed_state,
}


@every_family
@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_are_true_and_complete(family, claim) -> None:
    assert CLAIMS[claim](family) == (claim in family.claims)


@every_family
def test_a_claim_is_one_that_can_be_measured(family) -> None:
    assert family.claims <= set(CLAIMS)


@every_family
def test_the_dial_meets_its_parameters(family) -> None:
    sizes = [family.at(size).matched_parameters() for size in range(SMALLEST, LARGEST + 1)]
    assert sizes == sorted(sizes)
    misses = [abs(n / parameters_at(size) - 1) for size, n in enumerate(sizes, SMALLEST)]
    assert max(misses[3:]) <= TOLERANCE  # from 10^4 parameters on; below it a width of one channel is more than that
    assert max(misses) <= 0.25


@every_family
def test_a_size_off_the_ladder_is_refused(family) -> None:
    with pytest.raises(Refusal, match="not on the ladder"):
        family.at(LARGEST + 1)


@every_family
@pytest.mark.parametrize("io", [REFERENCE, Tokens(vocab=300, length=100), Tokens(vocab=64, length=7)], ids=repr)
@pytest.mark.parametrize("size", [1, 6, 11])
def test_the_formula_agrees_with_the_count(family, io, size) -> None:
    spec = family.at(size)
    counted = count(spec, io)
    assert check(spec, io, counted) == "agrees with the count"
    assert sum(flops for _, flops in counted.by_part) == pytest.approx(counted.forward_flops_per_token, rel=1e-9)


@every_family
def test_a_model_on_meta_has_the_names_and_shapes_of_one_on_cpu(family) -> None:
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in family.at(4).build(SMALL).state_dict().items()}
    assert shapes == {name: p.shape for name, p in family.at(4).build(SMALL).state_dict().items()}


@every_family
def test_examples_do_not_mix(family) -> None:
    model, tokens = model_of(family), tokens_of(batch=3)
    with torch.no_grad():
        together = model(tokens)
        alone = torch.cat([model(tokens[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-10)


@every_family
def test_every_parameter_learns(family) -> None:
    model = model_of(family).train()
    nn.functional.cross_entropy(model(tokens_of()).flatten(0, 1), tokens_of(seed=1).flatten()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not without


@every_family
def test_the_same_seed_gives_the_same_model_and_another_seed_another(family) -> None:
    tokens = tokens_of()
    first, again, other = (model_of(family, seed=seed)(tokens) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@every_family
def test_bf16_is_close_to_fp32(family) -> None:
    torch.manual_seed(0)
    model, tokens = family.at(4).build(SMALL).eval(), tokens_of()
    with torch.no_grad():
        exact = model(tokens).log_softmax(-1)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(tokens).float().log_softmax(-1)
    assert (exact - rough).abs().mean() < 0.02  # nats; bf16 has 8 bits, some twenty roundings add up


@every_family
def test_the_first_loss_is_near_that_of_knowing_nothing(family) -> None:
    loss = nn.functional.cross_entropy(model_of(family)(tokens_of()).flatten(0, 1), tokens_of(seed=1).flatten())
    assert loss.item() == pytest.approx(math.log(SMALL.vocab), abs=0.1)


@every_family
def test_it_learns_to_count(family) -> None:
    """The next token is the last plus one: a family that cannot halve this loss in 60 steps is wired wrongly."""
    torch.manual_seed(0)
    io = Tokens(vocab=11, length=16)
    model = family.at(4).build(io)
    optimizer = Recipe(rate=1e-2).optimizer(model)
    start = torch.arange(11)[:, None]
    inputs = (start + torch.arange(16)) % 11
    losses = [float(train_step(model, optimizer, (inputs, (inputs + 1) % 11), setting=Setting())) for _ in range(60)]
    assert losses[-1] < losses[0] / 2


@every_family
def test_parts_equal_their_reference_with_all_gradients(family) -> None:
    """Each mixer against the literal loop in its own file, in double precision."""
    model = family.at(6).build(Tokens(vocab=11, length=70)).double()
    layer = model.layers[-1].mixer
    reference = importlib.import_module(type(layer).__module__).reference
    x = torch.randn(2, 70, model.norm.scale.numel(), dtype=torch.float64, requires_grad=True)
    seed = torch.randn_like(x)

    def gradients(out: torch.Tensor) -> list[torch.Tensor]:
        return list(torch.autograd.grad((out * seed).sum(), [x, *layer.parameters()]))

    fast, slow = layer(x), reference(layer, x)
    assert (fast - slow).abs().max() < 1e-10
    for a, b in zip(gradients(fast), gradients(slow), strict=True):
        assert (a - b).abs().max() <= 1e-9 * (1 + b.abs().max())


@every_family
def test_the_future_moves_nothing_in_fp32_either(family) -> None:
    """Keys of the future, scaled up: the trap of a stabiliser that looks at all positions."""
    torch.manual_seed(0)
    model = family.at(5).build(SMALL).eval()
    tokens = tokens_of(batch=1)
    loud = {name: p * (50 if name == "embedding.weight" else 1) for name, p in model.state_dict().items()}
    other = tokens.clone()
    other[0, 40:] = (other[0, 40:] + 3) % SMALL.vocab
    with torch.no_grad():
        difference = functional_call(model, loud, (tokens,)) - functional_call(model, loud, (other,))
    assert difference[:, :40].abs().max() < 1e-5

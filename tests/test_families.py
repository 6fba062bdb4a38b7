"""The contract of every family, found in the folder, on every kind of IO that it can be built for: no member is named here.

What is asked of families that read graphs is in test_graph_families.py: a graph has no positions, so that causality, the length of
the past and a state while generating mean nothing there, and its answers are a Graph. Such a family claims none of them.
"""

import importlib
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call

from allometry.find import member, names
from allometry.flow import REFERENCES, Graphs, Pairs, Refusal, Tokens
from allometry.model._family import LARGEST, SMALLEST, TOLERANCE, parameters_at
from allometry.train.example import example
from allometry.train.loop import Setting, train_step
from allometry.train.meter import check, count
from allometry.train.recipe import Recipe

FOLDER = "allometry.model.families"
FAMILIES = [member(FOLDER, name) for name in names(FOLDER)]
SMALL = {Tokens: Tokens(vocab=11, length=64), Pairs: Pairs(vocab=11, source=32, target=20)}
LONGER = {Tokens: Tokens(vocab=11, length=640), Pairs: Pairs(vocab=11, source=320, target=200)}

SEQUENCES = [f for f in FAMILIES if {*f.kinds} - {Graphs}]
every_family = pytest.mark.parametrize("family", SEQUENCES, ids=lambda f: f.__name__)
of_kinds = [
    pytest.param(f, kind, id=f"{f.__name__}-{kind.__name__}") for f in SEQUENCES for kind in f.kinds if kind is not Graphs
]
every_form = pytest.mark.parametrize(("family", "kind"), of_kinds)


def model_of(family, kind, size=3, seed=0, io=None) -> nn.Module:
    torch.manual_seed(seed)
    return family.at(size, kind).build(io or SMALL[kind]).double().eval()


def tokens_of(kind, batch=2, seed=0, io=None):
    """Inputs (the last of them is what is predicted from) and targets."""
    return example(io or SMALL[kind], batch, seed)


def changed(family, kind, at: int) -> torch.Tensor:
    """How much the logits at each position move when one input of the predicted sequence is another."""
    model, (inputs, _) = model_of(family, kind), tokens_of(kind, batch=1)
    other = inputs[-1].clone()
    other[0, at] = (other[0, at] + 1) % SMALL[kind].vocab
    with torch.no_grad():
        return (model(*inputs) - model(*inputs[:-1], other)).abs().amax(-1)[0]


def is_causal(family) -> bool:
    """Every kind of model is: a family that cannot be a causal language model is one that has no such form."""
    if Tokens not in family.kinds:
        return False
    return bool((changed(family, Tokens, 40)[:40] == 0).all())


def sees_the_whole_past(family) -> bool:
    return bool(changed(family, family.kinds[0], 0)[-1] > 0)


def takes_any_length(family) -> bool:
    kind = family.kinds[0]
    io = SMALL[kind]
    model, (inputs, _) = model_of(family, kind), tokens_of(kind, batch=1, io=io.longer())
    short = [part[:, : part.shape[1] // 2] for part in inputs]
    with torch.no_grad():
        try:
            together = model(*inputs)
            if kind is Pairs:
                return together.shape[1] == inputs[-1].shape[1]
        except (RuntimeError, ValueError):
            return False
        return torch.allclose(together[:, : io.length], model(*short), atol=1e-9)


def has_a_fixed_state(family) -> bool:
    kind = family.kinds[0]
    form = family.at(3, kind)
    return form.closed_form(SMALL[kind]).state_numbers == form.closed_form(LONGER[kind]).state_numbers


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


@every_form
def test_the_dial_meets_its_parameters(family, kind) -> None:
    sizes = [family.at(size, kind).matched_parameters(REFERENCES[kind]) for size in range(SMALLEST, LARGEST + 1)]
    assert sizes == sorted(sizes)
    misses = [abs(n / parameters_at(size) - 1) for size, n in enumerate(sizes, SMALLEST)]
    first = 3 if kind is Tokens else 4  # 10^4 parameters (of one stack); below it a step of the width is more than that
    assert max(misses[first:]) <= TOLERANCE
    assert max(misses) <= (0.25 if kind is Tokens else 0.4)  # two stacks in 10^3 parameters leave a few channels


@every_family
def test_a_size_off_the_ladder_is_refused(family) -> None:
    with pytest.raises(Refusal, match="not on the ladder"):
        family.at(LARGEST + 1)


@every_family
def test_a_kind_of_input_that_it_cannot_read_is_refused(family) -> None:
    spec = family.at(3)
    for kind in {*SMALL} - {*family.kinds}:
        with pytest.raises(Refusal, match="Use --objective"):
            spec.build(SMALL[kind])
        with pytest.raises(Refusal, match="Use --objective"):
            family.at(3, kind)


IOS = {
    Tokens: [REFERENCES[Tokens], Tokens(vocab=300, length=100), Tokens(vocab=64, length=8)],
    Pairs: [REFERENCES[Pairs], Pairs(vocab=300, source=100, target=36), Pairs(vocab=64, source=8, target=4)],
}
every_io = pytest.mark.parametrize(
    ("family", "io"),
    [pytest.param(f, io, id=f"{f.__name__}-{io!r}") for f in SEQUENCES for kind in f.kinds for io in IOS.get(kind, [])],
)


@every_io
@pytest.mark.parametrize("size", [1, 6, 11])
def test_the_formula_agrees_with_the_count(family, io, size) -> None:
    spec = family.at(size, type(io))
    counted = count(spec, io)
    assert check(spec, io, counted) == "agrees with the count"
    assert sum(flops for _, flops in counted.by_part) == pytest.approx(counted.forward_flops_per_token, rel=1e-9)


@every_form
def test_a_model_on_meta_has_the_names_and_shapes_of_one_on_cpu(family, kind) -> None:
    spec = family.at(4, kind)
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in spec.build(SMALL[kind]).state_dict().items()}
    assert shapes == {name: p.shape for name, p in spec.build(SMALL[kind]).state_dict().items()}


@every_form
def test_examples_do_not_mix(family, kind) -> None:
    model, (inputs, _) = model_of(family, kind), tokens_of(kind, batch=3)
    with torch.no_grad():
        together = model(*inputs)
        alone = torch.cat([model(*(part[i : i + 1] for part in inputs)) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-10)


@every_form
def test_every_parameter_learns(family, kind) -> None:
    model, (inputs, targets) = model_of(family, kind).train(), tokens_of(kind, batch=4)
    loss = nn.functional.cross_entropy(model(*inputs).flatten(0, 1), targets.flatten())
    (loss + getattr(model, "auxiliary_loss", lambda: 0.0)()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not without


@every_form
def test_the_same_seed_gives_the_same_model_and_another_seed_another(family, kind) -> None:
    inputs, _ = tokens_of(kind)
    first, again, other = (model_of(family, kind, seed=seed)(*inputs) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@every_form
def test_bf16_is_close_to_fp32(family, kind) -> None:
    torch.manual_seed(0)
    model, (inputs, _) = family.at(4, kind).build(SMALL[kind]).eval(), tokens_of(kind)
    with torch.no_grad():
        exact = model(*inputs).log_softmax(-1)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(*inputs).float().log_softmax(-1)
    assert (exact - rough).abs().mean() < 0.02  # nats; bf16 has 8 bits, some twenty roundings add up


@every_form
def test_the_first_loss_is_near_that_of_knowing_nothing(family, kind) -> None:
    inputs, targets = tokens_of(kind)
    loss = nn.functional.cross_entropy(model_of(family, kind)(*inputs).flatten(0, 1), targets.flatten())
    assert loss.item() == pytest.approx(math.log(SMALL[kind].vocab), abs=0.1)


@every_form
def test_it_learns_to_count(family, kind) -> None:
    """The next token is the last plus one: a family that cannot halve this loss in 60 steps is wired wrongly."""
    torch.manual_seed(0)
    io = Tokens(vocab=11, length=16) if kind is Tokens else Pairs(vocab=11, source=16, target=16)
    model = family.at(4, kind).build(io)
    optimizer = Recipe(rate=1e-2).optimizer(model)
    tokens = (torch.arange(11)[:, None] + torch.arange(16)) % 11
    inputs = (tokens,) if kind is Tokens else (tokens.flip(1), tokens)
    losses = [float(train_step(model, optimizer, (inputs, (tokens + 1) % 11), setting=Setting())) for _ in range(60)]
    assert losses[-1] < losses[0] / 2


@every_form
def test_the_future_moves_nothing_in_fp32_either(family, kind) -> None:
    """What every part reads, scaled up behind its norm: the trap of a stabiliser that looks at all positions."""
    torch.manual_seed(0)
    model = family.at(5, kind).build(SMALL[kind]).eval()
    inputs, _ = tokens_of(kind, batch=1)
    half = inputs[-1].shape[1] // 2
    loud = {name: p * (6 if name.endswith("norm.scale") else 1) for name, p in model.named_parameters()}
    other = inputs[-1].clone()
    other[0, half:] = (other[0, half:] + 3) % SMALL[kind].vocab
    with torch.no_grad():
        difference = functional_call(model, loud, inputs) - functional_call(model, loud, (*inputs[:-1], other))
    assert difference[:, :half].abs().max() < 1e-5


with_encoders = pytest.mark.parametrize("family", [f for f in SEQUENCES if Pairs in f.kinds], ids=lambda f: f.__name__)


@with_encoders
def test_padding_of_the_source_changes_nothing(family) -> None:
    """A source of 32 tokens, of which the last 12 are padding, is the source of 20 tokens; a fixed length is said so."""
    model, ((source, target), _) = model_of(family, Pairs), tokens_of(Pairs)
    keep = (torch.arange(32) < 20).expand(2, -1)
    other = torch.where(keep, source, (source + 1) % 11)
    with torch.no_grad():
        padded, noise = model(source, target, keep), model(other, target, keep)
        assert torch.allclose(padded, noise, atol=1e-10)  # what stands in the padding moves nothing
        if "any_length" in family.claims:
            assert torch.allclose(padded, model(source[:, :20], target), atol=1e-10)


@with_encoders
def test_the_source_is_read(family) -> None:
    model, ((source, target), _) = model_of(family, Pairs), tokens_of(Pairs)
    with torch.no_grad():
        for place in (0, 15, 31):
            other = source.clone()
            other[:, place] = (other[:, place] + 1) % 11
            assert (model(source, target) - model(other, target)).abs().amax() > 1e-9


def parts_with_a_reference(model: nn.Module) -> dict[str, nn.Module]:
    """One layer of each kind whose file has a literal `reference`."""
    found = {}
    for name, module in model.named_modules():
        if hasattr(importlib.import_module(type(module).__module__), "reference") and ".layers." in f".{name}":
            found[f"{name.split('.')[0]} {name.split('.')[-1]}"] = module
    return {
        name: module for name, module in found.items() if module.__class__.__module__.startswith("allometry.model.blocks.")
    }


@every_form
def test_parts_equal_their_reference_with_all_gradients(family, kind) -> None:
    """Each part against the literal loop in its own file, in double precision."""
    io = Tokens(vocab=11, length=70) if kind is Tokens else Pairs(vocab=11, source=37, target=24)
    torch.manual_seed(0)
    model = family.at(6, kind).build(io).double().eval()
    calls: dict[nn.Module, tuple] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda module, inputs: calls.__setitem__(module, inputs))
        for layer in parts_with_a_reference(model).values()
    ]
    with torch.no_grad():
        model(*example(io, 2)[0])
    for hook in hooks:
        hook.remove()
    assert calls
    for layer, given in calls.items():
        reference = importlib.import_module(type(layer).__module__).reference
        given = [g.clone().requires_grad_() if g is not None and g.is_floating_point() else g for g in given]
        leaves = [g for g in given if g is not None and g.requires_grad] + list(layer.parameters())
        fast, slow = layer(*given), reference(layer, *given)
        seed = torch.randn_like(fast)
        assert (fast - slow).abs().max() < 1e-10

        def gradients(out: torch.Tensor, leaves=leaves, seed=seed) -> list[torch.Tensor]:
            return list(torch.autograd.grad((out * seed).sum(), leaves, allow_unused=True, materialize_grads=True))

        for a, b in zip(gradients(fast), gradients(slow), strict=True):
            assert (a - b).abs().max() <= 1e-9 * (1 + b.abs().max())


@every_form
@pytest.mark.parametrize("scale", ["width", "depth"])
def test_one_dimension_grows_alone(family, kind, scale) -> None:
    """`--scale width` keeps the depth and `--scale depth` the width, and both meet the parameters of the ladder."""
    numbers = (5, 6, 7)
    sizes = [family.at(size, kind, scale) for size in numbers]
    assert len({(spec.depth if scale == "width" else spec.width) for spec in sizes}) == 1
    grows = [spec.width if scale == "width" else spec.depth for spec in sizes]
    assert grows == sorted(set(grows))
    for size, spec in zip(numbers, sizes, strict=True):
        miss = abs(spec.matched_parameters(REFERENCES[kind]) / parameters_at(size) - 1)
        assert miss <= TOLERANCE or scale == "depth"  # a layer more or less is what it is: the plan says what misses
        assert miss <= 0.25

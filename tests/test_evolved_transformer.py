"""The Evolved Transformer's parts: what they reach, what they cost, and torch's own convolutions as oracles."""

import pytest
import torch
from torch import nn

from allometry.flow import Pairs, Tokens
from allometry.model.blocks._separable import SeparableConvolution
from allometry.model.blocks.attention import Attention
from allometry.model.blocks.decoder_branches import DecoderBranches
from allometry.model.blocks.encoder_branches import EncoderBranches
from allometry.model.blocks.feed_forward import FeedForward
from allometry.model.families.evolved_transformer import EvolvedTransformer
from allometry.train.example import example

every_width = pytest.mark.parametrize("width", [2, 4, 10, 16])


def branches(block, width: int) -> nn.Module:
    torch.manual_seed(width)
    layer = block(width=width).build(1).double()
    nn.init.uniform_(layer.norm.scale, 0.5, 1.5)
    return layer


def reach(layer: nn.Module, length: int, at: int, width: int) -> list[int]:
    """Positions of the output that one input moves, relative to it."""
    x = torch.randn(4, length, width, dtype=torch.float64)
    other = x.clone()
    other[:, at] += torch.randn(4, width, dtype=torch.float64)
    with torch.no_grad():
        moved = (layer(x) - layer(other)).abs().amax((0, 2)) > 1e-12
    return [int(position) - at for position in moved.nonzero()]


def gradients(layer: nn.Module, out: torch.Tensor, x: torch.Tensor, seed: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad((out * seed).sum(), [x, *layer.parameters()]))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kernel", [1, 3, 7, 9, 11])
def test_a_separable_convolution_is_torchs_two(causal: bool, kernel: int) -> None:
    torch.manual_seed(kernel)
    layer = SeparableConvolution(6, 4, kernel, causal).double()
    by_channel = nn.Conv1d(6, 6, kernel, groups=6, padding=kernel - 1 if causal else kernel // 2, bias=False).double()
    over_channels = nn.Conv1d(6, 4, 1, bias=False).double()
    with torch.no_grad():
        by_channel.weight.copy_(layer.taps[:, None])
        over_channels.weight.copy_(layer.point.weight[..., None])
    for length in (1, 4, 32, 70):
        x = torch.randn(2, length, 6, dtype=torch.float64, requires_grad=True)
        ours, theirs = layer(x), over_channels(by_channel(x.mT)[..., :length]).mT
        assert (ours - theirs).abs().max() < 1e-12
        seed = torch.randn_like(ours)
        of_theirs = torch.autograd.grad((theirs * seed).sum(), [x, by_channel.weight, over_channels.weight])
        for a, b in zip(gradients(layer, ours, x, seed), of_theirs, strict=True):
            assert (a - b.view_as(a)).abs().max() < 1e-10


@every_width
def test_the_encoders_branches_are_torchs_convolutions(width: int) -> None:
    layer = branches(EncoderBranches, width)
    near = nn.Conv1d(width, width // 2, 3, padding=1, bias=False).double()
    with torch.no_grad():
        near.weight.copy_(layer.right.weight.view(width // 2, 3, width).mT)
    x = torch.randn(2, 12, width, dtype=torch.float64)
    hidden = layer.left(x).relu()
    hidden[..., : width // 2] += near(x.mT).mT.relu()
    assert (layer(x)[..., : width // 2] - layer.out(layer.norm(hidden))).abs().max() < 1e-12


@every_width
def test_the_encoders_branches_add_nothing_to_the_last_half_of_the_channels(width: int) -> None:
    y = branches(EncoderBranches, width)(torch.randn(3, 12, width, dtype=torch.float64))
    assert (y[..., width // 2 :] == 0).all()
    assert (y[..., : width // 2].abs().amax((0, 1)) > 0).all()


def test_the_encoders_branches_see_five_positions_on_both_sides() -> None:
    assert reach(branches(EncoderBranches, 8), 40, 20, 8) == list(range(-5, 6))


def test_the_decoders_branches_see_sixteen_positions_of_the_past_and_none_of_the_future() -> None:
    assert reach(branches(DecoderBranches, 8), 60, 20, 8) == list(range(17))


def test_padding_is_masked_before_every_convolution() -> None:
    """A padded position gets a value from its neighbours in the first convolution, which the second must not see."""
    layer, x = branches(EncoderBranches, 8), torch.randn(2, 20, 8, dtype=torch.float64)
    keep = (torch.arange(20) < 12).expand(2, -1)
    assert (layer(x, keep)[:, :12] - layer(x[:, :12])).abs().max() < 1e-12


@pytest.mark.parametrize("width", [16, 64])
def test_a_block_has_the_weights_that_the_source_counts(width: int) -> None:
    """Without norms: an encoder's 21.5 width^2 + 36 width, a decoder's 28.5 width^2 + 32 width."""
    family = EvolvedTransformer(width=width, depth=1, heads=2)

    def weights(stack: nn.Module) -> int:
        return sum(p.numel() for name, p in stack.named_parameters() if not name.endswith("scale"))

    assert weights(family.encoder()) == 21.5 * width**2 + 36 * width
    assert weights(family.decoder(crossing=True)) == 28.5 * width**2 + 32 * width
    assert weights(family.decoder(crossing=False)) == 20.5 * width**2 + 32 * width


def test_a_language_model_is_the_decoder_without_what_reads_an_encoder() -> None:
    torch.manual_seed(0)
    family, io = EvolvedTransformer(width=16, depth=2, heads=2), Pairs(vocab=11, source=9, target=20)
    pairs, alone = family.build(io).double(), family.build(Tokens(vocab=11, length=20)).double()
    weights = {name.replace(".first.own.", ".first."): p for name, p in pairs.state_dict().items()}
    alone.load_state_dict({name: weights[name] for name in alone.state_dict()})
    for layer in pairs.decoder.layers:
        for part in (layer.first.cross, layer.cross):
            nn.init.zeros_(part.out.weight)
    source, target = example(io, 2)[0]
    with torch.no_grad():
        assert (pairs(source, target) - alone(target)).abs().max() < 1e-12


def test_doubled_heads_are_narrower_even_and_sixteen_at_most() -> None:
    for width in range(2, 2049, 2):
        family = EvolvedTransformer(**EvolvedTransformer.shape(width, 1))
        first = family.first(crossing=False)
        assert isinstance(first, Attention)
        assert first.heads in (2 * family.heads, 16, family.heads)
        assert first.heads <= max(16, family.heads)
        if width % 64 == 0:
            assert first.heads == max(min(2 * family.heads, 16), family.heads)
        assert first.cost(10).parameters == family.mixer(0).cost(10).parameters


@pytest.mark.parametrize(
    ("activation", "equation"), [("relu", lambda h: h.clamp_min(0)), ("swish", lambda h: h * h.sigmoid())]
)
def test_feed_forward_has_the_activation_it_is_given(activation, equation) -> None:
    torch.manual_seed(0)
    layer, x = FeedForward(width=8, hidden=32, activation=activation).build(1).double(), torch.randn(2, 5, 8).double()
    assert (layer(x) - equation(x @ layer.into.weight.T) @ layer.out.weight.T).abs().max() < 1e-12
    with pytest.raises(ValueError, match="Choose one of gelu, relu, swish"):
        FeedForward(width=8, hidden=32, activation="tanh")


def test_an_odd_width_is_refused() -> None:
    for block in (EncoderBranches, DecoderBranches):
        with pytest.raises(ValueError, match="Choose an even one"):
            block(width=7)

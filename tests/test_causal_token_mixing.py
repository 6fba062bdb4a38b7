"""The causal perceptron over positions: its beginnings, its fixed length, and the claim that it costs what the paper's does."""

import pytest
import torch

from allometry.flow import Pairs, Tokens
from allometry.model.blocks.causal_token_mixing import CausalTokenMixing
from allometry.model.blocks.token_mixing import TokenMixing
from allometry.model.families.causal_mlp_mixer import CausalMlpMixer
from allometry.model.families.mlp_mixer import MlpMixer


def test_mixtures_begin_with_the_variance_of_what_they_mix() -> None:
    """Of independent positions of variance one a row gives the sum of its squares; over 2000 draws its error is 0.04."""
    torch.manual_seed(0)
    part = CausalTokenMixing(width=4, length=16, rank=8)
    with torch.no_grad():
        squares = sum(part.build(1).into.matrix(16).square().sum(1) for _ in range(2000)) / 2000
    assert torch.allclose(squares, torch.ones(16), atol=0.15)


def test_a_shorter_sequence_is_the_beginning_of_a_longer_one_and_a_longer_one_is_refused() -> None:
    torch.manual_seed(0)
    layer = CausalTokenMixing(width=4, length=20, rank=3).build(1).double()
    x = torch.randn(2, 20, 4, dtype=torch.float64)
    assert torch.allclose(layer(x[:, :7]), layer(x)[:, :7])
    with pytest.raises(ValueError, match="Build it for as many"):
        layer(torch.cat([x, x[:, :1]], dim=1))


def test_the_first_position_sees_itself_alone_and_every_pair_has_a_weight_of_its_own() -> None:
    torch.manual_seed(0)
    layer = CausalTokenMixing(width=4, length=9, rank=2).build(1)
    matrix = layer.into.matrix(9).detach()
    assert torch.equal(matrix.triu(1), torch.zeros(9, 9))
    assert len(set(matrix[matrix != 0].tolist())) == 9 * 10 / 2  # it is not a function of the distance


def test_its_parameters_are_those_of_the_papers_token_mixing() -> None:
    (causal, paper) = CausalMlpMixer(width=64, depth=1), MlpMixer(width=64, depth=1, heads=4)
    biases = 64 // 2 + 256
    ours, theirs = causal.mixer(0), paper.encoder_parts(0)["mixer"]
    assert isinstance(ours, CausalTokenMixing)
    assert isinstance(theirs, TokenMixing)
    assert ours.cost(256).parameters == theirs.cost(256).parameters - biases


def test_the_product_of_thin_matrices_is_never_larger_than_the_matrix() -> None:
    spec = CausalMlpMixer(width=512, depth=1)
    for length in (8, 64, 1024):
        part = spec.edit(length=length).mixer(0)
        assert part.cost(length).parameters <= 2 * length**2


def test_the_two_mixers_send_a_reader_to_each_other() -> None:
    with pytest.raises(ValueError, match="Use --objective span"):
        MlpMixer(width=4, depth=1, heads=1).build(Tokens(vocab=11, length=8))
    with pytest.raises(ValueError, match="Use --objective causal"):
        CausalMlpMixer(width=4, depth=1).build(Pairs(vocab=11, source=8, target=8))

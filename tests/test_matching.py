"""Sizes are matched by parameters outside the vocabulary: how they are counted in models that share, and formulas that lie."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from allometry.flow import Refusal
from allometry.model._family import non_embedding_parameters
from allometry.model.families.transformer import Transformer

WIDTHS = (255, 256, 257)  # around the vocabulary's 256 symbols


class Tied(nn.Module):
    """A feed-forward part between a table and the same table read backwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(256, width)
        self.into, self.out = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return F.linear(self.out(self.into(self.table(tokens)).relu()), self.table.weight)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_head_that_is_the_table_takes_no_layer_with_it(width: int) -> None:
    assert non_embedding_parameters(Tied(width), 256) == 8 * width**2


@pytest.mark.parametrize("width", WIDTHS)
def test_a_head_of_its_own_is_left_out(width: int) -> None:
    model = nn.Sequential(nn.Embedding(256, width), nn.Linear(width, width, bias=False), nn.Linear(width, 256))
    assert non_embedding_parameters(model, 256) == width**2


def test_a_table_under_two_names_is_one_table() -> None:
    model = nn.Module()
    model.table, model.layer = nn.Embedding(256, 32), nn.Linear(32, 32, bias=False)
    model.encoder = nn.Module()
    model.encoder.table = model.table
    assert non_embedding_parameters(model, 256) == 32**2


class Wide(nn.Module):
    def __init__(self, width: int, vocab: int) -> None:
        super().__init__()
        self.widen, self.output = nn.Linear(width, 8 * width), nn.Linear(8 * width, vocab)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.widen(x))


class WideHead(Transformer):
    """Replaces a site and says nothing of its cost."""

    def head(self, vocab: int) -> nn.Module:
        return Wide(self.width, vocab)


def test_a_formula_that_does_not_give_what_is_counted_is_refused() -> None:
    with pytest.raises(Refusal, match="state its cost too"):
        WideHead.at(4)

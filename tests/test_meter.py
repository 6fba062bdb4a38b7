"""The meter against what torch counts by itself, and on models of other people."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from allometry.flow import Tokens
from allometry.model._family import Family
from allometry.train import meter


class Bare(Family):
    """A user's family that says nothing about its cost."""

    def build(self, io: Tokens) -> nn.Module:
        return nn.Sequential(
            nn.Embedding(io.vocab, self.width), nn.Linear(self.width, self.width), nn.Linear(self.width, io.vocab)
        )


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **options: int) -> None:
        super().__init__()
        self.cells = kind(12, 8, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cells(x)[0]


def test_the_shortcut_for_recurrent_kernels_counts_what_torch_counts() -> None:
    for kind, options in (
        (nn.LSTM, {}),
        (nn.GRU, {}),
        (nn.RNN, {}),
        (nn.LSTM, {"num_layers": 3}),
        (nn.LSTM, {"proj_size": 4}),
    ):
        with torch.device("meta"):
            model, x = Recurrent(kind, **options), torch.zeros(2, 9, 12)
        with FlopCounterMode(display=False) as mode, torch.no_grad():
            model(x)
        assert meter._forward_flops(model, (x,))[0][""] == mode.get_total_flops() > 0


def test_a_family_without_a_formula_is_counted_and_matched() -> None:
    spec = Bare.at(5)
    counted = meter.count(spec, Tokens(vocab=32, length=10))
    width = spec.width
    assert counted.parameters == 32 * width + width * width + width + 32 * width + 32
    assert counted.non_embedding_parameters == width * width + width
    assert counted.forward_flops_per_token == 2 * width * width + 2 * 32 * width
    assert counted.vocabulary_flops_per_token == 2 * 32 * width
    assert counted.state_bytes is None
    assert abs(counted.non_embedding_parameters / 10 ** (3 + 4 / 3) - 1) < 0.1
    assert meter.check(spec, Tokens(vocab=32, length=10), counted) == "the family gives no formula"


def test_a_layer_as_wide_as_the_vocabulary_is_not_taken_for_the_output() -> None:
    class Wide(Bare):
        def build(self, io: Tokens) -> nn.Module:
            return nn.Sequential(
                nn.Embedding(io.vocab, 4), nn.Linear(4, io.vocab), nn.Linear(io.vocab, 4), nn.Linear(4, io.vocab)
            )

    counted = meter.count(Wide(width=4, depth=1), Tokens(vocab=32, length=10))
    assert counted.non_embedding_parameters == 4 * 32 + 32 + 32 * 4 + 4


def test_a_wrong_formula_is_named() -> None:
    from allometry.model._family import ClosedForm

    class Wrong(Bare):
        def closed_form(self, io: Tokens) -> ClosedForm:
            return ClosedForm(parameters=1, non_embedding_parameters=2, forward_flops_per_token=3.0, state_numbers=4)

    spec, io = Wrong(width=4, depth=1), Tokens(vocab=32, length=10)
    assert "parameters: formula 1, counted" in meter.check(spec, io, meter.count(spec, io))

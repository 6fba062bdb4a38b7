"""Networks of one layer: what they say that they are, what of them is trained, and how their gates start."""

import math

import pytest
import torch
from torch import nn

import allometry as al
from allometry.flow import Refusal, Series, Tokens
from allometry.model.chrono import clocks
from allometry.model.one_layer import CELLS, OneLayer
from allometry.train.example import example
from allometry.train.meter import count

TOKENS, SERIES = Tokens(vocab=10, length=7), Series(channels=2, length=7, outputs=1, loss="squared")
cells = pytest.mark.parametrize("cell", CELLS)
OF_TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def built(cell: str, io=TOKENS, **more) -> nn.Module:
    torch.manual_seed(0)
    return OneLayer(cell=cell, width=6, **more).build(io).double()


@cells
def test_a_position_sees_the_past_alone_and_the_first_token_reaches_the_last(cell: str) -> None:
    model, (tokens,) = built(cell), example(TOKENS, 2)[0]
    said = model(tokens)
    assert said.shape == (2, 7, 10)
    for place in (0, 3):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % 10
        moved = (model(other) - said).abs().amax((0, 2)) > 1e-12
        assert moved.tolist() == [False] * place + [True] * (7 - place)


@cells
@pytest.mark.parametrize("io", [TOKENS, SERIES], ids=["tokens", "series"])
def test_it_is_the_recurrence_of_torch_with_the_same_weights(cell: str, io) -> None:
    """rnn, gru and lstm by torch's own layer; leaky and gated as the rnn that a gate of 1 makes of them."""
    model = built(cell, io)
    peer = OF_TORCH.get(cell, nn.RNN)(model.inputs, 6, batch_first=True).double()
    layer = model.cell
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.zero_()
        if cell == "lstm":
            peer.load_state_dict(layer.recurrence.state_dict())
        else:
            sums = layer.sums if cell == "gru" else layer.candidate
            peer.weight_ih_l0.copy_(sums.into.weight)
            peer.weight_hh_l0.copy_(sums.recurrent)
            peer.bias_ih_l0.copy_(sums.into.bias)
        if cell == "leaky":
            layer.leak.fill_(60.0)
        if cell == "gated":
            layer.gate.into.bias.fill_(60.0)
    (x,) = example(io, 3)[0]
    one_hot = nn.functional.one_hot(x, 10).double() if io is TOKENS else x.double()
    expected = model.readout(peer(one_hot)[0])
    found = model(x if io is TOKENS else x.double())
    assert torch.allclose(found, expected if io is TOKENS else expected[:, -1:], atol=1e-12)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "rnn"])
def test_gates_start_at_the_usual_time_scale_or_where_they_are_told(cell: str) -> None:
    usual = next(iter(clocks(built(cell)).values())).read()
    assert torch.allclose(usual, torch.full_like(usual, 1 + math.e), atol=1e-6)
    drawn = next(iter(clocks(built(cell, t_max=50.0)).values())).read()
    assert 2 <= drawn.min() < drawn.max() <= 50
    assert len(drawn.unique()) == 6


@pytest.mark.parametrize(("what", "cell"), [(what, cell) for cell, kind in CELLS.items() for what in kind.apart])
def test_an_optimiser_moves_what_is_trained_and_nothing_else(what: str, cell: str) -> None:
    model = built(cell, trained=what)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = al.Rmsprop(rate=1e-2).optimizer(model)
    (tokens,) = example(TOKENS, 2)[0]
    model(tokens).square().mean().backward()
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    alone = {"gates": ("cell.gate", "cell.leak"), "biases": ("cell.candidate.into.bias",)}[what]
    assert moved == {name for name in before if name.startswith(alone)}
    assert moved


def test_equal_cells_under_other_gates_share_the_candidate() -> None:
    """What a warping of time leaves as it is has one name in all three, so weights can be handed on."""
    names = [set(built(cell).state_dict()) for cell in ("rnn", "leaky", "gated")]
    assert names[0] < names[1]
    assert names[0] < names[2]


@cells
def test_its_products_are_counted(cell: str) -> None:
    """2 FLOPs a multiply-add of input, state and readout; a one-hot input is charged as the product that it is."""
    rows = {"rnn": 1, "leaky": 1, "gated": 2, "gru": 3, "lstm": 4}[cell]
    assert count(OneLayer(cell=cell, width=6), TOKENS).forward_flops_per_token == 2 * (rows * 6 * (10 + 6) + 6 * 10)


@pytest.mark.parametrize(
    "asked",
    [
        {"cell": "gate"},
        {"start": "zero"},
        {"trained": "some"},
        {"depth": 2},
        {"cell": "rnn", "t_max": 5.0},
        {"cell": "rnn", "trained": "gates"},
        {"cell": "lstm", "trained": "gates"},
    ],
)
def test_what_it_cannot_be_is_refused(asked: dict) -> None:
    with pytest.raises(Refusal, match=r"OneLayer.*\."):
        OneLayer(**asked)


@cells
@pytest.mark.parametrize("io", [TOKENS, SERIES], ids=["tokens", "series"])
def test_every_parameter_learns_and_stands_on_meta_too(cell: str, io) -> None:
    model, ((x,), _) = built(cell, io), example(io, 3)
    model(x if io is TOKENS else x.double()).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())
    with torch.device("meta"):
        unreal = OneLayer(cell=cell, width=6).build(io)
    assert {n: v.shape for n, v in unreal.state_dict().items()} == {n: v.shape for n, v in model.state_dict().items()}


@pytest.mark.parametrize("cell", ["leaky", "gated"])
def test_cells_with_a_gate_are_their_equation_step_by_step(cell: str) -> None:
    """With gates anywhere between 0 and 1."""
    model, ((tokens,), _) = built(cell), example(TOKENS, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    layer, x = model.cell, nn.functional.one_hot(tokens, 10).double()
    state, rows = torch.zeros(3, 6).double(), []
    for t in range(x.shape[1]):
        lets_in = (layer.leak if cell == "leaky" else layer.gate(x[:, t], state)).sigmoid()
        state = (1 - lets_in) * state + lets_in * layer.candidate(x[:, t], state).tanh()
        rows.append(state)
    assert torch.allclose(layer(x), torch.stack(rows, dim=1), atol=1e-12)

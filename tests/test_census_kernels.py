"""A kernel's formula is what the census gives of the kernel's own loop, operation by operation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from called import Calls
from torch import Tensor, nn

import allometry as al
from allometry.model.blocks import _forgetting, _long_memory, _normalising, _resetting, _scan
from allometry.model.blocks._causal_operation import causal_attention
from allometry.model.blocks._filter import filtered


def total(function: Callable[..., Any], given: tuple[Tensor, ...], *static: Any) -> dict[str, int]:
    found = al.census(Calls(function, *static), given)
    assert found.complete
    return found.total


def states(found: Any) -> Tensor:
    return found[0] if isinstance(found, tuple) else found


LOOPS = {
    "forgetting, a gate for each unit": (_forgetting.loop, (4, 2, 6), ((6, 3),), (None,)),
    "forgetting, one gate": (_forgetting.loop, (4, 2, 4), ((4, 3),), (None,)),
    "forgetting, a leak": (_forgetting.loop, (4, 2, 3), ((3, 3), (3,)), ()),
    "forgetting, no gate": (_forgetting.loop, (4, 2, 3), ((3, 3),), (None,)),
    "long_memory": (_long_memory.loop, (4, 2, 12), ((12, 3),), ()),
    "normalising, sigma": (_normalising.normalising, (4, 2, 3, 8), ((2, 2, 8),), (False,)),
    "normalising, exp": (_normalising.normalising, (4, 2, 3, 8), ((2, 2, 8),), (True,)),
}


@pytest.mark.parametrize("name", LOOPS)
def test_an_operation_of_ours_counts_what_its_loop_does(name: str) -> None:
    operation, inputs, weights, rest = LOOPS[name]
    given, static = torch.randn(inputs), (*(torch.randn(shape) for shape in weights), *rest)
    by_formula = total(lambda x: states(operation(x, *static)), (given,))
    by_loop = total(lambda x: states(operation._init_fn(x, *static)), (given,))
    assert by_formula == by_loop
    assert by_formula["gating_ops"] > 0 or rest == (None,) or "leak" in name


def test_our_gru_counts_what_the_equation_of_torch_does() -> None:
    """Its own loop keeps constants and signals in one tensor, which is followed as one; torch's equation does not."""
    layer, inputs = nn.GRU(5, 3), torch.randn(4, 2, 9)
    ours = total(lambda x: _resetting.loop(x, layer.weight_hh_l0.detach(), layer.bias_hh_l0.detach()[6:])[0], (inputs,))
    theirs = unrolled(layer, (torch.randn(4, 2, 5),))
    assert ours | {"parameters": 0} == theirs | {"parameters": 0, "static_mults": theirs["static_mults"] - 4 * 2 * 5 * 9}


@pytest.mark.parametrize("learned", [False, True], ids=["keep is a signal", "keep is learned"])
def test_the_linear_recurrence_counts_what_its_loop_does(learned: bool) -> None:
    keep, enters = torch.rand(2, 5, 3), torch.randn(2, 5, 3)
    given, static = ((enters,), (keep,)) if learned else ((enters, keep), ())
    by_formula = total(lambda e, k: _scan.recurrence(k, e, False), given, *static)
    by_loop = total(lambda e, k: _scan.by_position(k, e), given, *static)
    assert by_formula == by_loop
    assert by_formula["gating_ops"] == (0 if learned else 2 * 4 * 3)


def test_our_causal_attention_counts_what_plain_attention_does() -> None:
    """Its turns are products by fixed angles: 2 for each number of queries and keys."""
    length, heads, head = 5, 2, 4
    parts = torch.randn(2, length, 3, heads, head)

    def plain(query_key: Tensor, value: Tensor) -> Tensor:
        query, key = query_key.unbind(2)
        return F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (query, key, value)), is_causal=True)

    by_formula = total(lambda x: causal_attention(x)[0], (parts,))
    expected = total(plain, (parts[:, :, :2], parts[:, :, 2]))
    assert by_formula.pop("static_mults") == 4 * 2 * length * heads * head
    assert expected.pop("static_mults") == 0
    assert by_formula == expected


@pytest.mark.parametrize("learned", [False, True], ids=["taps are signals", "taps are learned"])
def test_short_filters_count_what_the_sum_of_their_taps_does(learned: bool) -> None:
    """Tap by tap; places outside the sequence are multiplied too, as a convolution does."""
    batch, length, heads, channels, kernel = 2, 5, 2, 3, 4
    x, logits = torch.randn(batch, length, heads * channels), torch.randn(batch, length, heads, kernel)

    def tap_by_tap(x: Tensor, logits: Tensor) -> Tensor:
        windows = F.pad(x, (0, 0, kernel - 1, 0)).unfold(1, kernel, 1).unflatten(2, (heads, channels))
        return (windows * logits.softmax(-1)[..., None, :]).sum(-1).flatten(2)

    given, static = ((x,), (logits[0, 0],)) if learned else ((x, logits), ())
    by_formula = total(lambda x, logits: filtered(x, logits, kernel - 1)[0], given, *static)
    assert by_formula == total(tap_by_tap, given, *static)
    assert by_formula["gated_synapses"] == (0 if learned else x.numel() * kernel)
    assert torch.allclose(filtered(x, logits, kernel - 1)[0], tap_by_tap(x, logits), atol=1e-6)


@pytest.mark.parametrize("form", ["full", "causal", "mask", "signal mask"])
def test_fused_attention_counts_what_plain_attention_does(form: str) -> None:
    query, key, value = torch.randn(2, 2, 4, 8), torch.randn(2, 2, 6, 8), torch.randn(2, 2, 6, 8)
    causal = form == "causal"
    mask = torch.randn(4, 6).where(torch.rand(4, 6) > 0.3, -torch.inf) if "mask" in form else None
    if causal:
        query = query[:, :, :1].expand(-1, -1, 6, -1).clone()
    given = (query, key, value, mask) if form == "signal mask" else (query, key, value)
    static = () if form == "signal mask" else (mask,)
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    by_formula = total(lambda q, k, v, m: fused(q, k, v, 0.0, causal, attn_mask=m)[0], given, *static)
    plain = total(lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m, is_causal=causal), given, *static)
    assert by_formula == plain
    assert (plain["unmasked_gating_ops"] < plain["gating_ops"]) == (form in ("causal", "mask"))


def unrolled(layer: nn.RNNBase, given: Any) -> dict[str, int]:
    """Without oneDNN torch runs a layer as its equation."""
    enabled = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        return al.census(layer, given).total
    finally:
        torch._C._set_mkldnn_enabled(enabled)


@pytest.mark.parametrize("started", [False, True], ids=["from zero", "from signals"])
@pytest.mark.parametrize("both", [False, True], ids=["forwards", "both ways"])
def test_the_kernel_of_an_lstm_counts_what_its_equation_does(started: bool, both: bool) -> None:
    layer = nn.LSTM(5, 3, num_layers=2, bidirectional=both)
    x, states = torch.randn(4, 2, 5), tuple(torch.randn(4 if both else 2, 2, 3) for _ in range(2))
    given = (x, states) if started else (x,)
    assert al.census(layer, given).total == unrolled(layer, given)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [False, True])
def test_the_kernel_of_cudnn_counts_what_the_equation_does(kind: type[nn.RNNBase], batch_first: bool) -> None:
    """Its shapes alone are run, on the meta device."""
    layer, x = kind(5, 3, num_layers=2, batch_first=batch_first), torch.randn(2, 4, 5)
    batch = 2 if batch_first else 4
    mode = {"RNN_TANH": 1, "LSTM": 2, "GRU": 3}[layer.mode]
    weights = [one.detach().to("meta") for one in layer._flat_weights]
    hidden = torch.zeros(2, batch, 3, device="meta")
    cell = hidden.clone() if mode == 2 else None

    def kernel(x: Tensor) -> Tensor:
        rest = (mode, 3, 0, 2, batch_first, 0.0, False, False, (), None)
        return torch.ops.aten._cudnn_rnn(x, weights, 4, None, hidden, cell, *rest)[0]

    expected = unrolled(layer, (x,)) | {"parameters": 0}
    assert total(kernel, (x.to("meta"),)) == expected

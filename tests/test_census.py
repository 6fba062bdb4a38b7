"""The reference's table of gates falls out of running models, and counting by definition agrees."""

import contextlib
import dataclasses
import types
from collections import UserDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from called import Calls
from census_models import (
    AdditiveAttention,
    Attends,
    Block,
    ByEinsum,
    ByNumber,
    ConvexGru,
    DynamicKernel,
    Experts,
    FastWeights,
    Film,
    Highway,
    SqueezeExcite,
    WithoutOrder,
)
from scalar_signals import Tally, attention, layer_norm, parameters, sigmoid, signals, values
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention

import allometry as al
from allometry.find import names
from allometry.flow import REFERENCES, Pairs, Refusal, Tokens
from allometry.probe._census.rules import RULES
from allometry.train.example import built, example

SHAPES = [(5, 8, 2, 16), (7, 12, 3, 20), (2, 4, 1, 4), (9, 6, 6, 5)]  # m tokens, width n, H heads, F hidden


def gates(model: nn.Module, *given: Tensor) -> tuple[int, int, int]:
    """Gate signals, gating operations, gated synapses."""
    found = al.census(model, given)
    assert found.complete
    total = found.total
    return total["gate_signals"], total["gating_ops"], total["gated_synapses"]


@pytest.mark.parametrize("gated", [False, True], ids=["relu", "swiglu"])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize(("m", "n", "heads", "hidden"), SHAPES)
def test_a_transformer_block_has_the_gates_of_the_closed_form(
    m: int, n: int, heads: int, hidden: int, causal: bool, gated: bool
) -> None:
    total = al.census(Block(n, heads, hidden, causal, gated), torch.randn(1, m, n)).total
    norms, glu = 2 * m, m * hidden * gated
    seen = m * (m + 1) // 2 if causal else m * m
    assert total["gate_signals"] == m * n + m * heads + m * m * heads + norms + glu
    assert total["gating_ops"] == 2 * m * m * n + m * m * heads + norms * n + glu
    assert total["gated_synapses"] == m * m * n
    assert total["output_gatings"] == m * m * n + m * m * heads + norms * n + glu  # scores, softmax, norms
    assert total["unmasked_gate_signals"] == m * n + m * heads + seen * heads + norms + glu
    assert total["unmasked_gating_ops"] == 2 * seen * n + seen * heads + norms * n + glu
    assert total["static_mults"] == 4 * m * n**2 + (3 if gated else 2) * m * n * hidden + norms * n
    assert total["shaping"] == m * hidden + norms * n  # the ReLU or SiLU, and the squares of the norms
    assert total["additive"] == 2 * m * n + norms * n  # the residuals, and the means of the norms


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("written", [ByEinsum, ByNumber])
def test_attention_counts_the_same_however_it_is_written(written: type[Attends], causal: bool) -> None:
    """Number by number the gate of a score is the one with fewer scalars, or the first: the query too."""
    fused, x = Attends(8, 2, causal), torch.randn(2, 5, 8)
    other = written(8, 2, causal)
    other.load_state_dict(fused.state_dict())
    assert torch.allclose(other(x), fused(x), atol=1e-6)
    assert al.census(other, x).total == al.census(fused, x).total


def test_cross_attention_has_as_many_pairs() -> None:
    (m, k), n, heads = (3, 7), 8, 2
    found = gates(Attends(n, heads), torch.randn(1, m, n), torch.randn(1, k, n))
    assert found == (m * n + m * heads + m * k * heads, 2 * m * k * n + m * k * heads, m * k * n)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_block_of_torch_is_seen_through_its_fast_path(norm_first: bool) -> None:
    m, n, heads, hidden = 5, 8, 2, 16
    layer = nn.TransformerEncoderLayer(n, heads, hidden, batch_first=True, norm_first=norm_first)
    core = m * n + m * heads + m * m * heads, 2 * m * m * n + m * m * heads
    assert gates(layer, torch.randn(1, m, n)) == (core[0] + 2 * m, core[1] + 2 * m * n, m * m * n)


def test_grouped_queries_repeat_keys_and_no_signals() -> None:
    m, n, heads = 5, 8, 4
    query, key = torch.randn(1, heads, m, n // heads), torch.randn(1, 2, m, n // heads)

    class Grouped(nn.Module):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(query, key, key, enable_gqa=True)

    assert gates(Grouped(), query, key) == (m * n + m * heads + m * m * heads, 2 * m * m * n + m * m * heads, m * m * n)


C, H, W = 3, 4, 5
TABLE: dict[str, tuple[nn.Module, list[tuple[int, ...]], tuple[int, int, int]]] = {
    "LSTM, one step: 3 h": (nn.LSTMCell(5, 4), [(1, 5), ((1, 4), (1, 4))], (12, 12, 0)),  # type: ignore[list-item]
    "GRU of torch, a difference: 2 h": (nn.GRUCell(5, 4), [(1, 5), (1, 4)], (8, 8, 0)),
    "GRU, a mixture: 3 h by 2 h signals": (ConvexGru(4), [(1, 4), (1, 4)], (8, 12, 0)),
    "highway: 2 for each unit": (Highway(4, difference=False), [(1, 4)], (4, 8, 0)),
    "highway, a difference: 1": (Highway(4, difference=True), [(1, 4)], (4, 4, 0)),
    "GLU": (nn.Sequential(nn.Linear(6, 10), nn.GLU()), [(1, 6)], (5, 5, 0)),
    "squeeze-excite": (SqueezeExcite(C), [(1, C, H, W)], (C, C * H * W, 0)),
    "FiLM": (Film(4), [(1, 6, 4), (1, 3)], (4, 24, 0)),
    "experts, m = 6, k = 2, n = 4": (Experts(4, 3, 2), [(6, 4)], (6 * 2 + 6, 6 * 2 * 4 + 6 * 3, 0)),  # with the softmax
    "Bahdanau, m = 6": (AdditiveAttention(4, 3), [(1, 4), (6, 4)], (6 + 1, 6 * 4 + 6, 6 * 4)),
    "fast weights, 3 steps of n = 4": (FastWeights(4), [(3, 4), (4, 4)], (3 * 4 + 3 * 16, 2 * 3 * 16, 3 * 16)),
    "linear attention, m = 6, n = 4": (WithoutOrder(4), [(6, 4)], (6 * 4 + 16, 2 * 6 * 16, 6 * 16)),
    "a kernel from elsewhere": (DynamicKernel(4, 3), [(1, 4, 8), (1, 3)], (12, 4 * 6 * 3, 4 * 6 * 3)),
    "bilinear": (nn.Bilinear(3, 5, 2), [(1, 3), (1, 5)], (3, 15, 0)),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_the_reference_falls_out(name: str) -> None:
    model, shapes, expected = TABLE[name]
    given = [tuple(map(torch.randn, s)) if isinstance(s[0], tuple) else torch.randn(s) for s in shapes]
    assert gates(model, *given) == expected


def test_sums_of_chosen_rows_are_additive_and_their_weights_gates() -> None:
    index, ends, weights = torch.tensor([0, 2, 1, 1]), torch.tensor([0, 3]), torch.rand(4)

    class Bags(nn.Module):
        def forward(self, rows: Tensor, weights: Tensor | None = None) -> Tensor:
            return F.embedding_bag(index, rows, ends, mode="sum", per_sample_weights=weights)

    total = al.census(Bags(), torch.randn(3, 5)).total
    assert (total["gating_ops"], total["additive"]) == (0, 4 * 5)
    assert gates(Bags(), torch.randn(3, 5), weights) == (4, 4 * 5, 0)


def test_multiplexing_is_additive_and_no_gate() -> None:
    total = al.census(Film(4), (torch.randn(1, 6, 4), torch.randn(1, 3))).total
    assert total["additive"] == 24
    assert al.census(AdditiveAttention(4, 3), (torch.randn(1, 4), torch.randn(6, 4))).total["additive"] == 18


def test_dynamic_convolution_has_a_synapse_for_each_tap_and_channel() -> None:
    m, kernel, n, heads = 6, 3, 8, 2
    from allometry.model.blocks.dynamic_convolution import DynamicConvolution

    block = DynamicConvolution(width=n, heads=heads, kernel=kernel).build(1)
    total = al.census(block, torch.randn(1, m, n)).total
    softmax, glu = m * heads, m * n
    assert total["gated_synapses"] == m * kernel * n
    assert total["gate_signals"] == m * kernel * heads + softmax + glu
    assert total["gating_ops"] == m * kernel * n + m * kernel * heads + glu


def test_switch_has_a_gate_for_each_token() -> None:
    from allometry.model.blocks.switch import Switch

    m, n, experts = 6, 4, 3
    block = Switch(width=n, hidden=8, experts=experts).build(1)
    found = al.census(block, torch.randn(1, m, n))
    assert (found.total["gate_signals"], found.total["gating_ops"]) == (m + m, m * n + m * experts)  # with the softmax
    assert {one.reason for one in found.not_counted} == {"a choice among signals", "a choice in Python"}


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_counting_by_definition_agrees_on_a_transformer_block(causal: bool) -> None:
    m, n, heads, hidden = 3, 4, 2, 3
    model, x, tally = Block(n, heads, hidden, causal, gated=True).double(), torch.randn(m, n).double(), Tally()

    def weights(name: str) -> np.ndarray:
        return parameters(model.get_parameter(name), tally)

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights(f"{name}.weight").T

    now = signals(x, tally)
    y = layer_norm(now, weights("norm.weight"), weights("norm.bias"), 1e-5)
    query, key, value = (linear(y, f"attention.{name}") for name in ("query", "key", "value"))
    size = n // heads
    mixed = [attention(*(part[:, h * size :][:, :size] for part in (query, key, value)), causal) for h in range(heads)]
    now = now + linear(np.concatenate(mixed, 1), "attention.out")
    y = layer_norm(now, weights("norm2.weight"), weights("norm2.bias"), 1e-5)
    gate = linear(y, "gate") + weights("gate.bias")
    inner = (sigmoid(gate) * gate) * (linear(y, "into") + weights("into.bias"))
    now = now + linear(inner, "out") + weights("out.bias")

    assert np.allclose(values(now), model(x[None])[0].detach().numpy())
    total = al.census(model, x[None]).total
    alone = (
        heads if causal else 0
    )  # the first of a causal sequence has one score, which the sum of its softmax is made of alone
    assert total["unmasked_gating_ops"] == tally.gatings + alone
    assert total["unmasked_gate_signals"] == len(tally.gates) + alone
    assert total["static_mults"] == tally.static
    assert total["shaping"] == tally.shaping - alone


def test_counting_by_definition_agrees_on_an_lstm() -> None:
    length, inputs, width = 3, 2, 3
    layer, tally = nn.LSTM(inputs, width).double(), Tally()
    x, h, c = torch.randn(length, inputs).double(), torch.randn(1, width).double(), torch.randn(1, width).double()
    into, recurrent, bias = (
        parameters(getattr(layer, f"{name}_l0"), tally) for name in ("weight_ih", "weight_hh", "bias_ih")
    )
    state, cell = signals(h[0], tally), signals(c[0], tally)
    second = parameters(layer.bias_hh_l0, tally)
    for row in signals(x, tally):
        lets_in, keeps, new, out = np.split(into @ row + bias + recurrent @ state + second, 4)
        cell = sigmoid(keeps) * cell + sigmoid(lets_in) * np.tanh(new)
        state = sigmoid(out) * np.tanh(cell)
    assert np.allclose(values(state), layer(x, (h, c))[0][-1].detach().numpy())
    total = al.census(layer, (x, (h, c))).total
    assert (total["gating_ops"], total["gate_signals"]) == (tally.gatings, len(tally.gates)) == (3 * width * length,) * 2
    assert total["static_mults"] == tally.static


def test_a_constant_state_is_no_signal() -> None:
    """The first step of an LSTM multiplies its forget gate by zero."""
    x, width = torch.randn(5, 1, 4), 3
    assert gates(nn.LSTM(4, width), x)[1] == 3 * width * 5 - width


@torch.library.custom_op("tests_census::doubled", mutates_args=())
def _doubled(x: Tensor, y: Tensor) -> Tensor:
    return x * y


class Foreign(nn.Module):
    """Calls an operation that nobody knows, of signals or of parameters."""

    def __init__(self, of_signals: bool) -> None:
        super().__init__()
        self.of_signals, self.scale, self.inner = of_signals, nn.Parameter(torch.ones(3)), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = _doubled(x, x + 1) if self.of_signals else _doubled(self.scale, self.scale)
        return self.inner(y) * x


def test_a_custom_operation_is_named_and_not_guessed() -> None:
    found = al.census(nn.Sequential(nn.Linear(3, 3), Foreign(True)), torch.randn(2, 3))
    (one,) = found.not_counted
    assert (one.op, one.module, one.reason, one.times) == ("tests_census::doubled", "1", "no rule", 1)
    assert not found.complete
    assert "tests_census::doubled" in repr(found)
    assert found.total["gating_ops"] == 6  # what it gives is a signal: it gates x
    assert al.census(Foreign(False), torch.randn(2, 3)).complete


def test_what_leaves_torch_is_named() -> None:
    """NumPy multiplies, and nobody sees it."""

    class Elsewhere(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.from_numpy(x.numpy() * np.asarray(y)) + len(x.tolist())

    found = al.census(Elsewhere(), (torch.randn(2, 3), torch.randn(2, 3)))
    assert not found.complete
    assert {(one.op, one.reason) for one in found.not_counted} == {
        ("numpy", "no rule"), ("__array__", "no rule"), ("tolist", "read into Python"),
        ("output", "no signal is seen to reach it"),
    }  # fmt: skip


class Wasteful(nn.Module):
    """Makes products that nothing reads."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        _ = x * y
        return x + y


class InPlace(nn.Module):
    """Half of a buffer is written, in place and through a view; the other half stays a constant."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        buffer = torch.ones(4, 6)
        buffer[:2] = x
        torch.mul(buffer[:2], y, out=buffer[:2])
        return buffer[:2] + (buffer[2:] * y).mul_(0.5)


def test_only_what_reaches_the_output_counts_and_memory_is_followed() -> None:
    x, y = torch.randn(2, 6), torch.randn(2, 6)
    assert al.census(Wasteful(), (x, y)).total["gating_ops"] == 0
    total = al.census(InPlace(), (x, y)).total
    assert (total["gating_ops"], total["static_mults"], total["additive"]) == (12, 12, 12)


def test_parts_of_one_tensor_gate_each_other_and_a_number_shapes_itself() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            a, b = x.chunk(2, -1)
            return a * b.sigmoid() + a * a.sigmoid() + a * x[..., :3].exp()

    total = al.census(Halves(), torch.randn(2, 6)).total
    assert (total["gating_ops"], total["gate_signals"], total["shaping"]) == (6, 6, 12)


def test_a_mask_leaves_what_no_constant_makes_zero() -> None:
    """Of x, half is hidden: in products, by exp of -inf, and no more where something is added."""
    half = torch.tensor([[True, False], [False, True]])

    class Hides(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
            hidden, never = x.masked_fill(half, 0), x.masked_fill(half, -torch.inf)
            masked = hidden.tanh() * y, (never + y).exp() * y
            return *masked, (hidden + 1) * y, (hidden + y) * y, hidden.cos() * y, torch.where(half, x, torch.ones(2, 2)) * y

    total = al.census(Hides(), (torch.randn(2, 2), torch.randn(2, 2))).total
    assert (total["gating_ops"], total["unmasked_gating_ops"]) == (6 * 4, 2 * 2 + 4 * 4)


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    model[1].eval()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    al.census(model, torch.randn(4, 3))
    assert [module.training for module in model] == [True, False, True]
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert model[0](torch.randn(4, 3)).requires_grad


def test_what_cannot_run_is_refused() -> None:
    with pytest.raises(Refusal, match="does not run on the example: RuntimeError"):
        al.census(nn.Linear(3, 3), torch.randn(2, 4))
    with pytest.raises(Refusal, match="no tensor"):
        al.census(nn.Linear(3, 3), (1, 2))


def test_one_number_alone_has_no_axis() -> None:
    """A softmax of it is one divided by itself; products and sums along it are none; and of nothing there are none either."""

    class Alone(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            one = x.sum()
            return one.softmax(0), one.cumprod(-1), one.prod(0), one.log_softmax(0), x[:0].prod(), x[:0].softmax(0)

    assert gates(Alone(), torch.randn(2, 3)) == (1, 1, 0)


def test_a_rule_that_fails_is_named_and_not_the_modules_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it counted until then is not kept, and what it gives is a signal."""

    def fails(call: Any) -> None:
        call.gate(7, 7)
        raise IndexError("of the rule")

    class Turns(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x) * x.sum()

    for rule in (fails, lambda call: [None, None]):  # or gives too many
        monkeypatch.setitem(RULES, "tanh", rule)
        found = al.census(nn.Sequential(nn.Identity(), Turns()), torch.randn(2, 3))
        (one,) = found.not_counted
        assert (one.op, one.module, one.reason) == ("tanh", "1", "no rule")
        assert not found.complete
        assert (found.total["gating_ops"], found.total["gate_signals"]) == (6, 1)


def test_an_operation_in_parts_says_itself_what_it_cannot_run_on() -> None:
    class Crossed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.cross(x, torch.ones(2, 5))

    with pytest.raises(Refusal, match=r"RuntimeError: linalg\.cross"):
        al.census(Crossed(), torch.randn(2, 3))


@pytest.mark.parametrize("place", ["in a module", "in a hook before it"])
def test_what_runs_after_an_error_that_is_caught_is_the_models_own(place: str) -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("caught")

    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Fails() if place == "in a module" else nn.Identity()
            if place != "in a module":
                self.part.register_forward_pre_hook(Fails.forward)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            with contextlib.suppress(ValueError):
                self.part(x)
            return x * y

    model = nn.ModuleDict({"tries": Tries()})
    model.forward = lambda x, y: model["tries"](x, y) + x * y  # type: ignore[method-assign]
    rows = al.census(model, (torch.randn(2, 3), torch.randn(2, 3))).modules.set_index("module")
    assert dict(rows["gating_ops"]) == {"": 6, "tries": 6}


NOTHING: dict[str, Callable[[Tensor], Any]] = {
    "float": lambda x: float((x * x.sum()).sum()),
    "NoneType": lambda x: None,
    "SimpleNamespace": lambda x: types.SimpleNamespace(logits=x * x.sum()),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_an_output_in_which_no_tensor_is_found_is_refused(kind: str) -> None:
    with pytest.raises(Refusal, match=f"gives {kind}, with no tensor"):
        al.census(Calls(NOTHING[kind]), torch.randn(2, 3))


def test_an_output_that_nothing_reaches_is_noted() -> None:
    (one,) = al.census(Calls(lambda x: (torch.ones(3), torch.zeros_like(x))), torch.randn(2, 3)).not_counted
    assert (one.op, one.reason, one.times) == ("output", "no signal is seen to reach it", 2)
    assert not al.census(Calls(lambda x: (torch.ones(3), x)), torch.randn(2, 3)).not_counted


@dataclasses.dataclass
class Given:
    x: Tensor
    y: Tensor


def test_an_example_is_arguments_or_one_of_any_kind() -> None:
    x, y = torch.randn(2, 3), torch.randn(2, 3)
    of_two, of_one = Calls(lambda x, y: x * y), Calls(lambda one: one.x * one.y)
    for model, given in (
        (of_two, (x, y)), (of_two, [x, y]), (of_two, {"x": x, "y": y}), (of_two, UserDict(x=x, y=y)),
        (of_one, (Given(x, y),)), (of_one, Given(x, y)),
    ):  # fmt: skip
        found = al.census(model, given)
        assert (found.total["gating_ops"], found.example) == (6, ((2, 3), (2, 3)))
        assert "on 2 x 3, 2 x 3" in repr(found)


def test_packed_sequences_count_what_each_alone_does() -> None:
    """They are a named tuple of five, and one argument."""
    layer, sequences = nn.LSTM(3, 4), [torch.randn(3, 3), torch.randn(2, 3)]
    packed = al.census(layer, nn.utils.rnn.pack_sequence(sequences)).total
    each = [al.census(layer, one).total for one in sequences]
    assert packed == {key: sum(one[key] for one in each) for key in packed} | {"parameters": each[0]["parameters"]}


class Attended(nn.Module):
    """An LSTM whose outputs gate its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0] * x


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_model_counts_as_its_source() -> None:
    model, x = Attended(), torch.randn(4, 2, 3)
    scripted = torch.jit.script(model)
    assert al.census(scripted, x).total == al.census(model, x).total
    outer = nn.Sequential(nn.Identity(), scripted)
    assert al.census(outer, x).total == al.census(nn.Sequential(nn.Identity(), model), x).total


OPERATORS: dict[str, Callable[[Tensor], Any]] = {
    "cond": lambda x: torch.cond(x.sum() > 0, lambda a: a * a.sum(), lambda a: a.sin(), (x,)),
    "flex_attention": lambda x: flex_attention(x, x, x),
}


@pytest.mark.filterwarnings("ignore")  # that torch would rather compile them
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_of_functions_is_refused_by_its_name(name: str) -> None:
    """The module runs: what fails is the census."""
    model, x = Calls(OPERATORS[name]), torch.randn(1, 2, 16, 16)
    model(x)
    with pytest.raises(Refusal, match=f"cannot follow {name}"):
        al.census(model, x)


def test_lazy_layers_take_their_widths() -> None:
    model = nn.LazyLinear(4)
    assert al.census(model, torch.randn(2, 3)).total["parameters"] == model.weight.numel() + 4 == 3 * 4 + 4


def _small(name: str, batch: int) -> Any:
    family = al.family(name)
    small = {Tokens: Tokens(vocab=11, length=6), Pairs: Pairs(vocab=11, source=8, target=5)}
    io = next((small[kind] for kind in small if kind in family.kinds), REFERENCES[family.kinds[0]])
    model = built(family(**family.shape(8, 1)), io)
    return model, al.census(model, example(io, batch)[0])


@pytest.mark.parametrize("name", names("allometry.model.families"))
def test_every_family_is_counted_whole(name: str) -> None:
    model, found = _small(name, 1)
    total = found.total
    assert found.complete
    assert total["parameters"] == sum(p.numel() for p in model.parameters())
    assert 0 < total["unmasked_gating_ops"] <= total["gating_ops"]
    assert 0 < total["unmasked_gate_signals"] <= total["gate_signals"] <= total["gating_ops"]  # a gate gates something
    assert total["unmasked_gate_signals"] <= total["unmasked_gating_ops"]
    assert 0 <= total["gated_synapses"] < total["gating_ops"]  # softmax, norms and gates of units are no synapses


@pytest.mark.parametrize("name", ["transformer", "lstm", "mamba2"])
def test_sequences_and_modules_add_up(name: str) -> None:
    torch.manual_seed(0)
    (_, one), (_, three) = _small(name, 1), _small(name, 3)
    counts = [key for key in one.total if key != "parameters"]
    assert {key: 3 * one.total[key] for key in counts} == {key: three.total[key] for key in counts}
    table = one.table().set_index("module")
    layers = [path for path in table.index if path.count(".") == 2]
    outside = [path for path in table.index if path in ("embedding", "norm", "head")]
    for key in counts:
        assert table.loc["", key] == one.total[key] == table.loc[[*layers, *outside], key].sum()

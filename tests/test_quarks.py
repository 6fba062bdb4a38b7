"""The classification 18 -> 6 -> 3, and the six quarks as modules: rewrites, derivatives, and what they compute."""

import itertools
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from allometry import quark
from allometry.model.gates import equations
from allometry.model.gates.activation_gating import ActivationGating
from allometry.model.gates.additive_output import AdditiveOutput
from allometry.model.gates.additive_synaptic import AdditiveSynaptic
from allometry.model.gates.multiplexing import Multiplexing
from allometry.model.gates.neurons import Threshold, Units, hardened
from allometry.model.gates.output_gating import OutputGating
from allometry.model.gates.synaptic_gating import SynapticGating
from allometry.quark import ALL, SIX, THREE, Quark

INPUTS, UNITS, ROWS = 4, 3, 7


# The classification


def test_eighteen_come_to_six_and_to_three() -> None:
    assert len(set(ALL)) == 18
    assert {one.canonical().six for one in ALL} == set(SIX)
    assert {one.canonical().three for one in ALL} == set(THREE)
    assert len({one.name for one in ALL}) == 18


def test_canonical_ones_stay_and_say_no_rewrite() -> None:
    for one in THREE:
        assert one.canonical().rewrites == ()
        assert one.canonical().three == one
    for one in ALL:
        again = one.canonical().three
        assert again is not None
        assert again.canonical().three == again
        assert len(one.canonical().rewrites) == (one.source != "O") + (one.canonical().six not in THREE)


def test_each_rewrite_leads_to_what_the_next_one_starts_from() -> None:
    assert [r.name for r in Quark(source="S", target="w", op="add").canonical().rewrites] == [
        "identity unit",
        "parallel synapse",
    ]
    assert [r.name for r in Quark(source="w", target="O", op="add").canonical().rewrites] == [
        "dynamic weight",
        "tied weights",
    ]
    for one in ALL:
        first = one.canonical().six
        assert first is not None
        assert (first.target, first.op) == (one.target, one.op)


def test_a_static_weight_is_no_attention() -> None:
    for one in ALL:
        if one.source == "w":
            assert one.canonical(static=True).six is one.canonical(static=True).three is None


def test_what_multiplies_stays_outside_the_standard_model() -> None:
    """Multiplexing alone is in it: no rewrite turns a product of two outputs into a sum."""
    for one in ALL:
        assert one.quadratic == (one.canonical().three != quark.MULTIPLEXING)


def test_a_gate_that_commutes_is_output_gating() -> None:
    assert quark.ACTIVATION_GATING.canonical(commutes=True).three == quark.OUTPUT_GATING
    assert quark.ACTIVATION_GATING.canonical().three == quark.SYNAPTIC_GATING
    assert quark.MULTIPLEXING.canonical(commutes=True).three == quark.MULTIPLEXING


def test_what_is_no_quark_is_refused() -> None:
    with pytest.raises(ValueError, match="Choose one of S, O, w"):
        Quark(source="x", target="O", op="add")
    with pytest.raises(ValueError, match="Choose one of add, mul"):
        Quark(source="S", target="O", op="times")


# The rewrites, as equalities of functions and of gradients


@pytest.fixture(autouse=True)
def _exact() -> None:
    torch.manual_seed(0)


def rows(*shape: int) -> Tensor:
    return torch.randn(*(shape or (ROWS, INPUTS)), dtype=torch.float64, requires_grad=True)


def units(inputs: int = INPUTS, number: int = UNITS, fire=torch.tanh, bias: bool = True) -> Units:
    made = Units(inputs, number, fire, bias).double()
    if made.bias is not None:
        nn.init.normal_(made.bias)
    return made


def gate(signals: int = UNITS, fire=torch.sigmoid) -> Units:
    return units(number=signals, fire=fire)


def same(one: Tensor, other: Tensor, *leaves: Tensor) -> None:
    """The same function, and the same gradients of all leaves for a random weighting of the outputs."""
    torch.testing.assert_close(one, other)
    weighting = torch.randn_like(one)
    first, second = (torch.autograd.grad((out * weighting).sum(), leaves, retain_graph=True) for out in (one, other))
    torch.testing.assert_close(first, second)
    assert all(g.abs().max() > 1e-6 for g in first)


def test_an_activation_attends_through_an_identity_unit() -> None:
    """By the module, whose attending signal is an output, and by the equation with the activation itself."""
    x, attended, attending = rows(), units(), units(fire=lambda s: s)
    for direct, module in (
        (attending.sums(x) * attended(x), OutputGating(attended, attending)),
        (torch.tanh(attending.sums(x) * attended.sums(x)), ActivationGating(attended, attending)),
    ):
        same(direct, module(x), x, *module.parameters())


def test_a_dynamic_weight_attends_by_the_output_that_drives_it() -> None:
    """w_lm = g of a hypernetwork multiplies an output: output gating by g; equal as w is nothing else."""
    x, attended, driver = rows(), units(), gate()
    weight = equations.synaptic_gating(driver(x), torch.ones(UNITS, dtype=torch.float64))
    same(weight * attended(x), OutputGating(attended, driver)(x), x, *driver.parameters())


def test_additive_output_is_multiplexing_with_tied_weights() -> None:
    x, below = rows(), AdditiveOutput(units(), gate(2), UNITS, 2).double()
    above = units(UNITS, 5)
    tied = Multiplexing(above, _Given(below.attending(x)), 5, 2)
    del tied.strength  # a parameter of its own; here it is made of the others'
    tied.strength = above.weight @ below.strength
    same(above(below(x)), tied(below.attended(x)), x, above.weight, *below.parameters())


@pytest.mark.parametrize("per", ["all", "unit", "synapse", "each"])
def test_additive_synaptic_is_an_ordinary_synapse_and_a_gated_one(per: str) -> None:
    synapses = (1, 3)
    signals = {"all": 1, "unit": UNITS, "synapse": 2, "each": UNITS * 2}[per]
    x, plain, attending = rows(), units(), gate(signals)
    module = AdditiveSynaptic(plain, attending, synapses, per).double()
    beside = Units(INPUTS, UNITS, torch.tanh, bias=False).double()
    beside.weight = nn.Parameter(torch.zeros_like(beside.weight))
    beside.weight.data[:, synapses] = module.strength.data
    gated = SynapticGating(beside, attending, synapses, per)
    rewritten = torch.tanh(plain.sums(x) + gated.sums(x))
    same(module(x), rewritten, x, *plain.parameters(), *attending.parameters())
    weighting = torch.randn_like(rewritten)
    of_strength = torch.autograd.grad((module(x) * weighting).sum(), module.strength)[0]
    of_beside = torch.autograd.grad((rewritten * weighting).sum(), beside.weight)[0]
    torch.testing.assert_close(of_strength, of_beside[:, synapses])


def test_additive_synaptic_is_an_ordinary_synapse_and_an_output_gating() -> None:
    """(w + c g) O = w O + c (g O): the product is an output, seen over one synapse."""
    x, plain, attending = rows(), units(), gate(1)
    module = AdditiveSynaptic(plain, attending, (2,), "all").double()
    product = equations.output_gating(attending(x), x[:, 2:3])
    same(module(x), torch.tanh(plain.sums(x) + product @ module.strength.mT), x, *module.parameters())


@pytest.mark.parametrize("fire", [torch.tanh, torch.sin, torch.sigmoid])
def test_activation_gating_is_synaptic_gating_of_all_incoming_synapses(fire) -> None:
    """Of any f; the bias is among the synapses."""
    x, attended, attending = rows(), units(fire=fire), gate()
    every = tuple(range(INPUTS + 1))
    module = ActivationGating(attended, attending)
    same(module(x), SynapticGating(attended, attending, every)(x), x, *module.parameters())


@pytest.mark.parametrize(
    ("fire", "opened"), [(lambda s: s, torch.tanh), (torch.relu, torch.sigmoid), (nn.LeakyReLU(0.1), torch.sigmoid)]
)
def test_activation_gating_is_output_gating_where_the_gate_commutes(fire, opened) -> None:
    x, attended, attending = rows(), units(fire=fire), gate(fire=opened)
    module = ActivationGating(attended, attending)
    same(module(x), OutputGating(attended, attending)(x), x, *module.parameters())


def test_a_sign_commutes_with_a_sign_and_not_with_an_outer_bias() -> None:
    x, attended, attending = rows(500, INPUTS), units(fire=Threshold("pm")), gate(fire=Threshold("pm"))
    without, product = ActivationGating(attended, attending), OutputGating(attended, attending)
    assert torch.equal(without(x), product(x))
    assert set(product(x).unique().tolist()) == {-1, 1}
    outer = ActivationGating(attended, attending, outer=UNITS).double()
    nn.init.constant_(outer.bias, 0.5)
    assert not torch.equal(outer(x), product(x))


def test_a_gate_that_does_not_commute_is_another_function() -> None:
    x, attended, attending = rows(), units(), gate()
    assert (ActivationGating(attended, attending)(x) - OutputGating(attended, attending)(x)).abs().max() > 0.01


def test_output_gating_is_synaptic_gating_of_all_outgoing_synapses() -> None:
    x, below, attending, above = rows(), units(), gate(), units(UNITS, 5)
    through = OutputGating(below, attending)
    gated = SynapticGating(above, _Given(attending(x)), tuple(range(UNITS)), "synapse")
    same(above(through(x)), gated(below(x)), x, *above.parameters(), *through.parameters())


class _Given(nn.Module):
    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Tensor:
        return self.value


# The derivatives of the quarks


def test_derivatives_of_output_gating() -> None:
    """dO/dg = f(S), dO/dS = g f'(S)."""
    s, g = rows(ROWS), rows(ROWS)
    of_gate, of_sum = torch.autograd.grad(equations.output_gating(g, torch.tanh(s)).sum(), (g, s))
    torch.testing.assert_close(of_gate, torch.tanh(s))
    torch.testing.assert_close(of_sum, g * (1 - torch.tanh(s) ** 2))


def test_derivatives_of_synaptic_gating() -> None:
    """dS/dg = w O, dS/dw = g O, dS/dO = g w."""
    x, attended = rows(1, INPUTS), units(number=1)
    module = SynapticGating(attended, _Given(rows(1, 1)), (2,))
    g, w, o = module.attending.value, attended.weight, x
    of_gate, of_weight, of_output = torch.autograd.grad(module.sums(x).sum(), (g, w, o))
    torch.testing.assert_close(of_gate[0, 0], w[0, 2] * o[0, 2])
    torch.testing.assert_close(of_weight[0, 2], g[0, 0] * o[0, 2])
    torch.testing.assert_close(of_output[0, 2], g[0, 0] * w[0, 2])
    torch.testing.assert_close(of_weight[0, 0], o[0, 0])  # a synapse beside it is none of its business


def test_a_closed_gate_stops_the_gradient() -> None:
    """Of the whole unit, or over one edge alone, with that of its weight."""
    x, attended, shut = rows(), units(), _Given(torch.zeros(ROWS, UNITS, dtype=torch.float64))
    blocked = torch.autograd.grad(OutputGating(attended, shut)(x).sum(), (x, attended.weight))
    assert all((g == 0).all() for g in blocked)
    of_x, of_weight = torch.autograd.grad(SynapticGating(attended, shut, (2,))(x).sum(), (x, attended.weight))
    assert (of_x[:, 2] == 0).all()
    assert (of_weight[:, 2] == 0).all()
    assert (of_x[:, 0] != 0).all()
    assert (of_weight[:, 0] != 0).all()


# Hard and soft form


def test_a_soft_threshold_becomes_the_hard_one() -> None:
    s = torch.linspace(-3, 3, 41, dtype=torch.float64)
    s = s[s.abs() > 0.1]
    for convention, values in (("01", [0.0, 1.0]), ("pm", [-1.0, 1.0])):
        hard, soft = Threshold(convention)(s), Threshold(convention, 1000.0)(s)
        assert hard.unique().tolist() == values
        torch.testing.assert_close(soft, hard, atol=1e-12, rtol=0)
    assert torch.allclose(Threshold("pm", 1.0)(s), 2 * Threshold("01", 1.0)(s) - 1)
    with pytest.raises(ValueError, match="01, pm"):
        Threshold("0,1")


def test_a_hardened_copy_has_the_same_weights_and_leaves_the_soft_one_soft() -> None:
    soft = OutputGating(
        units(fire=Threshold("pm", 2.0)),
        Multiplexing(gate(fire=Threshold("01", 2.0)), gate(2, Threshold("pm", 2.0)), UNITS, 2).double(),
    )
    x = rows()
    hard = hardened(soft)
    assert set(hard(x).unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert torch.equal(
        torch.cat([p.flatten() for p in hard.parameters()]), torch.cat([p.flatten() for p in soft.parameters()])
    )
    assert len(soft(x).unique()) == ROWS * UNITS


@pytest.mark.parametrize("soft", [torch.sigmoid, torch.tanh, torch.nn.Sigmoid(), torch.nn.functional.tanh])
def test_what_would_stay_soft_is_not_hardened(soft) -> None:
    with pytest.raises(ValueError, match="stays soft"):
        hardened(OutputGating(units(fire=Threshold("pm", 2.0)), gate(fire=soft)))
    hardened(units(fire=torch.relu))  # no soft threshold


@pytest.mark.parametrize(("per", "right"), [("all", 1), ("unit", UNITS), ("synapse", 2), ("each", 2 * UNITS)])
def test_a_gate_has_as_many_signals_as_it_says(per: str, right: int) -> None:
    x = rows().float()
    for kind in (SynapticGating, AdditiveSynaptic):
        assert kind(Units(INPUTS, UNITS, torch.tanh), Units(INPUTS, right, torch.tanh), (0, 1), per)(x).shape[-1] == UNITS
        wrong = kind(Units(INPUTS, UNITS, torch.tanh), Units(INPUTS, 5 * right, torch.tanh), (0, 1), per)
        with pytest.raises(ValueError, match=f"{right} here"):
            wrong(x)


@pytest.mark.parametrize("copies", [(), (3,)])
def test_a_vector_is_one_row(copies: tuple[int, ...]) -> None:
    def layer(units: int = UNITS) -> Units:
        return Units(INPUTS, units, torch.tanh, copies=copies)

    for module in (
        layer(),
        OutputGating(layer(), layer()),
        AdditiveOutput(layer(), layer(2), UNITS, 2, copies),
        Multiplexing(layer(), layer(2), UNITS, 2, copies),
        SynapticGating(layer(), layer(), (1,)),
        AdditiveSynaptic(layer(), layer(), (1,)),
        ActivationGating(layer(), layer(), UNITS, copies),
    ):
        x = torch.randn(4, INPUTS)
        assert module(x[2]).shape == (*copies, UNITS)
        torch.testing.assert_close(module(x[2]), module(x)[..., 2, :])
    one = layer()
    torch.testing.assert_close(one.sums(x[2]), one.sums(x)[..., 2, :])


def test_modules_nest_and_train() -> None:
    """A product of three gates learns the parity of three inputs, which no two can compute."""
    torch.manual_seed(3)
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)))
    soft = Threshold("pm", 1.0)
    product = OutputGating(Units(3, 1, soft), OutputGating(Units(3, 1, soft), Units(3, 1, soft)))
    optimizer = torch.optim.Adam(product.parameters(), 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        ((product(x)[:, 0] - x.prod(-1)) ** 2).mean().backward()
        optimizer.step()
    assert torch.equal(hardened(product)(x)[:, 0], x.prod(-1))


def test_copies_are_layers_of_their_own() -> None:
    x = torch.randn(ROWS, INPUTS)
    many = AdditiveSynaptic(Units(INPUTS, 1, torch.tanh, copies=(5,)), Units(INPUTS, 1, torch.tanh, copies=(5,)), (1,))
    one = AdditiveSynaptic(Units(INPUTS, 1, torch.tanh), Units(INPUTS, 1, torch.tanh), (1,))
    for k in range(5):
        one.load_state_dict({name: value[k] for name, value in many.state_dict().items()})
        torch.testing.assert_close(many(x)[k], one(x))


@pytest.mark.parametrize(("synapses", "per"), [((5,), "unit"), ((), "unit"), ((1, 1), "unit"), ((1,), "row")])
def test_synapses_that_are_not_there_are_refused(synapses: tuple[int, ...], per: str) -> None:
    with pytest.raises(ValueError, match="not"):
        SynapticGating(units(), gate(), synapses, per)


# What hard quarks compute, over all integer weights up to 2: the column n = 2 of the counts


def threshold_units() -> tuple[Tensor, Tensor]:
    """Weights and biases of every unit with integer weights up to 2 and a bias half way between."""
    sides = torch.arange(-2.0, 3)
    weights = torch.cartesian_prod(sides, sides).repeat_interleave(10, 0)
    return weights, torch.arange(-4.5, 5).repeat(25)


def pairs(first: str, second: str) -> tuple[Units, Units]:
    """Two layers whose copies are all pairs of such units."""
    weights, biases = threshold_units()
    many = len(weights)
    layers = (Units(2, 1, Threshold(c), copies=(many * many,)) for c in (first, second))
    one, other = layers
    one.weight.data[:, 0], one.bias.data[:, 0] = weights.repeat_interleave(many, 0), biases.repeat_interleave(many)
    other.weight.data[:, 0], other.bias.data[:, 0] = weights.repeat(many, 1), biases.repeat(many)
    return one, other


def functions(module: nn.Module, signed: bool) -> int:
    """Different rows of outputs over all inputs."""
    x = torch.tensor(list(itertools.product([-1.0, 1.0] if signed else [0.0, 1.0], repeat=2)))
    with torch.no_grad():
        return len(module(x)[..., 0].unique(dim=0))


@pytest.mark.parametrize(
    ("attended", "attending", "signed", "count"),
    [("01", "01", False, 16), ("01", "01", True, 16), ("pm", "pm", True, 16), ("pm", "01", True, 71)],
)
def test_counts_of_output_gating(attended: str, attending: str, signed: bool, count: int) -> None:
    assert functions(OutputGating(*pairs(attended, attending)), signed) == count


@pytest.mark.parametrize(("convention", "count"), [("01", 14), ("pm", 16)])
def test_counts_of_synaptic_gating(convention: str, count: int) -> None:
    """Of one synapse: XOR and its complement are out of reach of 0/1 signals."""
    assert functions(SynapticGating(*pairs(convention, convention), (0,)), convention == "pm") == count


def test_counts_of_the_others() -> None:
    plain = Units(2, 1, Threshold("pm"), copies=(250,))
    plain.weight.data[:, 0], plain.bias.data[:, 0] = threshold_units()
    assert functions(plain, True) == 14
    for convention, strength in (("01", 3.0), ("pm", 2.0)):
        module = Multiplexing(*pairs(convention, convention), 1, 1)
        module.strength.data[:] = strength
        assert functions(module, convention == "pm") == 16
    assert functions(ActivationGating(*pairs("pm", "pm")), True) == 16


def test_the_code_of_the_document_runs() -> None:
    text = (Path(__file__).parents[1] / "docs" / "gates.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    known: dict[str, object] = {}
    for block in blocks:
        exec(block, known)
    product = known["product"]
    assert isinstance(product, OutputGating)
    assert hardened(product)(torch.randn(5, 8)).abs().unique().tolist() == [1.0]

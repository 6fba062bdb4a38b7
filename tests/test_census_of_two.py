"""An operation of two signals counts as its equation says, or is named: none is silently zero."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from called import Calls
from torch import Tensor

import allometry as al
from allometry.probe.census import Census

ROWS, WIDTH = 2, 3
N = ROWS * WIDTH


def found(function: Callable[..., Any], *given: Tensor) -> Census:
    return al.census(Calls(function), given)


def counts(function: Callable[..., Any], *given: Tensor) -> tuple[int, int, int, int]:
    """Gatings, sums, shapings, static multiplications; nothing is left out."""
    census = found(function, *given)
    assert not census.not_counted
    total = census.total
    return total["gating_ops"], total["additive"], total["shaping"], total["static_mults"]


def positive(*shape: int) -> Tensor:
    return torch.rand(shape or (ROWS, WIDTH)) + 0.5


x, y, z = positive(), positive(), positive()
TABLE = positive()
WHOLE = torch.tensor([0.0, 1.0, 4.0])

# Of each number: gatings, sums, shapings, static multiplications. By hand, from the equation that stands beside.
OF_TWO: dict[str, tuple[Callable[..., Any], tuple[int, int, int, int]]] = {
    "x^y = exp(y log x)": (torch.pow, (1, 0, 0, 0)),
    "x^y in place": (lambda x, y: (x * 1).pow_(y), (1, 0, 0, 0)),
    "x^y in double": (torch.float_power, (1, 0, 0, 0)),
    "x^x = exp(x log x)": (lambda x, y: x**x, (0, 0, 1, 0)),
    "c^y = exp(y log c), many c": (lambda x, y: TABLE**y, (0, 0, 0, 1)),
    "2^y": (lambda x, y: 2**y, (0, 0, 0, 0)),
    "x^c, many c": (lambda x, y: x**TABLE, (0, 0, 0, 1)),
    "x^c, one c": (lambda x, y: x**0.5 + x ** float("inf"), (0, 0, 0, 0)),
    "x^-3 = 1 / (x x x)": (lambda x, y: x**-3, (0, 0, 2, 0)),
    "angle = arctan(x / y)": (torch.atan2, (1, 0, 0, 0)),
    "sqrt(x x + y y)": (torch.hypot, (0, 1, 2, 0)),
    "x - y trunc(x / y)": (torch.fmod, (2, 1, 0, 0)),
    "x - y floor(x / y)": (torch.remainder, (2, 1, 0, 0)),
    "floor(x / y)": (torch.floor_divide, (1, 0, 0, 0)),
    "log(exp x + exp y)": (torch.logaddexp, (0, 1, 0, 0)),
    "log2(2^x + 2^y)": (torch.logaddexp2, (0, 1, 0, 0)),
    "|x| sign(y)": (torch.copysign, (1, 0, 0, 0)),
    "x log y": (torch.xlogy, (1, 0, 0, 0)),
    "x 2^y": (torch.ldexp, (1, 0, 0, 0)),
    "H(x - y)": (lambda x, y: x > y, (0, 1, 0, 0)),
    "x = y": (torch.eq, (0, 1, 0, 0)),
    "x > c": (lambda x, y: x > TABLE, (0, 0, 0, 0)),
    "and: the product of two": (lambda x, y: (x > 1) & (y > 1), (1, 0, 0, 0)),
    "or: 1 - (1 - x) (1 - y)": (torch.logical_or, (1, 0, 0, 0)),
    "xor: in -1, +1 the product": (torch.logical_xor, (1, 0, 0, 0)),
    "and with a constant is a mask": (lambda x, y: (x > 1) & (TABLE > 1), (0, 0, 0, 0)),
    "H(x) y + (1 - H(x)) c": (lambda x, y: torch.where(x > 1, y, TABLE), (1, 0, 0, 0)),
    "H(x) x + (1 - H(x)) y": (lambda x, y: torch.where(x > 1, x, y), (1, 0, 1, 0)),
    "a ReLU, by a mask": (lambda x, y: x.masked_fill(x < 1, 0), (0, 0, 1, 0)),
    "a signal put where a signal says": (lambda x, y: TABLE.masked_fill(x > 1, y[0, 0]), (1, 0, 0, 0)),
    "x + c x y": (lambda x, y: torch.addcmul(x, x, y, value=2), (1, 1, 0, 0)),
    "x + x / y": (lambda x, y: torch.addcdiv(x, x, y), (1, 1, 0, 0)),
    "a ReLU, a slope times its other side": (lambda x, y: F.prelu(x, y[0]), (1, 0, 1, 0)),
    "the same with slopes that are constants": (lambda x, y: F.prelu(x, WHOLE), (0, 0, 1, 1)),
    "(x - m) / s, then a gain": (lambda x, y: F.layer_norm(x, (WIDTH,), y[0]), (2, 1, 1, 0)),
    "and a shift": (lambda x, y: F.layer_norm(x, (WIDTH,), y[0], y[1]), (2, 2, 1, 0)),
    "x gain, of statistics that are kept": (
        lambda x, y: F.batch_norm(x, torch.zeros(WIDTH), torch.ones(WIDTH), y[0]), (1, 0, 0, 0),
    ),
    "two products for each of three": (torch.linalg.cross, (2, 1, 0, 0)),
    "mean + deviation noise": (torch.normal, (0, 1, 0, 1)),
    "what is filled in gates": (lambda x, y: x * torch.zeros(WIDTH).fill_(y[0, 0]), (1, 0, 0, 0)),
    "products where they meet": (lambda x, y: x.scatter_reduce(1, torch.zeros_like(x).long(), y, "prod"), (1, 0, 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_TWO)
def test_an_operation_counts_as_its_equation(name: str) -> None:
    function, each = OF_TWO[name]
    assert counts(function, x, y) == tuple(N * one for one in each)


# One number shaped by itself, however it is written, and nothing else: x or a bound, x or 0, x or a share of it.
SHAPED: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "clamp(min)": lambda x: x.clamp(min=0),
    "maximum": lambda x: torch.maximum(x, torch.tensor(0.0)),
    "max": lambda x: torch.max(torch.zeros(WIDTH), x),
    "fmax": lambda x: torch.fmax(x, TABLE),
    "a constant, cut by a signal": lambda x: TABLE.clamp(min=x),
    "relu6": F.relu6,
    "relu6 by clamp": lambda x: x.clamp(0, 6),
    "hardtanh": F.hardtanh,
    "hardtanh by clamps": lambda x: x.clamp_max(1).clamp_min_(-1),
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "leaky relu": F.leaky_relu,
    "leaky relu by maximum": lambda x: torch.maximum(x, x / 10),
}


@pytest.mark.parametrize("name", SHAPED)
def test_a_rectifier_is_shaping_however_it_is_written(name: str) -> None:
    """And what it gives is a function of the same numbers, so that its product with them is shaping too."""
    twice = 1 + ("by clamps" in name)
    assert counts(SHAPED[name], x) == (0, 0, twice * N, 0)
    assert counts(lambda x: SHAPED[name](x) * x, x) == (0, 0, (1 + twice) * N, 0)


def test_powers_of_many_whole_exponents_are_products_with_themselves() -> None:
    """x^0, x^1 and x^4 in each row: three products for the last."""
    assert counts(lambda x: x**WHOLE, x) == (0, 0, 3 * ROWS, 0)


def test_an_exponent_for_each_row_is_one_gate_for_it() -> None:
    total = found(lambda x, y: x**y, x, positive(ROWS, 1)).total
    assert (total["gate_signals"], total["gating_ops"]) == (ROWS, N)


def test_what_an_equation_makes_is_followed() -> None:
    """A power, an angle and a draw are signals, and gate what they multiply; what has only the shape of one is none."""
    for function in (torch.pow, torch.atan2, torch.normal, lambda x, y: torch.bernoulli(x / 2) + y):
        before, after = (
            found(lambda *given, f=function, g=gates: f(*given[:2]) * (given[2] if g else 1), x, y, z).total["gating_ops"]
            for gates in (False, True)
        )
        assert after == before + N
    assert counts(lambda x, y: torch.bernoulli(x, 0.5) * y, x, y) == (0, 0, 0, N)


CHOICES: dict[str, Callable[..., Any]] = {
    "between two signals": lambda x, y: x.clamp(min=y),
    "the larger of two": torch.maximum,
    "a number and the sum that it is in": lambda x, y: torch.minimum(x, x.sum()),
    "rows of signals": lambda x, y: F.embedding((y > 1).long(), x),
    "places": lambda x, y: torch.zeros(ROWS, WIDTH).scatter(1, (y > 1).long(), x),
    "places of sums": lambda x, y: torch.zeros(ROWS, WIDTH).index_add(0, (y[:, 0] > 1).long(), x),
    "places of an array": lambda x, y: torch.zeros(ROWS, WIDTH).index_put(((y[:, 0] > 1).long(),), x),
    "places of a mask": lambda x, y: torch.zeros(ROWS, WIDTH).masked_scatter(y > 1, x),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_by_signals_is_named(name: str) -> None:
    assert "a choice among signals" in {one.reason for one in found(CHOICES[name], x, y).not_counted}


def test_bits_of_whole_numbers_and_distances_have_no_rule_and_are_named() -> None:
    whole = torch.randint(1, 9, (ROWS, WIDTH))
    assert not found(torch.bitwise_and, whole, whole + 1).complete
    assert not found(torch.cdist, x, y).complete


def _elementwise() -> list[Any]:
    """Every operation of torch that calls itself pointwise and takes two tensors or more, and writes none."""
    packets = (getattr(torch.ops.aten, name) for name in dir(torch.ops.aten) if not name.endswith("_"))
    overloads = (getattr(one, name) for one in packets if hasattr(one, "overloads") for name in one.overloads())
    return [
        one
        for one in overloads
        if torch.Tag.pointwise in one.tags
        and sum(str(argument.type) == "Tensor" for argument in one._schema.arguments) > 1
        and not any(argument.alias_info for argument in one._schema.arguments)
    ]


def _given(operation: Any, whole: bool) -> tuple[Callable[..., Any], list[Tensor]]:
    """The operation as a function of its tensors, other arguments at a small value."""
    needed = [argument for argument in operation._schema.arguments if not argument.has_default_value()]
    flags = {"number": 1, "float": 0.5, "bool": False, "Optional[str]": "floor"}
    signals = {
        one.name: torch.randint(1, 5, (ROWS, WIDTH)) if whole else positive() / 2
        for one in needed
        if str(one.type) == "Tensor"
    }
    for mask in ("condition", "mask"):
        if mask in signals:
            signals[mask] = signals[mask] > 0.5
    rest = {one.name: flags[str(one.type)] for one in needed if one.name not in signals}

    def function(*given: Tensor) -> Any:
        made = operation(**dict(zip(signals, given, strict=True)), **rest)
        return made if isinstance(made, Tensor | tuple) else (made, given[0])  # a truth in Python: no output of a module

    return function, list(signals.values())


def _census(operation: Any) -> Census:
    try:
        function, signals = _given(operation, whole=False)
        return found(function, *signals)
    except al.Refusal:  # of whole numbers only
        function, signals = _given(operation, whole=True)
        return found(function, *signals)


def test_no_elementwise_operation_of_two_signals_is_silently_zero() -> None:
    """Each is counted in some column, or named; that the list is torch's own finds what nobody thought of."""
    operations, silent = _elementwise(), []
    assert len(operations) > 50
    for operation in operations:
        census = _census(operation)
        total = census.total
        if not census.not_counted and not total["gating_ops"] + total["additive"] + total["shaping"]:
            silent.append(str(operation))
    assert not silent

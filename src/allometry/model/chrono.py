"""Chrono initialisation, in place, in the manner of torch.nn.init (Tallec and Ollivier 2018, arXiv:1804.11188, equation 16).

    al.chrono_(torch.nn.LSTM(8, 128), t_max=500)

The bias of a gate that keeps the state becomes log(T - 1), that of a gate that lets the input in its negative, from the same T.
"""

import functools
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.model import _timescale
from allometry.model._clock import Clock

Module = TypeVar("Module", bound=nn.Module)


def chrono_(
    module: Module,
    t_max: float,
    t_min: float = 2.0,
    prior: str | _timescale.Quantiles = "uniform",
    generator: torch.Generator | None = None,
) -> Module:
    """Give every gated unit in `module` a time scale of its own, and return the module.

    It reaches torch.nn's LSTM and GRU and their cells (all layers, both directions, projections) and every gated block of
    allometry, wherever they stand in the module. Of the two biases of torch.nn that add up, the second is added to the first,
    set to zero and held there: an optimiser that moves both moves the gate at twice its rate.

    Args:
        module: what holds the gated layers; changed in place.
        t_max: longest time scale, in steps. The paper takes what the task needs to remember, or about that.
        t_min: shortest, above 1.
        prior: law of the time scales: uniform (the paper's), log_uniform, inverse, power, heavy; or a function of quantiles
            (u, t_min, t_max) -> T. `_timescale.py` says which published initialisation is which.
        generator: of the draws, on the CPU; each layer and direction draws in turn.

    Raises:
        Refusal: (a ValueError) the range is none, or nothing in the module has a gate.
    """
    _timescale.draw(0, t_max, t_min, prior)  # refuses before anything is changed
    found = clocks(module)
    if not found:
        raise Refusal(
            f"There is no gate in {type(module).__name__} that keeps time. chrono_ sets LSTM, GRU and the gated blocks of "
            f"allometry; a plain RNN has none."
        )
    for clock in found.values():
        clock.write(_timescale.draw(clock.units, t_max, t_min, prior, generator))
    return module


def clocks(module: nn.Module) -> dict[str, Clock]:
    """Every clock in a module by its name there, in the order of its parts. A part of the user's own has a method `clocks()`."""
    found = {}
    for path, part in module.named_modules():
        own = part.clocks() if hasattr(part, "clocks") else _of_torch(part)
        found |= {".".join(filter(None, (path, name))): clock for name, clock in own.items()}
    return found


def _of_torch(part: nn.Module) -> dict[str, Clock]:
    if isinstance(part, nn.LSTM | nn.GRU):
        ends = [f"_l{layer}{end}" for layer in range(part.num_layers) for end in ("", "_reverse")[: 1 + part.bidirectional]]
    elif isinstance(part, nn.LSTMCell | nn.GRUCell):
        ends = [""]
    else:
        return {}
    if not part.bias:
        raise Refusal(f"{type(part).__name__}(bias=False) has no bias to set. Build it with bias=True.")
    repeated = 4 if isinstance(part, nn.LSTM | nn.LSTMCell) else 2
    return {end.removeprefix("_"): _Biases(part, end, repeated) for end in ends}


class _Biases(Clock):
    """Of a layer of torch.nn, whose biases have a row of units for each gate.

    LSTM: i, f, g, o with c = f c + i g, and all four rows of the second bias repeat the first. GRU: r, z, n with
    h = (1 - z) n + z h, and the second bias of n does not, as r multiplies it. So the second row keeps, in both.
    """

    def __init__(self, part: nn.Module, end: str, repeated: int) -> None:
        self.part, self.second, self.units = part, f"bias_hh{end}", int(part.hidden_size)  # type: ignore[call-overload]
        self.first, self.lets_in = f"bias_ih{end}", repeated == 4
        self.repeated, self.keeps = slice(0, repeated * self.units), slice(self.units, 2 * self.units)

    @torch.no_grad()
    def write(self, scale: Float[Tensor, " units"]) -> None:
        first, second = getattr(self.part, self.first), getattr(self.part, self.second)
        first[self.repeated] += second[self.repeated]
        second[self.repeated] = 0
        first[self.keeps] = _timescale.keep_bias(scale)
        if self.lets_in:
            first[: self.units] = -first[self.keeps]
        pin(self.part, self.second, self.repeated)

    @torch.no_grad()
    def read(self) -> Float[Tensor, " units"]:
        bias = getattr(self.part, self.first)[self.keeps] + getattr(self.part, self.second)[self.keeps]
        return _timescale.scale_of(bias.double())


def pin(part: nn.Module, name: str, rows: slice) -> None:
    """Hold rows of a parameter at zero: their gradient is zero from now on, in copies of the module too.

    A copy of a parameter has no hooks, so the module looks before each forward whether they are there.
    """
    if isinstance(getattr(part, name), nn.Parameter):
        if not hasattr(part, "_pinned"):
            part._pinned = {}  # type: ignore[assignment]
            part.register_forward_pre_hook(_hold)
        part._pinned[name] = rows  # type: ignore[index, operator]
        _hold(part, ())


def _hold(part: nn.Module, inputs: object) -> None:
    pinned: dict[str, slice] = part._pinned  # type: ignore[assignment]
    for name, rows in pinned.items():
        parameter: Any = getattr(part, name)
        hooks = (parameter._backward_hooks or {}).values()
        if parameter.requires_grad and not any(getattr(hook, "func", None) is _without for hook in hooks):
            parameter.register_hook(functools.partial(_without, rows))


def _without(rows: slice, gradient: Tensor) -> Tensor:
    gradient = gradient.clone()
    gradient[rows] = 0
    return gradient

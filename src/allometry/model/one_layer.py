"""One recurrent layer between the input and a linear readout: the networks of the experiments on memory.

Nothing stands around the recurrence that could help it or hide what it does: no embedding (a token is a one-hot vector), no
norm, no residual path. The stacks of `families/` are for comparing architectures; this is for asking what a gate does
(Tallec and Ollivier 2018, arXiv:1804.11188). By its laws of time warping the matrices of the candidate are the same for
all speeds of time and the gate alone changes, so a network can be told to train its gates only.

What a cell sees of the input starts with a variance of 1: gates that are nearly shut let in little, and with a smaller start
copying and adding begin to be learned much later (docs/decisions.md).
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from allometry.flow import IO, Refusal, Series, Tokens
from allometry.model._clock import Clock
from allometry.model._family import Family
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import spread
from allometry.model.blocks._forgetting import Sums, forgetting
from allometry.model.blocks._linear import BiasedLinear, OneHot
from allometry.model.blocks._resetting import resetting
from allometry.model.blocks.long_short_term_memory import one_bias, states
from allometry.model.chrono import chrono_

STARTS = ("orthogonal", "identity")
TRAINED = ("all", "gates", "biases")


class OneLayer(Family):
    """A network of one layer of cells, `rnn`, `leaky`, `gated` (equations 2, 5 and 10 of the paper), `gru` or `lstm`."""

    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens, Series)

    width: int = 128  # units
    depth: int = 1
    cell: str = "gated"
    start: str = "orthogonal"  # of the recurrent matrix of rnn, leaky and gated | identity
    t_max: float = 0.0  # longest time scale of chrono initialisation, in steps; 0: every unit starts at the usual 3.7
    prior: str = "uniform"  # of the time scales, see chrono_
    trained: str = "all"  # all | gates (of leaky and gated) | biases (of the candidate of rnn, leaky and gated)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("cell", tuple(CELLS)), ("start", STARTS), ("trained", TRAINED)):
            if getattr(self, name) not in known:
                raise Refusal(f"OneLayer({name}={getattr(self, name)!r}) is not known. It is one of: {', '.join(known)}.")
        if self.depth != 1:
            raise Refusal(f"OneLayer(depth={self.depth}) has one layer. Take a family for a stack of them.")
        if self.t_max and self.cell == "rnn":
            raise Refusal("OneLayer(cell='rnn', t_max=...) has no gate to start. Leave t_max out, or take another cell.")
        if self.trained not in ("all", *CELLS[self.cell].apart):
            raise Refusal(f"OneLayer(cell={self.cell!r}) has no {self.trained} that stand apart from all else.")

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        """One layer at every size."""
        return {"width": width}

    def build(self, io: IO) -> nn.Module:
        """`Int[batch length] -> Float[batch length vocab]`; `Float[batch length channels] -> Float[batch answers outputs]`."""
        self.check(io)
        module = _OneLayer(self, io)
        if self.t_max:
            chrono_(module, self.t_max, prior=self.prior)
        if self.trained != "all":
            module.requires_grad_(False)
            for parameter in module.cell.parts(self.trained):
                parameter.requires_grad_(True)
        return module


class _OneLayer(nn.Module):
    """A layer of cells, and a linear readout of its states."""

    def __init__(self, spec: OneLayer, io: IO) -> None:
        super().__init__()
        self.inputs = io.channels if isinstance(io, Series) else io.vocab
        self.every = not isinstance(io, Series) or io.answer == "every"
        self.one_hot = OneHot(self.inputs)
        self.cell = CELLS[spec.cell](self.inputs, spec)
        for weight in self.cell.into():
            spread(weight, io.channels if isinstance(io, Series) else 1)  # of a one-hot vector one number is not 0
        self.readout = BiasedLinear(spec.width, io.outputs)

    def forward(self, x: Shaped[Tensor, "batch length *channels"]) -> Float[Tensor, "batch answers outputs"]:
        states = self.cell(x if x.is_floating_point() else self.one_hot(x, self.readout.weight))
        return self.readout(states if self.every else states[:, -1:])


class _Cells(nn.Module):
    """A layer of cells: `Float[batch length inputs] -> Float[batch length width]`."""

    apart: ClassVar[tuple[str, ...]] = ()  # what can be trained alone

    def into(self) -> list[nn.Parameter]:
        """The weights that read the input."""
        raise NotImplementedError

    def parts(self, name: str) -> list[nn.Parameter]:
        """The parameters of one of `apart`."""
        raise NotImplementedError


class _Rnn(_Cells):
    """Equation 2."""

    apart: ClassVar[tuple[str, ...]] = ("biases",)

    def __init__(self, inputs: int, spec: OneLayer) -> None:
        super().__init__()
        self.candidate = Sums(spec.width, spec.width, inputs)
        (nn.init.orthogonal_ if spec.start == "orthogonal" else nn.init.eye_)(self.candidate.recurrent)

    def into(self) -> list[nn.Parameter]:
        return [self.candidate.into.weight]

    def parts(self, name: str) -> list[nn.Parameter]:
        return [self.candidate.into.bias]

    def forward(self, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length width"]:
        return forgetting(x, self.candidate)


class _Leaky(_Rnn):
    """Equation 5, with a leak for each unit."""

    apart: ClassVar[tuple[str, ...]] = ("gates", "biases")

    def __init__(self, inputs: int, spec: OneLayer) -> None:
        super().__init__(inputs, spec)
        self.leak = nn.Parameter(torch.full((spec.width,), USUAL))

    def parts(self, name: str) -> list[nn.Parameter]:
        return [self.leak] if name == "gates" else super().parts(name)

    def clocks(self) -> dict[str, Clock]:
        """alpha = 1/T."""
        return {"leak": BiasClock(self.leak, lets_in=slice(None))}

    def forward(self, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length width"]:
        return forgetting(x, self.candidate, leak=self.leak)


class _Gated(_Rnn):
    """Equation 10: a gate for each unit."""

    apart: ClassVar[tuple[str, ...]] = ("gates", "biases")

    def __init__(self, inputs: int, spec: OneLayer) -> None:
        super().__init__(inputs, spec)
        self.gate = Sums(spec.width, spec.width, inputs)
        nn.init.constant_(self.gate.into.bias, USUAL)

    def into(self) -> list[nn.Parameter]:
        return [self.candidate.into.weight, self.gate.into.weight]

    def parts(self, name: str) -> list[nn.Parameter]:
        return list(self.gate.parameters()) if name == "gates" else super().parts(name)

    def clocks(self) -> dict[str, Clock]:
        """g = 1/T."""
        return {"gate": BiasClock(self.gate.into.bias, lets_in=slice(None))}

    def forward(self, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length width"]:
        return forgetting(x, self.candidate, self.gate)


class _Gru(_Cells):
    """torch.nn.GRU's equations."""

    def __init__(self, inputs: int, spec: OneLayer) -> None:
        super().__init__()
        self.sums = Sums(spec.width, 3 * spec.width, inputs)  # rows r, z, n
        self.inner = nn.Parameter(torch.zeros(spec.width))
        self.keeps = slice(spec.width, 2 * spec.width)
        with torch.no_grad():
            self.sums.into.bias[self.keeps] = -USUAL

    def into(self) -> list[nn.Parameter]:
        return [self.sums.into.weight]

    def clocks(self) -> dict[str, Clock]:
        """z = 1 - 1/T."""
        return {"update": BiasClock(self.sums.into.bias, keeps=self.keeps)}

    def forward(self, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length width"]:
        return resetting(x, self.sums, self.inner)


class _Lstm(_Cells):
    """torch.nn.LSTM's equations, with one bias."""

    def __init__(self, inputs: int, spec: OneLayer) -> None:
        super().__init__()
        self.recurrence = one_bias(inputs, spec.width)

    def into(self) -> list[nn.Parameter]:
        return [self.recurrence.weight_ih_l0]

    def forward(self, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length width"]:
        return states(self.recurrence, x)


USUAL = -1.0  # bias of a gate that lets in: T = 1 + e = 3.7, where LSTMs start their forget gates (Jozefowicz et al. 2015)
CELLS: dict[str, type[_Cells]] = {"rnn": _Rnn, "leaky": _Leaky, "gated": _Gated, "gru": _Gru, "lstm": _Lstm}

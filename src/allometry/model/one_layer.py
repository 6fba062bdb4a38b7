"""One recurrent layer between the input and a linear readout: the networks of the experiments on memory.

Nothing stands around the recurrence that could help it or hide what it does: no embedding (a token is a one-hot vector), no
norm, no residual path. The stacks of `families/` are for comparing architectures; this is for asking what a gate does
(Tallec and Ollivier 2018, arXiv:1804.11188). By its laws of time warping the matrices of the candidate are the same for
all speeds of time and the gate alone changes, so a network can be told to train its gates only.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from allometry.flow import IO, Refusal, Series, Tokens
from allometry.model._clock import Clock
from allometry.model._family import Family
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import spread
from allometry.model.blocks._forgetting import Sums, forgetting
from allometry.model.blocks._linear import BiasedLinear
from allometry.model.blocks._resetting import resetting
from allometry.model.chrono import chrono_

STARTS = ("orthogonal", "identity")


class OneLayer(Family):
    """A network of one layer of cells, `rnn`, `leaky`, `gated` (equations 2, 5 and 10 of the paper), `gru` or `lstm`."""

    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens, Series)

    width: int = 128  # units
    depth: int = 1
    cell: str = "gated"
    start: str = "orthogonal"  # of the recurrent matrix of rnn, leaky and gated | identity
    t_max: float = 0.0  # longest time scale of chrono initialisation, in steps; 0: every unit starts at the usual 3.7
    prior: str = "uniform"  # of the time scales, see chrono_
    trained: str = "all"  # all | gates (of leaky and gated) | biases (of the candidate)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("cell", tuple(CELLS)), ("start", STARTS), ("trained", ("all", *TRAINED))):
            if getattr(self, name) not in known:
                raise Refusal(f"OneLayer({name}={getattr(self, name)!r}) is not known. It is one of: {', '.join(known)}.")
        if self.depth != 1:
            raise Refusal(f"OneLayer(depth={self.depth}) has one layer. Take a family for a stack of them.")
        if self.t_max and self.cell == "rnn":
            raise Refusal("OneLayer(cell='rnn', t_max=...) has no gate to start. Leave t_max out, or take another cell.")
        if self.trained != "all" and not TRAINED[self.trained].get(self.cell):
            raise Refusal(f"OneLayer(cell={self.cell!r}) has no {self.trained} that stand apart from all else.")

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        """One layer at every size."""
        return {"width": width}

    def build(self, io: IO) -> nn.Module:
        self.check(io)
        module = _OneLayer(self, io)
        if self.t_max:
            chrono_(module, self.t_max, prior=self.prior)
        if self.trained != "all":
            alone = TRAINED[self.trained][self.cell]
            for name, parameter in module.named_parameters():
                parameter.requires_grad_(name.startswith(alone))
        return module


class _OneLayer(nn.Module):
    """`Int[batch length] -> Float[batch length vocab]`; `Float[batch length channels] -> Float[batch answers outputs]`."""

    def __init__(self, spec: OneLayer, io: IO) -> None:
        super().__init__()
        self.inputs = io.channels if isinstance(io, Series) else io.vocab
        self.every = not isinstance(io, Series) or io.answer == "every"
        self.cell = CELLS[spec.cell](self.inputs, spec)
        self.cell.read(io.channels if isinstance(io, Series) else 1)
        self.readout = BiasedLinear(spec.width, io.outputs)

    def forward(self, x: Shaped[Tensor, "batch length *channels"]) -> Float[Tensor, "batch answers outputs"]:
        if not x.is_floating_point():
            x = F.one_hot(x, self.inputs).to(self.readout.weight.dtype)
        states = self.cell(x)
        return self.readout(states if self.every else states[:, -1:])


class _Cells(nn.Module):
    """A layer of cells. `into` are the weights that read the input."""

    def into(self) -> list[nn.Parameter]:
        raise NotImplementedError

    def read(self, numbers: int) -> None:
        """Start the weights that read the input, of which so many numbers are not 0: what a cell sees has a variance of 1.

        Of a one-hot vector it is one number, however many tokens there are. Gates that are nearly shut let in little, and with a
        smaller start copying and adding begin to be learned some five times later (measured with studies/copying.py, adding.py).
        """
        for weight in self.into():
            spread(weight, numbers)


class _Forgetting(_Cells):
    """Equation 10 with a gate, 5 with a leak, 2 without."""

    def __init__(self, inputs: int, spec: OneLayer) -> None:
        super().__init__()
        self.candidate = Sums(spec.width, spec.width, inputs)
        if spec.start == "orthogonal":
            nn.init.orthogonal_(self.candidate.recurrent)
        else:
            nn.init.eye_(self.candidate.recurrent)
        self.gate = Sums(spec.width, spec.width, inputs) if spec.cell == "gated" else None
        self.leak = nn.Parameter(torch.full((spec.width,), USUAL)) if spec.cell == "leaky" else None
        if self.gate is not None:
            nn.init.constant_(self.gate.into.bias, USUAL)

    def into(self) -> list[nn.Parameter]:
        return [sums.into.weight for sums in (self.candidate, self.gate) if sums is not None]

    def clocks(self) -> dict[str, Clock]:
        """1/T of what lets in."""
        bias = self.leak if self.gate is None else self.gate.into.bias
        return {} if bias is None else {"gate": BiasClock(bias, lets_in=slice(None))}

    def forward(self, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length width"]:
        return forgetting(x, self.candidate, self.gate, self.leak)


class _Resetting(_Cells):
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


class _LongMemory(_Cells):
    """torch.nn.LSTM's equations, rows i, f, g, o, by its kernel; one bias, 1 of the forget gate, the second pinned at zero."""

    def __init__(self, inputs: int, spec: OneLayer) -> None:
        super().__init__()
        width = spec.width
        self.recurrence = nn.LSTM(inputs, width, batch_first=True)
        spread(self.recurrence.weight_hh_l0, width)
        with torch.no_grad():
            self.recurrence.bias_ih_l0.zero_()[width : 2 * width] = -USUAL
        del self.recurrence.bias_hh_l0
        self.recurrence.register_buffer("bias_hh_l0", torch.zeros(4 * width))
        self.recurrence._init_flat_weights()

    def into(self) -> list[nn.Parameter]:
        return [self.recurrence.weight_ih_l0]

    def forward(self, x: Float[Tensor, "batch length inputs"]) -> Float[Tensor, "batch length width"]:
        return self.recurrence(x)[0]  # type: ignore[no-any-return]


USUAL = -1.0  # bias of a gate that lets in: T = 1 + e = 3.7, where LSTMs start their forget gates (Jozefowicz et al. 2015)
CELLS: dict[str, Callable[[int, OneLayer], _Cells]] = {
    "rnn": _Forgetting,
    "leaky": _Forgetting,
    "gated": _Forgetting,
    "gru": _Resetting,
    "lstm": _LongMemory,
}
# What `trained` names, by cell: the beginnings of the names of its parameters.
TRAINED: dict[str, dict[str, tuple[str, ...]]] = {
    "gates": {"leaky": ("cell.leak",), "gated": ("cell.gate",)},
    "biases": dict.fromkeys(("rnn", "leaky", "gated"), ("cell.candidate.into.bias",)),
}

"""Updates: what computes the new attributes of edges, nodes or graphs from what they read. One set of weights for all of them.

An update is called with its inputs (`Input`, in the order of Battaglia et al.: own attribute first for edges, aggregates first for
nodes and graphs) and with the attribute as it was. Any other module is called with the inputs side by side, as one tensor.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.model.graph_network._projection import Input, Projection, concatenated

ACTIVATIONS = {  # each network makes its own, so that a count of its parts finds them there
    "relu": partial(nn.ReLU, inplace=True),  # of the output of a linear layer, which keeps none
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "none": nn.Identity,
}


class Update(nn.Module):
    """The contract: `forward(inputs, old)` gives a row for each element. One with a state reads it as `old`, not as an input."""

    recurrent = False

    def forward(self, inputs: Sequence[Input], old: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        raise NotImplementedError


class Mlp(Update):
    """Linear layers with an activation between them, and after the last where `last`; then a norm of layers where `norm`.

    `widths` are those of its layers; `inputs` is the width of all that it reads together, 0: as at the first call.
    """

    def __init__(
        self, widths: Sequence[int] | int, inputs: int = 0, activation: str = "relu", last: bool = False, norm: bool = False
    ) -> None:
        super().__init__()
        if isinstance(widths, int):
            raise Refusal(f"Mlp({widths}) is no list of layers. Give the width of each, as Mlp([{widths}]).")
        if not widths:
            raise Refusal("Mlp([]) has no layer. Give the width of each, as Mlp([64, 64]).")
        if activation not in ACTIVATIONS:
            raise Refusal(f"Mlp(activation='{activation}') is not known. It is one of: {', '.join(ACTIVATIONS)}.")
        self.first = Projection(inputs, widths[0])
        self.others = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.activation, self.last = ACTIVATIONS[activation](), last
        self.norm = nn.LayerNorm(widths[-1]) if norm else nn.Identity()

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> Tensor:
        x = self.first(inputs)
        for layer in self.others:
            x = layer(self.activation(x))
        return self.norm(self.activation(x) if self.last else x)  # type: ignore[no-any-return]


class Recurrent(Update):
    """A cell whose state is the attribute: it reads all else, and `old` is its state before."""

    recurrent = True
    gates: int
    states = 1

    def __init__(self, width: int, inputs: int = 0) -> None:
        super().__init__()
        self.width = width
        self.into = Projection(inputs, self.gates * width)
        self.hidden = nn.Linear(width, self.gates * width)

    def state(self, old: Tensor | None) -> Tensor:
        found = "none" if old is None else f"width {old.shape[-1]}"
        wanted = self.states * self.width
        if old is None or old.shape[-1] != wanted:
            raise Refusal(f"{type(self).__name__}({self.width}) has a state of width {wanted} and was given {found}.")
        return old


class Gru(Recurrent):
    """h' = (1 - z) n + z h, with r, z = sigma(W x + U h + b), n = tanh(W_n x + b_n + r (U_n h + c_n)): torch.nn.GRUCell."""

    gates = 3

    def forward(self, inputs: Sequence[Input], old: Tensor | None) -> Tensor:
        state = self.state(old)
        of_input, of_state = self.into(inputs).chunk(3, -1), self.hidden(state).chunk(3, -1)
        reset, keep = (torch.sigmoid(of_input[k] + of_state[k]) for k in range(2))
        candidate = torch.tanh(of_input[2] + reset * of_state[2])
        if candidate.dtype != state.dtype:  # under autocast a state keeps its precision, and lerp takes one type
            return candidate + keep * (state - candidate)
        return torch.lerp(candidate, state, keep)


class Lstm(Recurrent):
    """The attribute is [h, c], of twice the width: c' = f c + i tanh(g), h' = o tanh(c'), gates i, f, g, o: torch.nn.LSTMCell."""

    gates, states = 4, 2

    def forward(self, inputs: Sequence[Input], old: Tensor | None) -> Tensor:
        hidden, cell = self.state(old).chunk(2, -1)
        enter, keep, candidate, show = (self.into(inputs) + self.hidden(hidden)).chunk(4, -1)
        cell = keep.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        return torch.cat([show.sigmoid() * cell.tanh(), cell], -1)


class OfModule(Update):
    """Any module that takes the inputs side by side."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Sequence[Input], old: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        return self.module(concatenated(inputs))  # type: ignore[no-any-return]


def update(asked: nn.Module) -> Update:
    return asked if isinstance(asked, Update) else OfModule(asked)

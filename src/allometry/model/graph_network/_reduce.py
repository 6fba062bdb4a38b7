"""Reducers: what becomes of the rows of a group, whatever their order and number. Without rows, 0.

A reducer is called with (rows, groups) and gives a row for each group: a name below, some names (their results stand side by
side), or any callable, a module with weights too. `parts` says how many times wider its result is than a row; without it, once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.graph import Groups
from allometry.model.graph_network._attention import attended, shares
from allometry.model.graph_network._deviation import deviation
from allometry.model.graph_network._extreme import largest, smallest
from allometry.model.graph_network._sum import summed

Reducer = Callable[[Any, Groups], Tensor]


def mean(x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *channels"]:
    each = 1 / groups.sizes.clamp(min=1).to(x.dtype)
    return summed(x, groups) * each.view(-1, *[1] * (x.ndim - 1))


def softmax(x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *channels"]:
    """The mean by the softmax of the rows themselves: between mean and max (Li et al. 2020, arXiv:2006.07739, at temperature 1)."""
    return summed(shares(x, groups) * x, groups)


REDUCERS: dict[str, Reducer] = {
    "sum": summed, "mean": mean, "max": largest, "min": smallest, "std": deviation, "softmax": softmax,
}  # fmt: skip


class Several(nn.Module):
    """Some reducers side by side, on the last axis."""

    def __init__(self, reducers: Sequence[str | Reducer]) -> None:
        super().__init__()
        if not reducers:
            raise Refusal(f"No reducer was given. Give one or several of: {', '.join(REDUCERS)}.")
        self.each = [reducer(one) for one in reducers]
        self.modules_of = nn.ModuleList(one for one in self.each if isinstance(one, nn.Module))
        self.parts = sum(parts(one) for one in self.each)

    def forward(self, x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *wider"]:
        return torch.cat([one(x, groups) for one in self.each], -1)


class PrincipalNeighbourhood(Several):
    """PNA: several reducers, each as it is, and times and over log(size + 1) / delta (Corso et al. 2020, arXiv:2004.05718, eq. 5).

    `delta` is the mean of log(size + 1) over the groups of the training data. A group without rows gives 0.
    """

    def __init__(self, delta: float, reducers: Sequence[str | Reducer] = ("mean", "max", "min", "std")) -> None:
        super().__init__(reducers)
        if not delta > 0:
            raise Refusal(f"delta={delta} cannot scale. It is the mean of log(size + 1) over groups, above 0.")
        self.delta = delta
        self.parts = 3 * self.parts

    def forward(self, x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *wider"]:
        found = super().forward(x, groups)
        scale = (groups.sizes.clamp(min=1) + 1).to(found.dtype).log_().div_(self.delta).view(-1, *[1] * (x.ndim - 1))
        return torch.cat([found, found * scale, found / scale], -1)


class Attention(nn.Module):
    """The mean of values by the softmax of their logits. The message of its path is a pair: (logits, values)."""

    def forward(self, message: tuple[Tensor, Tensor], groups: Groups) -> Tensor:
        """`Float[rows heads]` and `Float[rows heads channels]` give `Float[groups heads*channels]`; or both without heads."""
        logits, values = message
        found = attended(logits, values, groups)
        return found.flatten(1)


def reducer(asked: str | Sequence[str | Reducer] | Reducer) -> Reducer:
    """The reducer of a name, of several names, or what was given."""
    if isinstance(asked, str):
        if asked not in REDUCERS:
            raise Refusal(f"'{asked}' is no reducer. It is one of {', '.join(REDUCERS)}, several of them, or a callable.")
        return REDUCERS[asked]
    return asked if callable(asked) else Several(asked)


def parts(asked: Reducer) -> int:
    """How many times wider a reducer's result is than a row."""
    return getattr(asked, "parts", 1)

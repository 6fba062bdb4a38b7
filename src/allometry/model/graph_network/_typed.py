"""An update for each type of element: edges of type 0 by the first, of type 1 by the second, and so on."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.graph import Groups
from allometry.model.graph_network._projection import Input
from allometry.model.graph_network._update import Update, update


class Typed(nn.Module):
    def __init__(self, updates: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(update(one) for one in updates)
        kinds = {one.recurrent for one in self.each}  # type: ignore[union-attr]
        if len(kinds) != 1:
            raise Refusal("Of the updates by type some have a state and some have none. Give one kind.")
        (self.recurrent,) = kinds

    def forward(
        self, inputs: Sequence[Input], old: Tensor | None, types: Int[Tensor, " elements"] | None, what: str
    ) -> Tensor | tuple[Tensor, ...]:
        """`what` names the types, for who has forgotten them. A message may be several tensors, as many of each type."""
        if types is None:
            raise Refusal(f"There is an update for each of {len(self.each)} types and the graph has no {what}.")
        if len(types) and not 0 <= int(types.min()) <= int(types.max()) < len(self.each):
            raise Refusal(f"{what} are {int(types.min())} to {int(types.max())}, and there are {len(self.each)} updates.")
        places, found = [], []
        for number, one in enumerate(self.each):
            chosen = (types == number).nonzero()[:, 0]
            places.append(chosen)
            found.append(one([_of(part, chosen) for part in inputs], None if old is None else old.index_select(0, chosen)))
        order = torch.cat(places).argsort()
        several = {len(one) if isinstance(one, tuple | list) else 0 for one in found}
        if several == {0}:
            return torch.cat(found).index_select(0, order)
        if len(several) > 1:
            raise Refusal("The updates by type give results of one tensor and of several. Give as many of each type.")
        return tuple(torch.cat(part).index_select(0, order) for part in zip(*found, strict=True))


def _of(part: Input, chosen: Tensor) -> Input:
    """Of the elements that were chosen."""
    if part.groups is None:
        return Input(part.name, part.value.index_select(0, chosen))
    return Input(part.name, part.value, Groups(part.groups.index[chosen], part.groups.count))


def typed(asked: nn.Module | Sequence[nn.Module]) -> Update | Typed:
    return update(asked) if isinstance(asked, nn.Module) and not isinstance(asked, nn.ModuleList) else Typed(list(asked))

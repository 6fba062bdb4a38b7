"""A linear layer over a concatenation [edge, receiver, sender, globals] without the concatenation: a sum of projections.

W [e_k, v_r, v_s, u] + b = W_e e_k + (W_r v)_r + (W_s v)_s + (W_u u)_g + b. What is gathered is projected first, once for each node
and not once for each edge, into one table; a bag of an embedding gathers and adds, and the product of the edges' own rows is added
to that in place. One thread of a busy Xeon gathers and adds twice 200,000 rows of 64 in 10 ms so, in 22 by two gathers and a sum.
"""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.flow import Refusal
from allometry.graph import Groups
from allometry.model.graph_network._sum import spread, summed


class Input(NamedTuple):
    """What an update reads: a row for each element, or for each group that elements are of."""

    name: str
    value: Tensor  # Float[rows *channels]
    groups: Groups | None = None  # None: element k reads row k, else row groups.index[k]

    def rows(self) -> Tensor:
        """A row for each element."""
        return self.value if self.groups is None else spread(self.value, self.groups)


def concatenated(inputs: Sequence[Input]) -> Tensor:
    """The inputs side by side, on the last axis."""
    each = [one.rows() for one in inputs]
    return each[0] if len(each) == 1 else torch.cat(each, -1)


class Projection(nn.Module):
    """The layer. Its `linear` is that of the concatenation, in the order of the inputs; `inputs` is its width, 0: as first met."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # lazy layers are said to be new
            self.linear = nn.Linear(inputs, outputs, bias) if inputs else nn.LazyLinear(outputs, bias)

    def forward(self, inputs: Sequence[Input]) -> Float[Tensor, " elements *outputs"]:
        self._check(inputs)
        widths = [one.value.shape[-1] for one in inputs]
        if isinstance(self.linear, nn.LazyLinear):
            with torch.no_grad():
                self.linear(torch.zeros(1, sum(widths), dtype=self.linear.weight.dtype, device=inputs[0].value.device))
        if sum(widths) != self.linear.in_features:
            found = ", ".join(f"{one.name} {width}" for one, width in zip(inputs, widths, strict=True))
            raise Refusal(f"An update of {self.linear.in_features} inputs was given {sum(widths)}: {found}.")
        weights, bias = self.linear.weight.split(widths, 1), self.linear.bias
        if any(one.value.ndim != 2 for one in inputs):
            each = [Input("", F.linear(one.value, weight), one.groups) for one, weight in zip(inputs, weights, strict=True)]
            total = torch.stack([one.rows() for one in each]).sum(0)
            return total if bias is None else total + bias
        groups = tuple(one.groups for one in inputs)
        if all(of is None for of in groups):
            return F.linear(concatenated(inputs), self.linear.weight, bias)
        weight = self.linear.weight  # under autocast, too, sums are in its precision
        return _Projected.apply(groups, weight, bias, *(one.value.to(weight.dtype) for one in inputs))

    def _check(self, inputs: Sequence[Input]) -> None:
        """Refuse numbers of another type, where autocast does not convert them, and rows of several ranks."""
        for one in inputs:
            if one.value.dtype != self.linear.weight.dtype and not _converted(one.value):
                other = "" if one.value.is_floating_point() else f", {one.name}.float() first"
                raise Refusal(
                    f"{one.name} are {one.value.dtype} and the update is {self.linear.weight.dtype}. Move one of them: "
                    f"graph.to({self.linear.weight.dtype}){other}."
                )
            if one.value.ndim < 2 or one.value.ndim != inputs[0].value.ndim:
                found = ", ".join(f"{each.name} {list(each.value.shape)}" for each in inputs)
                raise Refusal(
                    f"An update reads rows of channels, all of one rank, and was given {found}. A number is x[:, None]."
                )


def _converted(value: Tensor) -> bool:
    """Whether autocast takes care of its type; it leaves float64 alone."""
    kind = "cpu" if value.device.type == "meta" else value.device.type  # autocast knows no meta
    return value.is_floating_point() and value.dtype != torch.float64 and torch.is_autocast_enabled(kind)


class _Projected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, groups: tuple[Groups | None, ...], weight: Tensor, bias: Tensor | None, *values: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            ctx.groups = groups
            ctx.save_for_backward(weight, *values)
            weights = weight.split([value.shape[1] for value in values], 1)
            gathered = [k for k, of in enumerate(groups) if of is not None]
            lengths = [len(values[k]) for k in gathered]
            table = weight.new_empty(sum(lengths), len(weight))
            index, first = [], 0
            for place, (k, rows) in enumerate(zip(gathered, table.split(lengths), strict=True)):
                if bias is not None and place == 0:
                    torch.addmm(bias, values[k], weights[k].T, out=rows)
                else:
                    torch.mm(values[k], weights[k].T, out=rows)
                index.append(groups[k].index + first if first else groups[k].index)  # type: ignore[union-attr]
                first += len(rows)
            several = len(index) > 1
            found = F.embedding_bag(torch.stack(index, 1), table, mode="sum") if several else table.index_select(0, index[0])
            for value, part, of in zip(values, weights, groups, strict=True):
                if of is None:
                    torch.addmm(found, value, part.T, out=found)  # in place, as addmm_, which counters of FLOPs do not know
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, *values = ctx.saved_tensors
        of_values: list[Tensor | None] = []
        of_weight: list[Tensor] = []
        with torch.autocast(gradient.device.type, enabled=False):
            gradient = gradient.to(weight.dtype).contiguous()
            weights = weight.split([value.shape[1] for value in values], 1)
            fewest = gradient  # every element is of one group: their sum is that of the groups
            for value, part, of, needed in zip(values, weights, ctx.groups, ctx.needs_input_grad[3:], strict=True):
                own = gradient if of is None else summed(gradient, of)
                fewest = own if len(own) < len(fewest) else fewest
                if ctx.needs_input_grad[1]:
                    of_weight.append(own.T @ value)
                of_values.append(own @ part if needed else None)
            of_bias = fewest.sum(0) if ctx.needs_input_grad[2] else None
        return None, torch.cat(of_weight, 1) if of_weight else None, of_bias, *of_values

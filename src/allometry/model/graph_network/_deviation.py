"""The standard deviation of the rows of a group, channel by channel; 0 where it has no rows, or equal ones.

std = sqrt(mean (x - mean x)^2), of the group as it is (no Bessel correction). Its derivative (x - mean) / (rows std) is unbounded
near equal rows and has no value there: we give 0, the smallest of the subgradients, where the square root of a variance gives NaN.
A mean of equal rows may be rounded to another number; that of their distances from the first of them is 0.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from allometry.graph import Groups
from allometry.model.graph_network._sum import bags, spread, summed


def deviation(x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *channels"]:
    return _Deviation.apply(x, groups)[0]


class _Deviation(torch.autograd.Function):
    """It gives x - mean x beside the deviation, so that a derivative of its derivative goes through both."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: Groups) -> tuple[Tensor, Tensor]:
        each = (1 / groups.sizes.clamp(min=1).to(x.dtype)).view(-1, *[1] * (x.ndim - 1))
        # room is for what is needed once: new memory costs more than a product
        room = _first(x, groups).index_select(0, groups.index)
        away = x - room
        away -= torch.index_select(bags(away, groups) * each, 0, groups.index, out=room)
        found = (bags(torch.mul(away, away, out=room), groups) * each).sqrt_()
        ctx.groups = groups
        ctx.save_for_backward(away, found, each)
        ctx.set_materialize_grads(False)
        return found, away

    @staticmethod
    def backward(ctx: Any, of_found: Tensor | None, of_away: Tensor | None) -> tuple[Tensor | None, None]:
        (away, found, each), groups = ctx.saved_tensors, ctx.groups
        of_x = None
        if of_found is not None:
            slope = torch.where(found > 0, of_found * each / torch.where(found > 0, found, 1), 0)
            of_x = spread(slope, groups).mul_(away)
        if of_away is not None:
            own = of_away - spread(summed(of_away, groups) * each, groups)
            of_x = own if of_x is None else of_x + own
        return of_x, None


def _first(x: Tensor, groups: Groups) -> Tensor:
    """The first row of each group; of one without rows, any."""
    if not len(x):
        return x.new_zeros(groups.count, *x.shape[1:])
    return x.index_select(0, groups.rows[groups.starts[:-1].clamp(max=len(x) - 1)])

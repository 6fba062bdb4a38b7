"""The standard deviation of the rows of a group, channel by channel; 0 where it has no rows, or equal ones.

std = sqrt(mean (x - mean x)^2), of the group as it is (no Bessel correction). Its derivative (x - mean) / (rows std) is unbounded
near equal rows and has no value there: we give 0, the smallest of the subgradients, where the square root of a variance gives NaN.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from allometry.graph import Groups
from allometry.model.graph_network._sum import bags


def deviation(x: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " groups *channels"]:
    return _Deviation.apply(x, groups)


class _Deviation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: Groups) -> Tensor:
        each = (1 / groups.sizes.clamp(min=1).to(x.dtype)).view(-1, *[1] * (x.ndim - 1))
        away = x - (bags(x, groups) * each).index_select(0, groups.index)
        found = (bags(away.square(), groups) * each).sqrt_()
        ctx.groups = groups
        ctx.save_for_backward(away, found, each)
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        away, found, each = ctx.saved_tensors
        slope = torch.where(found > 0, gradient * each / found, 0)
        return slope.index_select(0, ctx.groups.index).mul_(away), None

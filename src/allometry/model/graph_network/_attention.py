"""Softmax over groups: the weights with which the rows of a group enter a mean, w_k = exp(a_k) / sum over the group of exp(a).

A group without rows has no weights, and its mean is 0; so has one whose logits are all -inf, where all is masked. With g the
gradient of w, that of a is w (g - sum over the group of w g).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from allometry.graph import Groups
from allometry.model.graph_network._extreme import extremes
from allometry.model.graph_network._sum import bags, spread, summed


def shares(logits: Float[Tensor, " rows *channels"], groups: Groups) -> Float[Tensor, " rows *channels"]:
    """The softmax over the rows of each group, channel by channel."""
    return _Shares.apply(logits, groups)


def attended(
    logits: Float[Tensor, " rows *heads"], values: Float[Tensor, " rows *heads channels"], groups: Groups
) -> Float[Tensor, " groups *heads channels"]:
    """The means of values by the softmax of their logits, head by head: the paper's sum of a'_k b'_k over sum of a'_k."""
    return summed(shares(logits, groups)[..., None] * values, groups)


class _Shares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, groups: Groups) -> Tensor:
        most = extremes(logits, groups, "amax")
        most.masked_fill_(most == -torch.inf, 0)
        found = (logits - most.index_select(0, groups.index)).exp_()
        total = bags(found, groups)
        total.masked_fill_(total == 0, 1)  # of ordinary logits it is at least 1
        found.div_(total.index_select(0, groups.index))
        ctx.groups = groups
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (found,) = ctx.saved_tensors
        of_found = gradient * found
        return of_found.addcmul_(found, spread(summed(of_found, ctx.groups), ctx.groups), value=-1), None

"""What loops over positions share: the derivative, and the kernels of torch. For recurrences that no scan makes parallel.

Memory goes [length batch rows], so that the rows of a position lie together. The products of the inputs are made before a loop
and the gradient of the recurrent weights after it, each as one matrix product; within it stand the product of the state and
three or four operations on preallocated rows. With d the gradient of the state h_t and g that of the output, the gradients of
the sums within a cell are d times slopes, which are made for all positions at once, and

    dL/dh_{t-1} = g_{t-1} + keep_t d + (slopes_t d) R
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def swept(
    gradient: Float[Tensor, "length batch width"],
    slopes: Float[Tensor, "length batch rows"],
    keep: Float[Tensor, "#length #batch #width"] | None,
    recurrent: Float[Tensor, "rows width"],
    lone: Float[Tensor, "length batch width"] | None = None,
) -> Float[Tensor, "length batch width"]:
    """The gradients of all states, from the last to the first; `slopes` become the gradients of the sums in place.

    Rows are a whole number of widths; with `lone`, another follows that has a slope with every unit.
    """
    length, batch, width = gradient.shape
    totals = gradient.new_empty(length, batch, width)
    units = slopes if lone is None else slopes[..., :width]
    each, rows = units.unflatten(-1, (-1, width)).unbind(), slopes.unbind()
    every, outer = totals.unbind(), gradient.unbind()
    keeps = None if keep is None else keep.unbind()
    lones, scratch = None if lone is None else lone.unbind(), gradient.new_empty(batch, width)
    total = every[-1].copy_(outer[-1])
    for t in range(length - 1, -1, -1):
        each[t].mul_(total[:, None])
        if lones is not None:
            torch.sum(torch.mul(lones[t], total, out=scratch), -1, out=rows[t][:, width])
        if t and keeps is not None:
            total = torch.addcmul(outer[t - 1], total, keeps[t], out=every[t - 1]).addmm_(rows[t], recurrent)
        elif t:
            total = torch.addmm(outer[t - 1], rows[t], recurrent, out=every[t - 1])
    return totals


def of_recurrent(
    of_sums: Float[Tensor, "length batch rows"], states: Float[Tensor, "length batch width"]
) -> Float[Tensor, "rows width"]:
    """The gradient of R from that of the sums R h_{t-1}, where the first state is zero."""
    return of_sums[1:].flatten(0, 1).T @ states[:-1].flatten(0, 1)


def kernel(call: Any, x: Float[Tensor, "batch length width"], *weights: Tensor) -> Float[Tensor, "batch length width"]:
    """One of torch's fused recurrences: `torch.gru`, `torch.rnn_tanh`. Its weights go into one piece of memory, as cuDNN wants."""
    flat = torch.cat([weight.flatten() for weight in weights]).split([weight.numel() for weight in weights])
    parts = [part.view_as(weight) for part, weight in zip(flat, weights, strict=True)]
    start = x.new_zeros(1, len(x), weights[1].shape[1])
    return call(x, start, parts, True, 1, 0.0, torch.is_grad_enabled(), False, True)[0]

"""The states of an LSTM, h_t = sigma(o) tanh(c_t) with c_t = sigma(f) c_{t-1} + sigma(i) tanh(g): a loop with its derivative.

With d and e the gradients of h_t and c_t, gates after their functions, and one product for the gradient of R as in `_loop.py`:

    dL/dh_{t-1} = g_{t-1} + (gradients of the sums at t) R;    e_{t-1} = e_t f_t + d_{t-1} o (1 - tanh(c_{t-1})^2)

and the gradients of the sums are slopes times e for i, f and g, and times d for o. The slopes of some positions are made at once,
just before they are wanted, so that they are still in the cache of the processor.

oneDNN's kernel in torch.nn.LSTM is faster in fp32, and the loop is for what that kernel does not do or does not do well: states
that are not rounded to bf16, other precisions, processors without oneDNN, sums that are made elsewhere. On one thread of a busy
Xeon (AVX-512, no AMX; median CPU time of forward and backward in ms with train/allocator.py, an indication), the loop and
torch.nn.LSTM:

| width, batch x length | fp32, 10 inputs | autocast to bf16, `width` inputs | fp32 without oneDNN, `width` inputs |
|---|---|---|---|
| 128, 32 x 520 | 95, 71 | 158, 168 | 131, 184 |
| 128, 20 x 520 | 67, 47 | 104, 105 | 89, 137 |
| 256, 16 x 256 | 71, 54 | 116, 167 | 105, 164 |
| 32, 8 x 256 | 9, 2 | 10, 3 | 9, 23 |

The products alone take 40 ms of the first 71. Without the request to the allocator torch.nn.LSTM takes 124 there.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

NEAR = 2**18  # numbers that stay in a processor's own cache

_of_sigmoid = torch.ops.aten.sigmoid_backward.grad_input  # (d, y) -> d y (1 - y)
_of_tanh = torch.ops.aten.tanh_backward.grad_input  # (d, y) -> d (1 - y^2)


def long_memory(
    inputs: Float[Tensor, "length batch rows"], recurrent: Float[Tensor, "rows width"]
) -> Float[Tensor, "length batch width"]:
    """All states, from h_0 = c_0 = 0, of W x + b. Rows are i, f, g, o, each of `width` units, as in torch.nn.LSTM.

    Kept in the precision of the weights, as a slow unit moves by less than bf16 resolves.
    """
    return loop(inputs.to(recurrent.dtype), recurrent)[0]


@torch.library.custom_op("allometry::long_memory", mutates_args=())
def loop(inputs: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The states; sigma and tanh of the sums, [length batch 4 width]; the cells and their tanh, [2 length batch width]."""
    (length, batch, _), width = inputs.shape, recurrent.shape[1]
    weights, active = recurrent.T.contiguous(), inputs.new_empty(inputs.shape)
    states, saved = inputs.new_empty(length, batch, width), inputs.new_empty(2, length, batch, width)
    state = cell = inputs.new_zeros(batch, width)
    parts = (inputs, active, active[..., : 2 * width], *active.chunk(4, -1), *saved, states)
    with torch.autocast(inputs.device.type, enabled=False):
        for x, sums, both, lets_in, keeps, new, out, here, squashed, hidden in zip(
            *(part.unbind() for part in parts), strict=True
        ):
            torch.addmm(x, state, weights, out=sums)
            both.sigmoid_()
            new.tanh_()
            out.sigmoid_()
            cell = torch.mul(keeps, cell, out=here).addcmul_(lets_in, new)  # two output gatings
            state = torch.mul(out, torch.tanh(cell, out=squashed), out=hidden)  # output gating
    return states, active, saved


@loop.register_fake
def _(inputs: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (length, batch, rows), width = inputs.shape, recurrent.shape[1]
    states, saved = inputs.new_empty(length, batch, width), inputs.new_empty(2, length, batch, width)
    return states, inputs.new_empty(length, batch, rows), saved


@torch.library.custom_op("allometry::long_memory_backward", mutates_args=())
def loop_backward(
    gradient: Tensor, recurrent: Tensor, states: Tensor, active: Tensor, saved: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients with respect to the inputs and R."""
    with torch.autocast(gradient.device.type, enabled=False):  # a compiler may trace this under the forward's autocast
        (length, batch, width), (cells, squashed) = states.shape, saved
        of_sums, of_recurrent = torch.empty_like(active), torch.zeros_like(recurrent, memory_format=torch.contiguous_format)
        lets_in, keeps, new, out = active.chunk(4, -1)
        of_in, of_keep, of_new, of_out = of_sums.chunk(4, -1)
        of_keep[0] = 0
        at_once = max(1, NEAR // (batch * 4 * width))
        into_cell = states.new_empty(min(at_once, length), batch, width)
        parts = (gradient, of_sums, of_sums[..., : 3 * width].unflatten(-1, (3, width)), of_out, keeps)
        steps, slopes = list(zip(*(part.unbind() for part in parts), strict=True)), into_cell.unbind()
        of_state, of_cell, later = states.new_empty(batch, width), states.new_zeros(batch, width), None
        for first in reversed(range(0, length, at_once)):
            near = slice(first, min(first + at_once, length))
            after = slice(max(first, 1), near.stop)
            before = slice(after.start - 1, after.stop - 1)
            _of_sigmoid(new[near], lets_in[near], grad_input=of_in[near])
            _of_sigmoid(cells[before], keeps[after], grad_input=of_keep[after])
            _of_tanh(lets_in[near], new[near], grad_input=of_new[near])
            _of_sigmoid(squashed[near], out[near], grad_input=of_out[near])
            _of_tanh(out[near], squashed[near], grad_input=into_cell[: near.stop - first])
            for (outer, sums, of_three, of_last, keep), slope in reversed(list(zip(steps[near], slopes, strict=False))):
                total = outer if later is None else torch.addmm(outer, later, recurrent, out=of_state)
                of_cell.addcmul_(total, slope)
                of_three.mul_(of_cell[:, None])
                of_last.mul_(total)
                of_cell.mul_(keep)
                later = sums
            of_recurrent.addmm_(of_sums[after].flatten(0, 1).T, states[before].flatten(0, 1))
        return of_sums, of_recurrent


@loop_backward.register_fake
def _(gradient: Tensor, recurrent: Tensor, states: Tensor, active: Tensor, saved: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(active), torch.empty_like(recurrent, memory_format=torch.contiguous_format)


def _keep(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor, Tensor]
) -> None:
    ctx.save_for_backward(inputs[1], *output)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])


def _derive(
    ctx: torch.autograd.function.FunctionCtx, gradient: Tensor | None, *_: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    if gradient is None:
        return None, None
    return loop_backward(gradient, *ctx.saved_tensors)  # type: ignore[attr-defined, no-any-return]


loop.register_autograd(_derive, setup_context=_keep)


@register_flop_formula(torch.ops.allometry.long_memory)
def _flops(inputs: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    """The products of the state."""
    return 2 * inputs.numel() * recurrent[1]


@register_flop_formula(torch.ops.allometry.long_memory_backward)
def _backward_flops(gradient: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    return 4 * gradient[0] * gradient[1] * recurrent.numel()

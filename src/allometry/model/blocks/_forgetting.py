"""States that forget: h_t = (1 - g_t) h_{t-1} + g_t tanh(n_t), equations 2, 5, 8 and 10 of Tallec and Ollivier 2018.

g is a gate, one for each unit or one for all; or a leak, sigma of a parameter; or 1. The state is kept in the precision of the
weights, as a slow unit moves by less than bf16 resolves.

Two forms, of which a test says that they are equal. On CUDA a cell is a case of torch.nn.GRU, h_t = (1 - z) n + z h_{t-1}, whose
reset gate is held open by its bias: z = sigma(-gate). Elsewhere it is a loop with the derivative of `_loop.py`, an operation to
torch.compile and to the counter of FLOPs.

On one thread of a busy Xeon (AVX-512, no AMX; 16 x 256 positions, width 256, fp32, forward and backward, median CPU time with
train/allocator.py) the loop takes 63 ms with a gate for each unit, 40 with one for all, 34 with a leak and 29 without;
torch.nn.GRU takes 138, LSTM 101, RNN 42.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from allometry.model.blocks._block import spread
from allometry.model.blocks._linear import BiasedLinear
from allometry.model.blocks._loop import kernel, of_recurrent, swept

OPEN = 40.0  # sigma of it is 1, in double precision too


class Sums(nn.Module):
    """a_t = W x_t + b + R h_{t-1}, so many rows. An input has as many channels as the state, or `inputs` of its own."""

    def __init__(self, width: int, rows: int, inputs: int = 0) -> None:
        super().__init__()
        self.into = BiasedLinear(inputs or width, rows)
        self.recurrent = nn.Parameter(torch.empty(rows, width))
        spread(self.into.weight, inputs or width)
        spread(self.recurrent, width)

    def forward(self, x: Float[Tensor, "batch inputs"], state: Float[Tensor, "batch width"]) -> Float[Tensor, "batch rows"]:
        return self.into(x) + state @ self.recurrent.T


def forgetting(
    x: Float[Tensor, "batch length inputs"],
    candidate: Sums,
    gate: Sums | None = None,
    leak: Float[Tensor, " width"] | None = None,
) -> Float[Tensor, "batch length width"]:
    """All states, from h_0 = 0."""
    if x.is_cuda and not torch.compiler.is_compiling():
        with torch.autocast("cuda", enabled=False):
            return forgetting_by_kernel(x.to(candidate.recurrent.dtype), candidate, gate, leak)
    x = x.transpose(0, 1).contiguous()
    inputs, recurrent = candidate.into(x), candidate.recurrent
    if gate is not None:
        inputs, recurrent = torch.cat([inputs, gate.into(x)], -1), torch.cat([recurrent, gate.recurrent])
    leaks = None if leak is None else leak.sigmoid()
    return loop(inputs.to(recurrent.dtype), recurrent, leaks)[0].transpose(0, 1)


def forgetting_by_kernel(
    x: Float[Tensor, "batch length inputs"],
    candidate: Sums,
    gate: Sums | None = None,
    leak: Float[Tensor, " width"] | None = None,
) -> Float[Tensor, "batch length width"]:
    """The same by the kernels of torch.nn.GRU and torch.nn.RNN."""
    into, recurrent, bias = candidate.into.weight, candidate.recurrent, candidate.into.bias
    width, nothing, none = recurrent.shape[1], torch.zeros_like(into), torch.zeros_like(recurrent)
    if gate is not None:
        lets_in = [rows.expand(width, *rows.shape[1:]) for rows in (gate.into.weight, gate.recurrent, gate.into.bias)]
    elif leak is not None:
        lets_in = [nothing, none, leak]
    else:
        return kernel(torch.rnn_tanh, x, into, recurrent, bias, torch.zeros_like(bias))
    first = torch.cat([torch.full_like(bias, OPEN), -lets_in[2], bias])
    weights = torch.cat([nothing, -lets_in[0], into]), torch.cat([none, -lets_in[1], recurrent])
    return kernel(torch.gru, x, *weights, first, torch.zeros_like(first))


@torch.library.custom_op("allometry::forgetting", mutates_args=())
def loop(inputs: Tensor, recurrent: Tensor, leak: Tensor | None) -> tuple[Tensor, Tensor]:
    """The states, [length batch width], of W x + b, [length batch rows]; and tanh and sigma of the sums.

    Rows of candidates stand before rows of gates; without any, g is the leak, and without one it is 1.
    """
    (length, batch, rows), width = inputs.shape, recurrent.shape[1]
    states, weights = inputs.new_empty(length, batch, width), recurrent.T.contiguous()  # a product takes half the time so
    state = inputs.new_zeros(batch, width)
    if rows == width and leak is None:
        for x, new in zip(inputs.unbind(), states.unbind(), strict=True):
            state = torch.addmm(x, state, weights, out=new).tanh_()
        return states, inputs.new_empty(0)
    active = torch.empty_like(inputs)
    parts = (active, active[..., :width], active[..., width:], states)
    for x, sums, candidate, gate, new in zip(inputs.unbind(), *(part.unbind() for part in parts), strict=True):
        torch.addmm(x, state, weights, out=sums)
        # Output gating, in the form h + g (n - h). A leak is no gate: it does not depend on the input.
        state = torch.lerp(state, candidate.tanh_(), gate.sigmoid_() if leak is None else leak, out=new)
    return states, active


@loop.register_fake
def _(inputs: Tensor, recurrent: Tensor, leak: Tensor | None) -> tuple[Tensor, Tensor]:
    (length, batch, rows), width = inputs.shape, recurrent.shape[1]
    states = inputs.new_empty(length, batch, width)
    return states, inputs.new_empty(0) if rows == width and leak is None else torch.empty_like(inputs)


@torch.library.custom_op("allometry::forgetting_backward", mutates_args=())
def loop_backward(
    gradient: Tensor, recurrent: Tensor, leak: Tensor | None, states: Tensor, active: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients with respect to the inputs, the recurrent weights and the leak."""
    with torch.autocast(gradient.device.type, enabled=False):  # a compiler may trace this under the forward's autocast
        length, width, of_leak = len(states), recurrent.shape[1], recurrent.new_empty(0)
        if not active.numel():
            slopes = 1 - states.square()
            swept(gradient, slopes, None, recurrent)
            return slopes, of_recurrent(slopes, states), of_leak
        candidate, gate = active[..., :width], active[..., width:] if leak is None else leak
        slopes, keep = torch.empty_like(active), 1 - gate
        torch.square(candidate, out=slopes[..., :width]).neg_().add_(1).mul_(gate)
        way = candidate.clone(memory_format=torch.contiguous_format)  # from the state before to the candidate
        way[1:] -= states[:-1]
        if leak is not None:
            of_leak = swept(gradient, slopes, keep.expand(length, 1, -1), recurrent).mul_(way).sum((0, 1))
        elif gate.shape[-1] == 1:
            swept(gradient, slopes, keep, recurrent, way.mul_(gate).mul_(keep))
        else:
            torch.mul(way.mul_(gate), keep, out=slopes[..., width:])
            swept(gradient, slopes, keep, recurrent)
        return slopes, of_recurrent(slopes, states), of_leak


@loop_backward.register_fake
def _(
    gradient: Tensor, recurrent: Tensor, leak: Tensor | None, states: Tensor, active: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    of_inputs = states if not active.numel() else active
    of_leak = recurrent.new_empty(0) if leak is None else torch.empty_like(leak)
    return torch.empty_like(of_inputs), torch.empty_like(recurrent), of_leak


def _keep(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, Tensor | None], output: tuple[Tensor, Tensor]
) -> None:
    ctx.save_for_backward(*inputs[1:], *output)  # type: ignore[arg-type]
    ctx.mark_non_differentiable(output[1])


def _derive(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    recurrent, leak, states, active = ctx.saved_tensors  # type: ignore[attr-defined]
    of_inputs, of_weights, of_leak = loop_backward(gradient, recurrent, leak, states, active)
    return of_inputs, of_weights, of_leak if leak is not None else None


loop.register_autograd(_derive, setup_context=_keep)


@register_flop_formula(torch.ops.allometry.forgetting)
def _flops(inputs: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    """The products of the state."""
    return 2 * inputs.numel() * recurrent[1]


@register_flop_formula(torch.ops.allometry.forgetting_backward)
def _backward_flops(gradient: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    return 4 * gradient[0] * gradient[1] * recurrent.numel()

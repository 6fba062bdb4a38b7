"""States that are divided by the sum of their own weights: the loop of sLSTM (Beck et al. 2024, arXiv:2405.04517).

    n_t = f_t n_{t-1} + i_t;    c_t = f_t c_{t-1} + i_t tanh(z_t);    h_t = sigma(o_t) c_t / n_t,    from n = c = 0

with i_t = exp of its sum and f_t = sigma or exp of its own. The paper keeps c and n times exp(-m), where the stabiliser m is the
larger of log i_t and log f_t + m_{t-1}. Any m drops out of c / n exactly, so no derivative goes through it: it may be taken for a
constant, and for any constant. Here it is log n_t itself. Then what was n is 1, what was c is the average a = c / n, and

    log n_t = logaddexp(log i_t, log f_t + log n_{t-1});    s_t = i_t / n_t = sigma(log i_t - log f_t - log n_{t-1})
    a_t = a_{t-1} + s_t (tanh(z_t) - a_{t-1});              h_t = sigma(o_t) a_t

in which nothing overflows, and two numbers are kept beside h where the paper keeps three. Backwards, with A = dL/da_t (of all that
comes after) and N = dL/dlog n_t, a shift of log f_t or of log n_{t-1} is the same, and a shift of both and log i_t changes no s:

    dL/dlog f_t = dL/dlog n_{t-1} = (1 - s_t) (N - A s_t (tanh(z_t) - a_{t-1}));    dL/dlog i_t = N - dL/dlog f_t

Memory goes [length heads batch rows], so that the product of a step is one for each head on matrices that lie together; the rest is
as `_loop.py` says. It is an operation to torch.compile and to the counter of FLOPs on every device: no kernel of torch has it.

On one thread of a busy Xeon (AVX-512, no AMX; 16 x 256 positions, width 256, fp32, forward and backward, median CPU time, an
indication) sLSTM with its projections takes 140 ms with 8 heads, 150 with 4 and 161 with one; torch.nn.LSTM 138.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

FAR = 40.0  # beyond it log sigma(x) = x to the last bit of a double; torch's default of 20 is for fp32


@torch.library.custom_op("allometry::normalising", mutates_args=())
def normalising(inputs: Tensor, recurrent: Tensor, exponential: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The states h, [length heads batch head], of W x + b, [length heads batch 4 head], and R, [heads head 4 head].

    Rows of a head are i, f, z, o. Beside the states, what the derivative needs: f, tanh(z) and sigma(o); a and s.
    """
    (length, heads, batch, _), head = inputs.shape, recurrent.shape[1]
    states, saved = inputs.new_empty(length, heads, batch, head), inputs.new_empty(2, length, heads, batch, head)
    active = torch.empty_like(inputs, memory_format=torch.contiguous_format)
    gates = (gate.unbind() for gate in active.unflatten(-1, (4, head)).unbind(-2))
    ways = zip(inputs.unbind(), active.unbind(), *gates, *(part.unbind() for part in saved), states.unbind(), strict=True)
    state = mean = size = None
    log_keep, past = inputs.new_empty(2, heads, batch, head)
    with torch.autocast(inputs.device.type, enabled=False):
        for x, sums, lets_in, keeps, new, out, here, share, hidden in ways:
            if state is None:
                sums.copy_(x)
            else:
                torch.baddbmm(x, state, recurrent, out=sums)
            new.tanh_()
            out.sigmoid_()
            kept = keeps if exponential else F.softplus(keeps, -1, FAR, out=log_keep)  # with beta = -1 it is log sigma
            if size is None:
                size = lets_in.clone(memory_format=torch.contiguous_format)
                mean = here.copy_(new)
                share.fill_(1)
            else:
                torch.add(size, kept, out=past)
                torch.sigmoid(torch.sub(lets_in, past, out=size), out=share)
                torch.logaddexp(lets_in, past, out=size)
                mean = torch.lerp(mean, new, share, out=here)
            state = torch.mul(out, mean, out=hidden)
    return states, active, saved


@normalising.register_fake
def _(inputs: Tensor, recurrent: Tensor, exponential: bool) -> tuple[Tensor, Tensor, Tensor]:
    (length, heads, batch, _), head = inputs.shape, recurrent.shape[1]
    saved = inputs.new_empty(2, length, heads, batch, head)
    return (
        inputs.new_empty(length, heads, batch, head),
        torch.empty_like(inputs, memory_format=torch.contiguous_format),
        saved,
    )


@torch.library.custom_op("allometry::normalising_backward", mutates_args=())
def normalising_backward(
    gradient: Tensor, recurrent: Tensor, states: Tensor, active: Tensor, saved: Tensor, exponential: bool
) -> tuple[Tensor, Tensor]:
    """The gradients with respect to the inputs and R."""
    with torch.autocast(gradient.device.type, enabled=False):
        head, back = states.shape[-1], recurrent.mT.contiguous()
        _, keeps, new, out = active.unflatten(-1, (4, head)).unbind(-2)
        mean, share = saved
        of_sums = torch.empty_like(active)  # at first the slopes of all positions, which the loop multiplies
        gates = of_sums.unflatten(-1, (4, head)).unbind(-2)
        if exponential:
            gates[1].fill_(1)
        else:
            torch.neg(keeps, out=gates[1]).sigmoid_()
        torch.square(new, out=gates[2]).neg_().add_(1).mul_(share)
        torch.neg(out, out=gates[3]).add_(1).mul_(out).mul_(mean)
        way = new.clone(memory_format=torch.contiguous_format)  # s (tanh(z) - the average before)
        way[1:] -= mean[:-1]
        way.mul_(share)
        keep, outer = 1 - share, gradient.contiguous().unbind()
        total, of_mean, of_size = outer[-1].clone(), torch.zeros_like(outer[-1]), torch.zeros_like(outer[-1])
        of_past = torch.empty_like(of_size)
        parts = (of_sums, *gates, out, way, keep)
        steps = list(zip(*(part.unbind() for part in parts), strict=True))
        for t, (sums, of_in, of_keep, of_new, of_out, opened, moved, kept) in reversed(list(enumerate(steps))):
            of_mean.addcmul_(total, opened)
            of_out.mul_(total)
            of_new.mul_(of_mean)
            torch.addcmul(of_size, of_mean, moved, value=-1, out=of_past).mul_(kept)
            torch.sub(of_size, of_past, out=of_in)
            of_keep.mul_(of_past)
            of_mean.mul_(kept)
            of_size, of_past = of_past, of_size
            if t:
                torch.baddbmm(outer[t - 1], sums, back, out=total)
        before, after = (part.transpose(0, 1).flatten(1, 2) for part in (states[:-1], of_sums[1:]))
        return of_sums, before.mT @ after


@normalising_backward.register_fake
def _(
    gradient: Tensor, recurrent: Tensor, states: Tensor, active: Tensor, saved: Tensor, exponential: bool
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(active), torch.empty_like(recurrent, memory_format=torch.contiguous_format)


def _keep(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, bool], output: tuple[Tensor, Tensor, Tensor]
) -> None:
    _, recurrent, ctx.exponential = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(recurrent, *output)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])


def _derive(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor, None]:
    of_inputs, of_weights = normalising_backward(gradient, *ctx.saved_tensors, ctx.exponential)  # type: ignore[attr-defined]
    return of_inputs, of_weights, None


normalising.register_autograd(_derive, setup_context=_keep)


@register_flop_formula(torch.ops.allometry.normalising)
def _flops(inputs: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    """The products of the state."""
    return 2 * inputs.numel() * recurrent[1]


@register_flop_formula(torch.ops.allometry.normalising_backward)
def _backward_flops(gradient: torch.Size, recurrent: torch.Size, *_: object, **__: object) -> int:
    return 4 * gradient[0] * gradient[2] * recurrent.numel()

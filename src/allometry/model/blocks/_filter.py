"""Short filters along a sequence, one for each head or one for each head and position, as products of small matrices.

Positions go in blocks of 32. What a block's outputs see is a window of 32 + kernel - 1 inputs, and a head's filters are a
band in a matrix of [32, 32 + kernel - 1], which the window is multiplied by. That is 2 to 3 times the work of the sum itself,
of which FLOPs are counted (2 kernel width for each position, see `_flops`): the rest multiplies zeros, and is much cheaper than
a sum tap by tap. Memory and time grow with the length, not with its square.

The derivative is written out: autograd's own of an overlapping window is slow. With g = dL/do, of a block's products o = band x,
dL/dx = band^T g, added up where windows overlap, and dL/dtaps is the band of g x^T. Both are operations to torch.compile.

On one thread of a busy Xeon (AVX-512, no AMX; 16 x 256 positions, width 256, 8 heads, 15 taps, fp32, forward and backward, CPU
time): filters shared 11 ms, against 35 as a grouped convolution, 53 as a band of the whole length and 65 as unfolded windows;
filters of each position 20 ms, against 65 as a band of the whole length and 78 as unfolded windows. With 31 taps 18 (against 68)
and 33 (against 73).
"""

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

BLOCK = 32  # positions: 16 and 64 are slower
VECTOR = 16  # torch's softmax over fewer numbers is scalar on CPU: 17 ms for 65,536 rows of 15, against 3 here


@torch.library.custom_op("allometry::filtered", mutates_args=())
def filtered(x: Tensor, logits: Tensor, before: int) -> tuple[Tensor, Tensor]:
    """o_{t,c} = sum_j taps_{h,j} x_{t - before + j, c} with taps = softmax_j(logits), zero outside; and the taps.

    x is [batch length width], h = c // (width / heads); logits are [heads kernel], or [batch length heads kernel].
    """
    with torch.autocast(x.device.type, enabled=False):
        taps = _softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)))
        return _mixed(x, taps, _windows(x, taps, before)), taps


@filtered.register_fake
def _(x: Tensor, logits: Tensor, before: int) -> tuple[Tensor, Tensor]:
    taps = torch.empty_like(logits, memory_format=torch.contiguous_format)
    return torch.empty_like(x, memory_format=torch.contiguous_format), taps.to(
        torch.promote_types(logits.dtype, torch.float32)
    )


@torch.library.custom_op("allometry::filtered_backward", mutates_args=())
def filtered_backward(gradient: Tensor, x: Tensor, taps: Tensor, before: int) -> tuple[Tensor, Tensor]:
    """The gradients with respect to x and to the logits, in fp32 for these."""
    (heads, kernel), length, shared = taps.shape[-2:], x.shape[1], taps.ndim == 2
    with torch.autocast(x.device.type, enabled=False):
        if shared:  # of x it is a filter again: the same taps, seen from the other end
            windows = _windows(gradient, taps, kernel - 1 - before)
            of_x = _mixed(gradient, taps.flip(-1), windows)
            of_band = torch.bmm(windows, _columns(_blocks(x.to(windows.dtype)), heads, shared).mT).mT.contiguous()
            of_taps = _taps(of_band, kernel).sum(1).flip(-1)
        else:
            windows = _windows(x, taps, before)
            of_mixed = _columns(_blocks(gradient.to(windows.dtype)), heads, shared)
            of_windows = torch.bmm(_band(taps.to(windows.dtype)).mT, of_mixed)
            of_x = _summed(_places(of_windows, x, heads, shared))[:, before : before + length].flatten(2).to(x.dtype)
            of_taps = _taps(torch.bmm(of_mixed, windows.mT), kernel).unflatten(0, (x.shape[0], -1, heads))
            of_taps = of_taps.transpose(2, 3).flatten(1, 2)[:, :length]
        of_logits = taps * of_taps
        of_logits -= taps * of_logits.sum(-1, keepdim=True)
        return of_x.contiguous(), of_logits


@filtered_backward.register_fake
def _(gradient: Tensor, x: Tensor, taps: Tensor, before: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty_like(taps)


def _keep(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, int], output: tuple[Tensor, Tensor]
) -> None:
    x, logits, ctx.before = inputs  # type: ignore[attr-defined]
    ctx.dtype = logits.dtype  # type: ignore[attr-defined]
    ctx.save_for_backward(x, output[1])
    ctx.mark_non_differentiable(output[1])


def _derive(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor, None]:
    of_x, of_logits = filtered_backward(gradient, *ctx.saved_tensors, ctx.before)  # type: ignore[attr-defined]
    return of_x, of_logits.to(ctx.dtype), None  # type: ignore[attr-defined]


filtered.register_autograd(_derive, setup_context=_keep)


@register_flop_formula(torch.ops.allometry.filtered)
def _flops(x: torch.Size, logits: torch.Size, before: int, **_: object) -> int:
    """The sum as it is written: a multiply-add for each tap, position and channel."""
    return 2 * logits[-1] * x.numel()


@register_flop_formula(torch.ops.allometry.filtered_backward)
def _backward_flops(gradient: torch.Size, x: torch.Size, taps: torch.Size, before: int, **_: object) -> int:
    return 4 * taps[-1] * x.numel()


def before(kernel: int, causal: bool) -> int:
    """Taps that lie before a position: all but its own, or as many as after it."""
    return kernel - 1 if causal else kernel // 2


def _softmax(logits: Tensor) -> Tensor:
    if logits.device.type != "cpu" or logits.shape[-1] >= VECTOR:
        return logits.softmax(-1)
    powers = (logits - logits.amax(-1, keepdim=True)).exp_()
    return powers.div_(powers.sum(-1, keepdim=True))


def _mixed(x: Tensor, taps: Tensor, windows: Tensor) -> Tensor:
    """The filters' output, like x, from the windows of `_windows`."""
    places = _places(torch.bmm(_band(taps.to(windows.dtype)), windows), x, taps.shape[-2], taps.ndim == 2)
    return places.to(x.dtype).flatten(3).flatten(1, 2)[:, : x.shape[1]].contiguous()


def _windows(x: Tensor, taps: Tensor, before: int) -> Tensor:
    """What each block's outputs see of x, zeros around it, as `_columns`.

    In fp32 on CPU for bf16 too: these matrices are too small for a bf16 kernel to be the faster one.
    """
    (batch, length, width), (heads, kernel) = x.shape, taps.shape[-2:]
    on_cpu = x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16)
    end = length + -length % BLOCK + kernel - 1
    padded = x.new_empty(batch, end, width, dtype=torch.float32 if on_cpu else x.dtype)
    padded[:, :before] = 0
    padded[:, before : before + length] = x
    padded[:, before + length :] = 0
    return _columns(padded.unfold(1, BLOCK + kernel - 1, BLOCK).mT, heads, taps.ndim == 2)


def _blocks(x: Tensor) -> Tensor:
    """[batch length ...] -> [batch blocks places ...], with zeros after the end."""
    missing = -x.shape[1] % BLOCK
    if missing:
        x = torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], dim=1)
    return x.unflatten(1, (-1, BLOCK))


def _columns(x: Tensor, heads: int, shared: bool) -> Tensor:
    """[batch blocks rows width] as matrices of each head, its columns all channels of all blocks; or of each block and head."""
    x = x.unflatten(3, (heads, -1))
    return x.permute(3, 2, 0, 1, 4).flatten(2) if shared else x.transpose(2, 3).flatten(0, 2)


def _places(columns: Tensor, x: Tensor, heads: int, shared: bool) -> Tensor:
    """The view [batch blocks rows heads channels] of what `_columns` gives."""
    batch, channels = x.shape[0], x.shape[2] // heads
    if shared:
        return columns.unflatten(2, (batch, -1, channels)).permute(2, 3, 1, 0, 4)
    return columns.unflatten(0, (batch, -1, heads)).transpose(2, 3)


def _summed(windows: Tensor) -> Tensor:
    """[batch blocks window ...] -> [batch places ...]: the windows laid over each other where they come from."""
    batch, blocks, window, *rest = windows.shape
    spans = -(-window // BLOCK)
    total = windows.new_zeros(batch, blocks + spans - 1, BLOCK, *rest)
    for span in range(spans):
        part = windows[:, :, span * BLOCK : (span + 1) * BLOCK]
        total[:, span : span + blocks, : part.shape[2]] += part
    return total.flatten(1, 2)


def _band(taps: Tensor) -> Tensor:
    """Matrices [places window] with tap j of place s at column s + j: of each head, or of each batch, block and head."""
    of_places = taps[:, None].expand(-1, BLOCK, -1) if taps.ndim == 2 else _blocks(taps).transpose(2, 3)
    kernel = taps.shape[-1]
    band = taps.new_zeros(*of_places.shape[:-1], BLOCK + kernel - 1)
    _taps(band, kernel).copy_(of_places)
    return band.flatten(0, -3)


def _taps(band: Tensor, kernel: int) -> Tensor:
    """The view [... places kernel] of the bands: row s begins at column s, so rows are one more apart than in the matrix."""
    return band.as_strided((*band.shape[:-1], kernel), (*band.stride()[:-2], band.shape[-1] + 1, 1))

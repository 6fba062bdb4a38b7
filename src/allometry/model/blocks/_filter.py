"""Short filters along a sequence, one for each head or one for each head and position, as products of small matrices.

Positions go in blocks of 32. What a block's outputs see is a window of 32 + kernel - 1 inputs, and a head's filters are a
band in a matrix of [32, 32 + kernel - 1], which the window is multiplied by. That is 2 to 3 times the work of the sum itself,
of which FLOPs are counted (2 kernel width for each position, see `_flops`): the rest multiplies zeros, and is much cheaper than
a sum tap by tap. Memory and time grow with the length, not with its square.

The derivative is written out: autograd's own of an overlapping window is slow. With g = dL/do, of a block's products o = band x,
dL/dx = band^T g, added up where windows overlap, and dL/dtaps is the band of g x^T. Both are operations to torch.compile.

{measured}
"""

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

BLOCK = 32  # positions: 16 and 64 are slower
# Axes of the products: batch, n = block, s = place in the block, u = place in the window, h = head, r = channel of the head.
SHARED, OWN = "hsu", "bnhsu"  # the band of filters that are the same everywhere, and of filters of each position


@torch.library.custom_op("allometry::filtered", mutates_args=())
def filtered(x: Tensor, taps: Tensor, before: int) -> Tensor:
    """o_{t,c} = sum_j taps_{h,j} x_{t - before + j, c}, zero outside; taps [heads kernel] or [batch length heads kernel].

    x is [batch length width], and h = c // (width / heads).
    """
    with torch.autocast(x.device.type, enabled=False):
        heads, kernel = taps.shape[-2:]
        band, axes = _band(taps.to(_working(x)), x.shape[1]), SHARED if taps.ndim == 2 else OWN
        mixed = torch.einsum(f"{axes},bnhru->bnshr", band, _windows(x, heads, kernel, before))
        return mixed.flatten(3).flatten(1, 2)[:, : x.shape[1]].to(x.dtype, memory_format=torch.contiguous_format, copy=True)


@filtered.register_fake
def _(x: Tensor, taps: Tensor, before: int) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.custom_op("allometry::filtered_backward", mutates_args=())
def filtered_backward(gradient: Tensor, x: Tensor, taps: Tensor, before: int) -> tuple[Tensor, Tensor]:
    """The gradients with respect to x and to the taps."""
    with torch.autocast(x.device.type, enabled=False):
        heads, kernel = taps.shape[-2:]
        length, working = x.shape[1], _working(x)
        band, axes = _band(taps.to(working), length), SHARED if taps.ndim == 2 else OWN
        of_mixed = _blocks(gradient.to(working)).unflatten(-1, (heads, -1))  # b n s h r
        of_windows = torch.einsum(f"{axes},bnshr->bnuhr", band, of_mixed)
        of_band = torch.einsum(f"bnshr,bnhru->{axes}", of_mixed, _windows(x, heads, kernel, before))
        of_taps = _taps(of_band, kernel)  # ... heads places kernel
        if axes == SHARED:
            of_taps = of_taps.sum(1)
        else:
            of_taps = of_taps.transpose(2, 3).flatten(1, 2)[:, :length]
        of_x = _summed(of_windows.flatten(3))[:, before : before + length]
        return of_x.to(x.dtype).contiguous(), of_taps.to(taps.dtype).contiguous()


@filtered_backward.register_fake
def _(gradient: Tensor, x: Tensor, taps: Tensor, before: int) -> tuple[Tensor, Tensor]:
    return tuple(torch.empty_like(like, memory_format=torch.contiguous_format) for like in (x, taps))  # type: ignore[return-value]


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    *tensors, ctx.before = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(*tensors)


def _derive(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
    return *filtered_backward(gradient, *ctx.saved_tensors, ctx.before), None  # type: ignore[attr-defined]


filtered.register_autograd(_derive, setup_context=_keep)


@register_flop_formula(torch.ops.allometry.filtered)
def _flops(x: torch.Size, taps: torch.Size, before: int, **_: object) -> int:
    """The sum as it is written: a multiply-add for each tap, position and channel."""
    return 2 * taps[-1] * x.numel()


@register_flop_formula(torch.ops.allometry.filtered_backward)
def _backward_flops(gradient: torch.Size, x: torch.Size, taps: torch.Size, before: int, **_: object) -> int:
    return 4 * taps[-1] * x.numel()


def before(kernel: int, causal: bool) -> int:
    """Taps that lie before a position: all but its own, or as many as after it."""
    return kernel - 1 if causal else kernel // 2


def _working(x: Tensor) -> torch.dtype:
    """fp32 on CPU for bf16 too: these matrices are too small for a bf16 kernel to be the faster one."""
    return torch.float32 if x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16) else x.dtype


def _blocks(x: Tensor) -> Tensor:
    """[batch length ...] -> [batch blocks places ...], with zeros after the end."""
    missing = -x.shape[1] % BLOCK
    if missing:
        x = torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], dim=1)
    return x.unflatten(1, (-1, BLOCK))


def _windows(x: Tensor, heads: int, kernel: int, before: int) -> Tensor:
    """[batch blocks heads channels window]: what each block's outputs see of x; a view of x with zeros around it."""
    batch, length, width = x.shape
    end = length + -length % BLOCK + kernel - 1
    padded = torch.zeros(batch, end, width, dtype=_working(x), device=x.device)
    padded[:, before : before + length] = x
    return padded.unfold(1, BLOCK + kernel - 1, BLOCK).unflatten(2, (heads, -1))


def _summed(windows: Tensor) -> Tensor:
    """[batch blocks window width] -> [batch places width]: the windows laid over each other where they come from."""
    batch, blocks, window, width = windows.shape
    spans = -(-window // BLOCK)
    total = windows.new_zeros(batch, blocks + spans - 1, BLOCK, width)
    for span in range(spans):
        part = windows[:, :, span * BLOCK : (span + 1) * BLOCK]
        total[:, span : span + blocks, : part.shape[2]] += part
    return total.flatten(1, 2)


def _band(taps: Tensor, length: int) -> Tensor:
    """Matrices of [places window] with tap j of place s at column s + j: for each head, or each batch, block and head."""
    if taps.ndim == 2:
        of_places = taps[:, None].expand(-1, BLOCK, -1)
    else:
        of_places = _blocks(taps).transpose(2, 3)
    kernel = taps.shape[-1]
    band = taps.new_zeros(*of_places.shape[:-1], BLOCK + kernel - 1)
    _taps(band, kernel).copy_(of_places)
    return band


def _taps(band: Tensor, kernel: int) -> Tensor:
    """The band as [... places kernel]: row s begins at column s, so that rows are one more apart than in the matrix."""
    band = band.contiguous()
    return band.as_strided((*band.shape[:-1], kernel), (*band.stride()[:-2], band.shape[-1] + 1, 1))

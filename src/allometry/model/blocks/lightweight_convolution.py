"""Lightweight convolution (Wu et al. 2019, arXiv:1901.10430): a short filter, softmax-normalised, shared by head.

Head of channel c is c // (width / heads), as in fairseq's `LightweightConv1dTBC`. Without its DropConnect and biases.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, check_heads, check_kernel, spread
from allometry.model.blocks._filter import before, filtered
from allometry.model.blocks._linear import Linear
from allometry.model.gates.equations import output_gating


class LightweightConvolution(Block):
    """y = GLU(x W_in); o_{t,c} = sum_{j < kernel} softmax(w_{head(c)})_j y_{t - kernel + 1 + j, c}; out = o W_out.

    Not causal: the taps lie around t, as many before as after it (kernel is odd), and padding counts as zero.
    Parameters 3 width^2 + heads kernel. FLOPs per token 6 width^2 + 2 kernel width.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int
    kernel: int  # taps
    causal: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self)
        check_kernel(self)

    def build(self, outputs: int) -> nn.Module:
        return _LightweightConvolution(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, taps = 3 * self.width**2, self.kernel * self.width
        state = (self.kernel - 1) * self.width  # the inputs that later outputs still see
        return Cost(parameters=square + self.heads * self.kernel, flops=2 * (square + taps) * length, state=state)


class _LightweightConvolution(nn.Module):
    def __init__(self, spec: LightweightConvolution, outputs: int) -> None:
        super().__init__()
        self.before = before(spec.kernel, spec.causal)
        self.into = Linear(spec.width, 2 * spec.width)
        self.taps = nn.Parameter(torch.randn(spec.heads, spec.kernel))
        self.out = Linear(spec.width, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        gated = F.glu(self.into(x), dim=-1)  # output gating
        gated = gated if keep is None else gated * keep[..., None]
        return self.out(filtered(gated, self.taps, self.before)[0])


def reference(
    layer: _LightweightConvolution, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position and one tap at a time."""
    signal, gate = (x @ layer.into.weight.T).chunk(2, dim=-1)
    gated = output_gating(gate.sigmoid(), signal)
    taps = layer.taps.softmax(-1)
    heads, kernel = taps.shape
    share = x.shape[-1] // heads
    rows = []
    for t in range(x.shape[1]):
        row = torch.zeros_like(gated[:, 0])
        for j in range(kernel):
            source = t - layer.before + j
            if 0 <= source < x.shape[1]:
                kept = 1.0 if keep is None else keep[:, source, None]
                row = row + kept * torch.cat([taps[h, j].expand(share) for h in range(heads)]) * gated[:, source]
        rows.append(row)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

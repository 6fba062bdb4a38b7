"""Dynamic convolution (Wu et al. 2019, arXiv:1901.10430): a short filter that each position makes for itself, by head.

As fairseq's `DynamicConv1dTBC`: head of channel c is c // (width / heads), the filter is made from the gated input, and its
logits lie head by head. Near an end (and near padding) the softmax is over all taps, and those outside are dropped after it
(its `renorm_padding=False`): the rest sum to less than 1 there. Without its DropConnect and biases.
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


class DynamicConvolution(Block):
    """y = GLU(x W_in); o_{t,c} = sum_{j < kernel} softmax_j((y_t W_taps)_{head(c)})_j y_{t - kernel + 1 + j, c}; out = o W_out.

    Not causal: the taps lie around t, as many before as after it (kernel is odd), and padding counts as zero.
    Parameters 3 width^2 + width heads kernel. FLOPs per token 6 width^2 + 2 width heads kernel + 2 kernel width.
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
        return _DynamicConvolution(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 3 * self.width**2 + self.width * self.heads * self.kernel
        state = (self.kernel - 1) * self.width  # the inputs that later outputs still see
        return Cost(parameters=weights, flops=2 * (weights + self.kernel * self.width) * length, state=state)


class _DynamicConvolution(nn.Module):
    def __init__(self, spec: DynamicConvolution, outputs: int) -> None:
        super().__init__()
        self.heads, self.kernel = spec.heads, spec.kernel
        self.before = before(spec.kernel, spec.causal)
        self.into = Linear(spec.width, 2 * spec.width)
        self.taps = Linear(spec.width, spec.heads * spec.kernel)
        self.out = Linear(spec.width, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.taps.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        gated = F.glu(self.into(x), dim=-1)  # output gating
        gated = gated if keep is None else gated * keep[..., None]
        logits = self.taps(gated).unflatten(-1, (self.heads, self.kernel))
        return self.out(filtered(gated, logits, self.before)[0])  # synaptic gating: the taps are synapses from y to o


def reference(
    layer: _DynamicConvolution, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position, one head and one tap at a time."""
    signal, gate = (x @ layer.into.weight.T).chunk(2, dim=-1)
    gated = output_gating(gate.sigmoid(), signal)
    share = x.shape[-1] // layer.heads
    rows = []
    for t in range(x.shape[1]):
        logits = gated[:, t] @ layer.taps.weight.T
        of_heads = []
        for h in range(layer.heads):
            taps = logits[:, h * layer.kernel : (h + 1) * layer.kernel].softmax(-1)
            mixed = torch.zeros_like(gated[:, 0, :share])
            for j in range(layer.kernel):
                source = t - layer.before + j
                if 0 <= source < x.shape[1]:
                    kept = 1.0 if keep is None else keep[:, source, None]
                    # Synaptic gating: a tap is the value of a synapse.
                    mixed = mixed + kept * taps[:, j, None] * gated[:, source, h * share : (h + 1) * share]
            of_heads.append(mixed)
        rows.append(torch.cat(of_heads, dim=-1))
    return torch.stack(rows, dim=1) @ layer.out.weight.T

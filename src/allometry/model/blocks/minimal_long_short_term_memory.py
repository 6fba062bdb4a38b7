"""minLSTM (Feng et al. 2024, arXiv:2410.01201): an LSTM whose gates see the input alone and sum to 1, so that it is a scan."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model._clock import Clock
from allometry.model.blocks._bias_clock import BiasClock
from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._eager import in_eager_cpu
from allometry.model.blocks._linear import BiasedLinear, Linear
from allometry.model.blocks._scan import average
from allometry.model.gates.equations import output_gating

LOWEST = -40.0  # of the larger logit; below it sigma is exp to the last bit of a double, and a shift of both drops out


class MinimalLongShortTermMemory(Block):
    """f, i, n = W x_t + b; h_t = (sigma(f) h_{t-1} + sigma(i) n) / (sigma(f) + sigma(i)); out = h W_out.

    Parameters 4 width^2 + 3 width. FLOPs per token 8 width^2 + 2 width.
    """

    reads: ClassVar[str] = SEQUENCE

    def build(self, outputs: int) -> nn.Module:
        return _MinimalLongShortTermMemory(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, scan = 4 * self.width**2, self.width
        return Cost(parameters=square + 3 * self.width, flops=2 * (square + scan) * length, state=self.width)


class _MinimalLongShortTermMemory(nn.Module):
    def __init__(self, spec: MinimalLongShortTermMemory, outputs: int) -> None:
        super().__init__()
        self.into = BiasedLinear(spec.width, 3 * spec.width)
        self.out = Linear(spec.width, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def clocks(self) -> dict[str, Clock]:
        """sigma(f) keeps and sigma(i) lets in; with b and -b the share kept is exactly sigma(b)."""
        width = self.out.in_features
        return {"gates": BiasClock(self.into.bias, keeps=slice(0, width), lets_in=slice(width, 2 * width))}

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        forget, let_in, new = self.into(x).chunk(3, dim=-1)
        return self.out(average(share(forget, let_in), new))


def share(forget: Float[Tensor, "*axes"], let_in: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """sigma(let_in) / (sigma(forget) + sigma(let_in)), also where both are too small for the numbers."""
    if in_eager_cpu(forget):
        return _Share.apply(forget, let_in)
    forget, let_in = _lifted(forget, let_in)
    return let_in.sigmoid() / (forget.sigmoid() + let_in.sigmoid())


class _Share(torch.autograd.Function):
    """`share` = s, whose derivative is s (1 - s) (1 - sigma) of the logit that lets in, and minus that of the other.

    Logits are lifted only where one pass over the sums finds that they must be.
    """

    @staticmethod
    def forward(ctx: Any, forget: Float[Tensor, "*axes"], let_in: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        kept, new = forget.sigmoid(), let_in.sigmoid()
        total = kept + new
        if float(total.amin()) < 1e-15:
            kept, new = (logit.sigmoid() for logit in _lifted(forget, let_in))
            total = kept + new
        share = new / total
        ctx.save_for_backward(kept, new, share)
        return share

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "*axes"]) -> tuple[Tensor, Tensor]:
        kept, new, share = ctx.saved_tensors
        both = torch.ops.aten.sigmoid_backward(gradient, share)  # g s (1 - s)
        return torch.addcmul(-both, both, kept), both.addcmul_(both, new, value=-1)


def _lifted(forget: Float[Tensor, "*axes"], let_in: Float[Tensor, "*axes"]) -> tuple[Tensor, Tensor]:
    """Both logits, moved up by the same number where both are below LOWEST."""
    lift = (LOWEST - torch.maximum(forget, let_in)).clamp_min(0).detach()
    return forget + lift, let_in + lift


def reference(
    layer: _MinimalLongShortTermMemory, x: Float[Tensor, "batch length width"]
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""
    hidden = torch.zeros_like(x[:, 0])
    rows = []
    for t in range(x.shape[1]):
        f, i, n = (x[:, t] @ layer.into.weight.T + layer.into.bias).chunk(3, dim=-1)
        hidden = (output_gating(f.sigmoid(), hidden) + output_gating(i.sigmoid(), n)) / (f.sigmoid() + i.sigmoid())
        rows.append(hidden)
    return torch.stack(rows, dim=1) @ layer.out.weight.T

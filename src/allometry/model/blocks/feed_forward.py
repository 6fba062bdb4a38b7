"""The position-wise feed-forward part (Vaswani et al. 2017, arXiv:1706.03762): GELU (arXiv:1606.08415) or another activation."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import Block, Cost, spread
from allometry.model.blocks._linear import Linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "swish": F.silu}


class FeedForward(Block):
    """y = activation(x W_in) W_out, no biases. Parameters 2 * width * hidden; FLOPs per token 4 * width * hidden."""

    hidden: int
    activation: str = "gelu"  # gelu | relu | swish

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"FeedForward(activation={self.activation!r}) is not known. Choose one of {known}.")

    def build(self, outputs: int) -> nn.Module:
        return _FeedForward(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        weights = 2 * self.width * self.hidden
        return Cost(parameters=weights, flops=2 * weights * length)


class _FeedForward(nn.Module):
    def __init__(self, spec: FeedForward, outputs: int) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[spec.activation]
        self.into = Linear(spec.width, spec.hidden)
        self.out = Linear(spec.hidden, spec.width)
        spread(self.into.weight, spec.width)
        spread(self.out.weight, spec.hidden, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        return self.out(self.activation(self.into(x)))  # type: ignore[no-any-return]

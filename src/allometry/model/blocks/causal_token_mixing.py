"""A causal perceptron over the positions: the token mixing of MLP-Mixer (arXiv:2105.01601) for language models. Our own.

Its two matrices are masked to be lower triangular, so that a position is mixed of what came before it, and there are as many
mixtures as positions: mixture s belongs to position s. A full matrix of length^2 numbers would be larger than a small model as
a whole (66 thousand at a length of 256, for two triangles), so each is a product of two thin ones, as Synthesizer has it (Tay
et al. 2020, arXiv:2005.00743, "factorized random"): still a weight of its own for each pair of positions, whatever they hold.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost


class CausalTokenMixing(Block):
    """out_t = sum_{s <= t} V_{t,s} GELU(h_s), h_t = sum_{s <= t} U_{t,s} x_s; U_{t,s} = a_t . b_s, V the same; no biases.

    a_t and b_s have `rank` numbers. Built for a length; a shorter sequence reads the first of them. All channels share them.

    Parameters 4 length rank. FLOPs per token 4 length width, the full squares, and 4 length rank to make U and V.
    """

    reads: ClassVar[str] = SEQUENCE

    length: int
    rank: int

    def build(self, outputs: int) -> nn.Module:
        return _CausalTokenMixing(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        flops = 4 * length**2 * (self.width + self.rank)
        return Cost(parameters=4 * self.length * self.rank, flops=flops, state=2 * length * self.width)


class _CausalTokenMixing(nn.Module):
    def __init__(self, spec: CausalTokenMixing, outputs: int) -> None:
        super().__init__()
        self.into = _Triangle(spec.length, spec.rank, 1)
        self.out = _Triangle(spec.length, spec.rank, outputs)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        length = x.shape[1]
        return self.out.matrix(length) @ F.gelu(self.into.matrix(length) @ x)


class _Triangle(nn.Module):
    """The matrix a b^T below and on its diagonal. Its rows begin such that they keep a variance, divided by `outputs`."""

    def __init__(self, length: int, rank: int, outputs: int) -> None:
        super().__init__()
        seen = torch.arange(1.0, length + 1)[:, None]
        self.reader = nn.Parameter(torch.randn(length, rank) * (rank * outputs * seen) ** -0.5)
        self.read = nn.Parameter(torch.randn(length, rank))

    def matrix(self, length: int) -> Float[Tensor, "length length"]:
        """Its first `length` rows and columns."""
        if length > len(self.read):
            raise ValueError(
                f"CausalTokenMixing(length={len(self.read)}) cannot read {length} positions. Build it for as many."
            )
        return (self.reader[:length] @ self.read[:length].T).tril()


def reference(layer: _CausalTokenMixing, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time."""

    def mixed(triangle: _Triangle, x: Tensor) -> Tensor:
        rows = [sum((triangle.reader[t] @ triangle.read[s]) * x[:, s] for s in range(t + 1)) for t in range(x.shape[1])]
        return torch.stack(rows, dim=1)

    return mixed(layer.out, F.gelu(mixed(layer.into, x)))

"""The relative position bias of T5 (Raffel et al. 2019, arXiv:1910.10683).

A learned number for each head is added to a score, chosen by how far the key stands from the query: every distance has its own
at first, then each bucket holds ever more distances, up to 128, beyond which all are one.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

BUCKETS, REACH = 32, 128


class RelativeBias(nn.Module):
    """The table of the biases, and what it says for every pair of positions."""

    def __init__(self, heads: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.table = nn.Parameter(torch.randn(BUCKETS, heads) * 0.1)  # small beside scores, which begin with variance one

    def forward(self, length: int) -> Float[Tensor, "1 heads length length"]:
        """-inf where a causal query must not look. Made from one number for each distance, as it says the same along diagonals."""
        distance = torch.arange(1 - length, length, device=self.table.device)
        of_distance = F.embedding(bucket(distance, self.causal), self.table).T
        if self.causal:
            of_distance = of_distance.masked_fill(distance > 0, -math.inf)
        return of_distance.unfold(-1, length, 1).flip(-2)[None]  # row a of the windows begins at distance a + 1 - length


def bucket(distance: Int[Tensor, "*pairs"], causal: bool) -> Int[Tensor, "*pairs"]:
    """The bucket of a key at `distance` = its position - the query's.

    >>> bucket(torch.tensor([0, -1, -15, -16, -127, -128, -999]), causal=True).tolist()
    [0, 1, 15, 16, 31, 31, 31]
    >>> bucket(torch.tensor([0, -1, -7, -8, -128, 1, 7, 8, 128]), causal=False).tolist()
    [0, 1, 7, 8, 15, 17, 23, 24, 31]
    """
    buckets = BUCKETS if causal else BUCKETS // 2
    far = -distance.clamp(max=0) if causal else distance.abs()
    near = buckets // 2  # distances that have a bucket of their own
    share = (far.clamp(min=near).double() / near).log() / math.log(REACH / near)
    grown = near + (share * (buckets - near) + 1e-9).long()  # a distance at an edge belongs above it, whatever the rounding
    chosen = torch.where(far < near, far, grown.clamp(max=buckets - 1))
    return chosen if causal else chosen + buckets * (distance > 0)

"""FAVOR+ attention, causal or not (Choromanski et al. 2020, arXiv:2009.14794): softmax attention by positive random features.

phi(x) = exp(w . x' - |x'|^2 / 2 - c), x' = x / head^(1/4), for `features` rows w, orthogonal within blocks of `head`, with
the norms of Gaussian vectors. E[phi(q) . phi(k)] = exp(q . k / sqrt(head)) up to a constant.

Departs from the published code, which subtracts the largest exponent over *all* positions of the keys and adds 1e-4 to each
feature: together these leak the future into the past. Here the key's constant c is half the largest |w|^2, which bounds the
exponent whatever the data are, and nothing is added. The features are drawn once, when the layer is built (a buffer).

The paper's other kernel, "generalized attention", is phi(x) = ReLU(w . x') + 1e-3: no estimate of softmax attention, but no
exponent either, so the published code is followed as it is.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, spread
from allometry.model.blocks._rotary import Rotary

KERNELS = ("softmax", "relu")
FLOOR = 1e-3  # of a ReLU feature, so that no position has weights that are all zero
CHUNK = 64  # positions that are compared pair by pair; the past beyond a chunk is read from a running sum


def feature_count(head: int) -> int:
    """head * ln(head) random features, as the paper's theory asks.

    >>> feature_count(64)
    266
    """
    return max(2, int(head * math.log(head)))


class KernelAttention(Block):
    """out_t = sum_{s <= t} (phi(q_t) . phi(k_s)) v_s / sum_{s <= t} phi(q_t) . phi(k_s), q and k turned by their positions.

    Not causal: over all s that are kept.

    Parameters 4 width^2. FLOPs per token, with m features and chunks of c: 8 width^2 for the projections; for each head
    4 m head to make features, 2 c (m + head + 1) within the chunk, 4 m (head + 1) for the running sum. Not causal, there are
    no chunks. Linear in the length.
    """

    reads: ClassVar[str] = SEQUENCE

    heads: int
    causal: bool = True
    kernel: str = "softmax"  # softmax | relu

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel not in KERNELS:
            known = ", ".join(KERNELS)
            raise ValueError(f"KernelAttention(kernel={self.kernel!r}) is not known. Choose one of {known}.")

    def build(self, outputs: int) -> nn.Module:
        return _KernelAttention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, head = self.width**2, self.width // self.heads
        m, chunk = feature_count(head), min(CHUNK, length)
        flops = 8 * square * length + self.heads * 4 * m * (head * length + (head + 1) * length)
        if self.causal:
            padded = length + -length % chunk
            kernel = 4 * m * head * length + padded * (2 * chunk * (m + head + 1) + 4 * m * (head + 1))
            flops = 8 * square * length + self.heads * kernel
        return Cost(parameters=4 * square, flops=flops, state=self.heads * m * (head + 1))


class _KernelAttention(nn.Module):
    directions: Tensor

    def __init__(self, spec: KernelAttention, outputs: int) -> None:
        super().__init__()
        head = spec.width // spec.heads
        self.heads, self.causal, self.kernel = spec.heads, spec.causal, spec.kernel
        self.query_key_value = nn.Linear(spec.width, 3 * spec.width, bias=False)
        self.out = nn.Linear(spec.width, spec.width, bias=False)
        self.rotary = Rotary(head)
        self.register_buffer("directions", orthogonal_directions(feature_count(head), head))
        spread(self.query_key_value.weight, spec.width)
        spread(self.out.weight, spec.width, outputs)

    def forward(
        self, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        batch, length, width = x.shape
        parts = self.query_key_value(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        query, key = self.features(self.rotary(query), own=True), self.features(self.rotary(key), own=False)
        if keep is not None:
            key = key * keep[:, None, :, None]
        mixed = causal_product(query, key, value) if self.causal else product(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def features(self, x: Float[Tensor, "batch heads length head"], own: bool) -> Float[Tensor, "batch heads length m"]:
        """phi(x). `own`: under exp, subtract each position's own largest exponent, which cancels in the ratio for queries only."""
        x = x.float() if x.dtype == torch.bfloat16 else x  # exponents need the digits
        x = x * x.shape[-1] ** -0.25
        if self.kernel == "relu":
            return F.relu(x @ self.directions.T.to(x.dtype)) + FLOOR
        exponent = x @ self.directions.T.to(x.dtype) - 0.5 * x.square().sum(-1, keepdim=True)
        bound = 0.5 * self.directions.square().sum(-1).amax().to(x.dtype)
        return (exponent - (exponent.detach().amax(-1, keepdim=True) if own else bound)).exp()


def causal_product(
    query: Float[Tensor, "batch heads length m"],
    key: Float[Tensor, "batch heads length m"],
    value: Float[Tensor, "batch heads length head"],
) -> Float[Tensor, "batch heads length head"]:
    """The ratio of the class's equation, by chunks: pairs within a chunk, a running sum of phi(k) v^T for what is before."""
    batch, heads, length, _ = query.shape
    chunk = min(CHUNK, length)
    pad = -length % chunk
    value = F.pad(value.to(query.dtype), (0, 1), value=1.0)  # the last column becomes the denominator
    if pad:
        query, key, value = (F.pad(part, (0, 0, 0, pad)) for part in (query, key, value))
    query, key, value = (part.view(batch, heads, -1, chunk, part.shape[-1]) for part in (query, key, value))
    within = (query @ key.transpose(-1, -2)).tril() @ value
    sums = key.transpose(-1, -2) @ value  # [batch heads chunks m head+1]
    # Chunks before this one alone: a sum less its last part would let a loud future in by rounding.
    before = F.pad(sums[:, :, :-1], (0, 0, 0, 0, 1, 0)).cumsum(2)
    total = (within + query @ before).view(batch, heads, length + pad, -1)[:, :, :length]
    return total[..., :-1] / total[..., -1:].clamp_min(torch.finfo(total.dtype).tiny)


def product(
    query: Float[Tensor, "batch heads length m"],
    key: Float[Tensor, "batch heads length m"],
    value: Float[Tensor, "batch heads length head"],
) -> Float[Tensor, "batch heads length head"]:
    """The same over both sides: one sum of phi(k) v^T for all positions."""
    value = F.pad(value.to(query.dtype), (0, 1), value=1.0)  # the last column becomes the denominator
    total = query @ (key.transpose(-1, -2) @ value)
    return total[..., :-1] / total[..., -1:].clamp_min(torch.finfo(total.dtype).tiny)


def orthogonal_directions(rows: int, head: int) -> Float[Tensor, "rows head"]:
    """Random rows, orthogonal within blocks of `head`, each as long as a Gaussian vector; from torch's default generator."""
    blocks = [torch.linalg.qr(torch.randn(head, head))[0].T for _ in range(-(-rows // head))]
    return torch.cat(blocks)[:rows] * torch.randn(rows, head).norm(dim=1, keepdim=True)


def reference(
    layer: _KernelAttention, x: Float[Tensor, "batch length width"], keep: Bool[Tensor, "batch length"] | None = None
) -> Float[Tensor, "batch length width"]:
    """The equation of the class, one position at a time, without any constant in the exponents."""
    batch, length, width = x.shape
    head = width // layer.heads
    parts = (x @ layer.query_key_value.weight.T).view(batch, length, 3, layer.heads, head).permute(2, 0, 3, 1, 4)
    query, key = (layer.rotary(part) * head**-0.25 for part in (parts[0], parts[1]))
    directions = layer.directions.to(x.dtype)

    def phi(x: Tensor) -> Tensor:
        projected = x @ directions.T
        relu = layer.kernel == "relu"
        return projected.clamp_min(0) + FLOOR if relu else (projected - x.square().sum(-1, keepdim=True) / 2).exp()

    phi_query, phi_key = phi(query), phi(key)
    rows = []
    for t in range(length):
        seen = slice(t + 1 if layer.causal else length)
        weight = torch.einsum("bhm,bhsm->bhs", phi_query[:, :, t], phi_key[:, :, seen])
        weight = weight if keep is None else weight * keep[:, None, seen]
        mixed = torch.einsum("bhs,bhsd->bhd", weight, parts[2][:, :, seen]) / weight.sum(-1, keepdim=True)
        rows.append(mixed.reshape(batch, width))
    return torch.stack(rows, dim=1) @ layer.out.weight.T

"""FAVOR+ attention, causal or not (Choromanski et al. 2020, arXiv:2009.14794): softmax attention by positive random features.

phi(x) = exp(w . x' - |x'|^2 / 2), x' = x / head^(1/4), for `features` rows w, orthogonal within blocks of `head`, with the
norms of Gaussian vectors. E[phi(q) . phi(k)] = exp(q . k / sqrt(head)) up to a constant.

Departs from the published code, which subtracts the largest exponent over *all* positions of the keys and adds 1e-4 to each
feature: together these leak the future into the past. Here the features of each position are those of its own largest exponent,
by which a query's cancel in the ratio and a key's are weighted: with the largest of the keys that are seen so far subtracted,
so that no key overflows, none is lost beside smaller ones, and no later one is met. Nothing is added. The features are drawn
once, when the layer is built (a buffer).

The paper's other kernel, "generalized attention", is phi(x) = ReLU(w . x') + 1e-3: no estimate of softmax attention, but no
exponent either, so the published code is followed as it is.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from allometry.model.blocks._block import SEQUENCE, Block, Cost, check_heads, spread
from allometry.model.blocks._linear import unrounded
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

    In quarks: phi(k) v^T are output gatings, added to a matrix of weights (additive synaptic), which phi(q) reads (synaptic
    gating); the ratio is output gating by 1 / sum.

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
        check_heads(self, even=True)

    def build(self, outputs: int) -> nn.Module:
        return _KernelAttention(self, outputs)

    def cost(self, length: int, memory: int = 0) -> Cost:
        square, head = self.width**2, self.width // self.heads
        m, chunk = feature_count(head), min(CHUNK, length)
        if self.causal:
            padded = length + -length % chunk
            kernel = 4 * m * head * length + padded * (2 * chunk * (m + head + 1) + 4 * m * (head + 1))
        else:
            kernel = 4 * m * (head * length + (head + 1) * length)
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
        (query, _), (key, scale) = self.features(self.rotary(query)), self.features(self.rotary(key))
        if keep is not None:
            scale = scale.masked_fill(~keep[:, None], -math.inf)
        mixed = causal_product(query, key, scale, value) if self.causal else product(query, key, scale, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def features(
        self, x: Float[Tensor, "batch heads length head"]
    ) -> tuple[Float[Tensor, "batch heads length m"], Float[Tensor, "batch heads length"]]:
        """(f, c) with phi(x) = f exp(c); under exp the largest of each position's f is 1."""
        x = x.to(torch.promote_types(x.dtype, torch.float32)) * x.shape[-1] ** -0.25  # exponents need the digits
        with unrounded(x):
            projected = x @ self.directions.T.to(x.dtype)
        if self.kernel == "relu":
            return F.relu(projected) + FLOOR, torch.zeros_like(projected[..., 0])
        exponent = projected - 0.5 * x.square().sum(-1, keepdim=True)
        scale = exponent.detach().amax(-1)
        return (exponent - scale[..., None]).exp(), scale


def causal_product(
    query: Float[Tensor, "batch heads length m"],
    key: Float[Tensor, "batch heads length m"],
    scale: Float[Tensor, "batch heads length"],
    value: Float[Tensor, "batch heads length head"],
) -> Float[Tensor, "batch heads length head"]:
    """The ratio of the class's equation, by chunks: pairs within a chunk, a running sum of phi(k) v^T for what is before.

    `scale` is the keys' c, whatever that of the queries.
    """
    batch, heads, length, _ = query.shape
    chunk = min(CHUNK, length)
    pad = -length % chunk
    value = F.pad(value.to(query.dtype), (0, 1), value=1.0)  # the last column becomes the denominator
    if pad:
        query, key, value = (F.pad(part, (0, 0, 0, pad)) for part in (query, key, value))
        scale = F.pad(scale, (0, pad))
    query, key, value = (part.view(batch, heads, -1, chunk, part.shape[-1]) for part in (query, key, value))
    scale = scale.view(batch, heads, -1, chunk)
    of_chunk = scale.amax(-1)
    before = F.pad(of_chunk[..., :-1], (1, 0), value=-math.inf).cummax(-1).values  # largest in the chunks before
    so_far = torch.maximum(scale.cummax(-1).values, before[..., None])
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=query.device).triu(1)
    weights = (scale[..., None, :] - so_far[..., None]).masked_fill(later, -math.inf).exp()
    within = ((query @ key.mT) * weights) @ value
    sums = (key * (scale - of_chunk[..., None]).exp()[..., None]).mT @ value  # [batch heads chunks m head+1]
    past = [torch.zeros_like(sums[:, :, 0])]
    for i in range(sums.shape[2] - 1):
        kept, added = ((part[..., i] - before[..., i + 1]).exp()[..., None, None] for part in (before, of_chunk))
        past.append(past[-1] * kept + sums[:, :, i] * added)
    earlier = (query @ torch.stack(past, dim=2)) * (before[..., None] - so_far).exp()[..., None]
    return _ratio((within + earlier).view(batch, heads, length + pad, -1)[:, :, :length])


def product(
    query: Float[Tensor, "batch heads length m"],
    key: Float[Tensor, "batch heads length m"],
    scale: Float[Tensor, "batch heads length"],
    value: Float[Tensor, "batch heads length head"],
) -> Float[Tensor, "batch heads length head"]:
    """The same over both sides: one sum of phi(k) v^T for all positions. `scale` is -inf where a key is padding."""
    value = F.pad(value.to(query.dtype), (0, 1), value=1.0)  # the last column becomes the denominator
    largest = scale.amax(-1, keepdim=True).clamp_min(torch.finfo(scale.dtype).min)
    return _ratio(query @ ((key * (scale - largest).exp()[..., None]).mT @ value))


def _ratio(total: Float[Tensor, "batch heads length both"]) -> Float[Tensor, "batch heads length head"]:
    """By the last column; 0 where no key is seen."""
    weight = total[..., -1:]
    return total[..., :-1] / weight.where(weight > torch.finfo(total.dtype).tiny, 1.0)


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

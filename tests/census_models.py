"""Small modules whose gates are known: a transformer block and the other architectures of the reference's table."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attends(nn.Module):
    """Multi-head attention of x to y, by torch's fused function."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def split(self, x: Tensor, y: Tensor) -> list[Tensor]:
        parts = (self.query(x), self.key(y), self.value(y))
        return [part.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for part in parts]

    def mixed(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.out(self.mixed(*self.split(x, x if y is None else y)).transpose(-3, -2).flatten(-2))


class ByEinsum(Attends):
    """The same in einsum."""

    def mixed(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = torch.einsum("bhid,bhjd->bhij", query, key) * query.shape[-1] ** -0.5
        if self.causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(future, -torch.inf)
        return torch.einsum("bhij,bhjd->bhid", scores.softmax(-1), value)


class ByNumber(Attends):
    """The same in products number by number, with a softmax of its own."""

    def mixed(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = (query[..., None, :] * key[..., None, :, :]).sum(-1) * query.shape[-1] ** -0.5
        if self.causal:
            scores = scores + torch.full(scores.shape[-2:], -torch.inf).triu(1)
        return (scores.softmax(-1)[..., None] * value[..., None, :, :]).sum(-2)


class Block(nn.Module):
    """A pre-norm transformer block with a ReLU or a SwiGLU."""

    def __init__(self, width: int, heads: int, hidden: int, causal: bool = False, gated: bool = False) -> None:
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attends(width, heads, causal)
        self.into, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.gate = nn.Linear(width, hidden) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm(x))
        y = self.norm2(x)
        hidden = torch.relu(self.into(y)) if self.gate is None else F.silu(self.gate(y)) * self.into(y)
        return x + self.out(hidden)


class ConvexGru(nn.Module):
    """One step of a GRU with h <- z h + (1 - z) n, and r before U."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.into, self.both, self.last = nn.Linear(width, 3 * width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        a, b, c = self.into(x).chunk(3, -1)
        r, z = (part.sigmoid() for part in (torch.cat([a, b], -1) + self.both(h)).chunk(2, -1))
        n = torch.tanh(c + self.last(r * h))
        return z * h + (1 - z) * n


class Highway(nn.Module):
    def __init__(self, width: int, difference: bool) -> None:
        super().__init__()
        self.gate, self.way, self.difference = nn.Linear(width, width), nn.Linear(width, width), difference

    def forward(self, x: Tensor) -> Tensor:
        t, y = self.gate(x).sigmoid(), self.way(x).tanh()
        return x + t * (y - x) if self.difference else t * y + (1 - t) * x


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, 2), nn.Linear(2, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(torch.tanh(self.squeeze(x.mean((-2, -1))))).sigmoid()
        return x * gate[..., None, None]


class Film(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Linear(3, width), nn.Linear(3, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.scale(condition)[:, None] * x + self.shift(condition)[:, None]


class Experts(nn.Module):
    """The k best of some experts, token by token."""

    def __init__(self, width: int, experts: int, k: int) -> None:
        super().__init__()
        self.router, self.k = nn.Linear(width, experts), k
        self.experts = nn.ModuleList(nn.Linear(width, width) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        gates, chosen = self.router(x).softmax(-1).topk(self.k)
        out = torch.zeros_like(x)
        for place, expert in enumerate(self.experts):
            token, which = torch.where(chosen == place)
            out.index_add_(0, token, expert(x[token]) * gates[token, which, None])
        return out


class AdditiveAttention(nn.Module):
    """Bahdanau's: one query over m keys, scores v . tanh(W q + U k)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.of_query, self.of_key, self.score = nn.Linear(width, hidden), nn.Linear(width, hidden), nn.Linear(hidden, 1)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        weights = self.score(torch.tanh(self.of_query(query) + self.of_key(keys)))[:, 0].softmax(0)
        return weights @ keys


class FastWeights(nn.Module):
    """W <- W + v k^T; out = W q, step by step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.Linear(width, 3 * width, bias=False)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        outs = []
        for query, key, value in zip(*self.parts(x).chunk(3, -1), strict=True):
            state = state + value[:, None] * key[None]
            outs.append((state * query).sum(-1))
        return torch.stack(outs)


class WithoutOrder(nn.Module):
    """Linear attention over both sides: q (k^T v)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.Linear(width, 3 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.parts(x).chunk(3, -1)
        return query @ (key.T @ value)


class DynamicKernel(nn.Module):
    """A convolution whose kernel another input makes."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.shape = (channels, 1, kernel)
        self.kernel = nn.Linear(3, channels * kernel)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return F.conv1d(x, self.kernel(condition).view(self.shape), groups=self.shape[0])

"""Parts in plain torch, of which the peers are made where nobody else's package has the architecture.

Pre-norm residual layers as a reader would write them after nanoGPT: LayerNorm without bias and GELU in its exact form, which
are torch's fastest on CPU, and attention by `scaled_dot_product_attention`. Positions are a table of their own.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformer_speed import DEPTH, HEADS, LENGTH, VOCAB, WIDTH

Parts = dict[str, nn.Module]


def norm() -> nn.LayerNorm:
    return nn.LayerNorm(WIDTH, bias=False)


class Attention(nn.Module):
    def __init__(self, heads: int = HEADS, causal: bool = True) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query_key_value, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (by_head(part, self.heads) for part in self.query_key_value(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(y.transpose(1, 2).flatten(2))


class Cross(nn.Module):
    """Attention from x to a memory, or from a shorter x to a longer one."""

    def __init__(self, heads: int = HEADS) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.key_value = nn.Linear(WIDTH, 2 * WIDTH, bias=False)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        key, value = (by_head(part, self.heads) for part in self.key_value(memory).chunk(2, dim=-1))
        y = F.scaled_dot_product_attention(by_head(self.query(x), self.heads), key, value)
        return self.out(y.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor] = F.gelu, hidden: int = 4 * WIDTH) -> None:
        super().__init__()
        self.activation = activation
        self.into, self.out = nn.Linear(WIDTH, hidden, bias=False), nn.Linear(hidden, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.activation(self.into(x)))


def by_head(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    """x <- x + part(norm x) for each part; those that are `Cross` read the memory."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.norms = nn.ModuleList(norm() for _ in parts)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        for part, before in zip(self.parts, self.norms, strict=True):
            x = x + (part(before(x), memory) if isinstance(part, Cross) else part(before(x)))
        return x


class Stack(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory)
        return x


class LanguageModel(nn.Module):
    def __init__(self, stack: nn.Module, head: nn.Module | None = None, positions: bool = True) -> None:
        super().__init__()
        self.embedding, self.stack, self.norm = nn.Embedding(VOCAB, WIDTH), stack, norm()
        self.positions = nn.Embedding(LENGTH, WIDTH) if positions else None
        self.head = head or nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        if self.positions:
            x = x + self.positions(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.stack(x)))


class EncoderDecoder(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module, positions: bool = True) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(VOCAB, WIDTH), nn.Linear(WIDTH, VOCAB, bias=False)
        self.encoder, self.decoder = encoder, decoder
        self.encoder_norm, self.norm = norm(), norm()
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.of_source = positions

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        x, y = self.embedding(source), self.embedding(target) + self.positions(torch.arange(target.shape[1]))
        if self.of_source:
            x = x + self.positions(torch.arange(source.shape[1]))
        return self.head(self.norm(self.decoder(y, self.encoder_norm(self.encoder(x)))))


def causal_layers(channel: Callable[[int], nn.Module] = lambda layer: FeedForward()) -> Stack:
    """A transformer's layers for a language model."""
    return Stack([Layer(Attention(), channel(layer)) for layer in range(DEPTH)])


def decoder() -> Stack:
    """A transformer's layers that read a memory."""
    return Stack([Layer(Attention(), Cross(), FeedForward()) for _ in range(DEPTH)])

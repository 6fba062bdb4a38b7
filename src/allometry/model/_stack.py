"""The equation for sequences: x <- x + mixer(norm x); x <- x + channel(norm x), `depth` times.

A family of this kind says which mixer moves information between positions and which channel part acts within one.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from allometry.flow import IO
from allometry.model._family import Family
from allometry.model.blocks._block import Block, spread
from allometry.model.blocks._linear import Linear
from allometry.model.blocks._norm import RMSNorm
from allometry.model.blocks.feed_forward import FeedForward


class SequenceFamily(Family):
    """A stack of pre-norm residual layers over tokens: states the mixer, and the channel part where it is not the usual one."""

    def mixer(self, layer: int) -> Block:
        """The part of layer number `layer` (from 0) that moves information between positions."""
        raise NotImplementedError

    def channel(self, layer: int) -> Block:
        """The part that acts within a position: a GELU feed-forward of four times the width."""
        return FeedForward(width=self.width, hidden=4 * self.width)

    def build(self, io: IO) -> nn.Module:
        """Return embedding, layers, final norm and an output layer of its own (not tied to the embedding)."""
        parts = [(self.mixer(layer), self.channel(layer)) for layer in range(self.depth)]
        return Stack(io.vocab, self.width, parts)


class _Layer(nn.Module):
    def __init__(self, width: int, mixer: nn.Module, channel: nn.Module) -> None:
        super().__init__()
        self.mixer_norm = RMSNorm(width)
        self.mixer = mixer
        self.channel_norm = RMSNorm(width)
        self.channel = channel

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        x = x + self.mixer(self.mixer_norm(x))
        return x + self.channel(self.channel_norm(x))


class Stack(nn.Module):
    """The module of the equation above. Parts of `by_part` in the meter are the names of its children."""

    def __init__(self, vocab: int, width: int, parts: list[tuple[Block, Block]]) -> None:
        super().__init__()
        outputs = 2 * len(parts)
        self.embedding = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList(_Layer(width, m.build(outputs), c.build(outputs)) for m, c in parts)
        self.norm = RMSNorm(width)
        self.head = Linear(width, vocab)
        nn.init.normal_(self.embedding.weight, std=0.5)  # beside the parts' outputs, which add up to a variance of one
        spread(self.head.weight, width * 100)  # nearly uniform predictions at the start: the first loss is ln(vocab)

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length vocab"]:
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))

"""The modules of the equation for sequences: layers, stacks of them, and what stands around the stacks. `_stack.py` says which."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from allometry.model.blocks._block import MEMORY, SEQUENCE, Block, spread
from allometry.model.blocks._norm import RMSNorm

Parts = dict[str, Block]


@runtime_checkable
class Sites(Protocol):
    """What the models below are made of."""

    width: int

    def embedding(self, vocab: int) -> nn.Module: ...
    def encoder(self) -> nn.Module: ...
    def decoder(self, crossing: bool) -> nn.Module: ...
    def head(self, vocab: int) -> nn.Module: ...
    def reading(self, channels: int) -> nn.Module: ...
    def answering(self, outputs: int) -> nn.Module: ...


class Layer(nn.Module):
    """x <- x + part(norm x), for each part by its name."""

    def __init__(self, width: int, parts: Parts, outputs: int, causal: bool) -> None:
        super().__init__()
        for name, block in parts.items():
            self.add_module(f"{name}_norm", RMSNorm(width))
            self.add_module(name, block.build(outputs))
        self.calls = tuple((name, block.reads) for name, block in parts.items())
        self.causal = causal

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch source width"] | None = None,
        keep: Bool[Tensor, "batch read"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        """`keep` is of the memory, or of x in an encoder."""
        for name, reads in self.calls:
            normed, part = getattr(self, f"{name}_norm")(x), getattr(self, name)
            if reads == MEMORY:
                x = x + part(normed, memory, keep)
            elif reads == SEQUENCE and not self.causal:
                x = x + part(normed, keep)
            else:
                x = x + part(normed)
        return x


class Encoder(nn.Module):
    """Layers that see both sides."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: Float[Tensor, "batch source width"], keep: Bool[Tensor, "batch source"] | None = None
    ) -> tuple[Float[Tensor, "batch memory width"], Bool[Tensor, "batch memory"] | None]:
        for layer in self.layers:
            x = layer(x, None, keep)
        return x, keep


class Decoder(nn.Module):
    """Layers that see the past, and a memory where there is one."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self,
        x: Float[Tensor, "batch length width"],
        memory: Float[Tensor, "batch memory width"] | None = None,
        keep: Bool[Tensor, "batch memory"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        for layer in self.layers:
            x = layer(x, memory, keep)
        return x


class LanguageModel(nn.Module):
    """`Int[batch length] -> Float[batch length vocab]`: each position predicts the token after it."""

    def __init__(self, family: Sites, vocab: int) -> None:
        super().__init__()
        self.embedding = family.embedding(vocab)
        self.decoder = family.decoder(crossing=False)
        self.norm = RMSNorm(family.width)
        self.head = family.head(vocab)
        _start(self.embedding, self.head)

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length vocab"]:
        return self.head(self.norm(self.decoder(self.embedding(tokens))))  # type: ignore[no-any-return]

    def auxiliary_loss(self) -> Tensor | float:
        """What the parts add to the objective (router balance, ponder cost)."""
        return _auxiliary(self)


class EncoderDecoder(nn.Module):
    """(source, target so far) -> `Float[batch target vocab]`. `keep`, of the source, is False on padding."""

    def __init__(self, family: Sites, vocab: int) -> None:
        super().__init__()
        self.embedding = family.embedding(vocab)
        self.encoder = family.encoder()
        self.encoder_norm = RMSNorm(family.width)
        self.decoder = family.decoder(crossing=True)
        self.norm = RMSNorm(family.width)
        self.head = family.head(vocab)
        _start(self.embedding, self.head)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
        keep: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch target vocab"]:
        memory, keep = self.encoder(self.embedding(source), keep)
        x = self.decoder(self.embedding(target), self.encoder_norm(memory), keep)
        return self.head(self.norm(x))  # type: ignore[no-any-return]

    def auxiliary_loss(self) -> Tensor | float:
        """What the parts add to the objective (router balance, ponder cost)."""
        return _auxiliary(self)


class SeriesModel(nn.Module):
    """`Float[batch length channels] -> Float[batch answers outputs]`: an answer at every position, or at the last alone."""

    def __init__(self, family: Sites, channels: int, outputs: int, every: bool) -> None:
        super().__init__()
        self.embedding = family.reading(channels)
        self.decoder = family.decoder(crossing=False)
        self.norm = RMSNorm(family.width)
        self.head = family.answering(outputs)
        self.every = every
        _start(self.embedding, self.head)

    def forward(self, series: Float[Tensor, "batch length channels"]) -> Float[Tensor, "batch answers outputs"]:
        x = self.decoder(self.embedding(series))
        return self.head(self.norm(x if self.every else x[:, -1:]))  # type: ignore[no-any-return]

    def auxiliary_loss(self) -> Tensor | float:
        """What the parts add to the objective (router balance, ponder cost)."""
        return _auxiliary(self)


def _start(embedding: nn.Module, head: nn.Module) -> None:
    """Initialise what reads and what answers."""
    for table in (module for module in embedding.modules() if isinstance(module, nn.Embedding)):
        nn.init.normal_(table.weight, std=0.5)  # beside the parts' outputs, which add up to a variance of one
    output: Any = getattr(head, "output", head)
    spread(output.weight, output.in_features * 100)  # nearly uniform predictions at the start: the first loss is ln(vocab)


def _auxiliary(model: nn.Module) -> Tensor | float:
    parts = (module for module in model.modules() if module is not model)
    return sum((part.auxiliary_loss() for part in parts if hasattr(part, "auxiliary_loss")), 0.0)

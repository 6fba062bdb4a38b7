"""The equation for sequences: x <- x + part(norm x), part after part, layer after layer.

A layer of the usual kind has two parts: x <- x + mixer(norm x); x <- x + channel(norm x). The mixer moves information between
positions, the channel part acts within one. Of such layers are made

- a language model (`Tokens`): embedding, causal layers, norm, head;
- the same for vectors (`Series`), with a linear layer as embedding, and a head with a bias;
- an encoder-decoder (`Pairs`): layers that see both sides read the source; causal layers with a third part in the middle, which
  reads what the encoder gave, read the target. One embedding serves both.

A family says which parts, and overrides a site (`layers`, `encoder`, `decoder`, `embedding`, `head`) where it departs from this.
"""

from typing import ClassVar

from torch import nn

from allometry.flow import IO, Pairs, Refusal, Series, Tokens
from allometry.model._family import ClosedForm, Family, SelfFamily, heads_for
from allometry.model._layers import Decoder, Encoder, EncoderDecoder, LanguageModel, Layer, Parts, SeriesModel
from allometry.model.blocks._block import Block
from allometry.model.blocks._linear import BiasedLinear, Linear, Reading
from allometry.model.blocks.cross_attention import CrossAttention
from allometry.model.blocks.feed_forward import FeedForward
from allometry.spec import Spec


class Ends(Spec):
    """What embedding and head cost. `source`: FLOPs for a token that is read; `target`: for one that is predicted."""

    parameters: int  # a shared weight once
    non_embedding: int  # of them, outside the tables of the vocabulary
    source: float
    target: float


class StackCost(Spec):
    """What a stack of layers costs for one sequence."""

    parameters: int  # a shared weight once
    applied: int  # parameters that one token meets, a shared weight once per use
    flops: float  # forward
    state: int  # numbers to keep of the past of one sequence while it is generated


class SequenceFamily(Family):
    """A stack of pre-norm residual layers over tokens: states the mixer, and what else is not the usual."""

    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens, Pairs)

    @classmethod
    def shape(cls, width: int, depth: int) -> dict[str, int]:
        """Width and depth, and the heads that go with the width where the family has a field for them."""
        heads = {"heads": heads_for(width)} if "heads" in cls.__dataclass_fields__ else {}
        return {"width": width, "depth": depth, **heads}

    def mixer(self, layer: int) -> Block:
        """The part of layer number `layer` (from 0) that moves information between positions, seeing the past alone."""
        raise NotImplementedError

    def encoder_mixer(self, layer: int) -> Block:
        """The same for an encoder's layer, which sees both sides."""
        block = self.mixer(layer)
        if not hasattr(block, "causal"):
            raise Refusal(f"{type(block).__name__} sees the past alone, so {type(self).__name__} has no encoder.")
        return block.edit(causal=False)

    def channel(self, layer: int) -> Block:
        """The part that acts within a position: a GELU feed-forward of four times the width."""
        return FeedForward(width=self.width, hidden=4 * self.width)

    def cross(self, layer: int) -> Block:
        """The part of a decoder's layer that reads what the encoder gave: softmax attention."""
        return CrossAttention(width=self.width, heads=getattr(self, "heads", heads_for(self.width)))

    def encoder_parts(self, layer: int) -> Parts:
        """The parts of an encoder's layer by name, in order."""
        return {"mixer": self.encoder_mixer(layer), "channel": self.channel(layer)}

    def decoder_parts(self, layer: int, crossing: bool) -> Parts:
        """The parts of a causal layer by name, in order; `crossing` where there is an encoder to read."""
        crosses = {"cross": self.cross(layer)} if crossing else {}
        return {"mixer": self.mixer(layer), **crosses, "channel": self.channel(layer)}

    def layers(self, each: list[Parts], causal: bool) -> list[nn.Module]:
        """The layers of a stack, built in their order. Override it to share them."""
        outputs = sum(len(parts) for parts in each)
        return [Layer(self.width, parts, outputs, causal) for parts in each]

    def encoder(self) -> nn.Module:
        """(x, keep) -> (x, keep). `keep` is False on padding; None: there is none."""
        return Encoder(self.layers([self.encoder_parts(layer) for layer in range(self.depth)], causal=False))

    def decoder(self, crossing: bool) -> nn.Module:
        """x -> x, or (x, memory, keep) -> x."""
        return Decoder(self.layers([self.decoder_parts(layer, crossing) for layer in range(self.depth)], causal=True))

    def embedding(self, vocab: int) -> nn.Module:
        """`Int[batch length] -> Float[batch length width]`."""
        return nn.Embedding(vocab, self.width)

    def head(self, vocab: int) -> nn.Module:
        """`Float[batch length width] -> Float[batch length vocab]`; its linear layer over the vocabulary is `output`, or itself."""
        return Linear(self.width, vocab)

    def reading(self, channels: int) -> nn.Module:
        """`Float[batch length channels] -> Float[batch length width]`: what the embedding is for tokens."""
        return Reading(channels, self.width)

    def answering(self, outputs: int) -> nn.Module:
        """`Float[batch answers width] -> Float[batch answers outputs]`: what the head is for tokens."""
        return BiasedLinear(self.width, outputs)

    @classmethod
    def at(cls: type[SelfFamily], size: int, kind: type[IO] | None = None, scale: str = "both") -> SelfFamily:
        """A size is the same stack for series as for tokens. See `Family.at`."""
        reads_tokens = kind is Series and Tokens in cls.kinds
        return super().at(size, Tokens if reads_tokens else kind, scale)  # type: ignore[misc]

    @classmethod
    def check(cls, io: IO) -> None:
        """A causal stack reads series as it reads tokens: only what stands around it is another."""
        if not (isinstance(io, Series) and Tokens in cls.kinds):
            super().check(io)

    def build(self, io: IO) -> nn.Module:
        """Return embedding, layers, final norm and an output layer of its own (not tied to the embedding)."""
        self.check(io)
        if isinstance(io, Series):
            return SeriesModel(self, io.channels, io.outputs, io.answer == "every")
        return EncoderDecoder(self, io.vocab) if isinstance(io, Pairs) else LanguageModel(self, io.vocab)

    def closed_form(self, io: IO) -> ClosedForm | None:
        """The sum of what the parts say that they cost, with the norms, the embedding and the head."""
        if isinstance(io, Pairs):
            stacks, targets = [self.encoder_cost(io.source), self.decoder_cost(io.target, self.memory(io.source))], io.target
        else:
            stacks, targets = [self.decoder_cost(io.length, None)], io.answers if isinstance(io, Series) else io.length
        known = [stack for stack in stacks if stack is not None]
        if len(known) < len(stacks):
            return None
        ends = self.ends_of_series(io) if isinstance(io, Series) else self.ends(io.vocab)
        norms = len(known) * self.width
        flops = sum(stack.flops for stack in known) + ends.source * io.length + ends.target * targets
        return ClosedForm(
            parameters=sum(stack.parameters for stack in known) + norms + ends.parameters,
            non_embedding_parameters=sum(stack.applied for stack in known) + norms + ends.non_embedding,
            forward_flops_per_token=flops / io.length,
            state_numbers=known[-1].state,
        )

    def memory(self, source: int) -> int:
        """Positions that an encoder gives for a source of so many."""
        return source

    def encoder_cost(self, source: int) -> StackCost | None:
        return self.stack_cost([self.encoder_parts(layer) for layer in range(self.depth)], source)

    def decoder_cost(self, length: int, memory: int | None) -> StackCost | None:
        """Of a decoder that reads a memory of so many positions; None: of a language model."""
        each = [self.decoder_parts(layer, memory is not None) for layer in range(self.depth)]
        return self.stack_cost(each, length, memory or 0)

    def stack_cost(self, each: list[Parts], length: int, memory: int = 0) -> StackCost | None:
        """Of layers that share nothing: every part once, and a norm before it."""
        blocks = [block for parts in each for block in parts.values()]
        of = {block: block.cost(length, memory) for block in set(blocks)}  # layers are mostly alike
        costs = [of[block] for block in blocks]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            return None
        parameters = sum(cost.parameters + self.width for cost in known)
        return StackCost(
            parameters=parameters,
            applied=parameters - sum(cost.idle for cost in known),
            flops=sum(cost.flops for cost in known),
            state=sum(cost.state for cost in known),
        )

    def ends(self, vocab: int) -> Ends:
        """What embedding and head cost."""
        return Ends(parameters=2 * vocab * self.width, non_embedding=0, source=0, target=2 * self.width * vocab)

    def ends_of_series(self, io: Series) -> Ends:
        """What reading and answering cost."""
        parameters = (io.channels + 1) * self.width + (self.width + 1) * io.outputs
        return Ends(
            parameters=parameters, non_embedding=0, source=2 * io.channels * self.width, target=2 * self.width * io.outputs
        )

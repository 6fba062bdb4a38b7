"""MLP-Mixer (Tolstikhin et al. 2021, arXiv:2105.01601) as the encoder of an encoder-decoder, as Tay et al. 2022 have it.

A perceptron over the positions moves information between them, with weights of its own for each; another one acts within a
position. Both as in the paper: biases, LayerNorm, D_S = width / 2 mixtures of positions, D_C = 4 width. There are no positions
beside these weights, and the source has a fixed length: padding counts as zero, so that it moves outputs through the biases
alone. The decoder is the transformer's. As it reads a whole source at once it is no language model: that is `causal_mlp_mixer`.
"""

from typing import ClassVar

from torch import nn

from allometry.flow import IO, Pairs
from allometry.model._family import ClosedForm
from allometry.model._layers import Parts
from allometry.model._stack import SequenceFamily, StackCost
from allometry.model.blocks._block import Block
from allometry.model.blocks.attention import Attention
from allometry.model.blocks.channel_mixing import ChannelMixing
from allometry.model.blocks.token_mixing import TokenMixing

EPSILON = 1e-6


class MlpMixer(SequenceFamily):
    """Encoder: mixer = perceptron over positions, channel = GELU feed-forward, with biases. Decoder: the transformer's."""

    claims: ClassVar[frozenset[str]] = frozenset({"whole_past"})
    grain: ClassVar[int] = 2  # rotary positions of the decoder turn pairs of channels
    kinds: ClassVar[tuple[type[IO], ...]] = (Pairs,)

    heads: int
    length: int = 256  # of the source; `build` and `closed_form` take that of the IO

    def mixer(self, layer: int) -> Block:
        return Attention(width=self.width, heads=self.heads)

    def encoder_parts(self, layer: int) -> Parts:
        tokens = TokenMixing(width=self.width, length=self.length, hidden=max(1, self.width // 2))
        return {"mixer": tokens, "channel": ChannelMixing(width=self.width, hidden=4 * self.width)}

    def layers(self, each: list[Parts], causal: bool) -> list[nn.Module]:
        layers = super().layers(each, causal)
        for layer in [] if causal else layers:
            layer.mixer_norm, layer.channel_norm = (nn.LayerNorm(self.width, eps=EPSILON) for _ in range(2))
        return layers

    def build(self, io: IO) -> nn.Module:
        self.check(io)
        return SequenceFamily.build(self.edit(length=io.source), io)  # type: ignore[union-attr]

    def closed_form(self, io: IO) -> ClosedForm | None:
        self.check(io)
        return SequenceFamily.closed_form(self.edit(length=io.source), io)  # type: ignore[union-attr]

    def encoder_cost(self, source: int) -> StackCost | None:
        stack = super().encoder_cost(source)
        biases = 2 * self.depth * self.width  # of the norms
        return stack and stack.edit(parameters=stack.parameters + biases, applied=stack.applied + biases)

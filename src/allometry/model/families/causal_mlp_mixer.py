"""A causal MLP-Mixer for language models: a model of our own after Tolstikhin et al. 2021 (arXiv:2105.01601), not the paper's.

A perceptron over the positions moves information between them, masked so that it reads the past alone, with weights for each
pair of positions that do not depend on what stands there; a feed-forward part acts within one. Departs from the paper in the
mask, in D_S = length mixtures of positions (one belongs to each, or they would see the future), and in the two matrices of the
perceptron, which are products of thin ones: with rank width / 4 they have as many parameters as the paper's with D_S = width /
2. Norms and the feed-forward part are the transformer's, without biases. It has no positions beside these weights, and is built
for a length: longer sequences are refused. The paper's own, which sees both sides, is the encoder of `mlp_mixer`.
"""

from typing import ClassVar

from torch import nn

from allometry.flow import IO, Tokens
from allometry.model._family import ClosedForm
from allometry.model._stack import SequenceFamily
from allometry.model.blocks._block import Block
from allometry.model.blocks.causal_token_mixing import CausalTokenMixing


class CausalMlpMixer(SequenceFamily):
    """mixer = causal perceptron over positions; channel = GELU feed-forward."""

    claims: ClassVar[frozenset[str]] = frozenset({"causal", "whole_past"})
    kinds: ClassVar[tuple[type[IO], ...]] = (Tokens,)

    length: int = 256  # of a sequence; `build` and `closed_form` take that of the IO

    def mixer(self, layer: int) -> Block:
        rank = max(1, min(self.width // 4, self.length // 2))  # from length / 2 on, products are no smaller than the matrix
        return CausalTokenMixing(width=self.width, length=self.length, rank=rank)

    def build(self, io: IO) -> nn.Module:
        self.check(io)
        return SequenceFamily.build(self.edit(length=io.length), io)

    def closed_form(self, io: IO) -> ClosedForm | None:
        self.check(io)
        return SequenceFamily.closed_form(self.edit(length=io.length), io)

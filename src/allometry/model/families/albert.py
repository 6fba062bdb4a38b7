"""ALBERT (Lan et al. 2019, arXiv:1909.11942): the layers of a stack share their weights; the vocabulary's tables have two factors.

One layer is applied `depth` times, an encoder and a decoder having one each; a token is looked up in a narrow table of E'
channels and led to the width by a matrix, and the head goes the same way back with two matrices of its own. Attention moves
information between positions, a feed-forward part acts within one. Departs from the original, an encoder after BERT, in what
the transformer here departs in: norm before each part, no biases, rotary positions, head not tied to the embedding. E' is
128 there; here it is a quarter of the width, at least 8 and at most 128, so that the tables are narrow at every size.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from allometry.model._attention import AttentionFamily
from allometry.model._sharing import SharingFamily
from allometry.model._stack import Ends
from allometry.model.blocks._block import spread
from allometry.model.blocks._linear import Linear


def narrow(width: int) -> int:
    """Channels of the tables, E'.

    >>> narrow(16), narrow(64), narrow(2048)
    (8, 16, 128)
    """
    return min(128, max(8, width // 4))


class Albert(SharingFamily, AttentionFamily):
    """mixer = softmax attention, channel = GELU feed-forward, the same in every layer; embedding V x E' x width and back."""

    def embedding(self, vocab: int) -> nn.Module:
        return _Embedding(vocab, narrow(self.width), self.width)

    def head(self, vocab: int) -> nn.Module:
        return _Head(self.width, narrow(self.width), vocab)

    def ends(self, vocab: int) -> Ends:
        factor, table = self.width * narrow(self.width), vocab * narrow(self.width)
        return Ends(
            parameters=2 * (factor + table), non_embedding=2 * factor, source=2 * factor, target=2 * (factor + table)
        )


class _Embedding(nn.Module):
    """x = W_table[token] W_widen, in the precision of the table: what the layers add to is not rounded."""

    def __init__(self, vocab: int, narrow: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, narrow)
        self.widen = Linear(narrow, width)
        spread(self.widen.weight, narrow)

    def forward(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length width"]:
        return self.widen(self.table(tokens)).to(self.table.weight.dtype)  # type: ignore[no-any-return]


class _Head(nn.Module):
    """logits = (x W_narrow) W_output."""

    def __init__(self, width: int, narrow: int, vocab: int) -> None:
        super().__init__()
        self.narrow = Linear(width, narrow)
        self.output = Linear(narrow, vocab)
        spread(self.narrow.weight, width)

    def forward(self, x: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length vocab"]:
        return self.output(self.narrow(x))  # type: ignore[no-any-return]

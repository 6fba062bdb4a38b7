"""Text: predict the next token of real text.

```text
Inputs:  ¶ d e f _ r e a d (        the end of a document stands before its first token
Targets: d e f _ r e a d ( s        each target is the next input
```
"""

import math
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from allometry.data._baseline import baselines, unigram
from allometry.data._corpus import Corpus
from allometry.data._task import HeldOut
from allometry.flow import Refusal, Tokens

FEWEST_DOCUMENTS = 4  # held out; of fewer the sampling of documents says nothing
FEWEST_SEQUENCES = 32  # to train on


class Text:
    """Sequences of `length` tokens from a corpus.

    An epoch cuts the training tokens into sequences at a grid with a random shift, in a random order. Both come from
    (seed, epoch) alone, so runs of one seed see the same text in the same order whatever their batch size and model.
    """

    def __init__(self, corpus: Corpus, length: int) -> None:
        if length < 1:
            raise Refusal(f"A sequence of {length} tokens cannot be predicted. Take a length of at least 1, like 256.")
        self.corpus = corpus
        self.length = length
        self.io = self.asks(corpus.vocab, length)
        # One sequence less than fits, so that every shift of the grid gives as many.
        self.epoch_examples = max(0, len(corpus.train) // length - 1)
        if self.epoch_examples < FEWEST_SEQUENCES or corpus.documents < FEWEST_DOCUMENTS:
            raise Refusal(
                f"The corpus is too small: {max(0, self.epoch_examples)} sequences of {length} tokens to train on and "
                f"{corpus.documents} held-out documents; at least {FEWEST_SEQUENCES} and {FEWEST_DOCUMENTS} are needed. "
                "Add text, or take a shorter --length."
            )
        self._stream = np.asarray(corpus.train)  # a plain view of the mapped file: faster to index
        # A batch touches one epoch, or two; more are not kept, as the order of a large corpus is large.
        self._order = lru_cache(maxsize=2)(self._epoch)

    @staticmethod
    def asks(vocab: int, length: int) -> Tokens:
        """The IO for a corpus of so many symbols."""
        return Tokens(vocab=vocab, length=length)

    @property
    def fingerprint(self) -> str:
        return self.corpus.fingerprint

    @property
    def chance(self) -> float:
        """Loss when all tokens are equally likely, nats per token."""
        return math.log(self.io.vocab)

    def batch(self, seed: int, first: int, count: int) -> tuple[tuple[Tensor, ...], Int[Tensor, "batch length"]]:
        """Examples `first` to `first + count - 1` of the endless stream of this seed."""
        epoch, place = divmod(first, self.epoch_examples)
        starts = self._order(seed, epoch)[place : place + count]
        while len(starts) < count:
            epoch += 1
            starts = np.concatenate([starts, self._order(seed, epoch)[: count - len(starts)]])
        index = starts[:, None] + np.arange(self.io.length + 1)
        tokens = torch.from_numpy(self._stream[index].astype(np.int64))
        return (tokens[:, :-1].contiguous(),), tokens[:, 1:].contiguous()

    def _epoch(self, seed: int, epoch: int) -> Int[np.ndarray, " examples"]:
        """Where the sequences of an epoch start, in their order.

        Made of raw bits, as numpy promises those to stay the same in later versions, and its permutations not.
        """
        bits = np.random.PCG64(np.random.SeedSequence([seed, epoch]))
        shift = int(bits.random_raw()) % self.io.length
        order = np.argsort(bits.random_raw(self.epoch_examples), kind="stable")
        return order * self.io.length + shift

    def held_out(self, sequences: int = 96) -> HeldOut:
        """At most this many sequences, spread evenly over the held-out documents and within each.

        Every document is given as many as the others, as far as it is long enough; if there are more documents than
        sequences, some are left out. A sequence never crosses the border of a document; a document shorter than a
        sequence is filled up with weight 0. Scored targets are text, never the end of a document.
        """
        length = self.io.length
        lengths = np.diff(self.corpus.offsets)
        chosen = _spread(len(lengths), min(sequences, len(lengths)))
        quotas = _share_out(np.maximum(1, lengths[chosen] // length), sequences)
        stretches = np.zeros((int(quotas.sum()), length + 1), dtype=np.int64)
        weights = np.zeros((len(stretches), length), dtype=np.float32)
        document = np.repeat(np.arange(len(chosen)), quotas)
        row = 0
        for index, quota in zip(chosen, quotas, strict=True):
            # As in training, the end of a document stands before the text.
            tokens = np.concatenate([[0], self.corpus.document(int(index))])
            for window in _spread(max(1, int(lengths[index]) // length), int(quota)):
                stretch = tokens[window * length : (window + 1) * length + 1]
                stretches[row, : len(stretch)] = stretch
                weights[row, : len(stretch) - 1] = 1
                row += 1
        scored = (self.corpus.token_bytes[stretches[:, 1:]] * weights).sum(axis=1)
        tokens = torch.from_numpy(stretches)
        return HeldOut(
            inputs=(tokens[:, :-1].contiguous(),),
            targets=tokens[:, 1:].contiguous(),
            weights=torch.from_numpy(weights),
            document=torch.from_numpy(document),
            documents=len(chosen),
            document_bytes=torch.from_numpy(np.bincount(document, weights=scored, minlength=len(chosen))),
        )

    @cached_property
    def unigram(self) -> float:
        """Loss of a player that knows only how frequent each token is, bits per byte on the held-out sequences."""
        return unigram(self.corpus, self.held_out())

    def baselines(self, train_bytes: int, sequences: int = 96) -> dict[str, dict[str, float | int | str]]:
        """Bits per byte, on the targets of `held_out(sequences)`, of an n-gram model and of xz. See `_baseline.py`."""
        return baselines(self.corpus, self.held_out(sequences), train_bytes)


def _spread(things: int, count: int) -> Int[np.ndarray, " count"]:
    """`count` of `things` places, evenly."""
    return ((2 * np.arange(count) + 1) * things) // (2 * count)


def _share_out(most: Int[np.ndarray, " documents"], total: int) -> Int[np.ndarray, " documents"]:
    """Give everyone the same as far as they can take it, `total` in all where there is as much."""
    quotas = np.zeros_like(most)
    while (left := total - int(quotas.sum())) > 0 and (open_ := np.flatnonzero(quotas < most)).size:
        each = max(1, left // len(open_))
        takers = open_ if left >= len(open_) else open_[_spread(len(open_), left)]
        quotas[takers] = np.minimum(most[takers], quotas[takers] + each)
    return quotas

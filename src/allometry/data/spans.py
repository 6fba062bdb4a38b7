"""Spans: fill in what is missing, the span corruption of T5 (Raffel et al. 2019, arXiv:1910.10683, section 3.1.4).

```text
Text      def_read(self):_return_self.data
Source    def_rX(self):_return_self.daY.       of the text 15 % is missing, in spans of 3 on average; X, Y stand for spans
Target    XeadYta.                             what was missing, each span behind its sign; `.` ends source and target
```

A model reads the source, and the target up to each place (`.` stands before its first), and predicts the target. Every stretch
of a length has as many missing tokens and spans as any other, as in T5, so that all sources and all targets are equally long; it
begins with what stays and ends with what is missing, as theirs do.
Signs and the end are symbols of their own behind those of the corpus.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt64
from torch import Tensor

from allometry.data._corpus import Corpus
from allometry.data._random import HELD_OUT, random_bits
from allometry.data._task import HeldOut
from allometry.data.text import Text
from allometry.flow import Pairs, Refusal

MISSING, SPAN = 0.15, 3.0  # share of the text; tokens in a span, on average
SHORTEST = 8  # tokens of which something can be missing


def spans_in(length: int) -> tuple[int, int]:
    """Missing tokens, and spans that they come in, in a stretch of text.

    >>> spans_in(256), spans_in(512)
    ((38, 13), (77, 26))
    """
    missing = min(max(round(length * MISSING), 1), length - 1)
    return missing, min(max(round(missing / SPAN), 1), missing, length - missing)


class Spans:
    """Stretches of `length` tokens from a corpus, some of each missing.

    The stretches and their order are those of `Text` with the same seed.
    """

    def __init__(self, corpus: Corpus, length: int) -> None:
        if length < SHORTEST:
            raise Refusal(
                f"A stretch of {length} tokens is too short to leave spans out. Take a length of at least {SHORTEST}."
            )
        self.corpus, self.length = corpus, length
        self._text = Text(corpus, length)
        self.io = self.asks(corpus.vocab, length)
        self.end = self.io.vocab - 1

    @staticmethod
    def asks(vocab: int, length: int) -> Pairs:
        """The IO for a corpus of so many symbols."""
        missing, spans = spans_in(max(length, SHORTEST))
        return Pairs(vocab=vocab + spans + 1, source=length - missing + spans + 1, target=missing + spans + 1)

    @property
    def fingerprint(self) -> str:
        return self.corpus.fingerprint

    @property
    def chance(self) -> float:
        """Loss when all tokens are equally likely, nats per target token."""
        return math.log(self.io.vocab)

    def batch(self, seed: int, first: int, count: int) -> tuple[tuple[Tensor, ...], Int[Tensor, "batch target"]]:
        """Examples `first` to `first + count - 1` of the endless stream of this seed."""
        text = self._text.batch(seed, first, count)[0][0].numpy()
        source, target = self.corrupt(text, seed, np.arange(first, first + count))
        return self._inputs(source, target), torch.from_numpy(target)

    def held_out(self, sequences: int = 96) -> HeldOut:
        """At most this many stretches, those of `Text.held_out`. What is missing never changes.

        Of a stretch at the end of a short document fewer tokens are missing; the rest is padding, which no score counts.
        """
        text = self._text.held_out(sequences)
        rows, lengths = text.targets.numpy(), text.weights.sum(1).long().numpy()
        source = np.full((len(rows), self.io.source), self.end)
        target = np.full((len(rows), self.io.target), self.end)
        keep, weights = np.zeros(source.shape, dtype=bool), np.zeros(target.shape, dtype=np.float32)
        for row, length in enumerate(lengths):
            whole = max(int(length), SHORTEST)  # a document of fewer tokens is filled up, and its targets do not count
            some, missing = self.corrupt(rows[row : row + 1, :whole], HELD_OUT, np.array([row]))
            source[row, : some.shape[1]], target[row, : missing.shape[1]] = some, missing
            keep[row, : some.shape[1]] = True
            weights[row, : missing.shape[1]] = length >= SHORTEST
        of_text = target < self.corpus.vocab
        scored = np.where(of_text, self.corpus.token_bytes[np.where(of_text, target, 0)], 0) * weights
        inputs = self._inputs(source, target)
        return HeldOut(
            inputs=inputs if keep.all() else (*inputs, torch.from_numpy(keep)),
            targets=torch.from_numpy(target),
            weights=torch.from_numpy(weights),
            document=text.document,
            documents=text.documents,
            document_bytes=torch.from_numpy(
                np.bincount(text.document.numpy(), weights=scored.sum(1), minlength=text.documents)
            ),
        )

    def corrupt(
        self, text: Int[np.ndarray, "batch length"], seed: int, examples: Int[np.ndarray, " batch"]
    ) -> tuple[Int[np.ndarray, "batch source"], Int[np.ndarray, "batch target"]]:
        """Source and target of some stretches; what is missing in each follows from the seed and its number alone."""
        batch, length = text.shape
        missing, spans = spans_in(length)
        bits = random_bits(seed, examples, length)
        kept = _cut(length - missing, spans, bits[:, : length - missing - 1])
        gone = _cut(missing, spans, bits[:, length - missing - 1 : length - 2])
        lengths = np.stack([kept, gone], axis=2).reshape(batch, -1)  # what stays, what is missing, what stays, ...
        starts = np.zeros((batch, length), dtype=np.int64)
        np.put_along_axis(starts, np.concatenate([np.zeros((batch, 1), int), lengths.cumsum(1)[:, :-1]], axis=1), 1, axis=1)
        stretch = starts.cumsum(1) - 1  # number of the piece that each token lies in
        hidden = stretch % 2 == 1
        signs = self.corpus.vocab + stretch // 2
        return (
            self._written(text, signs, hidden, starts == 1, batch),
            self._written(text, signs, ~hidden, starts == 1, batch),
        )

    def _written(
        self,
        text: Int[np.ndarray, "batch length"],
        signs: Int[np.ndarray, "batch length"],
        hidden: Bool[np.ndarray, "batch length"],
        starts: Bool[np.ndarray, "batch length"],
        batch: int,
    ) -> Int[np.ndarray, "batch written"]:
        """The text, with one sign for each hidden piece, and the end. All rows are equally long."""
        shown = np.where(hidden, signs, text)[~hidden | starts].reshape(batch, -1)
        return np.concatenate([shown, np.full((batch, 1), self.end)], axis=1)

    def _inputs(
        self, source: Int[np.ndarray, "batch source"], target: Int[np.ndarray, "batch target"]
    ) -> tuple[Tensor, Tensor]:
        so_far = np.concatenate([np.full((len(target), 1), self.end), target[:, :-1]], axis=1)
        return torch.from_numpy(source), torch.from_numpy(so_far)


def _cut(things: int, pieces: int, bits: UInt64[np.ndarray, "batch gaps"]) -> Int[np.ndarray, "batch pieces"]:
    """Lengths of `pieces` pieces, none empty, that `things` are cut into; every way is equally likely."""
    cuts = np.sort(np.argsort(bits, axis=1, kind="stable")[:, : pieces - 1] + 1, axis=1)
    edges = np.concatenate([np.zeros((len(bits), 1), int), cuts, np.full((len(bits), 1), things)], axis=1)
    return np.diff(edges, axis=1)

"""Labels: say which label a text has, with a model that was trained on other text.

```text
Causal model:      inputs   ¶ t h e _ t e x t ¶        the answer is asked for behind the text
                   targets  - - - - - - - - - 2        `-` is not asked; 2 is the token that stands for the label
Encoder-decoder:   source   t h e _ t e x t .          target so far  .        target  2
```

Labels are the tokens from 1 on, in their order: fine-tuning teaches what they stand for (as in T5, which writes words).
"""

import dataclasses
import math

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from allometry.data._corpus import Corpus
from allometry.data._labelled import Example, Labelled
from allometry.data._random import random_bits
from allometry.data._task import IGNORED
from allometry.flow import IO, Pairs, Refusal, Tokens


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Asked:
    """A part of a labelled set as a model reads it."""

    inputs: tuple[Tensor, ...]
    targets: Int[Tensor, "examples targets"]  # the label's token where it is asked, IGNORED elsewhere
    labels: Int[Tensor, " examples"]


class Labels:
    """Texts with labels, for a model that was built for `io` on a corpus; texts that are too long lose their beginning.

    The question stands behind the text, and edits of code stand near its end. `shorter`: the model takes shorter inputs than it
    was built for, so that no more is read than the longest text needs.
    """

    def __init__(self, corpus: Corpus, labelled: Labelled, io: IO, shorter: bool = False) -> None:
        if len(labelled.labels) >= corpus.vocab:
            raise Refusal(
                f"{labelled.name} has {len(labelled.labels)} labels, and the corpus {corpus.vocab} tokens to name them by."
            )
        self.corpus, self.labelled, self.io = corpus, labelled, io
        texts = {name: corpus.encode([example.text for example in part]) for name, part in labelled.parts.items()}
        if shorter:
            longest = max(len(text) for part in texts.values() for text in part)
            self.io = _cut_to(io, longest)
        self.cut = 0  # texts that lost their beginning
        self.parts = {name: self._asked(texts[name], examples) for name, examples in labelled.parts.items()}

    @property
    def fingerprint(self) -> str:
        return self.labelled.fingerprint

    @property
    def chance(self) -> float:
        """Loss when all labels are equally likely, nats per example."""
        return math.log(len(self.labelled.labels))

    def batch(self, seed: int, first: int, count: int) -> tuple[tuple[Tensor, ...], Int[Tensor, "batch targets"]]:
        """Examples `first` to `first + count - 1` of this seed's stream: epoch after epoch, each in an order of its own."""
        train = self.parts["train"]
        size = len(train.targets)
        epochs = range(first // size, (first + count - 1) // size + 1)
        order = np.concatenate(
            [np.argsort(random_bits(seed, np.array([epoch]), size)[0], kind="stable") for epoch in epochs]
        )
        rows = torch.from_numpy(order[first % size : first % size + count])
        return tuple(part[rows] for part in train.inputs), train.targets[rows]

    def _asked(self, texts: list[np.ndarray], examples: tuple[Example, ...]) -> Asked:
        labels = torch.tensor([example.label for example in examples])
        rows = range(len(texts))
        if isinstance(self.io, Pairs):
            end = self.io.vocab - 1
            lengths = [min(len(text), room_for(self.io)) for text in texts]
            source = np.full((len(texts), self.io.source), end)
            for row, text, length in zip(rows, texts, lengths, strict=True):
                source[row, :length] = text[len(text) - length :]
            keep = np.arange(self.io.source) <= np.array(lengths)[:, None]
            inputs = (torch.from_numpy(source), torch.full((len(texts), 1), end), torch.from_numpy(keep))
            targets = labels[:, None] + 1
        else:
            assert isinstance(self.io, Tokens)
            lengths = [min(len(text), room_for(self.io)) for text in texts]
            tokens = np.zeros((len(texts), self.io.length), dtype=np.int64)
            targets = torch.full(tokens.shape, IGNORED)
            for row, text, length in zip(rows, texts, lengths, strict=True):
                tokens[row, 1 : 1 + length] = text[len(text) - length :]
                targets[row, 1 + length] = labels[row] + 1
            inputs = (torch.from_numpy(tokens),)
        self.cut += sum(len(text) > length for text, length in zip(texts, lengths, strict=True))
        return Asked(inputs=inputs, targets=targets, labels=labels)


def room_for(io: IO) -> int:
    """Tokens of a text that fit."""
    return io.source - 1 if isinstance(io, Pairs) else io.length - 2


def _cut_to(io: IO, longest: int) -> IO:
    """The IO for texts of at most so many tokens."""
    if isinstance(io, Pairs):
        return io.edit(source=min(io.source, longest + 1))
    return io.edit(length=min(io.length, longest + 2))

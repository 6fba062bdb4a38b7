"""What text costs without a network: bits per byte of the held-out targets under counting and under xz.

The byte n-gram model backs off by interpolation (Witten & Bell, 1991, "The zero-frequency problem"): with h the k bytes
before, h' its last k - 1, n(h) how often h was seen and t(h) how many different bytes followed it,

    p_k(c | h) = (n(h c) + t(h) p_{k-1}(c | h')) / (n(h) + t(h)),    p_{-1}(c) = 1 / 256

and p_k = p_{k-1} where h was never seen. Its context is what a network sees:
the bytes of the same sequence before the target.
"""

import lzma

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt64

from allometry.data._corpus import Corpus
from allometry.data._task import HeldOut

ORDER = 5  # bytes of context at most
MOST_ORDER = 7  # with the target they fill 64 bits
XZ_SAMPLE = 4 << 20  # bytes


class Ngram:
    """The n-gram model of some bytes, up to `order` bytes of context."""

    def __init__(self, train: UInt8[np.ndarray, " bytes"], order: int = ORDER) -> None:
        assert 0 <= order <= MOST_ORDER
        assert len(train) > order
        self.order = order
        grams = np.sort(_packed(train)[: len(train) - order])  # each whole, so that every order counts the same places
        self.tables: list[tuple[UInt64[np.ndarray, " grams"], Int[np.ndarray, " bounds"]]] = []
        for context in range(order + 1):
            own = grams >> np.uint64(8 * (7 - context))  # the first bytes of sorted grams are sorted too
            starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
            self.tables.append((own[starts], np.append(starts, len(own))))

    def probabilities(
        self, text: UInt8[np.ndarray, " bytes"], before: Int[np.ndarray, " bytes"]
    ) -> Float[np.ndarray, " bytes"]:
        """The probability of each byte of `text`, of which the model sees `before[i]` bytes before byte i."""
        result = np.full(len(text), 1 / 256)
        # The last eight bytes up to and with each target, the target lowest: the gram of any order is its low end.
        recent = _packed(np.concatenate([np.zeros(7, np.uint8), text]))[: len(text)]
        for context, (grams, bounds) in enumerate(self.tables):
            gram = recent & np.uint64((1 << 8 * (context + 1)) - 1)
            history = gram & ~np.uint64(255)
            first = np.searchsorted(grams, history)
            last = np.searchsorted(grams, history | np.uint64(255), side="right")
            found = np.searchsorted(grams, gram)
            inside = np.minimum(found, len(grams) - 1)
            count = np.where(grams[inside] == gram, bounds[inside + 1] - bounds[inside], 0)
            seen = bounds[last] - bounds[first]  # n(h)
            kinds = last - first  # t(h)
            known = (seen > 0) & (before >= context)
            result = np.where(known, (count + kinds * result) / np.maximum(1, seen + kinds), result)
        return result


def _packed(text: UInt8[np.ndarray, " bytes"]) -> UInt64[np.ndarray, " bytes"]:
    """The eight bytes from each place on as one number, the first highest; zeros follow the end."""
    padded = np.concatenate([text, np.zeros(7, np.uint8)])
    packed = np.zeros(len(text), dtype=np.uint64)
    for place in range(8):
        packed = (packed << np.uint64(8)) | padded[place : place + len(text)]
    return packed


def unigram(corpus: Corpus, held_out: HeldOut) -> float:
    """Bits per byte when each token has its frequency in the training part (plus one half) as its probability."""
    counts = np.bincount(corpus.train, minlength=corpus.vocab) + 0.5
    bits = -np.log2(counts / counts.sum())
    weights = held_out.weights.numpy()
    return float((bits[held_out.targets.numpy()] * weights).sum() / held_out.document_bytes.sum())


def baselines(corpus: Corpus, held_out: HeldOut, train_bytes: int) -> dict[str, dict[str, float | int | str]]:
    """The n-gram model and xz, both trained on the first `train_bytes` bytes of the training stream (xz: of 4 MiB at most).

    The n-gram model scores each target from the same sequence only, as a network does. xz is one compressor for all
    targets in a row, so it also learns from the sequences before.
    """
    train = _beginning(corpus, train_bytes)
    text, before, scored = _bytes(corpus, held_out)
    probabilities = Ngram(train).probabilities(text, before)[scored]
    sample = train[:XZ_SAMPLE].tobytes()
    targets = text[scored].tobytes()
    return {
        "ngram": {
            "bits_per_byte": float(-np.log2(probabilities).sum() / len(probabilities)),
            "order": ORDER,
            "train_bytes": len(train),
            "text": f"byte n-grams, {ORDER} bytes of context, Witten-Bell back-off",
        },
        "xz": {
            "bits_per_byte": 8 * (_compressed(sample + targets) - _compressed(sample)) / len(targets),
            "train_bytes": len(sample),
            "text": "bytes that the held-out text adds to the training text under xz",
        },
    }


def _beginning(corpus: Corpus, count: int) -> UInt8[np.ndarray, " bytes"]:
    """The first bytes of the training stream."""
    # A token is at least a byte, the end of a document too.
    return corpus.decode(corpus.train[:count])[:count]


def _bytes(corpus: Corpus, held_out: HeldOut) -> tuple[UInt8[np.ndarray, " bytes"], Int[np.ndarray, " bytes"], np.ndarray]:
    """The bytes of all sequences in a row; how many of its own sequence stand before each; which are scored."""
    texts, before, scored = [], [], []
    for inputs, targets, weights in zip(held_out.inputs, held_out.targets, held_out.weights, strict=True):
        start = corpus.decode(inputs[:1].numpy())
        text = corpus.decode(targets[weights > 0].numpy())
        texts += [start, text]
        before.append(np.arange(len(start) + len(text)))
        scored.append(np.arange(len(start) + len(text)) >= len(start))
    return np.concatenate(texts), np.concatenate(before), np.concatenate(scored)


def _compressed(data: bytes) -> int:
    return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}]))

"""What text costs without a network: bits per byte of the held-out targets under counting and under xz.

The byte n-gram model backs off by modified Kneser-Ney (Chen & Goodman, 1999, "An empirical study of smoothing techniques
for language modeling"). With h the k bytes before, h' its last k - 1, and m(h c) how often h c was seen at the highest
order, and after how many different bytes it was seen at a lower one,

    p_k(c | h) = (m(h c) - d(m(h c)) + p_{k-1}(c | h') sum_b d(m(h b))) / sum_b m(h b),    p_{-1}(c) = 1 / 256

and p_k = p_{k-1} where h was never seen. Each order has three discounts d: of counts 1, 2, and 3 or more. The context is
what a network sees: the bytes of the same sequence before the target.
"""

import dataclasses
import lzma

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt64

from allometry.data._corpus import Corpus
from allometry.data._task import HeldOut

ORDER = 7  # bytes of context at most; with the target they fill 64 bits
XZ_SAMPLE = 4 << 20  # bytes
LEAST = 0.1  # discount; with none, a byte that did not follow a context before would be impossible
FEWEST_GRAMS = 10  # with each of the counts 1 to 4; under that the discounts are not estimated


class Ngram:
    """The n-gram model of some bytes, with up to `order` bytes of context."""

    def __init__(self, train: UInt8[np.ndarray, " bytes"], order: int = ORDER) -> None:
        assert 0 <= order <= ORDER
        assert len(train) > order
        grams = _packed(train)[: len(train) - order] >> np.uint64(8 * (7 - order))
        self.levels: list[_Level] = []
        for context in range(order, -1, -1):
            # The different grams of one order, less their first byte, are the continuations that the next one counts.
            level = _level(grams & np.uint64((1 << 8 * (context + 1)) - 1))
            self.levels.insert(0, level)
            grams = level.grams

    def probabilities(
        self, text: UInt8[np.ndarray, " bytes"], before: Int[np.ndarray, " bytes"]
    ) -> Float[np.ndarray, " bytes"]:
        """The probability of each byte of `text`, of which the model sees `before[i]` bytes before byte i."""
        result = np.full(len(text), 1 / 256)
        # The last eight bytes up to and with each target, the target lowest: the gram of any order is its low end.
        recent = _packed(np.concatenate([np.zeros(7, np.uint8), text]))[: len(text)]
        for context, level in enumerate(self.levels):
            gram = recent & np.uint64((1 << 8 * (context + 1)) - 1)
            # All grams with this context stand in a row.
            first = np.searchsorted(level.grams, gram & ~np.uint64(255))
            last = np.searchsorted(level.grams, gram | np.uint64(255), side="right")
            found = np.minimum(np.searchsorted(level.grams, gram), len(level.grams) - 1)
            own = np.where(level.grams[found] == gram, level.kept[found + 1] - level.kept[found], 0.0)
            kept = level.kept[last] - level.kept[first]
            freed = level.freed[last] - level.freed[first]
            known = (last > first) & (before >= context)
            result = np.where(known, (own + freed * result) / np.where(known, kept + freed, 1.0), result)
        return result


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Level:
    """The grams of one order, sorted, with running sums of their counts."""

    grams: UInt64[np.ndarray, " grams"]
    kept: Float[np.ndarray, " bounds"]  # counts less their discounts, summed over the grams before each
    freed: Float[np.ndarray, " bounds"]  # discounts, summed likewise


def _level(grams: UInt64[np.ndarray, " places"]) -> _Level:
    grams = np.sort(grams)
    starts = np.flatnonzero(np.concatenate([[True], grams[1:] != grams[:-1]]))
    counts = np.diff(np.append(starts, len(grams)))
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    kept, freed = (np.concatenate([[0.0], np.cumsum(part)]) for part in (counts - discounts, discounts))
    return _Level(grams=grams[starts], kept=kept, freed=freed)


def _discounts(counts: Int[np.ndarray, " grams"]) -> Float[np.ndarray, " 4"]:
    """What is taken from counts of 0, 1, 2, and 3 or more: Chen & Goodman's estimate, or a half where it has no ground."""
    seen = np.bincount(np.minimum(counts, 5), minlength=6)[1:5]
    if seen.min() < FEWEST_GRAMS:
        return np.array([0, 0.5, 0.5, 0.5])
    share = seen[0] / (seen[0] + 2 * seen[1])
    count = np.arange(1, 4)
    return np.concatenate([[0.0], np.clip(count - (count + 1) * share * seen[1:] / seen[:-1], LEAST, count)])


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
    train = beginning(corpus, train_bytes)
    text, before, scored = _bytes(corpus, held_out)
    probabilities = Ngram(train).probabilities(text, before)[scored]
    sample = train[:XZ_SAMPLE].tobytes()
    targets = text[scored].tobytes()
    return {
        "ngram": {
            "bits_per_byte": float(-np.log2(probabilities).sum() / len(probabilities)),
            "order": ORDER,
            "train_bytes": len(train),
            "text": f"byte n-grams, {ORDER} bytes of context, modified Kneser-Ney back-off",
        },
        "xz": {
            "bits_per_byte": 8 * (_compressed(sample + targets) - _compressed(sample)) / len(targets),
            "train_bytes": len(sample),
            "text": "bytes that the held-out text adds to the training text under xz",
        },
    }


def beginning(corpus: Corpus, count: int) -> UInt8[np.ndarray, " bytes"]:
    """The first bytes of the training stream."""
    # A token is at least a byte, the end of a document too.
    return corpus.decode(corpus.train[:count])[:count]


def _bytes(corpus: Corpus, held_out: HeldOut) -> tuple[UInt8[np.ndarray, " bytes"], Int[np.ndarray, " bytes"], np.ndarray]:
    """The bytes of all sequences in a row; how many of its own sequence stand before each; which are scored."""
    texts, before, scored = [], [], []
    for inputs, targets, weights in zip(held_out.inputs[0], held_out.targets, held_out.weights, strict=True):
        start = corpus.decode(inputs[:1].numpy())
        text = corpus.decode(targets[weights > 0].numpy())
        texts += [start, text]
        before.append(np.arange(len(start) + len(text)))
        scored.append(np.arange(len(start) + len(text)) >= len(start))
    return np.concatenate(texts), np.concatenate(before), np.concatenate(scored)


def _compressed(data: bytes) -> int:
    return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}]))

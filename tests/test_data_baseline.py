"""The players without a network: a slow literal n-gram model, a known source, and xz at its two ends."""

from collections import Counter

import numpy as np
import pytest
import torch
from data_samples import folder_of, prose

from allometry.data._baseline import FEWEST_GRAMS, LEAST, Ngram, _bytes, baselines
from allometry.data._corpus import Corpus, prepare
from allometry.data._task import HeldOut
from allometry.data.text import Text


def literal(train: bytes, order: int) -> list[dict[bytes, int]]:
    """The counts of each order: occurrences at the highest, different bytes before at the lower ones."""
    whole = [train[i : i + order + 1] for i in range(len(train) - order)]
    levels: list[dict[bytes, int]] = [Counter(whole)]
    for _ in range(order):
        levels.insert(0, Counter(gram[1:] for gram in levels[0]))
    return levels


def literal_probability(levels: list[dict[bytes, int]], context: bytes, byte: int) -> float:
    """The equation in the docstring of `_baseline.py`, as it stands there."""
    probability = 1 / 256
    for k, counts in enumerate(levels[: len(context) + 1]):
        of = Counter(min(count, 5) for count in counts.values())
        discount = [0.0, 0.5, 0.5, 0.5]
        if all(of[i] >= FEWEST_GRAMS for i in (1, 2, 3, 4)):
            share = of[1] / (of[1] + 2 * of[2])
            discount = [0.0] + [min(max(i - (i + 1) * share * of[i + 1] / of[i], LEAST), i) for i in (1, 2, 3)]
        history = context[len(context) - k :]
        followers = {gram: count for gram, count in counts.items() if gram[:-1] == history}
        if not followers:
            continue
        count = followers.get(history + bytes([byte]), 0)
        freed = sum(discount[min(c, 3)] for c in followers.values())
        probability = (count - discount[min(count, 3)] + probability * freed) / sum(followers.values())
    return probability


@pytest.mark.parametrize("order", [0, 1, 3, 7])
def test_the_fast_model_is_the_literal_one(order: int) -> None:
    train = prose(1, 1500).encode()
    text = prose(1, 1700).encode()[-60:] + b"\xff\x00zq"
    # Sequences of ten bytes: a byte sees what stands before it in its own.
    before = np.arange(len(text)) % 10
    fast = Ngram(np.frombuffer(train, np.uint8), order).probabilities(np.frombuffer(text, np.uint8), before)
    levels = literal(train, order)
    slow = [literal_probability(levels, text[i - min(order, before[i]) : i], text[i]) for i in range(len(text))]
    np.testing.assert_allclose(fast, slow, rtol=1e-9)


@pytest.mark.parametrize("context", [b"", b"\0", b"the", b"\nba", b"\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_probabilities_sum_to_one(context: bytes) -> None:
    model = Ngram(np.frombuffer(prose(1, 20_000).encode(), np.uint8))
    text = np.frombuffer(b"".join(context + bytes([byte]) for byte in range(256)), np.uint8)
    before = np.tile(np.arange(len(context) + 1), 256)
    probabilities = model.probabilities(text, before)[len(context) :: len(context) + 1]
    assert probabilities.sum() == pytest.approx(1, abs=1e-9)
    assert probabilities.min() > 0


def test_no_byte_is_impossible_where_the_estimate_of_a_discount_vanishes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 3000, dtype=np.uint8)
    once, twice, thrice, often = noise[:500], noise[500:600], noise[600:2600], noise[2600:]
    # So many grams are seen three times and so few twice that the discount of a count of two is estimated below zero.
    train = np.concatenate([once, *[twice] * 2, *[thrice] * 3, *[often] * 4])
    context = twice[:7].tobytes()
    text = np.frombuffer(b"".join(context + bytes([byte]) for byte in range(256)), np.uint8)
    probabilities = Ngram(train).probabilities(text, np.tile(np.arange(8), 256))[7::8]
    assert probabilities.min() > 1e-6
    assert probabilities.argmax() == twice[7]


def test_a_known_source_is_predicted_at_its_entropy() -> None:
    random = np.random.default_rng(0)
    chain = np.array([[0.7, 0.1, 0.1, 0.1], [0.05, 0.05, 0.8, 0.1], [0.25, 0.25, 0.25, 0.25], [0.9, 0.05, 0.04, 0.01]])
    uniform, steps = random.random(120_000), np.cumsum(chain, axis=1)
    symbols = [0]
    for u in uniform:
        symbols.append(min(3, int(np.searchsorted(steps[symbols[-1]], u))))
    data = np.array(symbols, np.uint8) + 97
    train, test, states = data[:100_000], data[100_000:], np.array(symbols)[100_000:]
    # The entropy of this very stretch under the true source: no model can be much better, a good one not much worse.
    truth = -np.log2(chain[states[:-1], states[1:]]).mean()
    frequency = np.bincount(states, minlength=4) / len(states)
    unigram = -(frequency * np.log2(frequency)).sum()
    for order, slack in ((1, 0.002), (3, 0.01), (7, 0.1)):  # slack in bits: some 4 ** order contexts are learned
        bits = -np.log2(Ngram(train, order).probabilities(test, np.arange(len(test)))[1:]).mean()
        assert truth - 0.002 < bits < truth + slack < unigram
    alone = -np.log2(Ngram(train, 0).probabilities(test, np.arange(len(test)))).mean()
    assert alone == pytest.approx(unigram, abs=0.005)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Corpus]:
    path = tmp_path_factory.mktemp("corpora")
    folder = str(folder_of(path / "data", 60, 6000))
    return {name: prepare([folder], tokenizer=name, cache=path / "cache") for name in ("bytes", "bpe:500")}


@pytest.mark.parametrize("name", ["bytes", "bpe:500"])
def test_baselines_score_the_held_out_targets(name: str, corpora: dict[str, Corpus]) -> None:
    corpus = corpora[name]
    text = Text(corpus, 64)
    held = text.held_out()
    data, before, scored = _bytes(corpus, held)
    assert scored.sum() == float(held.document_bytes.sum())
    pieces = [bytes(corpus.decode(row[w > 0].numpy())) for row, w in zip(held.targets, held.weights, strict=True)]
    assert bytes(data[scored]) == b"".join(pieces)
    starts = np.flatnonzero(before == 0)
    for start, row in zip(starts, held.inputs[0], strict=True):
        first = bytes(corpus.decode(row[:1].numpy()))
        assert bytes(data[start : start + len(first)]) == first
        assert not scored[start : start + len(first)].any()
    found = text.baselines(100_000)
    assert found["ngram"]["train_bytes"] == 100_000
    assert 0.5 < float(found["ngram"]["bits_per_byte"]) < Text(corpora["bytes"], 64).unigram
    assert 0.5 < float(found["xz"]["bits_per_byte"]) < 8


def test_more_text_makes_the_baselines_better(corpora: dict[str, Corpus]) -> None:
    text = Text(corpora["bytes"], 64)
    few, many = text.baselines(5_000), text.baselines(300_000)
    for name in ("ngram", "xz"):
        assert float(many[name]["bits_per_byte"]) < float(few[name]["bits_per_byte"])


def test_what_was_seen_costs_nothing_and_noise_costs_all(corpora: dict[str, Corpus]) -> None:
    corpus = corpora["bytes"]
    seen = torch.from_numpy(np.asarray(corpus.train[:2049]).astype(np.int64)).clamp_min(1)
    noise = torch.randint(1, 256, (2049,), generator=torch.Generator().manual_seed(0))
    bits = {}
    for name, row in (("seen", seen), ("noise", noise)):
        held = HeldOut(
            inputs=(row[None, :-1],),
            targets=row[None, 1:],
            weights=torch.ones(1, 2048),
            document=torch.zeros(1, dtype=torch.int64),
            documents=1,
            document_bytes=torch.tensor([2048.0]),
        )

        bits[name] = {kind: float(value["bits_per_byte"]) for kind, value in baselines(corpus, held, 50_000).items()}
    assert bits["seen"]["xz"] < 0.5
    assert bits["seen"]["ngram"] < 1.5  # seven bytes do not always tell which of the seen places it is
    assert bits["noise"]["xz"] == pytest.approx(8, abs=0.3)  # the fixed cost of a stored block
    assert bits["noise"]["ngram"] > 7.5

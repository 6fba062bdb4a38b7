"""The stream of examples, what is held out, and the contract of tasks."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import prose
from hypothesis import given, settings
from hypothesis import strategies as st

from allometry import find
from allometry.data._corpus import Corpus, prepare
from allometry.data._task import Task
from allometry.data.text import Text, _share_out, _spread
from allometry.flow import Refusal, Tokens

LENGTH = 16


# The stream


@given(st.integers(0, 300), st.integers(1, 150), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_an_example_does_not_depend_on_its_batch(counted: Corpus, first: int, count: int, seed: int) -> None:
    (inputs,), targets = Text(counted, LENGTH).batch(seed, first, count)
    fresh = Text(counted, LENGTH)  # as after a restart
    single = [fresh.batch(seed, first + i, 1) for i in range(count)]
    assert torch.equal(inputs, torch.cat([one[0][0] for one in single]))
    assert torch.equal(targets, torch.cat([one[1] for one in single]))
    assert inputs.dtype == targets.dtype == torch.int64


def test_targets_are_the_next_tokens(counted: Corpus) -> None:
    (inputs,), targets = Text(counted, LENGTH).batch(3, 7, 200)
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


@pytest.mark.parametrize("length", [1, 7, 16, 30])
def test_an_epoch_covers_every_stretch_once(counted: Corpus, length: int) -> None:
    text = Text(counted, length)
    orders = []
    for epoch in range(3):
        targets = text.batch(1, epoch * text.epoch_examples, text.epoch_examples)[1]
        seen = targets.flatten().sort().values
        assert torch.equal(seen, torch.arange(int(seen[0]), int(seen[0]) + len(seen)))  # in one piece, nothing twice
        assert len(seen) > 1000 - 2 * length - 1  # and no more is left out than the shift of the grid needs
        orders.append(targets[:, 0].tolist())
    assert orders[0] != orders[1] != orders[2]


def test_seeds_and_epochs_shift_the_grid(counted: Corpus) -> None:
    text = Text(counted, LENGTH)
    shifts = {
        int(text.batch(seed, epoch * text.epoch_examples, 1)[0][0][0, 0]) % LENGTH
        for seed in range(20)
        for epoch in range(5)
    }
    assert len(shifts) == LENGTH  # 100 draws of 16: one is missed with probability 0.025, and these seeds miss none


def test_seeds_differ(counted: Corpus) -> None:
    text = Text(counted, LENGTH)
    assert not torch.equal(text.batch(0, 0, 30)[1], text.batch(1, 0, 30)[1])
    assert torch.equal(text.batch(0, 0, 30)[1], text.batch(0, 0, 30)[1])


def test_the_order_is_fair(counted: Corpus) -> None:
    text = Text(counted, LENGTH)
    first = np.array([int(text.batch(seed, 0, 1)[0][0][0, 0]) // LENGTH for seed in range(1220)])
    counts = np.bincount(first, minlength=text.epoch_examples)
    statistic = ((counts - 20) ** 2 / 20).sum()  # chi-squared with 60 degrees: mean 60, deviation 11
    assert text.epoch_examples == 61
    assert 15 < statistic < 115


# Held out


@pytest.mark.parametrize("sequences", [1, 3, 6, 9, 12, 96])
def test_held_out_sequences_lie_in_one_document(counted: Corpus, sequences: int) -> None:
    held = Text(counted, LENGTH).held_out(sequences)
    (inputs,) = held.inputs
    assert len(inputs) == min(sequences, 1 + 1 + 1 + 6 + 2 + 1)  # the whole sequences of each document, or one
    assert torch.equal(inputs[:, 1:] * held.weights[:, 1:], held.targets[:, :-1] * held.weights[:, 1:])
    scored = [row[weights > 0] for row, weights in zip(held.targets, held.weights, strict=True)]
    documents = [set(((row - 1) // 100).tolist()) for row in scored]
    assert all(len(document) == 1 for document in documents)
    owner = [document.pop() for document in documents]
    assert [sorted(set(owner)).index(d) for d in owner] == held.document.tolist()
    assert len(torch.cat(scored).unique()) == len(torch.cat(scored))  # nothing is scored twice
    # Unless it is the first of its document, a sequence begins with the token before its first target.
    for row, target in zip(inputs[:, 0].tolist(), held.targets[:, 0].tolist(), strict=True):
        assert row == (0 if (target - 1) % 100 == 0 else target - 1)
    assert held.documents == len(set(owner)) == min(sequences, 6)


def test_held_out_bytes_are_those_of_the_scored_targets(counted: Corpus) -> None:
    held = Text(counted, LENGTH).held_out()
    expected = [0] * held.documents
    for targets, weights, document in zip(held.targets, held.weights, held.document, strict=True):
        expected[int(document)] += sum(len(counted.texts[int(t)]) for t, w in zip(targets, weights, strict=True) if w)
    assert held.document_bytes.tolist() == expected


def test_held_out_scores_real_text_and_stays(words: Corpus) -> None:
    text = Text(words, 64)
    held, again = text.held_out(24), Text(words, 64).held_out(24)
    assert torch.equal(held.targets, again.targets)
    per_document = torch.bincount(held.document)
    assert per_document.max() - per_document.min() <= 1
    for row, weights in zip(held.targets, held.weights, strict=True):
        piece = bytes(words.decode(row[weights > 0].numpy()))
        assert any(piece in bytes(words.decode(words.document(i))) for i in range(words.documents))
        assert piece not in bytes(words.decode(words.train))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(1, 200))
@settings(max_examples=100, deadline=None)
def test_sharing_out_is_even(most: list[int], total: int) -> None:
    quotas = _share_out(np.array(most), total)
    assert quotas.sum() == min(total, sum(most))
    assert (quotas <= most).all()
    hungry = quotas[quotas < most]
    if len(hungry):  # who could take more has at least as much, but one, as anyone
        assert hungry.min() >= quotas.max() - 1


@given(st.integers(1, 1000), st.integers(1, 1000))
@settings(max_examples=100, deadline=None)
def test_spread_places_are_distinct_and_even(things: int, count: int) -> None:
    count = min(things, count)
    gaps = np.diff(np.concatenate([[-1], _spread(things, count), [things]]))
    assert gaps.min() >= 1
    assert gaps[1:-1].max(initial=0) - gaps[1:-1].min(initial=things) <= 1


# Known players


def test_known_players(words: Corpus) -> None:
    text = Text(words, 64)
    assert text.chance == math.log(256)
    counts = [0.5] * 256
    for token in np.asarray(words.train).tolist():
        counts[token] += 1
    held = text.held_out()
    bits = sum(
        -math.log2(counts[token] / sum(counts))
        for row, weights in zip(held.targets.tolist(), held.weights.tolist(), strict=True)
        for token, weight in zip(row, weights, strict=True)
        if weight
    )
    assert text.unigram == pytest.approx(bits / float(held.document_bytes.sum()))
    assert text.unigram < 8


# The contract


@pytest.mark.parametrize("name", find.names("allometry.data"))
def test_every_member_is_a_task(name: str) -> None:
    member = find.member("allometry.data", name)
    for part in ("fingerprint", "chance", "batch", "held_out"):
        assert hasattr(member, part)
    assert member.__doc__


def test_text_is_a_task_and_its_io_is_true(words: Corpus) -> None:
    task = find.member("allometry.data", "text")(words, 32)
    assert isinstance(task, Task)
    assert task.io == Tokens(vocab=256, length=32)
    assert task.fingerprint == words.fingerprint
    held = task.held_out()
    for (inputs,), targets in (task.batch(0, 0, 8), (held.inputs, held.targets)):
        assert inputs.shape[1] == targets.shape[1] == task.io.length
        assert 0 <= int(inputs.min()) <= int(inputs.max()) < task.io.vocab
        assert 0 <= int(targets.min()) <= int(targets.max()) < task.io.vocab


def test_a_corpus_that_is_too_small_is_refused_with_what_is_there(counted: Corpus) -> None:
    with pytest.raises(Refusal, match=r"9 sequences of 100 tokens to train on and 6 held-out documents; at least 32 and 4 "):
        Text(counted, 100)
    with pytest.raises(Refusal, match="at least 1"):
        Text(counted, 0)
    few = Corpus(**{**vars(counted), "offsets": counted.offsets[:4]})
    with pytest.raises(Refusal, match=r"3 held-out documents.*Add text"):
        Text(few, LENGTH)


def test_tiny_but_sufficient_text_is_taken(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text(prose(5, 30_000), encoding="utf-8")
    text = Text(prepare([str(tmp_path / "small.txt")], cache=tmp_path / "cache"), 256)
    assert text.held_out().documents >= 4

"""Span corruption: nothing of the text is lost, every way of leaving spans out is equally likely, nothing depends on the batch."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allometry.data._corpus import Corpus
from allometry.data._random import random_bits
from allometry.data._task import Task
from allometry.data.spans import SHORTEST, Spans, spans_in
from allometry.data.text import Text
from allometry.flow import Pairs, Refusal


def whole(source: list[int], target: list[int], vocab: int) -> list[int]:
    """The text that a source and its target came from, put together again sign by sign."""
    end = source[-1]
    assert target[-1] == end
    pieces: dict[int, list[int]] = {}
    for token in target[:-1]:
        if token >= vocab:
            pieces[token] = []
            last = token
        else:
            pieces[last].append(token)
    assert list(pieces) == list(range(vocab, vocab + len(pieces)))  # signs in their order
    assert all(pieces.values())
    text = []
    for token in source[:-1]:
        text += pieces.pop(token) if token >= vocab else [token]
    assert not pieces
    return text


@given(st.integers(SHORTEST, 30), st.integers(0, 2**62), st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost(counted: Corpus, length: int, seed: int, first: int) -> None:
    spans = Spans(counted, 30)
    text = np.random.default_rng(seed % 1000).integers(0, counted.vocab, (3, length))
    source, target = spans.corrupt(text, seed, np.arange(first, first + 3))
    missing, pieces = spans_in(length)
    assert source.shape == (3, length - missing + pieces + 1)
    assert target.shape == (3, missing + pieces + 1)
    for row in range(3):
        put = [[t if t != spans.end else -1 for t in side] for side in (source[row].tolist(), target[row].tolist())]
        assert whole(*put, counted.vocab) == text[row].tolist()


@pytest.mark.parametrize("length", [16, 64, 512])
def test_fifteen_percent_in_spans_of_three(counted: Corpus, length: int) -> None:
    missing, pieces = spans_in(length)
    assert abs(missing - 0.15 * length) <= 0.5
    assert abs(missing / pieces - 3) <= 1


def test_every_way_to_leave_spans_out_is_equally_likely(counted: Corpus) -> None:
    """Of 31 tokens 5 are missing, in two spans: 4 ways to cut these, 25 to cut the rest. Each is met as often as any other."""
    length = 31
    missing, pieces = spans_in(length)
    spans = Spans(counted, 30)
    draws = 40_000
    text = np.tile(np.arange(length), (draws, 1))
    source, _ = spans.corrupt(text, 5, np.arange(draws))
    ways, counts = np.unique(source, axis=0, return_counts=True)
    expected = len(list(itertools.combinations(range(length - missing - 1), pieces - 1)))
    expected *= len(list(itertools.combinations(range(missing - 1), pieces - 1)))
    assert len(ways) == expected > 50
    statistic = ((counts - draws / expected) ** 2 / (draws / expected)).sum()
    assert abs(statistic - (expected - 1)) < 5 * (2 * (expected - 1)) ** 0.5


@given(st.integers(0, 300), st.integers(1, 80), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_an_example_does_not_depend_on_its_batch(counted: Corpus, first: int, count: int, seed: int) -> None:
    (source, so_far), target = Spans(counted, 16).batch(seed, first, count)
    fresh = Spans(counted, 16)  # as after a restart
    single = [fresh.batch(seed, first + i, 1) for i in range(count)]
    assert torch.equal(source, torch.cat([inputs[0] for inputs, _ in single]))
    assert torch.equal(so_far, torch.cat([inputs[1] for inputs, _ in single]))
    assert torch.equal(target, torch.cat([one for _, one in single]))


def test_the_stretches_are_those_of_the_text_of_that_seed(counted: Corpus) -> None:
    spans = Spans(counted, 24)
    (source, so_far), target = spans.batch(3, 7, 20)
    text = Text(counted, 24).batch(3, 7, 20)[0][0]
    assert [whole(s, t, counted.vocab) for s, t in zip(source.tolist(), target.tolist(), strict=True)] == text.tolist()
    assert torch.equal(so_far[:, 1:], target[:, :-1])
    assert (so_far[:, 0] == spans.end).all()


def test_what_is_missing_differs_between_seeds_examples_and_epochs() -> None:
    bits = [random_bits(seed, np.arange(50), 40) for seed in range(20)]
    together = np.concatenate(bits).ravel()
    assert len(np.unique(together)) == together.size
    assert abs((together >> np.uint64(63)).mean() - 0.5) < 0.01


def test_it_is_a_task_and_its_io_is_true(words: Corpus) -> None:
    task = Spans(words, 40)
    assert isinstance(task, Task)
    assert isinstance(task.io, Pairs)
    held = task.held_out()
    for inputs, targets in (task.batch(0, 0, 8), (held.inputs, held.targets)):
        assert inputs[0].shape[1] == task.io.source
        assert inputs[1].shape[1] == targets.shape[1] == task.io.target
        for tokens in (*inputs[:2], targets):
            assert 0 <= int(tokens.min()) <= int(tokens.max()) < task.io.vocab


def test_held_out_stretches_of_short_documents_are_padded(counted: Corpus) -> None:
    """The documents of `counted` are shorter than the longest stretch, so that padding is met; it is marked and never scored."""
    length = 30
    task = Spans(counted, length)
    held, text = task.held_out(), Text(counted, length).held_out()
    keep = held.inputs[2] if len(held.inputs) == 3 else torch.ones_like(held.inputs[0], dtype=torch.bool)
    for row in range(len(held.targets)):
        tokens = int(text.weights[row].sum())
        if tokens < SHORTEST:
            assert not held.weights[row].any()
            continue
        source = held.inputs[0][row][keep[row]].tolist()
        target = held.targets[row][held.weights[row] > 0].tolist()
        assert whole(source, target, counted.vocab) == text.targets[row][:tokens].tolist()
    again = Spans(counted, length).held_out()
    assert torch.equal(again.targets, held.targets)
    scored = (held.targets < counted.vocab) & (held.weights > 0)
    assert held.document_bytes.sum() == counted.token_bytes[held.targets[scored].numpy()].sum()


def test_a_stretch_too_short_to_leave_anything_out_is_refused(counted: Corpus) -> None:
    with pytest.raises(Refusal, match="at least 8"):
        Spans(counted, 7)

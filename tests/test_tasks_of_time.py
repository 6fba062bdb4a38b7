"""Tasks that ask what a model can remember: each against a slow literal solver, its chance attained by a player without memory."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import allometry as al
from allometry.data._generated import Generated
from allometry.data._random import HELD_OUT
from allometry.data._task import IGNORED, HeldOut, Task
from allometry.data.adding import Adding
from allometry.data.copying import Copying
from allometry.data.pixels import Pixels
from allometry.data.warping import BLANK, FORMS, PACES, Warping
from allometry.find import member, names, resolve
from allometry.flow import Refusal, Series, Tokens
from allometry.spec import from_json
from allometry.train.evaluate import evaluate
from allometry.train.loop import Setting, train_step
from allometry.train.recipe import Recipe

FOLDER = "allometry.data"
MADE = [kind() for kind in (member(FOLDER, name) for name in names(FOLDER)) if issubclass(kind, Generated | Pixels)]
FORMS_OF_WARPING = [Warping(pace=pace, form=form) for pace in PACES for form in FORMS]
every_task = pytest.mark.parametrize(
    "task", [*MADE, *FORMS_OF_WARPING[1:], Copying(variable=True), Pixels(permuted=True)], ids=repr
)


@every_task
def test_it_is_a_task_and_its_io_is_true(task) -> None:
    assert isinstance(task, Task)
    held = task.held_out(40)
    assert isinstance(held, HeldOut)
    assert held.documents == len(held.targets) == len(held.document) == len(held.document_bytes) == 40
    io = task.io
    for (inputs,), targets in (task.batch(0, 0, 8), (held.inputs, held.targets)):
        if isinstance(io, Tokens):
            assert inputs.shape[1:] == targets.shape[1:] == (io.length,)
            assert 0 <= int(inputs.min()) <= int(inputs.max()) < io.vocab
            assert inputs.dtype == targets.dtype == torch.int64
        else:
            assert isinstance(io, Series)
            assert inputs.shape[1:] == (io.length, io.channels)
            assert targets.shape[1:] == (io.answers,)
            assert inputs.dtype == torch.float32
        if io.outputs > 1:
            asked = targets[targets != IGNORED]
            assert 0 <= int(asked.min()) <= int(asked.max()) < io.outputs
        assert targets.is_floating_point() == (io.outputs == 1)
    assert torch.equal(held.weights > 0, torch.ones_like(held.weights, dtype=torch.bool) & (held.targets != IGNORED))


@every_task
def test_an_example_depends_on_seed_and_number_alone(task) -> None:
    (inputs,), targets = task.batch(7, 30, 12)
    again = type(task)(**{name: getattr(task, name) for name in type(task).__dataclass_fields__})  # as after a restart
    single = [again.batch(7, 30 + i, 1) for i in range(12)]
    assert torch.equal(inputs, torch.cat([one for (one,), _ in single]))
    assert torch.equal(targets, torch.cat([one for _, one in single]))
    assert not torch.equal(inputs, task.batch(8, 30, 12)[0][0])
    assert not torch.equal(inputs, task.batch(7, 31, 12)[0][0])
    held = task.held_out(20)
    assert torch.equal(held.inputs[0], again.held_out(30).inputs[0][:20])


@every_task
def test_no_example_comes_twice(task) -> None:
    """And none of those that are scored."""
    together = [task.batch(seed, 0, 100)[0][0].flatten(1) for seed in (0, 1)] + [task.held_out(100).inputs[0].flatten(1)]
    if isinstance(task, Pixels):  # a set of images has an end: two seeds share them, and the held-out ones are in neither
        together = together[1:]
    rows = torch.cat(together)
    assert len(rows.unique(dim=0)) == len(rows)


def test_a_task_in_other_words_has_another_fingerprint() -> None:
    tasks = [*MADE, *FORMS_OF_WARPING, Warping(maximum=11), Copying(delay=7), Copying(variable=True), Pixels(permuted=True)]
    assert len({task.fingerprint for task in tasks}) == len(set(tasks))
    assert Warping().fingerprint == Warping(maximum=10).fingerprint


# Warping


def blocks_of(inputs: list[int], form: str) -> list[tuple[int, int]]:
    """Character and length of each block, read off one step after another."""
    found: list[list[int]] = []
    for token in inputs:
        new = token != BLANK if form == "pad" else not found or token != found[-1][0]
        if new:
            found.append([token, 0])
        found[-1][1] += 1
    return [(token, length) for token, length in found]


@given(
    st.integers(1, 12),
    st.integers(1, 60),
    st.sampled_from(PACES),
    st.sampled_from(FORMS),
    st.integers(3, 11),
    st.integers(0, 2**62),
)
@settings(max_examples=80, deadline=None)
def test_the_answer_is_the_character_before(maximum, more, pace, form, letters, seed) -> None:
    task = Warping(length=maximum + more, maximum=maximum, pace=pace, form=form, letters=letters)
    (inputs,), targets = task.batch(seed, 3, 4)
    for row, answers in zip(inputs.tolist(), targets.tolist(), strict=True):
        blocks = blocks_of(row, form)
        assert row[0] != BLANK
        expected = []
        for before, (_, length) in zip([IGNORED, *(token for token, _ in blocks)], blocks, strict=False):
            expected += [before] * length
        assert answers == expected
        assert all(a != b for (a, _), (b, _) in itertools.pairwise(blocks))
        assert all(1 <= token <= letters for token, _ in blocks)
        lengths = [length for _, length in blocks]
        assert all(1 <= length <= maximum for length in lengths)
        if pace == "uniform":
            assert set(lengths[:-1]) <= {maximum}
        assert any(answer != IGNORED for answer in answers)


def test_characters_and_blocks_are_equally_likely() -> None:
    task = Warping(length=400, maximum=5)
    (inputs,), _ = task.batch(1, 0, 400)
    blocks = [blocks_of(row, "warp")[:-1] for row in inputs.tolist()]  # the last is cut
    lengths = np.bincount([length for row in blocks for _, length in row[:100]], minlength=6)[1:]
    first = np.bincount([row[0][0] for row in blocks], minlength=10)[1:]
    steps = [(b - a) % 9 for row in blocks for (a, _), (b, _) in itertools.pairwise(row)]
    for counts in (lengths, first, np.bincount(steps, minlength=9)[1:]):
        expected = counts.sum() / len(counts)
        assert (counts > 0).all()
        assert ((counts - expected) ** 2 / expected).sum() < len(counts) + 5 * (2 * len(counts)) ** 0.5


def test_the_same_characters_at_another_pace() -> None:
    """What a warp is: two tasks of one seed show the same characters, each in its own time."""
    slow, fast = (
        Warping(length=length, maximum=maximum, form=form) for length, maximum, form in ((90, 9, "pad"), (60, 3, "warp"))
    )
    for row, other in zip(slow.batch(4, 0, 5)[0][0].tolist(), fast.batch(4, 0, 5)[0][0].tolist(), strict=True):
        shown, again = ([token for token, _ in blocks_of(*pair)] for pair in ((row, "pad"), (other, "warp")))
        both = min(len(shown), len(again))
        assert both > 3
        assert shown[:both] == again[:both]


def memoryless(task: Warping, inputs: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the best player that knows the token at hand: another letter, or after a blank any letter."""
    shown = torch.nn.functional.one_hot(inputs, task.io.vocab).double()
    may_be = 1 - shown
    may_be[..., BLANK] = 0
    return (may_be / may_be.sum(-1, keepdim=True)).log()


@pytest.mark.parametrize(
    "task", [w.edit(length=n, maximum=m) for w in FORMS_OF_WARPING for n, m in ((50, 4), (41, 40))], ids=repr
)
def test_the_chance_of_warping_is_attained_without_memory(task) -> None:
    (inputs,), targets = task.batch(0, 0, 4000)
    losses = torch.nn.functional.nll_loss(memoryless(task, inputs).transpose(1, 2), targets, reduction="none")
    asked = (targets != IGNORED).double()
    mean = losses.sum() / asked.sum()
    error = ((losses - mean * asked).sum(1).std() / asked.sum(1).mean() / len(asked) ** 0.5).item()
    assert abs(mean.item() - task.chance) < 4 * error + 1e-9
    assert math.log(task.letters - 1) <= task.chance + 1e-12 <= math.log(task.letters) + 1e-12


@pytest.mark.parametrize("task", FORMS_OF_WARPING, ids=repr)
def test_no_better_player_without_memory_exists(task) -> None:
    """What the token at hand says of the answer, from the frequencies of pairs: the conditional entropy is the chance."""
    (inputs,), targets = task.edit(length=60, maximum=5).batch(2, 0, 20_000)
    asked = targets != IGNORED
    pairs = np.zeros((10, 10))
    np.add.at(pairs, (inputs[asked].numpy(), targets[asked].numpy()), 1)
    shares = pairs / pairs.sum()
    given = shares.sum(1, keepdims=True)
    entropy = -(shares * np.log(np.where(shares > 0, shares / np.where(given > 0, given, 1), 1))).sum()
    assert entropy == pytest.approx(task.edit(length=60, maximum=5).chance, abs=2e-3)  # a million pairs, in which 90 kinds


class Before(torch.nn.Module):
    """Solves warping: two letters of memory, and a step when another letter comes."""

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.vocab = vocab

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        said = torch.zeros_like(tokens)
        now = before = torch.zeros_like(tokens[:, 0])
        for step, token in enumerate(tokens.T):
            new = (token != now) & (token != BLANK)
            before, now = torch.where(new, now, before), torch.where(new, token, now)
            said[:, step] = before
        return 40.0 * torch.nn.functional.one_hot(said, self.vocab)


def score_of(task, model) -> float:
    held = task.held_out(64)
    return evaluate(model, held.inputs, held.targets, held.weights, held.document, Setting()).loss


@pytest.mark.parametrize("task", FORMS_OF_WARPING, ids=repr)
def test_a_player_with_two_letters_of_memory_is_perfect(task) -> None:
    assert score_of(task, Before(task.io.vocab)) < 1e-9


@pytest.mark.parametrize(
    ("changes", "way_out"),
    [
        ({"pace": "even"}, "uniform, variable"),
        ({"form": "fold"}, "warp, pad"),
        ({"maximum": 0}, "maximum=1 does not warp"),
        ({"maximum": 500}, "more than 500"),
        ({"letters": 2}, "at least 3"),
    ],
)
def test_a_warp_that_asks_nothing_is_refused(changes, way_out) -> None:
    with pytest.raises(Refusal, match=way_out):
        Warping(**changes)


# Copying


@given(st.integers(1, 40), st.booleans(), st.integers(1, 12), st.integers(2, 9), st.integers(0, 2**62))
@settings(max_examples=60, deadline=None)
def test_what_is_copied_is_what_was_read(delay, variable, letters, alphabet, seed) -> None:
    task = Copying(delay=delay, variable=variable, letters=letters, alphabet=alphabet)
    (inputs,), targets = task.batch(seed, 11, 5)
    for row, answers in zip(inputs.tolist(), targets.tolist(), strict=True):
        word, signal = row[:letters], row.index(task.signal)
        gap = signal - letters
        assert 1 <= gap <= delay if variable else gap == delay - 1
        assert all(1 <= letter <= alphabet for letter in word)
        assert row[letters:] == [BLANK] * gap + [alphabet + 1] + [BLANK] * (len(row) - signal - 1)
        assert answers == [BLANK] * (signal + 1) + word + [BLANK] * (len(row) - signal - 1 - letters)
        assert len(row) == delay + 2 * letters + variable
        if not variable:
            assert answers == [BLANK] * (delay + letters) + word  # the paper's words, with letters = 10


def test_the_sizes_of_the_paper() -> None:
    for delay, level in ((500, 0.03999), (1000, 0.02039), (2000, 0.01029)):
        task = Copying(delay=delay)
        assert (task.io.vocab, task.io.length) == (10, delay + 20)
        assert task.chance == pytest.approx(level, abs=5e-6)
    filled = [Copying(delay=delay, variable=True) for delay in (500, 1000)]
    assert [task.io.length for task in filled] == [521, 1021]
    assert [task.chance for task in filled] == pytest.approx([0.0399, 0.0204], abs=5e-5)
    (inputs,), _ = filled[0].batch(0, 0, 5000)
    gaps = (inputs == 9).long().argmax(1) - 10
    unfilled = (10 * math.log(8) / (gaps + 21).double()).mean().item()
    assert unfilled == pytest.approx(0.1326, abs=0.005)  # 5 standard errors
    assert (gaps.min().item(), gaps.max().item()) == (1, 500)
    assert abs(gaps.double().mean().item() - 250.5) < 10


class Copies(torch.nn.Module):
    """Solves copying; or, forgetful, knows when to answer and finds all letters equally likely."""

    def __init__(self, task: Copying, forgetful: bool) -> None:
        super().__init__()
        self.task, self.forgetful = task, forgetful

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        task, logits = self.task, torch.zeros(*tokens.shape, self.task.io.vocab)
        logits[..., BLANK] = 40.0
        for row, signal in enumerate((tokens == task.signal).long().argmax(1).tolist()):
            due = slice(signal + 1, signal + 1 + task.letters)
            answer = torch.nn.functional.one_hot(tokens[row, : task.letters], task.io.vocab)
            logits[row, due] = 40.0 * answer
            if self.forgetful:
                logits[row, due] = 0.0
                logits[row, due, 1 : task.alphabet + 1] = 40.0
        return logits


@pytest.mark.parametrize(
    "task", [Copying(delay=50), Copying(delay=50, variable=True), Copying(letters=3, alphabet=5)], ids=repr
)
def test_copying_is_solved_by_memory_and_not_without(task) -> None:
    assert score_of(task, Copies(task, forgetful=False)) < 1e-9
    assert score_of(task, Copies(task, forgetful=True)) == pytest.approx(task.chance, rel=1e-5)  # exact: no answer is easier


@pytest.mark.parametrize("changes", [{"delay": 0}, {"letters": 0}, {"alphabet": 1}], ids=repr)
def test_copying_that_asks_nothing_is_refused(changes) -> None:
    with pytest.raises(Refusal, match="Take at least"):
        Copying(**changes)


# Adding


class Constant(torch.nn.Module):
    """Says 1."""

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(series), 1, 1)


class Adds(torch.nn.Module):
    """Adds what is marked."""

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return (series[..., 0] * series[..., 1]).sum(1)[:, None, None]


@given(st.integers(2, 50), st.integers(0, 2**62))
@settings(max_examples=40, deadline=None)
def test_the_sum_is_of_what_is_marked_once_in_each_half(length, seed) -> None:
    (series,), sums = Adding(length=length).batch(seed, 5, 6)
    for row, total in zip(series.tolist(), sums[:, 0].tolist(), strict=True):
        marked = [step for step, (_, mark) in enumerate(row) if mark == 1]
        assert all(mark in (0, 1) and 0 <= number <= 1 for number, mark in row)
        assert len(marked) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert total == pytest.approx(row[marked[0]][0] + row[marked[1]][0], abs=1e-6)


def test_numbers_and_marks_are_uniform() -> None:
    (series,), _ = Adding(length=11).batch(0, 0, 20_000)
    numbers, marks = series[..., 0].double(), series[..., 1].mean(0).double()
    for power in (1, 2, 3):
        assert (numbers**power).mean().item() == pytest.approx(1 / (power + 1), abs=4 / 220_000**0.5)
    assert marks.tolist() == pytest.approx([1 / 5] * 5 + [1 / 6] * 6, abs=0.015)  # 5 standard errors
    assert abs(torch.corrcoef(numbers.T) - torch.eye(11)).max() < 0.05


def test_the_chance_of_adding_is_that_of_a_constant() -> None:
    task = Adding(length=20)
    _, sums = task.batch(0, 0, 40_000)
    squares = (sums.double() - 1) ** 2
    assert abs(squares.mean().item() - task.chance) < 4 * squares.std().item() / 200
    assert abs(sums.double().mean().item() - 1) < 4 * task.chance**0.5 / 200  # 1 is the best that a constant can say
    assert task.chance == 1 / 6
    assert score_of(task, Adds()) < 1e-12
    assert score_of(task, Constant()) == pytest.approx(task.chance, rel=0.5)


def test_a_row_without_two_halves_is_refused() -> None:
    with pytest.raises(Refusal, match="at least 2"):
        Adding(length=1)


# All of them


@pytest.mark.parametrize("task", [Warping(length=8, maximum=2), Adding(length=4)], ids=repr)
def test_a_family_learns_it(task) -> None:
    """From chance to half of it, where there is little to remember: inputs and targets go together."""
    torch.manual_seed(0)
    model = member("allometry.model.families", "lstm").at(4).build(task.io)
    optimizer = Recipe(rate=1e-2).optimizer(model)
    losses = [float(train_step(model, optimizer, task.batch(0, 32 * i, 32), setting=Setting())) for i in range(150)]
    assert np.mean(losses[-10:]) < 0.5 * task.chance
    held = evaluate(
        model, *(getattr(task.held_out(200), name) for name in ("inputs", "targets", "weights", "document")), Setting()
    )
    assert held.loss < 0.5 * task.chance


def test_a_task_is_found_by_its_name() -> None:
    assert al.task("warping")(maximum=3) == Warping(maximum=3)
    with pytest.raises(Refusal, match="Did you mean 'copying'"):
        al.task("copyng")


def test_a_task_is_kept_as_plain_json() -> None:
    for task in [*MADE, *FORMS_OF_WARPING]:
        assert from_json(json.loads(json.dumps(task.to_json())), resolve) == task


def test_what_is_scored_is_of_a_seed_that_no_run_has() -> None:
    assert torch.equal(Warping().held_out(5).inputs[0], Warping().batch(HELD_OUT, 0, 5)[0][0])

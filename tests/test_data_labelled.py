"""Labelled texts and their parts, the sets made of real code, and what an answer without a model is worth."""

import ast
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allometry.data import _code_edits
from allometry.data._accuracy import accuracy
from allometry.data._code_edits import MOST_BYTES, Pair, as_labelled, code_edits, labelled
from allometry.data._corpus import prepare
from allometry.data._document import Document
from allometry.data._edit import KINDS, NEAR, Edit, edits
from allometry.data._label_baselines import label_baselines, likelier
from allometry.data._labelled import FEWEST, PARTS, WORDS, Labelled, read_labelled
from allometry.data._source import origins
from allometry.flow import Refusal

Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def made_up(count: int, groups: int = 0, seed: int = 0) -> Rows:
    """Texts in which one word among others decides, always."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        words = [*draw.choices([f"word{i}" for i in range(50)], k=8), str(number), draw.choice(["good", "bad"])]
        label = "yes" if "good" in words else "no"
        draw.shuffle(words)
        rows.append({"text": " ".join(words), "label": label} | ({"group": f"g{number % groups}"} if groups else {}))
    return rows


def texts(labelled: Labelled, part: str) -> set[bytes]:
    return {example.text for example in labelled.parts[part]}


def all_texts(labelled: Labelled) -> dict[bytes, str]:
    return {example.text: labelled.labels[example.label] for part in PARTS for example in labelled.parts[part]}


# Files of labelled texts


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    rows = made_up(300)
    expected = {row["text"].encode(): row["label"] for row in rows}
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    found = [read_labelled(p) for p in (write(tmp_path / "a.jsonl", rows), tmp_path / "a.csv", tmp_path / "a.parquet")]
    for of in found:
        assert all_texts(of) == expected
        assert of.labels == ("no", "yes")
        assert of.parts == found[0].parts
        assert of.fingerprint == found[0].fingerprint
        assert json.loads(json.dumps(of.about)) == of.about


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), groups=st.sampled_from([0, 40, 100]))
def test_no_text_and_no_group_is_in_two_parts(seed: int, groups: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = made_up(600, groups, seed)
    rows += random.Random(seed).choices(rows, k=100)
    found = read_labelled(write(tmp_path_factory.mktemp("rows") / "a.jsonl", rows))
    assert found.about["duplicates_removed"] == 100
    assert sum(map(len, found.parts.values())) == 600
    assert len(set().union(*(texts(found, part) for part in PARTS))) == 600
    of_group = {(example.group, part) for part in PARTS for example in found.parts[part]}
    assert len(of_group) == (groups or len(PARTS))
    # 3.5 standard deviations of a binomial share, of as many draws as there are groups or texts.
    assert len(found.parts["train"]) / 600 == pytest.approx(0.7, abs=3.5 * (0.21 / (groups or 600)) ** 0.5)


def test_rows_that_come_in_before_move_no_other(tmp_path: Path) -> None:
    rows = made_up(600)
    some, more = (read_labelled(write(tmp_path / f"{len(r)}.jsonl", r)) for r in (rows[200:], rows))
    for part in PARTS:
        assert texts(some, part) <= texts(more, part)
    assert some.fingerprint != more.fingerprint


def test_the_fingerprint_knows_labels_and_parts_and_not_the_name(tmp_path: Path) -> None:
    rows = made_up(600)
    parted = [row | {"split": PARTS[i % 3]} for i, row in enumerate(rows)]
    changed = [{**rows[0], "label": "yes" if rows[0]["label"] == "no" else "no"}, *rows[1:]]
    prints = [
        read_labelled(write(tmp_path / f"{i}.jsonl", r)).fingerprint for i, r in enumerate((rows, rows, parted, changed))
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_given_parts_are_kept_and_a_text_in_two_is_scored_and_not_learned(tmp_path: Path) -> None:
    rows = [row | {"split": PARTS[i % 3]} for i, row in enumerate(made_up(600))]
    found = read_labelled(write(tmp_path / "a.jsonl", [*[row | {"split": "train"} for row in rows], *rows]))
    for part in PARTS:
        assert texts(found, part) == {row["text"].encode() for row in rows if row["split"] == part}


def test_without_a_dev_part_an_eighth_of_train_is_dev(tmp_path: Path) -> None:
    rows = [row | {"split": ("train", "test")[i % 2]} for i, row in enumerate(made_up(1200))]
    found = read_labelled(write(tmp_path / "a.jsonl", rows))
    assert len(found.parts["test"]) == 600
    assert 45 < len(found.parts["dev"]) < 105
    assert "eighth" in found.about["split"]


def test_a_text_with_two_labels_is_dropped_and_counted(tmp_path: Path) -> None:
    rows = made_up(300)
    both = [{"text": "either", "label": label} for label in ("yes", "no", "yes")]
    found = read_labelled(write(tmp_path / "a.jsonl", [*rows, *both, {"text": " ", "label": "no"}]))
    assert b"either" not in all_texts(found)
    assert (found.about["two_labels_removed"], found.about["empty_removed"], found.about["rows"]) == (3, 1, 304)


def test_labels_are_words_numbers_or_truths(tmp_path: Path) -> None:
    for labels in ([True, False], [0, 1], ["0", "1"], [7, "x"]):
        rows = [{"body": f"text {i}", "is": labels[i % 2]} for i in range(300)]
        found = read_labelled(write(tmp_path / "a.jsonl", rows), text_key="body", label_key="is")
        assert found.labels == tuple(sorted(str(label).lower() for label in labels))


FEW = made_up(FEWEST)
MANY = made_up(400)
BAD: dict[str, tuple[Any, str]] = {
    "not json": ([*MANY, "{text}"], r"a\.jsonl:401 is not JSON .* Mend or remove the line"),
    "no object": ([*MANY, "[1]"], r"a\.jsonl:401 holds a list, not an object\. Each line must be like"),
    "no text": ([{"body": "x", "label": 1}], r"a\.jsonl:1 has no 'text'\. It has: body, label\. Rename one to 'text'"),
    "no label": ([*MANY, {"text": "x", "class": 1}], r"a\.jsonl:401 has no 'label'\. It has: text, class\. Rename"),
    "text of a number": ([{"text": 1, "label": 1}], r"a\.jsonl:1 has a int under 'text', not a text"),
    "label of a float": ([*MANY, {"text": "x", "label": 0.5}], r"a\.jsonl:401 has a float \(0\.5\) under 'label'\. A label is"),
    "label of nothing": ([*MANY, {"text": "x", "label": None}], r"a\.jsonl:401 has a NoneType .* under 'label'"),
    "empty label": ([*MANY, {"text": "x", "label": ""}], r"a\.jsonl:401 has an empty text under 'label'"),
    "unknown part": ([*MANY, {"text": "x", "label": "no", "split": "validation"}], r":401 is in the split 'validation'\. Write"),
    "some parts": ([*MANY, {"text": "x", "label": "no", "split": "dev"}], r"'split' in 1 of 401 rows\. Write one in every row"),
    "some groups": ([*MANY, {"text": "x", "label": "no", "group": "g"}], r"'group' in 1 of 401 rows\. Write one in every row"),
    "a group in two parts": (
        [row | {"group": f"g{i % 50}", "split": PARTS[i % 3]} for i, row in enumerate(MANY)],
        r"has the group 'g0' in train and in test.* Put its rows in one split",
    ),
    "one label": ([row | {"label": "no"} for row in MANY], r"only the label 'no' in 400 rows\. Add rows with another"),
    "only texts of two labels": ([{"text": "x", "label": i} for i in range(90)], r"no text with one label"),
    "few to learn from": (
        [row | {"split": "test" if i > 30 else "train"} for i, row in enumerate(MANY)],
        r"too few different texts: \d+ in train, \d+ in dev, 369 in test; at least 40 in train are needed\. Add rows",
    ),
    "few to be scored on": (
        [row | {"split": "train" if i > 30 else "test"} for i, row in enumerate(MANY)],
        r"too few different texts: .* 31 in test; at least 40 in test are needed",
    ),
    "few": (FEW, r"too few different texts: .* in train are needed"),
    "all one group": ([row | {"group": "g"} for row in MANY], r"too few different texts"),
    "nothing for dev": (
        [row | {"group": str(i % 2), "split": ("train", "test")[i % 2]} for i, row in enumerate(MANY)],
        r"nothing to choose a setting by: 200 in train, 0 in dev",
    ),
    "one label to learn": (
        [row | {"split": "train" if row["label"] == "no" else PARTS[1 + i % 2]} for i, row in enumerate(MANY)],
        r"only the label 'no' in its train part",
    ),
    "nothing": ([], r"no row with text in it \(0 rows\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_rows_are_refused_in_one_line(case: str, tmp_path: Path) -> None:
    rows, message = BAD[case]
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(Refusal, match=message) as refusal:
        read_labelled(tmp_path / "a.jsonl")
    assert "\n" not in str(refusal.value)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.jsonl").write_bytes(b"\0\1")
    (tmp_path / "b.csv").write_text('text,label\n"a\n')
    (tmp_path / "c.csv").write_text("body,label\na,1\n")
    (tmp_path / "d.csv").write_text("text,label\na,1\nb,\n")
    pd.DataFrame({"text": ["a"], "label": [0.5]}).to_parquet(tmp_path / "e.parquet")
    for name, message in {
        "a.txt": r"a file of kind '\.txt'.* Give a \.jsonl, \.csv or \.parquet file",
        "": r"is a folder, not a table",
        "a.jsonl": r"a\.jsonl is not text",
        "aa.jsonl": r"no file or folder .*aa\.jsonl\. Near it: a\.jsonl",
        "b.csv": r"b\.csv cannot be read as a table",
        "c.csv": r"c\.csv, row 1 has no 'text'\. It has: body, label",
        "d.csv": r"d\.csv, row 2 has an empty text under 'label'",
        "e.parquet": r"row 1 has a float \(0\.5\)",
    }.items():
        with pytest.raises(Refusal, match=message) as refusal:
            read_labelled(tmp_path / name)
        assert "\n" not in str(refusal.value)


# Edits of code

CODE = '''
def first(values, limit, default=None):
    """Words - not code."""
    count = len(values) - limit
    for place, value in enumerate(values):
        if value < limit and value is not None:
            return f"{value - limit}", values[place - 1]
    return [limit - other for other in values] if count in values else max(values, default)


class Thing:
    def method(self, one, other):
        a = one + other
        b = a - one - other
        self.send(one, *other)
        self.send(a, b * (a / 2), key=a)
        return 2 == b, a == b, (a + b) % 2
'''


def changed(source: str, edit: Edit) -> tuple[str, ...]:
    return tuple(line.decode().strip() for _, line in sorted(edit.lines(source.encode().split(b"\n")).items()))


def test_what_is_swapped_has_an_order() -> None:
    found = defaultdict(set)
    for edit in edits(CODE.encode()):
        if edit.kind != "names":
            found[edit.kind].update(changed(CODE, edit))
    assert found["operands"] == {
        "count = limit - len(values)",
        "if limit < value and value is not None:",
        "if value < limit and None is not value:",
        'return f"{value - limit}", values[1 - place]',
        "return [limit - other for other in values] if values in count else max(values, default)",
        "self.send(a, b * (2 / a), key=a)",
    } | {"b = one - a - other"}
    assert found["arguments"] == {"self.send(b * (a / 2), a, key=a)"}


def test_two_exchanged_names_are_variables_that_have_a_value_where_they_stand_then() -> None:
    lines = CODE.split("\n")
    found = [edit for edit in edits(CODE.encode()) if edit.kind == "names"]
    assert len(found) > 10
    stored = {n.id for n in ast.walk(ast.parse(CODE)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for edit in found:
        assert edit.one.number < edit.other.number <= edit.one.number + NEAR
        names = [lines[span.number][span.start : span.end] for span in (edit.one, edit.other)]
        assert names[0] != names[1]
        arguments = {"values", "limit", "default"} if edit.other.number < 9 else {"one", "other"}
        above = "\n".join(lines[edit.first + 1 : edit.one.number])
        have = arguments | {word for word in re.findall(r"\w+", above) if word in stored and word != "other"}
        assert set(names) <= have
        before, after = (sorted(re.findall(WORDS, "\n".join(of))) for of in (lines, [*lines, *changed(CODE, edit)]))
        own = [lines[number] for number in (edit.one.number, edit.other.number)]
        assert after == sorted(before + re.findall(WORDS, "\n".join(own)))


def test_what_is_no_python_has_no_edits() -> None:
    assert edits(b"def print x:") == edits(b"\0") == edits(b"a - b") == []


@pytest.fixture(scope="module")
def sides() -> tuple[list[Document], list[Document]]:
    """Two sides of a few packages of the standard library, the second one held out."""
    documents: dict[str, list[Document]] = defaultdict(list)
    for origin in origins(["stdlib"]):
        if 9_000 < origin.stat[0] < 16_000 and "/" not in origin.name:
            text = Path(origin.path).read_bytes()
            documents[origin.group].append(Document(name=origin.name, group=origin.group, text=text))
    groups = [documents[name] for name in sorted(documents)[:36]]
    return [document for of in groups[6:] for document in of], [document for of in groups[:6] for document in of]


@pytest.fixture(scope="module")
def parts(sides: tuple[list[Document], list[Document]]) -> dict[str, dict[str, list[Pair]]]:
    return _code_edits.pairs(*sides, {"train": 60, "dev": 20, "test": 24}, MOST_BYTES)


@pytest.mark.parametrize("kind", KINDS)
def test_code_edits_are_sound(
    kind: str, parts: dict[str, dict[str, list[Pair]]], sides: tuple[list[Document], list[Document]]
) -> None:
    train, held_out = sides
    found = as_labelled(kind, parts[kind])
    of_name = {document.name: document for document in train + held_out}
    package_text = {
        group: b"\n".join(d.text for d in of_name.values() if d.group == group)
        for group in {d.group for d in of_name.values()}
    }
    learned = b"\n".join(document.text for document in train)
    held_out_groups = {document.group for document in held_out}
    seen: set[bytes] = set()
    for part, of in parts[kind].items():
        assert len(of) == len(found.parts[part]) // 2 >= 5
        assert part != "train" or max(Counter(pair.package for pair in of).values()) <= len(of) // 5
        for pair in of:
            assert (pair.package in held_out_groups) == (part == "test")
            assert not {pair.true, pair.edited} & seen  # no passage is in two pairs, so none in two parts
            seen |= {pair.true, pair.edited}
            assert len(pair.true) == len(pair.edited) <= MOST_BYTES
            assert bag(pair.true) == bag(pair.edited)
            name, number = pair.place.rsplit(":", 1)
            source = [line.strip() for line in of_name[name].text.split(b"\n")]
            true, edited = ([line.strip() for line in side.split(b"\n")] for side in (pair.true, pair.edited))
            different = [place for place, (a, b) in enumerate(zip(true, edited, strict=True)) if a != b]
            assert len(different) == (2 if kind == "names" else 1)
            assert different[-1] == len(true) - 1  # nothing follows the edit
            start = int(number) - 1 - different[0]
            assert source[start : start + len(true)] == true
            assert not any(edited[place] in package_text[pair.package] for place in different)
            assert part != "test" or pair.true not in learned
            whole = of_name[name].text.split(b"\n")
            for place in different:
                whole[start + place] = whole[start + place].replace(true[place], edited[place])
            ast.parse(b"\n".join(whole))  # the whole file is still Python


def bag(text: bytes) -> Counter[str]:
    return Counter(re.findall(WORDS, text.decode()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_passage_and_its_edit_are_in_one_part_and_a_bag_of_words_is_at_chance(
    kind: str, parts: dict[str, dict[str, list[Pair]]]
) -> None:
    found = as_labelled(kind, parts[kind])
    assert found.labels == ("edited", "true")
    pairs = {pair.place: pair for of in parts[kind].values() for pair in of}
    for part in PARTS:
        of_unit: dict[str, dict[str, bytes]] = defaultdict(dict)
        for example in found.parts[part]:
            of_unit[example.unit][found.labels[example.label]] = example.text
        for unit, both in of_unit.items():
            assert both == {"true": pairs[unit].true, "edited": pairs[unit].edited}
            assert bag(both["true"]) == bag(both["edited"])
        assert len(found.parts[part]) == 2 * len(of_unit)
    baselines = label_baselines(found)
    for baseline in (baselines["majority"], baselines["bag_of_words"]):
        assert baseline["accuracy"] == 0.5
        assert baseline["low"] < 0.5 < baseline["high"]
        packages = len({example.group for example in found.parts["test"]})
        assert (baseline["examples"], baseline["units"]) == (2 * len(parts[kind]["test"]), packages)


def test_an_ngram_model_that_sees_both_of_a_pair_tells_which_is_true(
    parts: dict[str, dict[str, list[Pair]]], sides: tuple[list[Document], list[Document]]
) -> None:
    found = as_labelled("operands", parts["operands"])
    known = np.frombuffer(b"\n".join(document.text for side in sides for document in side), np.uint8)
    told = likelier(found, "true", known)  # it has read the test
    assert told["accuracy"] > 0.95
    assert json.loads(json.dumps(told)) == told
    assert likelier(found, "edited", known)["accuracy"] == pytest.approx(1 - told["accuracy"])


def test_sets_of_code_are_kept_and_are_of_what_the_corpus_holds_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [origin for origin in origins(["stdlib"]) if 10_000 < origin.stat[0] < 13_000]
    for module in ("_code_edits", "_corpus"):
        monkeypatch.setattr(f"allometry.data.{module}.origins", lambda sources: some)
    sizes = {"train": 60, "dev": 20, "test": 20}
    first = code_edits("operands", tmp_path, sizes)
    corpus = prepare(["stdlib"], cache=tmp_path)
    assert set(first.about["test_packages"]) <= set(corpus.about["held_out_groups"])
    train = bytes(corpus.decode(corpus.train))
    packages = {example.group for part in ("train", "dev") for example in first.parts[part]}
    assert not packages & set(corpus.about["held_out_groups"])
    for example in first.parts["test"]:
        assert first.labels[example.label] != "true" or example.text not in train
    monkeypatch.setattr(_code_edits, "pairs", None)  # what is kept is not made again
    monkeypatch.setattr(_code_edits, "read", None)
    again = code_edits("operands", tmp_path, sizes)
    assert (again.fingerprint, again.parts, again.about) == (first.fingerprint, first.parts, first.about)
    assert code_edits("names", tmp_path, sizes).fingerprint != first.fingerprint


def test_pairs_do_not_depend_on_the_order_of_the_files(sides: tuple[list[Document], list[Document]]) -> None:
    train, held_out = sides
    sizes = {"train": 20, "dev": 5, "test": 20}
    one = _code_edits.pairs(train[:5], held_out[:4], sizes, MOST_BYTES)
    other = _code_edits.pairs(train[:5][::-1], held_out[:4][::-1], sizes, MOST_BYTES)
    for kind in KINDS:
        for part in PARTS:
            assert [vars(pair) for pair in one[kind][part]] == [vars(pair) for pair in other[kind][part]]


def test_an_unknown_set_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        Refusal, match=r"no stdlib:operand\. Did you mean stdlib:operands\? There are: stdlib:operands, stdlib:"
    ):
        labelled("stdlib:operand", tmp_path)
    with pytest.raises(Refusal, match=r"no stdlib:xxx\. There are: "):
        labelled("stdlib:xxx", tmp_path)
    assert labelled(str(write(tmp_path / "a.jsonl", MANY)), tmp_path).name == "a.jsonl"


# Answers without a model


def test_a_bag_of_words_finds_the_word_that_decides(tmp_path: Path) -> None:
    found = label_baselines(read_labelled(write(tmp_path / "a.jsonl", made_up(600))))
    assert found["bag_of_words"]["accuracy"] > 0.97
    assert found["bag_of_words"]["low"] > 0.9
    assert found["majority"]["accuracy"] < 0.65


def test_a_bag_of_words_is_at_chance_where_labels_are_drawn(tmp_path: Path) -> None:
    rows = [row | {"label": random.Random(i).choice(["yes", "no"])} for i, row in enumerate(made_up(2000))]
    found = label_baselines(read_labelled(write(tmp_path / "a.jsonl", rows)))["bag_of_words"]
    assert found["accuracy"] == pytest.approx(0.5, abs=0.1)  # 4 standard deviations of 400 examples
    assert json.loads(json.dumps(found)) == found


def test_the_majority_is_that_of_the_train_part(tmp_path: Path) -> None:
    rows: Rows = [{"text": f"t{i}", "label": "a" if i < 70 else "b", "split": "train"} for i in range(100)]
    rows += [{"text": f"d{i}", "label": "b", "split": "dev"} for i in range(50)]
    rows += [{"text": f"e{i}", "label": "a" if i < 25 else "b", "split": "test"} for i in range(100)]
    found = label_baselines(read_labelled(write(tmp_path / "a.jsonl", rows)))["majority"]
    assert (found["label"], found["accuracy"]) == ("a", 0.25)


def independent(draw: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    return draw.random(200) < 0.8, [str(i) for i in range(200)]


def in_pairs(draw: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Half of the pairs are right or wrong together."""
    one, other = draw.random(150) < 0.8, draw.random(150) < 0.8
    return np.concatenate([one, np.where(draw.random(150) < 0.5, one, other)]), [str(i) for i in range(150)] * 2


def in_groups(draw: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Forty groups of ten, of which some are harder than others; 0.8 on average."""
    return (draw.random((40, 10)) < draw.beta(4, 1, 40)[:, None]).ravel(), [str(i) for i in range(40) for _ in range(10)]


@pytest.mark.parametrize("draws", [independent, in_pairs, in_groups], ids=lambda f: f.__name__)
def test_intervals_hold_the_truth_as_often_as_they_say(draws: Callable[..., tuple[np.ndarray, list[str]]]) -> None:
    found = [accuracy(*draws(np.random.default_rng(seed)), 0.95) for seed in range(600)]
    held = np.mean([one.low <= 0.8 <= one.high for one in found])
    assert 0.92 <= held <= 0.98  # 95 %, and 3 standard deviations of 600 draws


def test_answers_of_one_unit_are_worth_less_than_as_many_of_their_own() -> None:
    right = np.arange(100) % 5 > 0
    alone = accuracy(right, [str(i) for i in range(100)], 0.95)
    twice = accuracy(np.repeat(right, 2), [str(i // 2) for i in range(200)], 0.95)
    assert (alone.low, alone.high) == pytest.approx((twice.low, twice.high), abs=1e-9)
    assert alone.worth == pytest.approx(100, rel=0.02)
    from scipy.stats import binomtest

    exact = binomtest(80, 100).proportion_ci(method="wilson")
    assert (alone.low, alone.high) == pytest.approx((exact.low, exact.high), abs=0.005)  # Student's t is a little wider


def test_the_ends_of_the_scale() -> None:
    assert accuracy([True] * 50, [str(i) for i in range(50)], 0.95).low == pytest.approx(0.925, abs=0.01)
    assert accuracy([True] * 50, [str(i % 5) for i in range(50)], 0.95).low < 0.5
    one = accuracy([True, False], ["a", "a"])
    assert (one.low, one.high) == (0.0, 1.0)

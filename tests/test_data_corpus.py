"""Duplicates, the held-out split, and the cache."""

import errno
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_samples import folder_of, prose
from hypothesis import given, settings
from hypothesis import strategies as st

from allometry.data import _corpus
from allometry.data._corpus import Corpus, prepare
from allometry.data._document import Document
from allometry.data._duplicate import shingles, without_duplicates, without_leaks
from allometry.data._split import CEILING, FLOOR, SHARE, cut, in_training_order, place, split
from allometry.flow import Refusal


def document(name: str, text: str, group: str | None = None) -> Document:
    return Document(name=name, group=group or name, text=text.encode())


def size(documents: list[Document]) -> int:
    return sum(len(d.text) for d in documents)


# Duplicates


def test_copies_go_and_others_stay() -> None:
    text = prose(1, 5000)
    lines = text.split("\n")
    changed = "\n".join([*lines[:20], "another line", *lines[21:]])
    disguised = "\n".join("    " + line.encode().upper().decode() for line in lines)  # letters of ASCII only
    other = prose(2, 5000)
    half = "\n".join(lines[: len(lines) // 2]) + "\n" + prose(3, 2500)
    texts = {"first": text, "exact": text, "changed": changed, "disguised": disguised, "other": other, "half": half}
    kept = without_duplicates([document(name, content) for name, content in texts.items()])
    assert [d.name for d in kept] == ["first", "other", "half"]


def test_a_document_made_of_pieces_of_many_others_is_a_duplicate() -> None:
    sources = [prose(number, 3000) for number in range(10)]
    pieces = "\n".join("\n".join(text.split("\n")[:30]) for text in sources)
    kept = without_duplicates([document(str(i), text) for i, text in enumerate([*sources, pieces])])
    assert [d.name for d in kept] == [str(i) for i in range(10)]


def test_thinned_shingles_are_the_same_share_of_all_documents() -> None:
    text = "\n".join(f"line {number}" for number in range(5000))
    everything, some = shingles(text.encode()), shingles(text.encode(), keep=8)
    assert set(some) <= set(everything)
    assert len(everything) / 8 == pytest.approx(len(some), rel=0.25)  # 5 standard deviations of a binomial count
    assert len(shingles(b"one line", keep=1000)) == 1


def test_thinned_shingles_are_the_same_in_every_process() -> None:
    code = (
        "from allometry.data._duplicate import shingles as s; print(len(s('\\n'.join(map(str, range(5000))).encode(), 8)))"
    )
    counts = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(counts) == 1


def test_held_out_documents_that_training_holds_are_dropped() -> None:
    whole, quarter, new = prose(1, 4000), prose(2, 4000), prose(3, 4000)
    train = [document("large", prose(4, 20000) + "\n" + whole + "\n" + quarter[:1000])]
    kept = without_leaks([document("whole", whole), document("quarter", quarter), document("new", new)], train)
    assert [d.name for d in kept] == ["quarter", "new"]


def test_no_held_out_document_of_a_corpus_with_copies_is_in_training(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", 60, 3000)
    for number in range(60):
        (folder / f"copy_{number}.txt").write_bytes(prose(number, 3000).encode().upper())
    corpus = prepare([str(folder)], cache=tmp_path / "cache")
    assert corpus.about["duplicates_removed"] == 60
    train = bytes(corpus.decode(corpus.train)).decode().lower()
    for index in range(corpus.documents):
        assert bytes(corpus.decode(corpus.document(index))).decode().lower() not in train


def test_no_held_out_document_is_a_part_of_a_larger_one_in_training(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", 60, 3000)
    for number in range(60):  # too much is new in these to be duplicates
        (folder / f"larger_{number}.txt").write_text(
            prose(number, 3000) + "\n" + prose(100 + number, 9000), encoding="utf-8"
        )
    corpus = prepare([str(folder)], cache=tmp_path / "cache")
    assert corpus.about["duplicates_removed"] == 0
    assert corpus.about["leaks_removed"] > 0
    train = bytes(corpus.decode(corpus.train))
    assert not [i for i in range(corpus.documents) if bytes(corpus.decode(corpus.document(i))) in train]


# The split


def test_new_documents_do_not_move_old_ones() -> None:
    documents = [document(str(number), prose(number, 2500)) for number in range(1500)]
    before, after = split(documents[:1000]), split(documents)
    side = {d.name: "held out" for d in after[1]} | {d.name: "train" for d in after[0]}
    assert all(side[d.name] == "train" for d in before[0])
    assert all(side[d.name] == "held out" for d in before[1])
    assert {d.name for d in before[1]} == {d.name for d in documents[:1000] if place(d.group) < SHARE}


def test_a_group_is_on_one_side() -> None:
    documents = [document(str(number), prose(number, 300), group=f"group {number % 100}") for number in range(2000)]
    train, held_out = split(documents)
    assert held_out
    assert not {d.group for d in train} & {d.group for d in held_out}
    assert len(train) + len(held_out) == len(documents)


@pytest.mark.parametrize("kilobytes", [40, 200, 1000, 3000])
def test_one_file_is_held_out_in_stretches_of_itself(kilobytes: int) -> None:
    text = prose(0, kilobytes * 900).encode()  # in bytes it is longer than in characters
    documents = cut([Document(name="book", group="book", text=text)])
    assert b"".join(d.text for d in documents) == text
    train, held_out = split(documents)
    assert len(held_out) >= 4
    assert min(FLOOR, 0.1 * len(text)) <= size(held_out) <= min(CEILING, 0.2 * len(text))
    for group in {d.group for d in held_out}:
        blocks = [d for d in held_out if d.group == group]
        assert [d.part for d in blocks] == list(range(blocks[0].part, blocks[0].part + len(blocks)))
    # What stays is joined again where nothing was taken out, so no more borders appear than stretches were taken.
    joined = in_training_order(train)
    assert len(joined) <= 1 + len({d.group for d in held_out})
    assert sorted(d.text for d in joined if d.text not in text) == []
    assert size(joined) == size(train)


def test_text_that_grows_keeps_its_blocks() -> None:
    text = prose(0, 1_300_000).encode()
    short, long = ([Document(name="b", group="b", text=part)] for part in (text[:-200_000], text))
    assert cut(long)[: len(cut(short)) - 1] == cut(short)[:-1]  # the end of the shorter text was no place to cut
    before, after = split(cut(short))[1], split(cut(long))[1]
    # New stretches of a corpus under the wanted number of documents may take the place of some.
    assert len([d for d in before if d in after]) >= len(before) / 2


def test_a_giant_among_many_is_cut_and_the_others_are_whole() -> None:
    documents = [document(str(n), prose(n, 2000)) for n in range(30)] + [document("giant", prose(99, 200_000))]
    pieces = cut(documents)
    assert [d for d in pieces if d.name != "giant"] == documents[:30]
    assert len([d for d in pieces if d.name == "giant"]) > 20


@given(st.text(alphabet="aé日🦉 \n", min_size=1, max_size=6000))
@settings(max_examples=50, deadline=None)
def test_blocks_are_whole_characters(text: str) -> None:
    documents = cut([document("a", text)])
    assert "".join(d.text.decode() for d in documents) == text
    assert all(len(d.text) <= 1536 for d in documents)


@pytest.mark.parametrize("offset", range(4))
def test_text_without_any_gap_is_cut_between_characters(offset: int) -> None:
    text = "a" * offset + "日🦉é" * 1000
    assert "".join(d.text.decode() for d in cut([document("a", text)])) == text


# The standard library


@pytest.fixture(scope="module")
def stdlib(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return prepare(["stdlib"], cache=tmp_path_factory.mktemp("stdlib"))


def test_the_standard_library_is_split_by_package_without_its_tests(stdlib: Corpus) -> None:
    files = [(name, group) for name, group, *_ in json.loads((stdlib.folder / "files.json").read_text())]
    assert len(files) > 400
    assert {"os.py", "json/decoder.py"} <= {name for name, _ in files}
    assert not [name for name, _ in files if {"test", "tests", "idle_test", "site-packages"} & set(name.split("/"))]
    assert {group for name, group in files if name.startswith("json/")} == {"json"}
    held = set(stdlib.about["held_out_groups"])
    assert stdlib.about["held_out_groups_count"] == len(held) >= 4
    train = bytes(stdlib.decode(stdlib.train))
    root = Path(sysconfig.get_path("stdlib"))
    text = {name: (root / name).read_bytes() for name, _ in files}
    assert not [name for name, group in files if group in held and len(text[name]) > 200 and text[name] in train]
    others = [text[name] in train for name, group in files if group not in held]
    assert sum(others) > 0.9 * len(others)  # so the search above can find something; the rest are duplicates
    assert FLOOR <= stdlib.about["held_out_bytes"] <= CEILING
    assert stdlib.about["python"].startswith("3.")


# The cache


def same(first: Corpus, second: Corpus) -> bool:
    parts = ("train", "held_out", "offsets")
    return first.texts == second.texts and all(np.array_equal(getattr(first, p), getattr(second, p)) for p in parts)


def unread(*_: Any) -> None:
    raise AssertionError("the sources were read again")


def test_unchanged_sources_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(folder_of(tmp_path / "data", 30, 3000))
    first = prepare([folder], cache=tmp_path / "cache")
    monkeypatch.setattr(_corpus, "read", unread)
    second = prepare([folder], cache=tmp_path / "cache")
    assert second.fingerprint == first.fingerprint
    assert same(first, second)
    assert second.about == first.about
    (tmp_path / "data" / "file_3.txt").write_text("changed")
    with pytest.raises(AssertionError, match="read again"):
        prepare([folder], cache=tmp_path / "cache")


def test_the_fingerprint_is_that_of_content_and_settings(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", 30, 3000)
    moved = folder_of(tmp_path / "elsewhere" / "data", 30, 3000)
    cache = tmp_path / "cache"
    first = prepare([str(folder)], cache=cache).fingerprint
    assert prepare([str(moved)], cache=cache).fingerprint == first
    os.utime(folder / "file_0.txt", (0, 0))
    assert prepare([str(folder)], cache=cache).fingerprint == first
    assert prepare([str(folder)], text_key="body", cache=cache).fingerprint != first
    (folder / "file_0.txt").write_text(prose(77, 3000), encoding="utf-8")
    assert prepare([str(folder)], cache=cache).fingerprint != first


def truncate(folder: Path) -> None:
    (folder / "train.npy").write_bytes((folder / "train.npy").read_bytes()[:-10])


def flip(folder: Path) -> None:
    raw = bytearray((folder / "held_out.npy").read_bytes())
    raw[-5] ^= 1
    (folder / "held_out.npy").write_bytes(raw)


def lose(folder: Path) -> None:
    (folder / "about.json").unlink()


def spoil_check(folder: Path) -> None:
    (folder / "check.json").write_text("{")


def empty_check(folder: Path) -> None:
    (folder / "check.json").write_text("{}")


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("damage", [truncate, flip, lose, spoil_check, empty_check, remove], ids=lambda f: f.__name__)
def test_a_damaged_cache_is_made_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder, cache = str(folder_of(tmp_path / "data", 30, 3000)), tmp_path / "cache"
    first = prepare([folder], cache=cache)
    kept = Corpus(
        fingerprint=first.fingerprint,
        train=np.memmap(tmp_path / "copy", dtype=np.uint8, mode="w+", shape=first.train.shape),
        held_out=np.array(first.held_out),
        offsets=first.offsets,
        texts=first.texts,
        about=first.about,
        folder=first.folder,
    )
    kept.train[:] = first.train
    damage(first.folder)
    again = prepare([folder], cache=cache)
    assert again.fingerprint == kept.fingerprint
    assert same(again, kept)
    assert {p.name for p in cache.iterdir()} == {first.fingerprint, "stamps", "CACHEDIR.TAG"}


def test_a_cache_inside_the_data_is_not_data(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", 30, 3000)
    first = prepare([str(folder)], cache=folder / "cache").fingerprint
    assert prepare([str(folder)], cache=folder / "cache").fingerprint == first


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    for name, age in ((".part-old", 100_000), (".part-new", 10)):
        (tmp_path / "cache" / name / "inside").mkdir(parents=True)
        os.utime(tmp_path / "cache" / name, (time.time() - age, time.time() - age))
    prepare([str(folder_of(tmp_path / "data", 30, 3000))], cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").glob(".part-*")] == [".part-new"]


def test_a_full_disk_is_refused_and_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = str(folder_of(tmp_path / "data", 30, 3000)), tmp_path / "cache"

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_corpus, "write_json", full)
        with pytest.raises(Refusal, match=r"No space left on device\. Free some space"):
            prepare([folder], cache=cache)
    assert [path.name for path in cache.iterdir()] == ["CACHEDIR.TAG"]
    assert prepare([folder], cache=cache).documents >= 4


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, where a folder should be")
    with pytest.raises(Refusal, match=r"cannot be written to .*Choose a folder"):
        prepare([str(folder_of(tmp_path / "data", 30, 3000))], cache=tmp_path / "file" / "cache")

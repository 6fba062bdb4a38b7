"""What a user may give as data, and what is refused."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data_samples import folder_of, prose

from allometry.data._corpus import Corpus, prepare
from allometry.data._read import read
from allometry.data._source import origins
from allometry.flow import Refusal

TEXTS = [prose(number, 3000) for number in range(40)]


def documents(corpus: Corpus) -> list[str]:
    """All documents of both parts."""
    train = bytes(corpus.decode(corpus.train)).split(b"\0")[:-1]
    return sorted(
        text.decode() for text in [*train, *(bytes(corpus.decode(corpus.document(i))) for i in range(corpus.documents))]
    )


def write_files(path: Path) -> None:
    for number, text in enumerate(TEXTS):
        (path / f"{number}{('.txt', '.md', '.py', '.rst', '')[number % 5]}").write_text(text, encoding="utf-8")


def write_nested(path: Path) -> None:
    for number, text in enumerate(TEXTS):
        (path / str(number % 3)).mkdir(exist_ok=True)
        (path / str(number % 3) / f"{number}.txt").write_text(text, encoding="utf-8")
    (path / ".git").mkdir()
    (path / ".git" / "hidden.txt").write_text("not asked for")
    (path / "image.png").write_bytes(b"\x89PNG\0\0" + bytes(100_000))
    (path / "empty.txt").write_text(" \n")
    for name, mark in (("cache", "CACHEDIR.TAG"), ("environment", "pyvenv.cfg"), ("study", "plan.json")):
        (path / name / "runs").mkdir(parents=True)
        (path / name / mark).write_text("not the user's text")
        (path / name / "runs" / "points.jsonl").write_text('{"loss": 1}')
    (path / "numbers.csv").write_text("a,b\n1,2\n")


def write_jsonl(path: Path) -> None:
    rows = [json.dumps({"id": number, "text": text}) for number, text in enumerate(TEXTS)]
    (path / "rows.jsonl").write_text("\n".join(rows) + "\n\n")


def write_csv(path: Path) -> None:
    pd.DataFrame({"id": range(len(TEXTS)), "words": TEXTS}).to_csv(path / "rows.csv", index=False)


def write_parquet(path: Path) -> None:
    pd.DataFrame({"words": TEXTS, "id": range(len(TEXTS))}).to_parquet(path / "rows.parquet")


def write_other_encodings(path: Path) -> None:
    for number, text in enumerate(TEXTS):
        encoded = text.replace("\n", "\r\n").encode(("utf-16", "utf-8-sig")[number % 2])
        (path / f"{number}.txt").write_bytes(encoded)


@pytest.mark.parametrize(
    "write",
    [write_files, write_nested, write_jsonl, write_csv, write_parquet, write_other_encodings],
    ids=lambda f: f.__name__,
)
def test_what_is_read_is_what_was_written(write: Callable[[Path], None], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write(data)
    corpus = prepare([str(data)], cache=tmp_path / "cache")
    assert documents(corpus) == sorted(TEXTS)
    assert corpus.about["bytes"] == sum(len(text.encode()) for text in TEXTS)


def test_skipped_files_are_counted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_nested(data)
    about = prepare([str(data)], cache=tmp_path / "cache").about
    assert (about["binary_skipped"], about["empty_skipped"], about["tables_skipped"]) == (1, 1, 1)
    assert json.loads(json.dumps(about)) == about


def test_latin_1_is_read_as_latin_1(tmp_path: Path) -> None:
    text = "La façade élevée, où l'été s'achève. " * 5
    for number in range(40):
        (tmp_path / f"{number}.txt").write_bytes(
            (prose(number, 3000).encode("ascii", "ignore").decode() + text).encode("latin-1")
        )
    found = documents(prepare([str(tmp_path)], cache=tmp_path / ".cache"))
    assert len(found) == 40
    assert all(document.endswith(text) for document in found)


def test_several_sources_are_one_corpus(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "first", 30, 2000)
    second = tmp_path / "alone.txt"
    second.write_text(prose(99, 4000), encoding="utf-8")
    found = documents(prepare([str(first), str(second)], cache=tmp_path / "cache"))
    assert found == sorted([prose(n, 2000) for n in range(30)] + [prose(99, 4000)])


def test_a_named_column_or_key_is_taken(tmp_path: Path) -> None:
    frame = pd.DataFrame({"other": "x", "words": TEXTS})
    frame.to_csv(tmp_path / "two.csv", index=False)
    (tmp_path / "two.jsonl").write_text("\n".join(json.dumps({"text": 1, "body": text}) for text in TEXTS))
    assert documents(prepare([str(tmp_path / "two.csv")], text_column="words", cache=tmp_path / "c")) == sorted(TEXTS)
    assert documents(prepare([str(tmp_path / "two.jsonl")], text_key="body", cache=tmp_path / "c")) == sorted(TEXTS)


def test_the_side_of_a_row_does_not_hang_on_the_rows_before_it(tmp_path: Path) -> None:
    groups = []
    for start in (0, 7):
        lines = [json.dumps({"text": text}) for text in TEXTS[start:]]
        (tmp_path / "rows.jsonl").write_text("\n".join(lines))
        read_ = read(origins([str(tmp_path / "rows.jsonl")]), "text", None)
        groups.append([d.group for d in read_.documents])
    assert groups[0][7:] == groups[1]
    assert len(set(groups[0])) == len(TEXTS)


def test_a_data_set_of_the_hub_is_read_by_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rows(dict[str, list[str]]):
        features = {"text": types.SimpleNamespace(dtype="string"), "label": types.SimpleNamespace(dtype="int64")}  # noqa: RUF012

    library = types.ModuleType("datasets")
    library.load_dataset = lambda name, split: {("a/b", "train"): Rows(text=TEXTS)}[name, split]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", library)
    assert documents(prepare(["hf:a/b"], cache=tmp_path)) == sorted(TEXTS)
    with pytest.raises(Refusal, match=r"hf:a/c cannot be loaded.* Check the name"):
        prepare(["hf:a/c"], cache=tmp_path)
    with pytest.raises(Refusal, match=r"no column 'body'. It has: text, label"):
        prepare(["hf:a/b"], text_column="body", cache=tmp_path)


def test_without_its_library_the_hub_is_refused_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(Refusal, match=r"pip install 'allometry\[hf\]'"):
        prepare(["hf:a/b"], cache=tmp_path)


NOISE = np.random.default_rng(0).integers(1, 256, 5000, dtype=np.uint8).tobytes()

BAD: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.txt", b"", r"a\.txt is empty"),
    "blank": ("a.txt", b" \n\n", r"a\.txt is empty"),
    "nul": ("a.txt", b"text\0text", r"a\.txt is not text .*Give text"),
    "undecodable": ("a.txt", NOISE, r"a\.txt is not text .*Give text"),
    "binary rows": ("a.jsonl", b"\0\1", r"a\.jsonl is not text"),
    "not json": ("a.jsonl", b'{"text": "good"}\n\n{"text": bad}', r"a\.jsonl:3 is not JSON"),
    "no object": ("a.jsonl", b'["text"]', r"a\.jsonl:1 holds a list"),
    "no key": ("a.jsonl", b'{"body": "x", "id": 1}', r"no key 'text'. It has: body, id. .*--text-key"),
    "key without text": ("a.jsonl", b'{"text": 1}', r"a int under 'text'.*--text-key"),
    "no rows": ("a.jsonl", b'{"text": ""}', r"a\.jsonl has no row with text"),
    "two columns": ("a.csv", b"x,y,z\na,b,1\n", r"2 columns of text.*--text-column; it has: x, y, z"),
    "no column": ("a.csv", b"x,y\n1,2\n", r"no column of text.*it has: x, y"),
    "ragged": ("a.csv", b'x\n"a\n', r"a\.csv cannot be read as a table"),
    "empty table": ("a.csv", b"", r"a\.csv cannot be read as a table"),
    "not parquet": ("a.parquet", b"PAR0", r"a\.parquet cannot be read as a table"),
    "too little": ("a.txt", b"only one line", r"13 bytes of text.*Add text"),
    "repeats itself": ("a.txt", b"one line\n" * 20000, r"bytes of text that does not repeat itself.*Add text"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_a_bad_file_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    name, content, message = BAD[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal, match=message) as refusal:
        prepare([str(tmp_path / name)], cache=tmp_path / "cache")
    assert "\n" not in str(refusal.value)


def test_a_missing_path_is_refused_with_what_is_near(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("x")
    with pytest.raises(Refusal, match=r"no file or folder .*corpos\.txt\. Near it: corpus\.txt"):
        prepare([str(tmp_path / "corpos.txt")], cache=tmp_path)
    with pytest.raises(Refusal, match=r"no folder .* either"):
        prepare([str(tmp_path / "nowhere" / "a.txt")], cache=tmp_path)
    with pytest.raises(Refusal, match="No data is given"):
        prepare([], cache=tmp_path)


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(Refusal, match="holds no files"):
        prepare([str(tmp_path / "none")], cache=tmp_path)
    (tmp_path / "none" / "a.bin").write_bytes(bytes(100))
    (tmp_path / "none" / "b.txt").write_bytes(b"")
    with pytest.raises(Refusal, match=r"no text in the 2 files given \(1 binary, 1 empty"):
        prepare([str(tmp_path / "none")], cache=tmp_path)


def test_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("words,number\nx,1\n")
    with pytest.raises(Refusal, match=r"no column 'word'. It has: words, number"):
        prepare([str(tmp_path / "a.csv")], text_column="word", cache=tmp_path)

"""Labelled: texts with a label each, in three parts, to see what a trained model is worth on another task.

A row is `{"text": ..., "label": ...}`, and may have
`split`  train, dev or test: all rows have one, or none; without it 70 / 10 / 20 % by hash;
`group`  where the text is from: all rows of a group are in one part;
`unit`   rows that are right or wrong together, like two wordings of one question: the interval of a score counts them so.
"""

import dataclasses
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from allometry.data._document import clean
from allometry.data._source import origins
from allometry.data._split import place
from allometry.data._table import table_rows
from allometry.flow import Refusal
from allometry.spec import content_id

# Raised by one whenever the same rows give other examples or other parts.
FORMAT = 1
PARTS = ("train", "dev", "test")
TRAIN, DEV = 0.7, 0.1  # share of the hashes; the rest is the test
DEV_OF_TRAIN = 0.125  # the same share, where the rows name a train and a test part only
FEWEST = 40  # examples to learn from, and to be scored on: below it an accuracy has an interval of 30 points
WORDS = r"\w+|[^\w\s]"  # of a text; a sign is a word of its own
TABLES = (".csv", ".parquet")
LINES = (".jsonl", ".ndjson")


class Example(NamedTuple):
    """One text and what it is."""

    text: bytes  # UTF-8
    label: int  # place in the labels of its set
    group: str  # where it is from; empty where the rows do not say
    unit: str  # examples of one unit are right or wrong together

    @property
    def cluster(self) -> str:
        """What an interval takes for one draw: all texts from one place, which are alike, else those of one unit."""
        return self.group or self.unit


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """A set of labelled texts. No text and no group is in two parts."""

    name: str
    fingerprint: str  # hash of all examples and of the rule that splits them
    labels: tuple[str, ...]  # sorted
    parts: dict[str, tuple[Example, ...]]  # train, dev, test
    about: dict[str, Any]  # plain JSON: counts, what was removed, how it was split


class Row(NamedTuple):
    """A row before it is in a part."""

    text: bytes
    label: str
    part: str  # empty where the row does not say
    group: str
    unit: str


def read_labelled(path: Path, text_key: str = "text", label_key: str = "label") -> Labelled:
    """The labelled texts of a .jsonl, .csv or .parquet file.

    A text that stands there twice is taken once: from the test part if it is there, else from the dev part. A text with
    two labels is taken not at all, as no answer to it is right. `about` counts both.
    """
    keys = {"text": text_key, "label": label_key}
    counts = {"rows": 0, "empty_removed": 0, "binary_removed": 0}
    rows = []
    for where, row in _rows(path, keys):
        counts["rows"] += 1
        raw = _text(where, row, text_key).encode(errors="replace")
        text, label = clean(raw), _label(where, row, label_key)
        if text is None or not text.strip():
            counts["binary_removed" if text is None else "empty_removed"] += 1
        else:
            rows.append(Row(text, label, _part(where, row), _word(row, "group"), _word(row, "unit")))
    if not rows:
        raise Refusal(f"{path} has no row with text in it ({counts['rows']} rows). Give a file with texts and labels.")
    return assemble(path.name, str(path), rows, {"source": path.name, **counts})


def assemble(name: str, where: str, rows: list[Row], about: dict[str, Any]) -> Labelled:
    """The set of some rows; `where` is what a refusal names, and `about` what is known of them beyond their counts."""
    kept, removed = _unique(rows)
    parts, rule = _split(where, kept)
    labels = tuple(sorted({row.label for row in kept}))
    _check(where, labels, parts)
    number = {label: index for index, label in enumerate(labels)}
    examples = {
        part: tuple(Example(row.text, number[row.label], row.group, row.unit or row.group or digest(row.text)) for row in of)
        for part, of in parts.items()
    }
    counted = {
        "examples": {part: len(of) for part, of in examples.items()},
        "labels": {part: dict(sorted(Counter(labels[e.label] for e in of).items())) for part, of in examples.items()},
        "groups": {part: len({e.group for e in of} - {""}) for part, of in examples.items()},
        "units": {part: len({e.unit for e in of}) for part, of in examples.items()},
        "most_bytes": max(len(row.text) for row in kept),
        "split": rule,
    }
    content = [[part, digest(e.text), labels[e.label], e.group, e.unit] for part in PARTS for e in examples[part]]
    return Labelled(
        name=name,
        fingerprint=content_id([FORMAT, rule, content]),
        labels=labels,
        parts=examples,
        about={**removed, **counted, **about},
    )


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _rows(path: Path, keys: dict[str, str]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Where a row stands, and the row."""
    kind = path.suffix.lower()
    if path.is_dir() or (path.exists() and kind not in LINES + TABLES):
        what = "a folder" if path.is_dir() else f"a file of kind '{kind}'"
        raise Refusal(f"{path} is {what}, not a table of labelled texts. Give a .jsonl, .csv or .parquet file.")
    origins([str(path)])  # refuses a path that is not there, and names what is near it
    return _of_table(path, keys) if kind in TABLES else _of_lines(path)


def _of_table(path: Path, keys: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = table_rows(path, list(keys.values()), ["split", "group", "unit"])
    for number, row in enumerate(rows, start=1):
        yield f"{path}, row {number}", row


def _of_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}. Make it readable, or leave it out.") from error
    text = clean(raw)
    if text is None:
        raise Refusal(f"{path} is not text (NUL bytes, or over 10 % of the bytes are no UTF-8). Give lines of JSON.")
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise Refusal(f"{where} is not JSON ({error}). Mend or remove the line.") from error
        if not isinstance(row, dict):
            kind = type(row).__name__
            raise Refusal(f'{where} holds a {kind}, not an object. Each line must be like {{"text": ..., "label": ...}}.')
        yield where, row


def _value(where: str, row: dict[str, Any], key: str) -> Any:
    if key not in row:
        have = ", ".join(map(str, row)) or "none"
        raise Refusal(f"{where} has no '{key}'. It has: {have}. Rename one to '{key}'.")
    return row[key]


def _text(where: str, row: dict[str, Any], key: str) -> str:
    value = _value(where, row, key)
    if not isinstance(value, str):
        raise Refusal(f"{where} has a {type(value).__name__} under '{key}', not a text. Put the text under '{key}'.")
    return value


def _label(where: str, row: dict[str, Any], key: str) -> str:
    """A label as a word: true and false as in JSON, numbers without a point."""
    value = _value(where, row, key)
    if not isinstance(value, str | int) or value == "":  # a bool is an int
        what = "an empty text" if value == "" else f"a {type(value).__name__} ({value})"
        raise Refusal(f"{where} has {what} under '{key}'. A label is a word, a whole number, or true and false: write one.")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _part(where: str, row: dict[str, Any]) -> str:
    value = _word(row, "split")
    if value and value not in PARTS:
        raise Refusal(f"{where} is in the split '{value}'. Write train, dev or test, or leave 'split' out of all rows.")
    return value


def _word(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def _unique(rows: list[Row]) -> tuple[list[Row], dict[str, int]]:
    """One row for each text, in the order given, and how many went."""
    of_text: dict[bytes, list[Row]] = defaultdict(list)
    for row in rows:
        of_text[row.text].append(row)
    clear = {text: same for text, same in of_text.items() if len({row.label for row in same}) == 1}
    # max() takes the first of several in one part.
    kept = [max(same, key=lambda row: PARTS.index(row.part) if row.part else 0) for same in clear.values()]
    clear_rows = sum(map(len, clear.values()))
    return kept, {"duplicates_removed": clear_rows - len(kept), "two_labels_removed": len(rows) - clear_rows}


def _split(where: str, rows: list[Row]) -> tuple[dict[str, list[Row]], str]:
    """The rows of each part, and the rule in words."""
    given = sum(bool(row.part) for row in rows)
    grouped = sum(bool(row.group) for row in rows)
    for key, count in (("split", given), ("group", grouped)):
        if 0 < count < len(rows):
            raise Refusal(f"{where} has a '{key}' in {count} of {len(rows)} rows. Write one in every row, or in none.")
    # Rows of one group or unit have one hash.
    hashes = [place(row.group or row.unit or digest(row.text)) for row in rows]
    by = "group" if grouped else "unit, else by hash of the text" if any(row.unit for row in rows) else "text"
    if not given:
        named = ["train" if at < TRAIN else "dev" if at < TRAIN + DEV else "test" for at in hashes]
        rule = f"70 % train, 10 % dev, 20 % test, by hash of the {by}"
    elif any(row.part == "dev" for row in rows):
        named, rule = [row.part for row in rows], "as the rows say"
    else:
        named = ["dev" if r.part == "train" and at < DEV_OF_TRAIN else r.part for r, at in zip(rows, hashes, strict=True)]
        rule = f"as the rows say; an eighth of the train part is dev, by hash of the {by}"
    parts: dict[str, list[Row]] = {part: [] for part in PARTS}
    home: dict[tuple[str, str], str] = {}
    for row, part in zip(rows, named, strict=True):
        for kind, value in (("group", row.group), ("unit", row.unit)):
            if value and home.setdefault((kind, value), part) != part:
                raise Refusal(
                    f"{where} has the {kind} '{value}' in {home[kind, value]} and in {part}, so the score would know it. "
                    f"Put its rows in one split, or leave out '{kind}' or 'split'."
                )
        parts[part].append(row)
    return parts, rule


def _check(where: str, labels: tuple[str, ...], parts: dict[str, list[Row]]) -> None:
    """Refuse what no score can come of."""
    sizes = {part: len(rows) for part, rows in parts.items()}
    have = ", ".join(f"{size} in {part}" for part, size in sizes.items())
    if len(labels) < 2:
        only = f"only the label '{labels[0]}'" if labels else "no text with one label"
        raise Refusal(f"{where} has {only} in {sum(sizes.values())} rows. Add rows with another label.")
    for part in ("train", "test"):
        if sizes[part] < FEWEST:
            raise Refusal(
                f"{where} has too few different texts: {have}; at least {FEWEST} in {part} are needed. "
                "Add rows, or write the part of each under 'split'."
            )
    if not parts["dev"]:
        raise Refusal(
            f"{where} has nothing to choose a setting by: {have}. Add rows or groups, or write 'split' dev in some."
        )
    if len({row.label for row in parts["train"]}) < 2:
        label = parts["train"][0].label
        raise Refusal(f"{where} has only the label '{label}' in its train part ({have}). Put rows of another label there.")

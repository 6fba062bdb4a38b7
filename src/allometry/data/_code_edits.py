"""Code edits: is a passage of real code as it was written? Downstream sets that every machine has.

```text
Text:  def area(self):                        Label:  true
           return self.width * self.height

Text:  def area(self):                        Label:  edited
           return self.height * self.width
```
The passages are from the source of Python's standard library, each of them twice: as it is, and with a minimal edit (`_edit.py`)
that exchanges two of its places. Both have the same words, so a bag of words scores 50 % by construction. The test passages are
from the packages that the corpus of `stdlib` holds out, so no model trained on that corpus has seen them; train and dev are from
the others. A corpus of `stdlib` and more may hold out other packages: compare `about["test_packages"]` with its
`held_out_groups`.
"""

import ast
import dataclasses
import difflib
import json
import platform
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allometry.data._cache import entry, note, noted, whole, write_json
from allometry.data._document import Document
from allometry.data._duplicate import without_duplicates, without_leaks
from allometry.data._edit import KINDS, Edit, edits
from allometry.data._labelled import PARTS, WORDS, Labelled, Row, assemble, read_labelled
from allometry.data._read import read
from allometry.data._source import origins
from allometry.data._split import cut, place, split
from allometry.flow import Refusal
from allometry.spec import content_id

# Raised by one whenever the same sources give other pairs.
FORMAT = 3
PREFIX = "stdlib:"
MOST_BYTES = 80  # of a text: the longer it is, the more examples a small model needs to find the edit in it
SIZES = {"train": 4000, "dev": 300, "test": 700}  # pairs of each kind, at most
DEV = 0.15  # share of the packages that are not held out
ENOUGH = 60_000  # bytes of a package that edits are looked for in, to learn from: they hold several times what is taken


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pair:
    """A true passage and its edit."""

    true: bytes
    edited: bytes
    package: str
    place: str  # file and line
    sort: str


def labelled(name: str, cache: Path) -> Labelled:
    """The labelled texts that are meant: `stdlib:operands`, `stdlib:arguments`, `stdlib:names`, or the path of a file."""
    if not name.startswith(PREFIX):
        return read_labelled(Path(name).expanduser())
    kind = name.removeprefix(PREFIX)
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        meant = f"Did you mean {PREFIX}{near[0]}? " if near else ""
        raise Refusal(f"There is no {name}. {meant}There are: {', '.join(PREFIX + kind for kind in KINDS)}.")
    return code_edits(kind, cache)


def code_edits(kind: str, cache: Path, sizes: dict[str, int] = SIZES, most_bytes: int = MOST_BYTES) -> Labelled:
    """The set of one kind of edit. All kinds are made at once, and kept; next time they are only read."""
    assert kind in KINDS, kind
    settings = {"format": FORMAT, "sizes": sizes, "most_bytes": most_bytes, "python": platform.python_version()}
    found = origins(["stdlib"])
    stamp = content_id(["code edits", settings, [[o.path, o.name, *o.stat] for o in found]])
    fingerprint = noted(cache, stamp)
    if not fingerprint or not whole(cache / fingerprint):
        reading = read(found, "text", None)
        fingerprint = content_id(["code edits", settings, reading.files])
        if not whole(cache / fingerprint):
            train, held_out = _sides(reading.documents)
            with entry(cache / fingerprint) as folder:
                for each, parts in pairs(train, held_out, sizes, most_bytes).items():
                    write_json(folder / f"{each}.json", {part: [_plain(p) for p in of] for part, of in parts.items()})
        note(cache, stamp, fingerprint)
    stored = json.loads((cache / fingerprint / f"{kind}.json").read_text())
    parts = {part: [Pair(**_bytes(fields)) for fields in stored[part]] for part in PARTS}
    return as_labelled(kind, parts)


def as_labelled(kind: str, parts: dict[str, list[Pair]]) -> Labelled:
    """The texts of some pairs; the two of a pair are a unit."""
    rows = [
        Row(text=text, label=label, part=part, group=pair.package, unit=pair.place)
        for part, of in parts.items()
        for pair in of
        for text, label in ((pair.true, "true"), (pair.edited, "edited"))
    ]
    about = {
        "source": "source of the Python standard library",
        "python": platform.python_version(),
        "edit": kind,
        "pairs": {part: len(of) for part, of in parts.items()},
        "packages": {part: len({pair.package for pair in of}) for part, of in parts.items()},
        "test_packages": _counts([pair.package for pair in parts["test"]]),
        "split": "by package: the test from those that the corpus of `stdlib` alone holds out, and no passage of it stands in "
        f"the training part; dev from {DEV:.0%} of the others, by hash",
    }
    if kind == "operands":
        about["test_sorts"] = _counts([pair.sort for pair in parts["test"]])
    return assemble(PREFIX + kind, PREFIX + kind, rows, about)


def pairs(
    train: list[Document], held_out: list[Document], sizes: dict[str, int], most_bytes: int
) -> dict[str, dict[str, list[Pair]]]:
    """Kind -> part -> pairs; `train` and `held_out` are the documents of the two sides of the corpus."""
    dev = [document for document in train if place(f"dev {document.group}") < DEV]
    rest = [document for document in train if place(f"dev {document.group}") >= DEV]
    sides = {"test": held_out, "dev": dev, "train": rest}
    learned = _Text(b"\n".join(document.text for document in train))
    result: dict[str, dict[str, list[Pair]]] = {kind: {} for kind in KINDS}
    seen: dict[str, set[bytes]] = {kind: set() for kind in KINDS}
    for part, documents in sides.items():
        packages = _packages(documents, None if part == "test" else ENOUGH)
        for kind in KINDS:
            known = learned if part == "test" else _Text(b"")
            result[kind][part] = _chosen(packages, kind, sizes[part], most_bytes, seen[kind], known)
    return result


def _sides(documents: list[Document]) -> tuple[list[Document], list[Document]]:
    """What the corpus of these documents trains on, and what it holds out."""
    train, candidates = split(without_duplicates(cut(documents)))
    return train, without_leaks(candidates, train)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _File:
    """A file of a package and its edits."""

    name: str
    text: bytes
    lines: list[bytes]
    edits: list[Edit]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Package:
    name: str
    files: list[_File]
    text: bytes  # of all files


class _Text:
    """A long text, to be asked quickly whether it holds some lines."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._lines = frozenset(text.split(b"\n"))

    def holds(self, lines: list[bytes]) -> bool:
        return self._lines.issuperset(lines) and b"\n".join(lines) in self._text


def _packages(documents: list[Document], enough: int | None) -> list[_Package]:
    """The packages, in the order of their hashes, with the edits of their files, or of enough of these by their hash."""
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in sorted(documents, key=lambda document: place(document.name)):
        groups[document.group].append(document)
    packages = []
    for name, own in sorted(groups.items(), key=lambda item: place(item[0])):
        files: list[_File] = []
        for document in own:
            if enough is None or sum(len(file.text) for file in files) < enough:
                lines = document.text.split(b"\n")
                files.append(_File(name=document.name, text=document.text, lines=lines, edits=edits(document.text)))
        packages.append(_Package(name=name, files=files, text=b"\n".join(document.text for document in own)))
    return packages


def _chosen(packages: list[_Package], kind: str, most: int, most_bytes: int, seen: set[bytes], learned: _Text) -> list[Pair]:
    """At most so many pairs, from every package in turn, so that none has more than it must."""
    streams = [_pairs(package, kind, most_bytes, seen, learned) for package in packages]
    chosen: list[Pair] = []
    while streams and len(chosen) < most:
        alive = []
        for stream in streams:
            pair = next(stream, None) if len(chosen) < most else None
            if pair is not None:
                chosen.append(pair)
                alive.append(stream)
        streams = alive
    return sorted(chosen, key=lambda pair: place(pair.place))


def _pairs(package: _Package, kind: str, most_bytes: int, seen: set[bytes], learned: _Text) -> Iterator[Pair]:
    """The good pairs of a package: all sorts of edits in turn, no two passages with a line in common."""
    sorts: dict[str, list[tuple[float, _File, Edit]]] = defaultdict(list)
    for file in package.files:
        for edit in file.edits:
            if edit.kind == kind:
                sorts[edit.sort].append((place(f"{file.name}:{edit.one}:{edit.other}"), file, edit))
    for of in sorts.values():
        of.sort(key=lambda item: item[0], reverse=True)
    used: dict[str, set[int]] = defaultdict(set)
    turns = sorted(sorts, key=lambda sort: place(f"{package.name} {sort}"))
    while turns:
        turns = [sort for sort in turns if sorts[sort]]
        for sort in turns:
            while sorts[sort]:
                _, file, edit = sorts[sort].pop()
                passage = _passage(file.lines, edit, most_bytes, used[file.name])
                if passage is None:
                    continue
                pair = _pair(package, file, edit, passage)
                if pair is None or pair.true in seen or pair.edited in seen:
                    continue
                if learned.holds(file.lines[slice(*passage)]):
                    continue
                used[file.name].update(range(*passage))
                seen.update((pair.true, pair.edited))
                yield pair
                break


def _passage(lines: list[bytes], edit: Edit, most_bytes: int, used: set[int]) -> tuple[int, int] | None:
    """The first line and the line behind a passage: an edit, and the lines above it while they fit.

    None where it is too long, or would need a line that is used. Nothing follows the edit, so that it is asked for at once: with
    lines behind it and 232 bytes, a transformer of 37,000 parameters learned nothing in 1000 steps of 16.
    """
    first, last = edit.one.number, edit.other.number + 1

    def fits(first: int) -> bool:
        return edit.first <= first and first not in used and len(_dedented(lines[first:last])) <= most_bytes

    if not used.isdisjoint(range(first, last)) or not fits(first):
        return None
    while fits(first - 1):
        first -= 1
    while not lines[first].strip():
        first += 1
    return first, last


def _dedented(lines: list[bytes]) -> bytes:
    """The lines without the indentation that all have."""
    indent = min(len(line) - len(line.lstrip(b" ")) for line in lines if line.strip()) if any(map(bytes.strip, lines)) else 0
    return b"\n".join(line[indent:] if line.strip() else b"" for line in lines)


def _pair(package: _Package, file: _File, edit: Edit, passage: tuple[int, int]) -> Pair | None:
    """The pair of an edit, or None where it is no error for certain: a changed line stands in its package, or does not parse."""
    changed = edit.lines(file.lines)
    if any(line.strip() in package.text for line in changed.values()):
        return None
    function = [changed.get(number, file.lines[number]) for number in range(edit.first, edit.last)]
    true = _dedented(file.lines[slice(*passage)])
    edited = _dedented(function[passage[0] - edit.first : passage[1] - edit.first])
    # Words that no space parts may have grown together.
    if true == edited or _bag(true) != _bag(edited) or not _parses(function):
        return None
    at = f"{file.name}:{edit.one.number + 1}"
    return Pair(true=true, edited=edited, package=package.name, place=at, sort=edit.sort)


def _bag(text: bytes) -> list[str]:
    return sorted(re.findall(WORDS, text.decode()))


def _parses(function: list[bytes]) -> bool:
    """Are these lines of a function Python?"""
    # A function that stands deeper needs something to stand in.
    above = [b"if 1:"] if function[0][:1].isspace() else []
    try:
        ast.parse(b"\n".join(above + function))
    except (SyntaxError, ValueError):
        return False
    return True


def _plain(pair: Pair) -> dict[str, str]:
    return dataclasses.asdict(pair) | {"true": pair.true.decode(), "edited": pair.edited.decode()}


def _bytes(fields: dict[str, str]) -> dict[str, Any]:
    return fields | {"true": fields["true"].encode(), "edited": fields["edited"].encode()}


def _counts(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}

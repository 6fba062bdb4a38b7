"""Origin -> documents: plain text, JSON lines, tables, and data sets of the Hugging Face hub."""

import dataclasses
import hashlib
import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from allometry.data._document import Document, clean
from allometry.data._source import Origin
from allometry.data._table import column_text, hub_text
from allometry.flow import Refusal

PEEK = 65536  # bytes of a file in a folder that are looked at before the whole is read


@dataclasses.dataclass(kw_only=True)
class Reading:
    """What was read from all origins."""

    documents: list[Document] = dataclasses.field(default_factory=list)
    files: list[tuple[str, str, int, str]] = dataclasses.field(default_factory=list)  # name, group, bytes, SHA-256
    binary: int = 0  # files and rows that are no text and were skipped
    empty: int = 0
    tables: int = 0  # tables in a folder that hold no single column of text


def read(origins: list[Origin], text_key: str, text_column: str | None) -> Reading:
    """Read everything. A file is a document; a row is a document. Refuses when nothing is left."""
    reading = Reading()
    for origin in origins:
        _READERS.get(Path(origin.path).suffix.lower(), _plain)(reading, origin, text_key, text_column)
    if not reading.documents:
        skipped = f"{reading.binary} binary, {reading.empty} empty, {reading.tables} tables without one column of text"
        raise Refusal(
            f"There is no text in the {len(origins)} files given ({skipped}). Give text, or name its column or key."
        )
    return reading


def _plain(reading: Reading, origin: Origin, text_key: str, text_column: str | None) -> None:
    if origin.remote:
        return _hub(reading, origin, text_column)
    raw = _bytes(reading, origin)
    if raw is None:
        return
    text = clean(raw)
    if text is None:
        return _refuse_binary(reading, origin)
    if text.strip():
        reading.documents.append(Document(name=origin.name, group=origin.group, text=text))
    elif origin.named:
        raise Refusal(f"{origin.path} is empty ({len(raw)} bytes, no text). Give a file with text in it.")
    else:
        reading.empty += 1


def _lines(reading: Reading, origin: Origin, text_key: str, text_column: str | None) -> None:
    raw = _bytes(reading, origin)
    if raw is None:
        return
    text = clean(raw)
    if text is None:
        return _refuse_binary(reading, origin)

    def rows() -> Iterator[str]:
        for number, line in enumerate(text.split(b"\n"), start=1):
            if line.strip():
                yield _row(f"{origin.path}:{number}", line, text_key)

    _rows(reading, origin, rows())


def _row(place: str, line: bytes, text_key: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise Refusal(f"{place} is not JSON ({error}). Mend or remove the line.") from error
    if not isinstance(row, dict):
        raise Refusal(
            f"{place} holds a {type(row).__name__}, not an object with a text. Each line must be like {{'text': ...}}."
        )
    if text_key not in row:
        raise Refusal(
            f"{place} has no key '{text_key}'. It has: {', '.join(row) or 'none'}. Name the text's with --text-key."
        )
    if not isinstance(row[text_key], str):
        raise Refusal(
            f"{place} has a {type(row[text_key]).__name__} under '{text_key}', not a text. Name it with --text-key."
        )
    return row[text_key]


def _table(reading: Reading, origin: Origin, text_key: str, text_column: str | None) -> None:
    if _bytes(reading, origin) is None:
        return
    rows = column_text(Path(origin.path), text_column, required=origin.named)
    if rows is None:
        reading.tables += 1
    else:
        _rows(reading, origin, rows)


def _hub(reading: Reading, origin: Origin, text_column: str | None) -> None:
    name = origin.path.removeprefix("hf:")
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise Refusal(f"{origin.path} needs the datasets library. Install it: pip install 'allometry[hf]'.") from error
    rows = list(hub_text(datasets, name, text_column))
    content = hashlib.sha256("\0".join(rows).encode(errors="surrogatepass"))
    reading.files.append((origin.name, origin.group, sum(map(len, rows)), content.hexdigest()))
    _rows(reading, origin, rows)


def _rows(reading: Reading, origin: Origin, rows: Iterable[str]) -> None:
    before = len(reading.documents)
    for number, row in enumerate(rows):
        text = clean(row.encode(errors="replace"))  # a lone surrogate, legal in JSON, has no UTF-8
        if text is None:
            reading.binary += 1
        elif text.strip():
            # A row's side of the split hangs on its text, so that rows put in before it do not move it.
            group = "row " + hashlib.sha256(text).hexdigest()
            reading.documents.append(Document(name=f"{origin.name}:{number}", group=group, text=text))
        else:
            reading.empty += 1
    if origin.named and len(reading.documents) == before:
        raise Refusal(f"{origin.path} has no row with text in it. Give a file with text, or name its column or key.")


def _bytes(reading: Reading, origin: Origin) -> bytes | None:
    """The bytes of a file, entered into the list of files; None for a binary file in a folder, seen from its beginning."""
    columnar = origin.path.lower().endswith(".parquet")
    try:
        with open(origin.path, "rb") as file:
            start = file.read(PEEK)
            wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16 text is full of NUL bytes
            if not columnar and not origin.named and not wide and b"\x00" in start:
                reading.binary += 1
                return None
            raw = start + file.read()
    except OSError as error:
        raise Refusal(f"{origin.path} cannot be read: {error.strerror}. Make it readable, or leave it out.") from error
    reading.files.append((origin.name, origin.group, len(raw), hashlib.sha256(raw).hexdigest()))
    return raw


def _refuse_binary(reading: Reading, origin: Origin) -> None:
    if origin.named:
        raise Refusal(
            f"{origin.path} is not text (NUL bytes, or over 10 % of the bytes are no UTF-8). Give text; iconv converts."
        )
    reading.binary += 1


_READERS = {".jsonl": _lines, ".ndjson": _lines, ".csv": _table, ".parquet": _table}

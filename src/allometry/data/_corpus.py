"""Corpus: tokens of a training part and of held-out documents, mapped from files, with all that is known of them.

read -> clean -> remove duplicates -> split by group -> remove leaks -> tokenize -> write; and next time only map.
"""

import dataclasses
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt, UInt8

from allometry.data._cache import entry, note, noted, whole, write_json
from allometry.data._document import Document
from allometry.data._duplicate import without_duplicates, without_leaks
from allometry.data._read import Reading, read
from allometry.data._source import origins
from allometry.data._split import cut, in_training_order, split
from allometry.data._tokenizer import TOKENIZER, Tokenizer, again, check_name, decode, make, token_bytes, token_type
from allometry.flow import Refusal
from allometry.spec import content_id

# Raised by one whenever the same sources give other tokens.
FORMAT = 1


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Corpus:
    """The tokens of some text. Token 0 ends a document."""

    fingerprint: str  # hash of the content of all files and of all settings
    train: np.memmap  # tokens of the training part, one document after another, each ended by token 0
    held_out: UInt[np.ndarray, " tokens"]  # the held-out documents one after another, with no token between
    offsets: Int[np.ndarray, " bounds"]  # document i is held_out[offsets[i]:offsets[i + 1]]
    texts: list[bytes]  # the bytes of each token; token 0 is byte 0
    about: dict[str, Any]  # plain JSON: what was read, removed and held out
    folder: Path  # holds about.json, and files.json: [name, group, bytes, SHA-256] of every file read

    @property
    def vocab(self) -> int:
        return len(self.texts)

    @property
    def documents(self) -> int:
        """Held-out documents."""
        return len(self.offsets) - 1

    @property
    def token_bytes(self) -> Int[np.ndarray, " vocab"]:
        """Bytes of text that each token stands for; the end of a document stands for none."""
        return token_bytes(self.texts)

    def document(self, index: int) -> UInt[np.ndarray, " tokens"]:
        """The tokens of a held-out document, without its end."""
        return self.held_out[self.offsets[index] : self.offsets[index + 1]]

    def encode(self, texts: list[bytes]) -> list[np.ndarray]:
        """The tokens of other texts, by the same tokenizer."""
        path = self.folder / TOKENIZER
        if len(self.texts) > 256 and not path.exists():
            raise Refusal(
                f"{self.folder} was prepared by an earlier version and keeps no tokenizer. Delete it and start again."
            )
        documents = [Document(name="", group="", text=text) for text in texts]
        return [tokens.astype(np.int64) for tokens in again(self.texts, path).encode(documents)]

    def decode(self, tokens: np.ndarray) -> UInt8[np.ndarray, " bytes"]:
        """The bytes of some tokens; the end of a document is byte 0."""
        return decode(self.texts, tokens)


def prepare(
    sources: Sequence[str],
    *,
    tokenizer: str = "bytes",
    text_key: str = "text",
    text_column: str | None = None,
    cache: Path,
) -> Corpus:
    """The corpus of some sources: files, folders, `hf:name`, `stdlib`. Reads them only if they changed since the last time.

    Unchanged means: the same names, sizes and times. A damaged or half-written cache is made again.
    """
    check_name(tokenizer)
    settings = {"format": FORMAT, "tokenizer": tokenizer, "text_key": text_key, "text_column": text_column}
    if tokenizer != "bytes":
        settings["tokenizers"] = version("tokenizers")  # another version may learn other merges
    found = origins(sources)
    local = not any(origin.remote for origin in found)  # a data set of the hub has no time of change
    stamp = content_id([settings, [[o.path, o.name, o.group, *o.stat] for o in found]])
    fingerprint = noted(cache, stamp) if local else None
    if fingerprint and whole(cache / fingerprint):
        return load(cache / fingerprint)
    reading = read(found, text_key, text_column)
    fingerprint = content_id([settings, reading.files])
    if not whole(cache / fingerprint):
        _build(list(sources), settings, reading, cache / fingerprint)
    if local:
        note(cache, stamp, fingerprint)
    return load(cache / fingerprint)


def load(folder: Path) -> Corpus:
    """Map a corpus that was written. Does not look for damage."""
    texts = [text.encode("latin-1") for text in json.loads((folder / "vocabulary.json").read_text())]
    return Corpus(
        fingerprint=folder.name,
        train=np.load(folder / "train.npy", mmap_mode="r"),
        held_out=np.load(folder / "held_out.npy", mmap_mode="r"),
        offsets=np.load(folder / "offsets.npy"),
        texts=texts,
        about=json.loads((folder / "about.json").read_text()),
        folder=folder,
    )


def _build(sources: list[str], settings: dict[str, Any], reading: Reading, folder: Path) -> None:
    documents = cut(reading.documents)
    unique = without_duplicates(documents)
    train, candidates = split(unique)
    held_out = without_leaks(candidates, train)
    train = in_training_order(train)
    if not train or not held_out:
        have = sum(len(document.text) for document in unique)
        raise Refusal(
            f"{', '.join(sources)} has {have} bytes of text that does not repeat itself: too little to hold any out. "
            "At least some 30,000 bytes are needed. Add text."
        )
    encoder = make(settings["tokenizer"], train)
    counts = {
        "duplicates_removed": len(documents) - len(unique),
        "leaks_removed": len(candidates) - len(held_out),
        "binary_skipped": reading.binary,
        "empty_skipped": reading.empty,
        "tables_skipped": reading.tables,
    }
    about = {"sources": sources, **settings, **_facts(reading, train, held_out), **counts}
    about["cut_into_blocks"] = len(documents) != len(reading.documents)
    if "stdlib" in sources:
        about["python"] = platform.python_version()
    with entry(folder) as part:
        about["train_tokens"], about["held_out_tokens"] = _write(part, encoder, train, held_out)
        if encoder.encoder is not None:
            encoder.encoder.save(str(part / TOKENIZER))
        write_json(part / "vocabulary.json", [text.decode("latin-1") for text in encoder.texts])
        write_json(part / "files.json", reading.files)
        write_json(part / "about.json", about)


def _facts(reading: Reading, train: list[Document], held_out: list[Document]) -> dict[str, Any]:
    def size(documents: list[Document]) -> int:
        return sum(len(document.text) for document in documents)

    groups = sorted({document.group for document in held_out})
    return {
        "files": len(reading.files),
        "files_hash": content_id(reading.files),
        "documents": len(reading.documents),
        "bytes": size(reading.documents),
        "train_documents": len(train),
        "train_bytes": size(train),
        "held_out_documents": len(held_out),
        "held_out_bytes": size(held_out),
        "held_out_groups": groups[:100],  # enough to be read; files.json and the split's rule give the rest
        "held_out_groups_count": len(groups),
    }


def _write(part: Path, encoder: Tokenizer, train: list[Document], held_out: list[Document]) -> tuple[int, int]:
    """Write the tokens; return how many there are in the training part and held out."""
    kind = token_type(len(encoder.texts))
    end = np.zeros(1, dtype=kind)
    stream = np.concatenate([piece for tokens in encoder.encode(train) for piece in (tokens, end)])
    pieces = list(encoder.encode(held_out))
    np.save(part / "train.npy", stream)
    np.save(part / "held_out.npy", np.concatenate(pieces))
    np.save(part / "offsets.npy", np.cumsum([0] + [len(piece) for piece in pieces], dtype=np.int64))
    return len(stream), int(sum(map(len, pieces)))

"""The held-out split: whole groups, chosen by the hash of their name, so that new documents do not move old ones.

A corpus of a few large files is first cut into blocks; then a group is a stretch of blocks in a row, as scattered
blocks would be scored on text whose two neighbours were trained on.
"""

import dataclasses
import hashlib

from allometry.data._document import Document

FEW = 20  # documents below which they are cut into blocks
LARGE = 0.2  # share of the corpus from which on a single document is cut among many
STRETCH = 4  # blocks in a row that are held out together
SHARE = 0.05  # of the groups
FLOOR = 64 << 10  # bytes; under it a loss is too uncertain
CEILING = 2 << 20  # bytes; more is not scored anyway
LEAST_DOCUMENTS = 8
WANTED_DOCUMENTS = 32  # the sampling of documents is a part of every interval
ROOM, LAST_ROOM = 0.1, 0.2  # share of the bytes that may be held out to have what is wanted, and what is needed


def cut(documents: list[Document]) -> list[Document]:
    """The documents, or their blocks when they are fewer than twenty; a giant among many is cut too.

    A block has 4 to 16 KiB, 1 KiB in a tiny corpus: about 1/256 of the whole, but a power of two, so that a text that
    grows keeps its blocks.
    """
    total = sum(len(document.text) for document in documents)
    size = 1 << min(14, max(10, (total // 256).bit_length()))
    largest = LARGE * total if len(documents) >= FEW else 0
    pieces = ([document] if len(document.text) < largest else _blocks(document, size) for document in documents)
    return [piece for some in pieces for piece in some]


def _blocks(document: Document, size: int) -> list[Document]:
    blocks = []
    start = 0
    while start < len(document.text):
        end = _cut(document.text, start, size)
        group = f"{document.group}#{len(blocks) // STRETCH}x{size}"
        blocks.append(dataclasses.replace(document, group=group, text=document.text[start:end], part=len(blocks)))
        start = end
    return blocks


def _cut(text: bytes, start: int, size: int) -> int:
    """Where the block that starts here ends: after a blank line, else a line, else a word, else between two characters."""
    end = start + size
    if len(text) - start <= size + size // 2:
        return len(text)
    for mark in (b"\n\n", b"\n", b" "):
        found = text.rfind(mark, start + size // 2, end)
        if found >= 0:
            return found + len(mark)
    while text[end] & 0xC0 == 0x80:  # a continuation byte of UTF-8
        end -= 1
    return end


def split(documents: list[Document]) -> tuple[list[Document], list[Document]]:
    """Training and held-out documents; about 5 % of the groups are held out.

    At least 64 KiB and 8 documents where a fifth of the corpus carries them; 32 documents where a tenth does; then at
    most 2 MiB.
    """
    sizes: dict[str, list[int]] = {}
    for document in documents:
        sizes.setdefault(document.group, []).append(len(document.text))
    total = sum(map(sum, sizes.values()))
    taken: set[str] = set()
    taken_bytes, taken_documents = 0, 0
    for group in sorted(sizes, key=place):
        needed = taken_bytes < FLOOR or taken_documents < LEAST_DOCUMENTS
        wanted = taken_documents < WANTED_DOCUMENTS or place(group) < SHARE
        if not needed and not wanted:
            break
        room = LAST_ROOM * total if needed else min(CEILING, ROOM * total)
        if taken_bytes + sum(sizes[group]) <= room:
            taken.add(group)
            taken_bytes += sum(sizes[group])
            taken_documents += len(sizes[group])
    train = [document for document in documents if document.group not in taken]
    return train, [document for document in documents if document.group in taken]


def place(name: str) -> float:
    """A fixed pseudo-random place of a name in [0, 1)."""
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:6], "big") / (1 << 48)


def in_training_order(train: list[Document]) -> list[Document]:
    """Neighbouring blocks of one file joined again; the whole shuffled by name, so that any beginning is a fair sample."""
    runs: list[list[Document]] = []
    for document in train:
        last = runs[-1][-1] if runs else None
        if last is not None and document.name == last.name and document.part == last.part + 1:
            runs[-1].append(document)
        else:
            runs.append([document])
    joined = [dataclasses.replace(run[0], text=b"".join(document.text for document in run)) for run in runs]
    return sorted(joined, key=lambda document: (place(f"{document.name}#{document.part}"), document.name))

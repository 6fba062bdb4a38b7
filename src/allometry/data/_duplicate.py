"""Removal of exact and near duplicates: what a model saw in training must not be what it is scored on.

A document is its set of shingles: hashes of five lines in a row (Broder 1997, "On the resemblance and containment of
documents", with lines in the place of words). It goes when most of its shingles stand in documents before it. That is
containment in all that came before, not resemblance to one other document, so the time is linear.
"""

import zlib
from collections.abc import Iterable

from allometry.data._document import Document

LINES = 5  # in a shingle
REPEATED = 0.8  # share of shingles seen before from which on a document is a duplicate
LEAKED = 0.5  # the same for a held-out document against the training part: here a doubt costs more than a document
DENSE = 1 << 26  # bytes of corpus up to which every shingle is kept; of a larger one a fixed share of all hashes


def shingles(text: bytes, keep: int = 1) -> list[int]:
    """Hashes of five lines (or sentences, where lines are long) in a row, without ASCII case and indentation; 1 in `keep`.

    Hashes are Python's own and differ between processes, so only their equality is used. Which shingles are kept hangs
    on their text alone: the same corpus has the same duplicates everywhere.
    """
    lines = [s for line in text.lower().replace(b". ", b".\n").split(b"\n") if (s := line.strip())]
    rows = [b"\n".join(lines[i : i + LINES]) for i in range(max(1, len(lines) - LINES + 1))]
    kept = rows if keep == 1 else [row for row in rows if zlib.crc32(row) % keep == 0] or rows[:1]
    return [hash(row) for row in kept]


def without_duplicates(documents: list[Document]) -> list[Document]:
    """The documents that are not, for the most part, repetitions of earlier ones."""
    keep = _keep(documents)
    seen: set[int] = set()
    kept = []
    for document in documents:
        own = shingles(document.text, keep)
        if _share(own, seen) <= REPEATED:
            kept.append(document)
            seen.update(own)
    return kept


def without_leaks(held_out: list[Document], train: list[Document]) -> list[Document]:
    """The held-out documents of which less than half stands in the training part."""
    keep = _keep(train)
    wanted = [shingles(document.text, keep) for document in held_out]
    # Only what is held out is looked for, so that the table stays small.
    found = set().union(*wanted) & _all(train, keep) if wanted else set()
    return [document for document, own in zip(held_out, wanted, strict=True) if _share(own, found) <= LEAKED]


def _all(documents: Iterable[Document], keep: int) -> set[int]:
    return {h for document in documents for h in shingles(document.text, keep)}


def _share(own: list[int], seen: set[int]) -> float:
    return sum(h in seen for h in own) / len(own)


def _keep(documents: list[Document]) -> int:
    return 1 + sum(len(document.text) for document in documents) // DENSE

"""Document: one text of a corpus, and how raw bytes become one.

Text is kept as UTF-8 with plain line ends and holds no NUL byte, so that byte 0 can end a document.
"""

import dataclasses

UNDECODABLE = 0.1  # share of the bytes from which on a file is noise, not text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    """A file, a row of a table, or a block of a larger file."""

    name: str
    group: str  # all documents of a group are on one side of the split
    text: bytes  # UTF-8
    part: int = 0  # position among the blocks of its file


def clean(raw: bytes) -> bytes | None:
    """The text as UTF-8 with `\\n` line ends, or None where the bytes are binary noise.

    >>> clean(b"one\\r\\ntwo"), clean(b"PK\\x00\\x03")
    (b'one\\ntwo', None)
    >>> clean("déjà vu, said in Latin-1".encode("latin-1")).decode()
    'déjà vu, said in Latin-1'
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            raw = raw.decode("utf-16").encode()
        except UnicodeError:
            return None
    if b"\x00" in raw:
        return None
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        raw.decode()
    except UnicodeDecodeError:
        if raw.decode(errors="replace").count("\ufffd") > UNDECODABLE * len(raw):
            return None
        raw = raw.decode("latin-1").encode()  # the usual reason of a few bad bytes in a western text
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw

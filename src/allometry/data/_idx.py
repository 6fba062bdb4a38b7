"""IDX, the files of MNIST (LeCun et al. 1998): two zero bytes, the type, the number of axes, their sizes, and the numbers.

Numbers are big-endian. A file may be compressed by gzip. Nothing is unpickled, and a file that is not whole is refused.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from allometry.flow import Refusal

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"


def read_idx(path: Path) -> np.ndarray:
    """The numbers of an IDX file, read-only."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Refusal(
            f"{path} cannot be read: {error.strerror}. Give the path of an IDX file, like train-images-idx3-ubyte.gz."
        ) from error
    if raw.startswith(GZIP):
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise Refusal(f"{path} is a damaged gzip file ({error}). Fetch it again.") from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in TYPES or raw[3] == 0:
        raise Refusal(
            f"{path} is no IDX file: it begins with {raw[:4].hex(' ') or 'nothing'}, where 00 00, a type (08 for bytes) and the "
            "number of axes stand in one. Give the files of MNIST, or write yours in that form."
        )
    kind, axes = np.dtype(TYPES[raw[2]]), raw[3]
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", raw[4:start]) if len(raw) >= start else ()
    promised = start + kind.itemsize * math.prod(shape)
    if len(raw) < start or len(raw) != promised:
        holds = f"promises {' x '.join(map(str, shape))} numbers in {promised} bytes" if shape else f"promises {axes} axes"
        raise Refusal(f"{path} {holds} and has {len(raw)}: it was cut or altered. Fetch it again.")
    return np.frombuffer(raw, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="), copy=False)

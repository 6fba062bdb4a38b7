"""Text for the tests of the data stage: made from a seed, so that no two documents share lines."""

import random
from pathlib import Path


def prose(seed: int, size: int) -> str:
    """About `size` characters in lines and paragraphs, with letters outside ASCII."""
    draw = random.Random(seed)
    syllables = ["ba", "ké", "li", "mon", "ru", "tha", "ß", "ver", "日", "zo"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(200)]
    lines, length = [], 0
    while length < size:
        line = " ".join(draw.choices(words, k=draw.randint(4, 12))) + ("." if draw.random() < 0.8 else ".\n")
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines)


def folder_of(path: Path, documents: int, size: int, first: int = 0) -> Path:
    """A folder with that many files of text."""
    path.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + documents):
        (path / f"file_{number}.txt").write_text(prose(number, size), encoding="utf-8")
    return path

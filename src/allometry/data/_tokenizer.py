"""Tokenizers: `bytes`, and `bpe:4096`, byte-level byte-pair encoding (Sennrich et al., 2016, arXiv:1508.07909).

Token 0 ends a document in both; it is byte 0, which no text holds. Every other token is a string of bytes, so a loss
per token becomes a loss per byte and tokenizers can be compared.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from allometry.data._document import Document
from allometry.flow import Refusal

SAMPLE = 16 << 20  # bytes of training text that a vocabulary is learned from
TOKENIZER = "tokenizer.json"  # the file of a corpus that holds its merges
BATCH = 4 << 20  # bytes that are encoded at a time


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Tokenizer:
    """A vocabulary, and the way from text to tokens."""

    texts: list[bytes]  # the bytes of each token; token 0 is b"\\0"
    encoder: Any = None  # of the tokenizers library; None where a token is a byte

    def encode(self, documents: list[Document]) -> Iterator[np.ndarray]:
        """The tokens of each document, without the token that ends it, in the smallest type that holds the vocabulary."""
        kind = token_type(len(self.texts))
        if self.encoder is None:
            for document in documents:
                yield np.frombuffer(document.text, dtype=kind)
            return
        for batch in _batches(documents):
            # add_special_tokens=False saves time; there are none to add.
            for encoding in self.encoder.encode_batch([d.text.decode() for d in batch], add_special_tokens=False):
                yield np.array(encoding.ids, dtype=kind)


def token_type(vocab: int) -> type[np.unsignedinteger]:
    """The smallest unsigned integer for this many symbols."""
    return np.uint8 if vocab <= 1 << 8 else np.uint16 if vocab <= 1 << 16 else np.uint32


def token_bytes(texts: list[bytes]) -> Int[np.ndarray, " vocab"]:
    """How many bytes of text a token stands for. The end of a document stands for none."""
    return np.array([0] + [len(text) for text in texts[1:]], dtype=np.int64)


def decode(texts: list[bytes], tokens: np.ndarray) -> UInt8[np.ndarray, " bytes"]:
    """The bytes of some tokens; the end of a document is byte 0."""
    if len(texts) == 256:
        return np.asarray(tokens, dtype=np.uint8)
    return np.frombuffer(b"".join([texts[token] for token in tokens.tolist()]), dtype=np.uint8)


def check_name(name: str) -> int:
    """The size of the vocabulary that a name asks for."""
    if name == "bytes":
        return 256
    kind, _, size = name.partition(":")
    if kind != "bpe" or not size.isdecimal():
        raise Refusal(f"There is no tokenizer '{name}'. Give bytes, or bpe:SIZE with a number of tokens, like bpe:4096.")
    if not 257 < int(size) <= 1 << 20:
        raise Refusal(f"bpe:{size} is too small or too large. Give a size between 258 and {1 << 20}, like bpe:4096.")
    return int(size)


def make(name: str, train: list[Document]) -> Tokenizer:
    """The tokenizer of that name. A byte-pair vocabulary is learned from the training part only."""
    vocab = check_name(name)
    if name == "bytes":
        return Tokenizer(texts=[bytes([byte]) for byte in range(256)])
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    letters = {letter: byte for letter, byte in _byte_of_letter().items() if byte}  # byte 0 is in no text
    encoder = tokenizers.Tokenizer(models.BPE())
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    encoder.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,  # type: ignore[call-arg]
        special_tokens=["\0"],
        initial_alphabet=sorted(letters),
        show_progress=False,
    )
    encoder.train_from_iterator(_sample(train), trainer)
    if encoder.get_vocab_size() < vocab:
        have = encoder.get_vocab_size()
        smaller = f"bpe:{1 << (have.bit_length() - 1)} or bytes" if have > 512 else "bytes"
        raise Refusal(f"{name} cannot be filled: the training text yields {have} tokens. Take {smaller}, or give more text.")
    table = [encoder.id_to_token(token) or "" for token in range(vocab)]
    return Tokenizer(texts=[b"\0"] + [bytes(letters[letter] for letter in text) for text in table[1:]], encoder=encoder)


def again(texts: list[bytes], path: Path) -> Tokenizer:
    """The tokenizer of a vocabulary that was learned before; `path` is where its merges are, if a token is more than a byte."""
    if len(texts) == 256:
        return Tokenizer(texts=texts)
    import tokenizers

    return Tokenizer(texts=texts, encoder=tokenizers.Tokenizer.from_file(str(path)))


def _sample(train: list[Document]) -> Iterator[str]:
    room = SAMPLE
    for document in train:  # in training order, which is shuffled: its beginning is a fair sample
        if room <= 0:
            return
        yield document.text[:room].decode(errors="ignore")  # the cut may split a character
        room -= len(document.text)


def _batches(documents: list[Document]) -> Iterator[list[Document]]:
    batch, size = [], 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _byte_of_letter() -> dict[str, int]:
    """The printable letter that byte-level BPE writes for each byte (Radford et al., 2019, `bytes_to_unicode`), inverted."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}

"""Bytes and byte pairs: the same text, counted alike."""

import random
import string
from pathlib import Path

import numpy as np
import pytest
from data_samples import folder_of, prose

from allometry.data._corpus import Corpus, prepare
from allometry.data._document import Document
from allometry.data._tokenizer import decode, make, token_bytes
from allometry.flow import Refusal


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Corpus]:
    path = tmp_path_factory.mktemp("corpora")
    folder = str(folder_of(path / "data", 60, 6000))
    return {name: prepare([folder], tokenizer=name, cache=path / "cache") for name in ("bytes", "bpe:500")}


def test_both_hold_the_same_text(corpora: dict[str, Corpus]) -> None:
    plain, pairs = corpora["bytes"], corpora["bpe:500"]
    assert bytes(pairs.decode(pairs.train)) == bytes(plain.decode(plain.train))
    assert pairs.documents == plain.documents
    for index in range(plain.documents):
        assert bytes(pairs.decode(pairs.document(index))) == bytes(plain.decode(plain.document(index)))
    assert len(pairs.train) < 0.8 * len(plain.train)
    assert pairs.fingerprint != plain.fingerprint


@pytest.mark.parametrize("name", ["bytes", "bpe:500"])
def test_bytes_of_tokens_add_up_to_the_text(name: str, corpora: dict[str, Corpus]) -> None:
    corpus = corpora[name]
    assert corpus.vocab == {"bytes": 256, "bpe:500": 500}[name]
    assert corpus.token_bytes[0] == 0
    assert corpus.token_bytes[1:].min() == 1
    assert corpus.token_bytes[corpus.held_out].sum() == corpus.about["held_out_bytes"]
    assert corpus.token_bytes[np.asarray(corpus.train)].sum() == corpus.about["train_bytes"]
    assert (np.asarray(corpus.train) == 0).sum() == corpus.about["train_documents"]
    assert 0 not in corpus.held_out
    assert corpus.train[-1] == 0


def test_any_text_goes_through_byte_pairs_unchanged() -> None:
    train = [Document(name="a", group="a", text=prose(1, 20000).encode())]
    tokenizer = make("bpe:400", train)
    everything = "".join(map(chr, [*range(1, 0x300), 0x65E5, 0x1F989, 0xFFFD])) + "<|endoftext|>  \n\n\t'll"
    [tokens] = tokenizer.encode([Document(name="b", group="b", text=everything.encode())])
    assert bytes(decode(tokenizer.texts, tokens)) == everything.encode()
    assert token_bytes(tokenizer.texts)[tokens].sum() == len(everything.encode())
    assert len(set(tokenizer.texts)) == 400
    assert {bytes([byte]) for byte in range(256)} <= set(tokenizer.texts)


def test_the_vocabulary_is_learned_from_the_training_part_only(tmp_path: Path) -> None:
    draw = random.Random(0)
    words = ["".join(draw.choices(string.ascii_letters, k=5)) for _ in range(60)]
    for word in words:
        (tmp_path / f"{word}.txt").write_text(" ".join([word] * 200))
    corpus = prepare([str(tmp_path)], tokenizer="bpe:460", cache=tmp_path / ".cache")
    held = {Path(name).stem for name in corpus.about["held_out_groups"]}
    learned = {word for word in words if word.encode() in corpus.texts or b" " + word.encode() in corpus.texts}
    assert learned
    assert held
    assert not learned & held


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bpe:abc", "no tokenizer 'bpe:abc'. Give bytes, or bpe:SIZE"),
        ("words", "no tokenizer 'words'"),
        ("bpe", "no tokenizer 'bpe'"),
        ("bpe:100", "bpe:100 is too small or too large. Give a size between 258"),
        ("bpe:50000", r"bpe:50000 cannot be filled: the training text yields \d+ tokens. Take bpe:\d+ or bytes"),
    ],
)
def test_a_tokenizer_that_cannot_be_made_is_refused(name: str, message: str, tmp_path: Path) -> None:
    folder = str(folder_of(tmp_path / "data", 30, 3000))
    with pytest.raises(Refusal, match=message):
        prepare([folder], tokenizer=name, cache=tmp_path / "cache")

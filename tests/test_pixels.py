"""Pixels: files of MNIST's form are read whole or refused in words; every image is asked, and none on both sides."""

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from allometry.data._idx import TYPES, read_idx
from allometry.data.pixels import Pixels
from allometry.flow import Refusal
from allometry.train.evaluate import evaluate
from allometry.train.loop import Setting


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file, written number by number."""
    code = {np.dtype(name).newbyteorder("="): code for code, name in TYPES.items()}[array.dtype]
    letter = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}[code]
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return header + b"".join(struct.pack(f">{letter}", number) for number in array.ravel().tolist())


def write(folder: Path, images: np.ndarray, labels: np.ndarray, name: str = "train") -> tuple[str, str]:
    paths = folder / f"{name}-images", folder / f"{name}-labels.gz"
    paths[0].write_bytes(idx(images))
    paths[1].write_bytes(gzip.compress(idx(labels)))
    return str(paths[0]), str(paths[1])


@given(
    st.sampled_from([np.dtype(name).newbyteorder("=") for name in TYPES.values()]).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=4, max_side=4))
    ),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read(tmp_path_factory, array, compressed) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(array)) if compressed else idx(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")


WHOLE = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
DAMAGED = {
    "empty": (b"", "begins with nothing"),
    "text": (b"label,pixel0,pixel1\n", "is no IDX file"),
    "pickle": (b"\x80\x05" + WHOLE[2:], "is no IDX file"),
    "no such type": (WHOLE[:2] + b"\x0a" + WHOLE[3:], "is no IDX file"),
    "no axes": (WHOLE[:3] + b"\x00" + WHOLE[4:], "is no IDX file"),
    "cut in its head": (WHOLE[:9], "promises 3 axes and has 9"),
    "cut": (WHOLE[:-1], "2 x 3 x 4 numbers in 40 bytes and has 39"),
    "too long": (WHOLE + b"\0", "40 bytes and has 41"),
    "sizes beyond all memory": (WHOLE[:4] + b"\xff" * 12 + WHOLE[16:], "was cut or altered"),
    "gzip, cut": (gzip.compress(WHOLE)[:-9], "damaged gzip"),
    "gzip, altered": (gzip.compress(WHOLE)[:-6] + b"\0\0" + gzip.compress(WHOLE)[-4:], "damaged gzip"),
    "gzip, of nothing": (gzip.compress(b""), "begins with nothing"),
    "gzip, of its first bytes": (gzip.compress(WHOLE)[:2], "damaged gzip"),
}


@pytest.mark.parametrize(("content", "fact"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused(tmp_path, content, fact) -> None:
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(Refusal, match=fact) as refusal:
        read_idx(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_a_file_with_any_byte_changed_is_read_or_refused(tmp_path_factory, draw) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    raw = bytearray(WHOLE if draw % 2 else gzip.compress(WHOLE))
    raw[draw % len(raw)] ^= 1 << (draw % 8)
    path.write_bytes(raw)
    with contextlib.suppress(Refusal):
        assert read_idx(path).size == 24


def test_a_path_that_is_no_file_is_refused(tmp_path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(Refusal, match=r"cannot be read: .* Give the path of an IDX file"):
            read_idx(path)


def some(count: int, rows: int = 4, columns: int = 5, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Images of which none is like another: the first pixels are the number of the image."""
    images = np.random.default_rng(count).integers(0, 256, (count, rows, columns)).astype(np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    return images, (np.arange(count) % classes).astype(np.uint8)


def test_an_epoch_asks_every_image_once_with_its_label(tmp_path) -> None:
    images, labels = some(53)
    paths = write(tmp_path, images, labels)
    task = Pixels(images=paths[0], labels=paths[1])
    held = task.held_out(1000)
    assert len(held.targets) == 10
    for first in (0, 43, 430):
        (series,), targets = task.batch(3, first, 43)
        numbers = (torch.cat([series, held.inputs[0]])[:, 0, 0] * 255).round().long()
        assert sorted(numbers.tolist()) == list(range(53))
        assert torch.equal(torch.cat([targets, held.targets])[:, 0], numbers % 3)
        for row, number in zip(series[:, :, 0].numpy(), numbers, strict=False):
            assert np.allclose(row * 255, images[number].ravel(), atol=1e-4)  # row after row, from the top
    assert not torch.equal(task.batch(3, 0, 43)[1], task.batch(3, 43, 43)[1])


def test_an_order_of_the_pixels_is_drawn_once(tmp_path) -> None:
    images, labels = some(60)
    paths = write(tmp_path, images, labels)
    plain, permuted = (Pixels(images=paths[0], labels=paths[1], permuted=p) for p in (False, True))
    pairs = [(plain.batch(s, 0, 9), permuted.batch(s, 0, 9)) for s in (0, 1)] + [
        ((plain.held_out().inputs, plain.held_out().targets), (permuted.held_out().inputs, permuted.held_out().targets))
    ]
    whole, other = (torch.cat([pair[side][0][0] for pair in pairs])[..., 0] for side in (0, 1))
    order = [int((whole == other[:, place : place + 1]).all(0).nonzero()) for place in range(20)]
    assert sorted(order) == list(range(20))
    assert order != list(range(20))
    assert all(torch.equal(one[1], two[1]) for one, two in pairs)
    assert plain.fingerprint != permuted.fingerprint


def test_test_files_are_held_out_whole(tmp_path) -> None:
    train, test = some(30), some(17)
    paths, others = write(tmp_path, *train), write(tmp_path, *test, name="test")
    task = Pixels(images=paths[0], labels=paths[1], test_images=others[0], test_labels=others[1])
    numbers = (task.held_out().inputs[0][:, 0, 0] * 255).round().long()
    assert sorted(numbers.tolist()) == list(range(17))
    assert sorted((task.batch(0, 0, 30)[0][0][:, 0, 0] * 255).round().int().tolist()) == list(range(30))


def test_the_fingerprint_is_of_the_content(tmp_path) -> None:
    images, labels = some(20)
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (first, of_first), (second, of_second) = write(there, images, labels), write(here, images, labels)
    task = Pixels(images=first, labels=of_first)
    assert task.fingerprint == Pixels(images=second, labels=of_second).fingerprint
    images[7, 2, 2] ^= 1
    write(here, images, labels)
    assert task.fingerprint != Pixels(images=second, labels=of_second).fingerprint


REFUSED = {
    "numbers of another kind": (lambda i, y: (i.astype(np.int16), y), "Images are bytes"),
    "a single image": (lambda i, y: (i[0], y), "Images are bytes"),
    "no images": (lambda i, y: (i[:0], y[:0]), "Images are bytes"),
    "images for labels": (lambda i, y: (i, i), "Labels are bytes"),
    "a label too many": (lambda i, y: (i[1:], y), "29 images and .* 30 labels"),
    "too few": (lambda i, y: (i[:4], y[:4]), "at least 5"),
}


@pytest.mark.parametrize(("change", "fact"), REFUSED.values(), ids=REFUSED)
def test_files_that_do_not_fit_are_refused(tmp_path, change, fact) -> None:
    paths = write(tmp_path, *change(*some(30)))
    with pytest.raises(Refusal, match=fact):
        _ = Pixels(images=paths[0], labels=paths[1]).io


def test_test_files_of_another_kind_are_refused(tmp_path) -> None:
    paths = write(tmp_path, *some(30))
    for other, fact in ((some(10, rows=5), "of 5 x 5 and .* of 4 x 5"), (some(10, classes=9), "label 8")):
        others = write(tmp_path, *other, name="test")
        with pytest.raises(Refusal, match=fact):
            _ = Pixels(images=paths[0], labels=paths[1], test_images=others[0], test_labels=others[1]).io


@pytest.mark.parametrize(
    ("paths", "way_out"),
    [
        ({"images": "a"}, "both of images and labels"),
        ({"labels": "a"}, "both of images and labels"),
        ({"images": "a", "labels": "b", "test_labels": "c"}, "both of test_images and test_labels"),
        ({"test_images": "a", "test_labels": "b"}, "without images to train on"),
    ],
)
def test_half_a_set_is_refused(paths, way_out) -> None:
    with pytest.raises(Refusal, match=way_out):
        Pixels(**paths)


class Guess(torch.nn.Module):
    """All classes equally likely; or the class that stands in a table of images."""

    def __init__(self, task: Pixels, known: bool) -> None:
        super().__init__()
        self.outputs = task.io.outputs
        held = task.held_out(10**6)
        self.known = {
            series.numpy().tobytes(): int(label) for series, label in zip(held.inputs[0], held.targets[:, 0], strict=True)
        }
        self.sure = 40.0 if known else 0.0

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        labels = torch.tensor([[self.known[one.numpy().tobytes()]] for one in series])
        return self.sure * torch.nn.functional.one_hot(labels, self.outputs)


def test_the_digits_of_scikit_learn() -> None:
    task = Pixels()
    assert (task.io.length, task.io.outputs) == (64, 10)
    held = task.held_out(10_000)
    assert len(held.targets) == 359
    assert held.inputs[0].min() == 0
    assert held.inputs[0].max() == 1
    counts = torch.bincount(torch.cat([task.batch(0, 0, 1438)[1], held.targets])[:, 0])
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # of the set's description

    def score(model: torch.nn.Module) -> float:
        return evaluate(model, held.inputs, held.targets, held.weights, held.document, Setting()).loss

    assert score(Guess(task, known=False)) == pytest.approx(task.chance, rel=1e-6)
    assert score(Guess(task, known=True)) < 1e-9


def test_the_images_of_mnist(shared_data) -> None:
    paths = [str(shared_data / "mnist" / f"t10k-{name}.gz") for name in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    task = Pixels(images=paths[0], labels=paths[1])
    assert (task.io.length, task.io.outputs) == (784, 10)
    held = task.held_out(10_000)
    assert len(held.targets) == 2000
    (series,), labels = task.batch(0, 0, 8000)
    counts = torch.bincount(torch.cat([labels, held.targets])[:, 0])
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # as published with the files
    total = (series.double().sum() + held.inputs[0].double().sum()) / (10_000 * 784)
    assert total.item() == pytest.approx(0.1325, abs=1e-4)  # the known mean of these images
    shares = torch.bincount(held.targets[:, 0]) / 2000  # a draw that is fair to the classes
    assert (shares - counts / 10_000).abs().max() < 0.025

"""Pixels: say what an image shows, read pixel by pixel (Le et al. 2015, arXiv:1504.00941).

```text
Inputs   0 0 .2 .9 .3 0 0 .8 .1 0 ...      row after row, from 0 to 1, or all in one order that was drawn once (permuted)
Target                               7     at the end
```

Images and labels are IDX files, as MNIST's. Without a path they are the digits of scikit-learn: 1,797 of 8 x 8 pixels (Alpaydin
and Kaynak 1998). Where no test files are named, a fifth of the images, drawn once, is held out.
"""

import functools
import hashlib
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from allometry.data._generated import scored
from allometry.data._idx import read_idx
from allometry.data._random import HELD_OUT, random_bits
from allometry.data._task import HeldOut
from allometry.flow import Refusal, Series
from allometry.spec import Spec, content_id

FORMAT = 1  # raised by one whenever the same files give other examples
HELD_SHARE = 5  # one image of so many is held out
ORDER, SPLIT = np.array([0]), np.array([1])  # numbers of what is drawn once: the order of the pixels, and the split


class _Part(NamedTuple):
    """Images with their labels."""

    images: UInt8[np.ndarray, "images pixels"]
    labels: Int[np.ndarray, " images"]


class Pixels(Spec):
    """Images as sequences of pixels. Epochs have an order of their own for each seed."""

    images: str = ""  # path of an IDX file; "": the digits of scikit-learn
    labels: str = ""
    test_images: str = ""  # "": a fifth of the images is held out
    test_labels: str = ""
    permuted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for images, labels in (("images", "labels"), ("test_images", "test_labels")):
            if bool(getattr(self, images)) != bool(getattr(self, labels)):
                raise Refusal(f"Pixels needs both of {images} and {labels}, or neither.")
        if self.test_images and not self.images:
            raise Refusal("Pixels(test_images=...) without images to train on. Give images and labels too.")

    @property
    def io(self) -> Series:
        train, _ = self._parts
        return Series(channels=1, length=train.images.shape[1], outputs=int(train.labels.max()) + 1)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the images, the labels, how they are split and the order of the pixels."""
        arrays = [array for part in self._parts for array in part]
        hashes = [[list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()] for array in arrays]
        return content_id([FORMAT, "pixels", self.permuted, hashes])

    @property
    def chance(self) -> float:
        """Loss when all classes are equally likely, nats per image."""
        return math.log(self.io.outputs)

    def batch(self, seed: int, first: int, count: int) -> tuple[tuple[Tensor, ...], Int[Tensor, "batch answer"]]:
        """Examples `first` to `first + count - 1` of the endless stream of this seed."""
        train, _ = self._parts
        size = len(train.labels)
        epochs = range(first // size, (first + count - 1) // size + 1)
        order = np.concatenate([_order(seed, epoch, size) for epoch in epochs])
        return self._asked(train, order[first % size : first % size + count])

    def held_out(self, sequences: int = 96) -> HeldOut:
        """At most this many images of the test part, in an order that was drawn once."""
        _, test = self._parts
        return scored(*self._asked(test, np.arange(min(sequences, len(test.labels)))))

    def _asked(self, part: _Part, rows: Int[np.ndarray, " batch"]) -> tuple[tuple[Tensor, ...], Int[Tensor, "batch answer"]]:
        series = part.images[rows].astype(np.float32)[..., None] / self._brightest
        return (torch.from_numpy(series),), torch.from_numpy(part.labels[rows][:, None])

    @property
    def _brightest(self) -> np.float32:
        """What 1 stands for: 16 in the digits, 255 in a file of bytes."""
        return np.float32(255 if self.images else 16)

    @functools.cached_property
    def _parts(self) -> tuple[_Part, _Part]:
        """What is trained on and what is held out, the pixels in their order."""
        images, labels = _pair(self.images, self.labels) if self.images else _digits()
        drawn = _drawn_once(len(images))
        if self.test_images:
            test_images, test_labels = _pair(self.test_images, self.test_labels)
            if test_images.shape[1:] != images.shape[1:]:
                sizes = [" x ".join(map(str, some.shape[1:])) for some in (images, test_images)]
                raise Refusal(f"{self.test_images} has images of {sizes[1]} and {self.images} of {sizes[0]}. Give one kind.")
            if test_labels.max() > labels.max():
                raise Refusal(f"{self.test_labels} has the label {test_labels.max()}, which {self.labels} has not.")
            again = _drawn_once(len(test_images))
            train, test = (images, labels), (test_images[again], test_labels[again])
        else:
            held = len(images) // HELD_SHARE
            if not held:
                raise Refusal(
                    f"{self.images} has {len(images)} images: too few to hold any out. Give at least {HELD_SHARE}."
                )
            train, test = ((images[some], labels[some]) for some in (drawn[held:], drawn[:held]))
        pixels = math.prod(images.shape[1:])
        order = np.argsort(random_bits(HELD_OUT, ORDER, pixels)[0], kind="stable") if self.permuted else np.arange(pixels)
        flat = [_Part(some.reshape(len(some), pixels)[:, order], of_them) for some, of_them in (train, test)]
        return flat[0], flat[1]


@functools.lru_cache(maxsize=4)  # a batch touches one epoch, or two
def _order(seed: int, epoch: int, size: int) -> Int[np.ndarray, " size"]:
    return np.argsort(random_bits(seed, np.array([epoch]), size)[0], kind="stable")


def _drawn_once(size: int) -> Int[np.ndarray, " size"]:
    """An order that is the same in every run."""
    return np.argsort(random_bits(HELD_OUT, SPLIT, size)[0], kind="stable")


def _pair(images: str, labels: str) -> tuple[UInt8[np.ndarray, "images rows columns"], Int[np.ndarray, " images"]]:
    """Images with their labels from two IDX files."""
    of_images, of_labels = read_idx(Path(images)), read_idx(Path(labels))
    if of_images.dtype != np.uint8 or of_images.ndim != 3 or not of_images.size:
        raise Refusal(
            f"{images} holds {of_images.dtype} in {of_images.ndim} axes of {of_images.size} numbers. Images are bytes, one image "
            "after another, as in train-images-idx3-ubyte."
        )
    if of_labels.dtype != np.uint8 or of_labels.ndim != 1:
        raise Refusal(
            f"{labels} holds {of_labels.dtype} in {of_labels.ndim} axes. Labels are bytes, one for each image, as in "
            "train-labels-idx1-ubyte."
        )
    if len(of_images) != len(of_labels):
        raise Refusal(
            f"{images} has {len(of_images)} images and {labels} {len(of_labels)} labels. Give files that belong together."
        )
    return of_images, of_labels.astype(np.int64)


def _digits() -> tuple[UInt8[np.ndarray, "images rows columns"], Int[np.ndarray, " images"]]:
    """The digits that scikit-learn carries."""
    from sklearn.datasets import load_digits  # here, as it takes a second to load

    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels, dtype=np.uint8).reshape(-1, 8, 8), np.asarray(labels, dtype=np.int64)

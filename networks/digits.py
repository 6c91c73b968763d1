"""Labelled examples to classify: digits, Fashion-MNIST, points in the plane, or a folder of images of your own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import idx
from .idx import DataError, download, read_archive, read_pairs
from .points import Points, circle, simple, spiral

NAMES = ("digits", "mnist", "fashion", "circle", "spiral", "simple")
POINTS = ("circle", "spiral", "simple")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
TEST_SHARE = 0.2
VALIDATION = 100
SPLIT_SEED = 109  # of the split, not of a run: all seeds hold the same test data out


@dataclass(frozen=True)
class Examples:
    """n labelled inputs."""

    x: Tensor  # (n, C, H, W) uint8 or float32 in 0..1, or (n, m) float32
    y: Tensor  # (n,) int64, the class of each

    def __len__(self) -> int:
        """Return n."""
        return len(self.y)

    def take(self, index: Tensor) -> Examples:
        """Return the examples at `index`, (k,)."""
        return Examples(self.x[index], self.y[index])


@dataclass(frozen=True)
class Data:
    """A data set with its test data held out."""

    name: str
    train: Examples
    test: Examples
    classes: tuple[str, ...]

    @property
    def in_shape(self) -> tuple[int, ...]:
        """The shape of one input: (C, H, W) or (m,)."""
        return tuple(self.train.x.shape[1:])

    def with_train_size(self, size: int, seed: int) -> Data:
        """Return the data with only `size` training examples, drawn by `seed`; the test data stay as they are."""
        if not 1 <= size <= len(self.train):
            raise DataError(f"{self.name} has {len(self.train):,} training examples: {size:,} cannot be drawn of them")
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(seed))
        return replace(self, train=self.train.take(order[:size]))


def load_data(name: str, folder: str | Path | None = None) -> Data:
    """Return a data set by its name in `NAMES`, or a folder of your own.

    Args:
        name: "digits" (scikit-learn's 1,797 of 8 x 8 pixels, no download), "mnist" or "fashion" (28 x 28), "circle",
            "spiral" or "simple" (points), or the path of a folder: one subfolder of images for each class (with or
            without train/ and test/ above them), or four IDX files named as MNIST's.
        folder: where the IDX files of "mnist" or "fashion" are; None for the download cache.

    Raises:
        DataError: missing, damaged, or not what it should be.

    """
    if name == "digits":
        return _digits()
    if name in ("mnist", "fashion"):
        archive = idx.MNIST if name == "mnist" else idx.FASHION
        arrays = read_archive(archive, Path(folder) if folder is not None else download(archive))
        return _from_arrays(name, arrays, archive.classes)
    if name in POINTS:
        return _points(name)
    path = Path(name)
    if not path.is_dir():
        raise DataError(f"there is no data set or folder {name!r}: known are {', '.join(NAMES)}, or a folder of images")
    if any(path.glob("train-images*")):
        arrays = read_pairs(path)
        return _from_arrays(path.name, arrays, tuple(str(label) for label in range(int(arrays[1].max()) + 1)))
    return _folder(path)


def _digits() -> Data:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)  # 0..16
    x = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    return _split("digits", Examples(x, torch.tensor(labels, dtype=torch.int64)), tuple("0123456789"))


def _from_arrays(name: str, arrays: list[NDArray[np.uint8]], classes: tuple[str, ...]) -> Data:
    """Return the data of the four arrays of an archive; raise DataError for a label out of range."""
    for labels, title in ((arrays[1], "training"), (arrays[3], "test")):
        if labels.max(initial=0) >= len(classes):
            raise DataError(f"{name}'s {title} labels go up to {labels.max()}, out of range: 0 to {len(classes) - 1}")
    train, test = (
        Examples(torch.tensor(images)[:, None], torch.tensor(labels, dtype=torch.int64))
        for images, labels in zip(arrays[::2], arrays[1::2], strict=True)
    )
    return Data(name, train, test, classes)


def _points(name: str) -> Data:
    """Return points to learn from and as many new ones to test; of the 13 simple ones, three are held out."""
    # Draws 1 and 2 are no test any more: they were looked at while settings changed. `validation_points` choose them.
    if name == "simple":
        return _split(name, _examples(simple()), ("red", "green"))
    return _drawn(name, [SPLIT_SEED, 0], [SPLIT_SEED, 3])


def validation_points(name: str, draw: int, each: int = 1_000) -> Data:
    """Return a draw of "circle" or "spiral" to choose settings by: it shares no point with what `load_data` returns.

    As many to learn from as there, but `each` points of either class to test: rare mistakes must show.
    """
    return _drawn(name, [SPLIT_SEED, VALIDATION, draw, 0], [SPLIT_SEED, VALIDATION, draw, 1], each)


def _drawn(name: str, train_seed: list[int], test_seed: list[int], each: int | None = None) -> Data:
    make = circle if name == "circle" else spiral
    train = make(np.random.default_rng(train_seed))
    test_rng = np.random.default_rng(test_seed)
    test = make(test_rng) if each is None else make(test_rng, each)
    return Data(name, _examples(train), _examples(test), ("red", "green"))


def _examples(points: Points) -> Examples:
    return Examples(torch.tensor(points[0]), torch.tensor(points[1]))


def _split(name: str, whole: Examples, classes: tuple[str, ...]) -> Data:
    """Return the data with a fifth of each class held out, always the same."""
    rng = np.random.default_rng(SPLIT_SEED)
    held: list[int] = []
    for label, title in enumerate(classes):
        members = np.flatnonzero(whole.y.numpy() == label)
        if len(members) < 2:
            raise DataError(f"class {title!r} of {name} has {len(members)} examples: two or more are needed")
        held += rng.permutation(members)[: max(1, round(TEST_SHARE * len(members)))].tolist()
    chosen = torch.zeros(len(whole), dtype=torch.bool)
    chosen[held] = True
    return Data(name, whole.take(~chosen), whole.take(chosen), classes)


def _folder(path: Path) -> Data:
    """Return the images under `path`, whose subfolders' names are the classes."""
    train, test = path / "train", path / "test"
    if train.is_dir() and test.is_dir():
        classes = _class_names(train)
        if _class_names(test) != classes:
            raise DataError(f"{test} should have the same subfolders as {train}: {', '.join(classes)}")
        pictures = [_read_images(part, classes) for part in (train, test)]
        color = any(images.shape[-1] == 3 for images, _ in pictures)
        sets = [_image_examples(images, labels, color) for images, labels in pictures]
        if sets[0].x.shape[1:] != sets[1].x.shape[1:]:
            raise DataError(f"the images of {test} and {train} have different sizes")
        return Data(path.name, sets[0], sets[1], classes)
    classes = _class_names(path)
    images, labels = _read_images(path, classes)
    return _split(path.name, _image_examples(images, labels, images.shape[-1] == 3), classes)


def _class_names(path: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
    if len(names) < 2:
        raise DataError(f"{path} should have a subfolder of images for each class, two or more, and has {len(names)}")
    return names


def _read_images(path: Path, classes: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images, (n, H, W, 1 or 3), and labels (n,); grey only if all of them are."""
    from PIL import Image, UnidentifiedImageError

    pictures: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    size: tuple[int, int] | None = None
    for label, name in enumerate(classes):
        files = sorted(file for file in (path / name).rglob("*") if file.suffix.lower() in IMAGE_ENDINGS)
        if not files:
            raise DataError(f"{path / name} has no images ({', '.join(IMAGE_ENDINGS)})")
        for file in files:
            try:
                with Image.open(file) as opened:
                    picture = opened.convert("L" if opened.mode in ("1", "L", "LA", "I", "I;16") else "RGB")
            except (UnidentifiedImageError, OSError) as error:
                raise DataError(f"{file} is no image that can be read: {error}") from None
            size = size or picture.size
            if picture.size != size:
                raise DataError(
                    f"{file} has {picture.width} x {picture.height} pixels, those before it {size[0]} x {size[1]}: "
                    "all images must have the same size"
                )
            pictures.append(np.atleast_3d(np.asarray(picture, np.uint8)))
            labels.append(label)
    if any(picture.shape[2] == 3 for picture in pictures):
        pictures = [np.repeat(picture, 3 // picture.shape[2], 2) for picture in pictures]
    return np.stack(pictures), np.array(labels)


def _image_examples(images: NDArray[np.uint8], labels: NDArray[np.int64], color: bool) -> Examples:
    if color and images.shape[-1] == 1:
        images = np.repeat(images, 3, 3)
    return Examples(torch.tensor(images.transpose(0, 3, 1, 2).copy()), torch.tensor(labels))

"""IDX files, the format of MNIST: reading them with every check, and where MNIST and Fashion-MNIST come from."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08
TIMEOUT_S = 30


class DataError(ValueError):
    """A data set that is missing, damaged or of the wrong shape: one sentence that says what would be right."""


class Archive(NamedTuple):
    """A data set of four IDX files, and the MD5 sums of those whose sums are known."""

    title: str
    url: str
    classes: tuple[str, ...]
    raw_md5: dict[str, str]  # of the unpacked bytes
    packed_md5: dict[str, str]  # of the .gz file


FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
COUNTS = (60_000, 60_000, 10_000, 10_000)

MNIST = Archive(
    "MNIST",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    tuple("0123456789"),
    dict(
        zip(
            FILES,
            (
                "6bbc9ace898e44ae57da46a324031adb",
                "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea",
                "27ae3e4e09519cfbb04c329615203637",
            ),
            strict=True,
        )
    ),
    {},
)
FASHION = Archive(
    "Fashion-MNIST",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    {},
    dict(
        zip(
            FILES,
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
            strict=True,
        )
    ),
)


def read_idx(path: Path, *, raw_md5: str | None = None, packed_md5: str | None = None) -> NDArray[np.uint8]:
    """Return the array of bytes in an IDX file, gzipped or not.

    Raises DataError if the file is missing, truncated, of another type, longer than it says, or, where an MD5 sum is
    given (of its unpacked content, or of the .gz file), not the file that it should be.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if path.suffix == ".gz":
        _check_md5(path, data, packed_md5)
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{path} is truncated or no gzip file: {str(error).lower()}") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} is no IDX file of bytes: it should begin with 00 00 08, not {data[:3].hex(' ')}")
    start = 4 + 4 * data[3]
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    wanted = start + int(np.prod(shape, dtype=np.int64))
    if len(data) != wanted:
        what = "truncated" if len(data) < wanted else "too long"
        raise DataError(f"{path} is {what}: it has {len(data)} bytes, and {shape} numbers need {wanted}")
    _check_md5(path, data, raw_md5)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_archive(archive: Archive, folder: Path) -> list[NDArray[np.uint8]]:
    """Return the four arrays of MNIST or Fashion-MNIST in `folder`: 60,000 and 10,000 of 28 x 28, labels 0 to 9."""
    arrays = []
    for name, count in zip(FILES, COUNTS, strict=True):
        path = find_idx(folder, name)
        array = read_idx(path, raw_md5=archive.raw_md5.get(name), packed_md5=archive.packed_md5.get(name))
        shape = (count, 28, 28) if "images" in name else (count,)
        if array.shape != shape:
            raise DataError(f"{path} holds {array.shape} numbers, but {archive.title}'s are {shape}")
        arrays.append(array)
    return arrays


def read_pairs(folder: Path) -> list[NDArray[np.uint8]]:
    """Return the four arrays of any data set in MNIST's four files, checked against each other."""
    paths = [find_idx(folder, name) for name in FILES]
    arrays = [read_idx(path) for path in paths]
    for images, labels, path in zip(arrays[::2], arrays[1::2], paths[::2], strict=True):
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DataError(f"{path} holds {images.shape} numbers, which do not fit labels of shape {labels.shape}")
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        sizes = arrays[2].shape[1:], arrays[0].shape[1:]
        raise DataError(f"{paths[2]} has images of {sizes[0]} pixels, the training set {sizes[1]}")
    if arrays[3].max(initial=0) > arrays[1].max(initial=0):
        raise DataError(
            f"{paths[3]} has label {arrays[3].max()}, out of range: the training set's go to {arrays[1].max(initial=0)}"
        )
    return arrays


def find_idx(folder: Path, name: str) -> Path:
    """Return the path of `name`, packed or not, in `folder`; raise DataError if it is not there."""
    for path in (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx")):
        if path.is_file():
            return path
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: give the one with {name}[.gz] and its three siblings")
    raise DataError(f"{folder} has no {name} or {name}.gz")


def cache_folder(archive: Archive) -> Path:
    """Return where downloads of `archive` are kept: under $XDG_CACHE_HOME, or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "rlrun" / archive.title.lower()


def download(archive: Archive) -> Path:
    """Return the folder with the four files of `archive`, fetched into the cache if they are not there.

    Raises DataError where there is no network, with what to do instead.
    """
    folder = cache_folder(archive)
    for name in FILES:
        target = folder / f"{name}.gz"
        if target.is_file():
            continue
        try:
            with urlopen(f"{archive.url}{name}.gz", timeout=TIMEOUT_S) as answer:
                data = answer.read()
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".{name}.{os.getpid()}.draft.gz"
            draft.write_bytes(data)
            draft.replace(target)
        except (URLError, OSError) as error:
            reason = str(getattr(error, "reason", error)).lower()
            raise DataError(
                f"{archive.title} is not on this machine and cannot be downloaded ({reason}): name the folder of its "
                f"four IDX files with --data-dir, or take --data digits, which needs neither"
            ) from None
    return folder


def _check_md5(path: Path, data: bytes, wanted: str | None) -> None:
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if wanted is not None and found != wanted:
        raise DataError(f"{path} is damaged or another file: its MD5 sum is {found}, not {wanted}")

"""The data sets, and what is said of files that are not what they should be."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from rlrun.networks import idx
from rlrun.networks.digits import load_data, validation_points
from rlrun.networks.idx import FILES, DataError, read_idx
from rlrun.networks.points import circle, spiral

SHARED = Path(os.environ.get("RLRUN_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data")) / "mnist"
needs_mnist = pytest.mark.skipif(not SHARED.is_dir(), reason="MNIST's IDX files are not beside the repository")


def write_idx(path: Path, array: NDArray[np.uint8]) -> Path:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    data = head + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def pairs(folder: Path, labels: tuple[int, ...] = (0, 1, 2, 1), test_labels: tuple[int, ...] = (2, 0)) -> Path:
    rng = np.random.default_rng(0)
    arrays = (
        rng.integers(0, 256, (len(labels), 6, 5), dtype=np.uint8), np.array(labels, np.uint8),
        rng.integers(0, 256, (len(test_labels), 6, 5), dtype=np.uint8), np.array(test_labels, np.uint8),
    )  # fmt: skip
    for name, array in zip(FILES, arrays, strict=True):
        write_idx(folder / f"{name}.gz", array)
    return folder


def test_the_digits_of_scikit_learn_are_split_alike_every_time() -> None:
    data = load_data("digits")
    assert data.in_shape == (1, 8, 8)
    assert len(data.train) + len(data.test) == 1_797
    assert len(data.test) == pytest.approx(0.2 * 1_797, abs=5)
    assert float(data.train.x.max()) == 1.0
    assert torch.equal(data.test.x, load_data("digits").test.x)
    both = {each.numpy().tobytes() for each in data.train.x} & {each.numpy().tobytes() for each in data.test.x}
    assert both == set()  # nothing that is tested was learned
    assert torch.bincount(data.test.y).min() >= 34


def test_a_smaller_training_set_leaves_the_test_data_alone() -> None:
    data = load_data("digits")
    small = data.with_train_size(100, seed=1)
    assert len(small.train) == 100
    assert torch.equal(small.test.x, data.test.x)
    assert torch.equal(small.train.x, data.with_train_size(100, seed=1).train.x)
    assert not torch.equal(small.train.x, data.with_train_size(100, seed=2).train.x)
    with pytest.raises(DataError, match="2,000 cannot be drawn"):
        data.with_train_size(2_000, seed=1)


@needs_mnist
def test_mnist_is_read_whole_and_checked_by_its_sums() -> None:
    data = load_data("mnist", SHARED)
    assert (len(data.train), len(data.test), data.in_shape) == (60_000, 10_000, (1, 28, 28))
    assert data.train.x.dtype == torch.uint8
    assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9]


@needs_mnist
def test_a_changed_byte_of_mnist_is_noticed(tmp_path: Path) -> None:
    raw = bytearray(gzip.decompress((SHARED / "t10k-labels-idx1-ubyte.gz").read_bytes()))
    raw[100] ^= 1
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="damaged or another file: its MD5 sum"):
        read_idx(path, raw_md5=idx.MNIST.raw_md5[path.name])


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_idx_file_is_read_as_it_was_written(tmp_path: Path, ending: str) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert (read_idx(write_idx(tmp_path / f"some{ending}", array)) == array).all()


def test_a_truncated_long_or_foreign_file_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "images", np.zeros((2, 3, 4), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(DataError, match=r"images is truncated: it has 35 bytes, and \(2, 3, 4\) numbers need 40"):
        read_idx(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="too long"):
        read_idx(path)
    path.write_bytes(b"\x89PNG....")
    with pytest.raises(DataError, match="no IDX file of bytes"):
        read_idx(path)
    packed = write_idx(tmp_path / "images.gz", np.zeros((20, 30, 40), np.uint8))
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"images.gz is truncated"):
        read_idx(packed)
    with pytest.raises(DataError, match="nothing cannot be read: no such file"):
        read_idx(tmp_path / "nothing")


def test_a_folder_without_the_files_or_with_other_ones_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load_data("mnist", tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no train-images-idx3-ubyte or"):
        load_data("mnist", tmp_path)
    with pytest.raises(DataError, match=r"train-images.*MD5"):
        load_data("mnist", pairs(tmp_path))
    with pytest.raises(DataError, match=r"MD5"):
        load_data("fashion", tmp_path)


def test_four_idx_files_of_ones_own_are_a_data_set(tmp_path: Path) -> None:
    data = load_data(str(pairs(tmp_path)))
    assert (len(data.train), len(data.test), data.in_shape, data.classes) == (4, 2, (1, 6, 5), ("0", "1", "2"))


def test_a_label_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has label 7, out of range: the training set's go to 2"):
        load_data(str(pairs(tmp_path, test_labels=(7, 0))))


def test_images_and_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path)
    write_idx(tmp_path / f"{FILES[1]}.gz", np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="do not fit labels"):
        load_data(str(tmp_path))
    write_idx(tmp_path / f"{FILES[1]}.gz", np.array([0, 1, 2, 1], np.uint8))
    write_idx(tmp_path / f"{FILES[2]}.gz", np.zeros((2, 4, 5), np.uint8))
    with pytest.raises(DataError, match=r"has images of \(4, 5\) pixels, the training set \(6, 5\)"):
        load_data(str(tmp_path))


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(idx, "urlopen", unreachable)
    with pytest.raises(DataError, match=r"cannot be downloaded \(network is unreachable\).*--data-dir"):
        load_data("mnist")


def test_a_folder_of_images_is_a_data_set_with_its_subfolders_as_classes(tmp_path: Path) -> None:
    for label, name in enumerate(("cross", "nought")):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("L", (7, 6), 40 * label + number).save(tmp_path / name / f"{number}.png")
    data = load_data(str(tmp_path))
    assert data.classes == ("cross", "nought")
    assert data.in_shape == (1, 6, 7)
    assert (len(data.train), len(data.test)) == (8, 2)
    assert sorted(data.test.y.tolist()) == [0, 1]
    values = torch.cat([data.train.x, data.test.x])[:, 0, 0, 0]
    assert ((values >= 40).long() == torch.cat([data.train.y, data.test.y])).all()
    Image.new("RGB", (7, 6), (1, 2, 3)).save(tmp_path / "cross" / "9.png")
    assert load_data(str(tmp_path)).in_shape == (3, 6, 7)
    Image.new("L", (8, 6)).save(tmp_path / "nought" / "8.png")
    with pytest.raises(DataError, match=r"8.png has 8 x 6 pixels, those before it 7 x 6"):
        load_data(str(tmp_path))
    (tmp_path / "nought" / "8.png").write_text("no image")
    with pytest.raises(DataError, match=r"8.png is no image"):
        load_data(str(tmp_path))


def test_a_train_and_a_test_folder_are_taken_as_they_are(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("test", 1)):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("L", (4, 4), number).save(tmp_path / part / name / f"{number}.png")
    data = load_data(str(tmp_path))
    assert (len(data.train), len(data.test)) == (6, 2)


def test_a_name_that_is_nothing_is_answered_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="known are digits, mnist"):
        load_data(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="a subfolder of images for each class"):
        load_data(str(tmp_path))


def test_the_circle_and_the_spiral_have_the_radii_and_angles_of_the_demonstration() -> None:
    x, y = circle(np.random.default_rng(0))
    r = np.hypot(*x.T)
    assert (r[y == 1] < 2).all()
    assert ((r[y == 0] > 3) & (r[y == 0] < 5)).all()
    assert (y == 1).sum() == (y == 0).sum() == 50
    x, y = spiral(np.random.default_rng(0))
    along = np.tile(np.arange(100) / 100, 2)
    assert np.abs(np.hypot(*x.T)[20:100] - 5 * along[20:100]).max() < 0.1 + 1e-6
    turned = np.arctan2(x[:, 0], x[:, 1]) - 2.5 * np.pi * along - np.pi * (y == 0)
    assert np.abs((turned[20:100] + np.pi) % (2 * np.pi) - np.pi).max() < 0.1 + 1e-6
    assert np.abs((turned[120:] + np.pi) % (2 * np.pi) - np.pi).max() < 0.1 + 1e-6


def test_the_points_that_test_are_not_those_that_train() -> None:
    data = load_data("circle")
    assert not torch.equal(data.train.x, data.test.x)
    simple = load_data("simple")
    assert (len(simple.train), len(simple.test)) == (10, 3)


@pytest.mark.parametrize("name", ["circle", "spiral"])
def test_settings_are_chosen_on_points_that_no_result_is_reported_on(name: str) -> None:
    reported = load_data(name)
    draws = [reported, validation_points(name, 0), validation_points(name, 1)]
    sets = [set(map(tuple, part.x.tolist())) for data in draws for part in (data.train, data.test)]
    assert len(set.union(*sets)) == sum(map(len, sets)) == 4 * len(reported.train) + 4_000
    assert torch.equal(validation_points(name, 1).test.x, draws[2].test.x)
    assert torch.equal(draws[2].train.y, reported.train.y)  # classes are drawn alike

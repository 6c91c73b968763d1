"""From ink to the network's picture, by numbers worked out by hand, and that it is MNIST's own framing."""

import os
from pathlib import Path

import numpy as np
import pytest

from rlrun.cli.studio.drawing import Framing, as_seen
from rlrun.networks.digits import load_data
from rlrun.networks.idx import DataError

DATA = Path(os.environ.get("RLRUN_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


def test_the_longer_side_fills_the_box_and_the_mass_lies_in_the_middle() -> None:
    ink = np.zeros((280, 280))
    ink[100:200, 30:80] = 1  # 100 x 50, becomes 20 x 10
    seen = as_seen(ink, 28, 28)
    wanted = np.zeros((28, 28))
    # Its middle is at (9.5, 4.5) of its own pixels; pixel 14 less those is 4.5 and 9.5, rounded up.
    wanted[5:25, 10:20] = 1
    assert (seen == wanted).all()


def test_each_pixel_is_the_mean_of_the_area_it_covers() -> None:
    ink = np.array([[1.0, 1.0, 0.0, 1.0, 0.5, 0.5]] * 6)
    # 6 x 6 to 4 x 4: a pixel covers 1.5; (1 + 1/2) / 1.5, (1/2 + 0) / 1.5, (1 + 1/4) / 1.5, (1/4 + 1/2) / 1.5
    seen = as_seen(ink, 4, 4, Framing(4, (1.5, 1.5)))
    assert np.allclose(seen, [[1, 1 / 3, 5 / 6, 1 / 2]] * 4)


def test_mass_not_the_box_is_centred() -> None:
    ink = np.zeros((8, 8))
    ink[0:4, 0] = 1
    ink[0, 1:4] = 1  # seven pixels of a corner; row and column of the middle: (0 * 4 + 1 + 2 + 3) / 7 = 6/7
    seen = as_seen(ink, 10, 10, Framing(4, (4.5, 4.5)))
    rows, columns = np.nonzero(seen)
    assert (rows.min(), columns.min()) == (4, 4)  # 4.5 - 6/7 = 3.64; the middle of the box would give 3
    assert seen.sum() == 7


def test_a_digit_never_leaves_the_picture() -> None:
    ink = np.zeros((100, 100))
    ink[0, :] = 1
    ink[1:100, 0] = 0.2
    seen = as_seen(ink, 8, 8, Framing(8, (7, 7)))
    assert seen.sum() == pytest.approx(as_seen(ink, 20, 20, Framing(8, (10, 10))).sum())


def test_nothing_and_the_remains_of_an_eraser_are_an_empty_picture() -> None:
    ink = np.zeros((50, 50))
    assert not as_seen(ink, 28, 28).any()
    ink[20:30, 20:30] = 0.05
    assert not as_seen(ink, 28, 28).any()
    with_digit = ink.copy()
    with_digit[0:5, 0:5] = 1  # remains elsewhere do not widen the box
    assert as_seen(with_digit, 28, 28).sum() == 400


def test_a_dot_is_as_large_as_any_digit_and_a_line_at_least_a_pixel_wide() -> None:
    ink = np.zeros((280, 280))
    ink[7, 9] = 1
    assert as_seen(ink, 28, 28).sum() == 400
    ink[7, :] = 1
    assert as_seen(ink, 28, 28).sum() == 20


def test_small_digits_fill_their_picture_as_scikit_learns_do() -> None:
    x = load_data("digits").train.x[:200, 0].numpy()
    framed = np.stack([as_seen(np.kron(each, np.ones((35, 35))), 8, 8) for each in x])
    same = np.abs(framed - x).mean((1, 2)) < 0.01  # but for those whose edges are faint or whose mass is off the middle
    assert same.mean() > 0.5
    assert all(each.any(1).all() for each in framed)  # from top to bottom


def test_mnists_own_digits_stay_where_they_are() -> None:
    try:
        x = load_data("mnist", DATA / "mnist").test.x[:500, 0].numpy() / 255
    except DataError as error:
        pytest.skip(f"MNIST is not at {DATA}: {error}")
    framed = np.stack([as_seen(np.kron(each, np.ones((10, 10))), 28, 28) for each in x])
    for axis in (1, 2):
        place = np.arange(28)
        before = (x.sum(3 - axis) @ place) / x.sum((1, 2))
        after = (framed.sum(3 - axis) @ place) / framed.sum((1, 2))
        assert np.abs(after - before).mean() < 0.35

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlrun.cli import paint
from rlrun.cli.moments import Moment, spoken, told
from rlrun.cli.stage import PANEL_WIDTH, Stage

NAMES = ("NOOP", "FIRE", "RIGHT", "LEFT")


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def moment(q: list[float], action: int | None = 0, **changes: Any) -> Moment:
    plain = Moment([noise(210, 160)], np.array(q), action, False, 12.0, 34, 1, 5, False)
    return dataclasses.replace(plain, **changes)


def columns_of(picture: NDArray[np.uint8], color: paint.Color) -> NDArray[np.int64]:
    """Return the panel's columns in which this very colour stands."""
    return np.flatnonzero((picture[:, -PANEL_WIDTH:] == color).all(2).any(0))


def rows_of(picture: NDArray[np.uint8], color: paint.Color) -> NDArray[np.int64]:
    """Return the rows below the heading in which this very colour stands, the curve's left out."""
    return np.flatnonzero((picture[236:380, -PANEL_WIDTH:] == color).all(2).any(1)) + 236


def test_the_game_stands_three_times_as_large_and_otherwise_unchanged() -> None:
    frame = noise(210, 160)
    stage = Stage("Breakout", NAMES, (210, 160))
    picture = stage.compose(frame, moment([1, 2, 3, 4]))
    assert picture.dtype == np.uint8
    assert picture.shape == (630, 480 + PANEL_WIDTH, 3)
    assert stage.size == (480 + PANEL_WIDTH, 630)
    for row in range(3):
        for column in range(3):
            np.testing.assert_array_equal(picture[row:630:3, column:480:3], frame)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (250, 160), (401, 601), (1500, 901), (84, 84)])
def test_every_size_of_game_makes_an_even_picture(shape: tuple[int, int]) -> None:
    stage = Stage("World", NAMES, shape)
    picture = stage.compose(noise(*shape), moment([1, 2, 3, 4]))
    assert picture.shape == (stage.size[1], stage.size[0], 3)
    assert stage.size[0] % 2 == stage.size[1] % 2 == 0
    assert max(stage.size) <= 1600


def test_a_better_action_has_a_longer_bar() -> None:
    def length(value: float) -> int:
        picture = Stage("Game", NAMES, (210, 160)).compose(noise(210, 160), moment([4, value, 0, 0], action=0))
        bar = (picture[:, -PANEL_WIDTH:] == paint.BAR).all(2).sum(1)
        return int(bar.max())

    assert length(1) == pytest.approx(length(2) / 2, abs=2)
    assert length(2) == pytest.approx(length(4) / 2, abs=2)


def test_the_chosen_action_is_the_bright_one() -> None:
    stage = Stage("Game", NAMES, (210, 160))
    places = []
    for action in range(4):
        rows = rows_of(stage.compose(noise(210, 160), moment([1, 1, 1, 1], action)), paint.CHOSEN)
        places.append(rows.mean())
    assert np.all(np.diff(places) > 20)
    assert not len(rows_of(stage.compose(noise(210, 160), moment([1, 1, 1, 1], None)), paint.CHOSEN))


def test_bars_below_zero_go_left_and_bars_above_go_right() -> None:
    picture = Stage("Game", NAMES, (210, 160)).compose(noise(210, 160), moment([0, -2, 2, 0], action=0))
    assert columns_of(picture, paint.LOSS).max() <= columns_of(picture, paint.BAR).min()
    picture = Stage("Game", NAMES, (210, 160)).compose(noise(210, 160), moment([-1, -2, -2, 0], action=0))
    assert len(columns_of(picture, paint.CHOSEN_LOSS))
    assert not len(columns_of(picture, paint.BAR))


def test_the_scale_widens_with_the_values_and_stays_wide() -> None:
    stage = Stage("Game", NAMES, (210, 160))
    first = len(columns_of(stage.compose(noise(210, 160), moment([0, 1, 0, 0])), paint.BAR))
    stage.compose(noise(210, 160), moment([0, 10, 0, 0]))
    again = len(columns_of(stage.compose(noise(210, 160), moment([0, 1, 0, 0])), paint.BAR))
    assert again == pytest.approx(first / 10, abs=2)


@pytest.mark.parametrize("count", [1, 2, 18, 40])
def test_any_number_of_actions_fits(count: int) -> None:
    stage = Stage("Game", [f"ACTION_{i}" for i in range(count)], (210, 160))
    picture = stage.compose(noise(210, 160), moment([0.1 * i - 1 for i in range(count)], count - 1))
    assert picture.shape[0] <= 1080
    assert len(columns_of(picture, paint.CHOSEN if count > 10 else paint.CHOSEN_LOSS))


@pytest.mark.parametrize(
    "q",
    [
        [np.nan] * 4,
        [np.inf, -np.inf, 0, 1],
        [0.0] * 4,
        [1e12, -1e12, 1e-9, 0],
        [-1e-320, 0, 0, 0],
        [1e308, -1e308, 0, 0],
    ],
)
def test_no_value_breaks_the_picture(q: list[float]) -> None:
    stage = Stage("Game", NAMES, (210, 160))
    for explored in (False, True):
        stage.compose(noise(210, 160), moment(q, explored=explored, score=-1234567.25, step=10**8, over=explored))


def test_a_world_may_change_the_size_of_its_frames() -> None:
    stage = Stage("Game", NAMES, (100, 100))
    for shape in ((100, 100), (50, 300), (300, 50)):
        assert stage.compose(noise(*shape), moment([1, 2, 3, 4])).shape == (stage.size[1], stage.size[0], 3)


def test_a_long_title_ends_before_the_edge() -> None:
    text, size = paint.fitting("An endless " * 20, 30, 300, bold=True)
    assert text.endswith("…")
    assert paint.width_of(text, size, bold=True) <= 300


def test_a_picture_is_not_changed_by_the_next_one() -> None:
    stage = Stage("Game", NAMES, (210, 160))
    first = stage.compose(noise(210, 160), moment([1, 2, 3, 4]))
    kept = first.copy()
    stage.compose(255 - noise(210, 160), moment([4, 3, 2, 1], 2))
    np.testing.assert_array_equal(first, kept)


def test_action_names_are_words() -> None:
    names = ["NOOP", "UPRIGHTFIRE", "LEFT", "DOWNFIRE", "main_engine"]
    assert [spoken(name) for name in names] == ["noop", "up right fire", "left", "down fire", "main engine"]
    assert [told(score) for score in (1234567, -21.0, 0.25)] == ["1,234,567", "-21", "0.2"]


def test_bars_of_values_that_lie_close_start_below_the_least_one() -> None:
    def lengths(q: list[float]) -> list[int]:
        picture = Stage("Game", NAMES, (210, 160)).compose(noise(210, 160), moment(q))
        rows = (picture[:, -PANEL_WIDTH:] == paint.BAR).all(2).sum(1)
        return sorted({int(count) for count in rows if count > 8})

    apart = lengths([36.5, 36.0, 36.4, 36.2])
    assert apart[-1] > 2 * apart[0]
    assert lengths([36.5, 1.0, 36.4, 36.2])[-1] > 0.9 * lengths([36.5, 1.0, 36.5, 36.5])[-1]  # from 0, as ever


def recorder(written: list[str]) -> Callable[..., int]:
    """Return what stands in for `paint.write` and keeps the texts."""

    def write(canvas: object, text: str, *place: object, **style: object) -> int:
        written.append(text)
        return 0

    return write


@pytest.mark.parametrize("skipped", [1, 3])
def test_the_reward_a_step_is_told_where_every_step_brings_one_whatever_is_left_out(
    skipped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(paint, "write", recorder(written))
    monkeypatch.setattr("rlrun.cli.stage.RUNNING_STEPS", 100)
    stage = Stage("Game", NAMES, (210, 160))
    stage.compose(noise(210, 160), moment([1, 2, 3, 4], None, step=0, score=0.0, lives=None))
    for step in range(skipped, 301, skipped):
        reward = 1.0 if step <= 150 else 1.25
        score = min(step, 150) + 1.25 * max(step - 150, 0)
        stage.compose(noise(210, 160), moment([1, 2, 3, 4], step=step, score=score, lives=None))
        if step in (30, 300):
            assert "A STEP" in written
            assert f"{reward:.3f}" in written
        written.clear()


def test_the_reward_a_step_is_left_out_where_rewards_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(paint, "write", recorder(written))
    stage = Stage("Game", NAMES, (210, 160))
    for step in range(20):
        stage.compose(noise(210, 160), moment([1, 2, 3, 4], step=step, score=float(step > 10), lives=None))
    assert "A STEP" not in written

import io
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from rlrun.cli.moments import Moment
from rlrun.cli.terminal import SHOW, Terminal, bar_of, fit, half_blocks, shrink, true_color

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class FakeTty(io.StringIO):
    def isatty(self) -> bool:
        return True


def frame(height: int = 210, width: int = 160) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def moment(over: bool = False, action: int = 1, q: tuple[float, ...] = (1.0, 2.0)) -> Moment:
    return Moment([frame()], np.array(q), action, False, 3.0, 9, 1, None, over)


def plain(line: str) -> str:
    return ESCAPE.sub("", line)


def pixels(lines: list[str]) -> NDArray[np.uint8]:
    """Return the picture that a true-colour terminal would show for these lines of half blocks."""
    rows = []
    for line in lines:
        pen = ground = (0, 0, 0)
        upper, lower = [], []
        for part in re.findall(r"\x1b\[[0-9;]*m|.", line):
            if part.startswith("\x1b"):
                where, _, *color = map(int, part[2:-1].split(";"))
                pen, ground = (tuple(color), ground) if where == 38 else (pen, tuple(color))  # type: ignore[assignment]
            else:
                assert part in " ▀"
                upper.append(pen if part == "▀" else ground)
                lower.append(ground)
        rows += [upper, lower]
    return np.array(rows, np.uint8)


def test_half_blocks_show_every_pixel_in_its_own_color() -> None:
    picture = frame(12, 9)
    picture[2:8, 3:7] = (200, 72, 72)  # runs of one colour are written once
    np.testing.assert_array_equal(pixels(half_blocks(picture)), picture)
    assert len("".join(half_blocks(np.full((12, 90, 3), 7, np.uint8)))) < 6 * 120


def test_without_24_bit_the_nearest_of_256_colors_is_taken() -> None:
    picture = np.array([[[255, 0, 0]], [[8, 8, 8]]], np.uint8)
    assert half_blocks(picture, colors=False) == ["\x1b[48;5;232m\x1b[38;5;196m▀"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"COLORTERM": "truecolor"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({}, False),
    ],
)
def test_24_bit_colors_are_only_sent_where_they_are_known(environment: dict[str, str], expected: bool) -> None:
    assert true_color(environment) is expected


@pytest.mark.parametrize(("columns", "rows"), [(100, 30), (60, 40), (200, 60), (79, 24), (20, 6), (1, 1)])
def test_everything_fits_into_the_terminal(columns: int, rows: int) -> None:
    terminal = Terminal("Breakout", ["NOOP", "DOWNRIGHTFIRE"], io.StringIO(), colors=True)
    lines = terminal.render(frame(), moment(), columns, rows)
    assert len(lines) <= rows
    assert max(len(plain(line)) for line in lines) <= columns


@pytest.mark.parametrize("shape", [(210, 160), (400, 600), (84, 84)])
def test_the_game_keeps_its_shape(shape: tuple[int, int]) -> None:
    columns, rows = fit(np.zeros((*shape, 3), np.uint8), 120, 50)
    assert columns / (2 * rows) == pytest.approx(shape[1] / shape[0], rel=0.05)
    assert columns == 120 or rows == 50


def test_a_shrunk_pixel_is_the_mean_of_those_it_stands_for() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2] = [[[0, 0, 0], [100, 0, 0]], [[100, 0, 0], [200, 0, 0]]]
    assert shrink(picture, 2, 2)[0, 0].tolist() == [100, 0, 0]


def test_bars_start_at_zero() -> None:
    assert bar_of(1, 0, 2, 8) == "████    "
    assert bar_of(2, 0, 2, 8) == "████████"
    assert bar_of(0.125, 0, 2, 8) == "▌       "
    assert plain(bar_of(-1, -2, 2, 8)) == "  ██    "
    assert plain(bar_of(-0.75, -2, 2, 8)) == "  ▌█    "  # the first half block is inverted: its right half is filled
    assert "\x1b[7m" in bar_of(-0.75, -2, 2, 8)
    assert bar_of(1, -1, 2, 8) == "  ███▍  "  # zero lies within a character, and moves to its edge
    for value in (np.nan, np.inf, -5, 5, 0):
        assert len(plain(bar_of(value, -2, 2, 8))) == 8
    assert bar_of(0, 0, 0, 8) == " " * 8


def test_the_panel_names_score_and_chosen_action() -> None:
    terminal = Terminal("Breakout", ["NOOP", "RIGHTFIRE"], io.StringIO(), colors=True)
    text = "\n".join(plain(line) for line in terminal.render(frame(), moment(), 100, 30))
    assert "score 3  step 9" in text
    assert re.search(r">right fire +█+ +2\.00", text)
    assert re.search(r" noop .*1\.00", text)


def test_the_screen_and_the_cursor_are_given_back_after_ctrl_c() -> None:
    stream = FakeTty()
    terminal = Terminal("Breakout", ["NOOP", "FIRE"], stream, colors=True)

    def interrupted() -> None:
        with terminal:
            terminal.show(frame(), moment())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().startswith("\x1b[?1049h\x1b[?25l")
    assert stream.getvalue().endswith(SHOW)
    assert "\x1b[?25h" in SHOW


def test_only_what_has_changed_is_sent_again() -> None:
    stream = FakeTty()
    picture = frame()
    with Terminal("Breakout", ["NOOP", "FIRE"], stream, colors=True) as terminal:
        terminal.show(picture, moment())
        first = len(stream.getvalue())
        terminal.show(picture, moment())
        assert len(stream.getvalue()) - first < 60
        terminal.show(picture, moment(action=0))
        assert 60 < len(stream.getvalue()) - first < first / 4


def test_a_pipe_gets_one_picture_an_episode_and_no_cursor_tricks() -> None:
    stream = io.StringIO()
    with Terminal("Breakout", ["NOOP", "FIRE"], stream, colors=True) as terminal:
        for _ in range(5):
            terminal.show(frame(), moment())
        assert stream.getvalue() == ""
        end = moment(over=True)
        for _ in range(3):  # the last picture stays for a while
            terminal.show(frame(), end)
    assert stream.getvalue().count("episode over") == 1
    assert not re.search(r"\x1b\[[0-9;?]*[^m0-9;?]", stream.getvalue())

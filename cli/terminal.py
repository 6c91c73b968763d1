"""Terminal: the watched game in half blocks and colours, two pixels a character, with a list of bars beside it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from .moments import Frame, Moment, spoken, told

HIDE, SHOW = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[0m\x1b[?25h\x1b[?1049l"  # the other screen and no cursor, and back
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # terminals that know it draw what lies between at once
RESET = "\x1b[0m"
PANEL_WIDTH = 36
EIGHTHS = " ▏▎▍▌▋▊▉█"
ASPECT = 1.0  # height of half a character over its width: nearly square in all common fonts


def true_color(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal shows 24-bit colours; others, and ssh that does not tell, get the 256 of xterm."""
    term = environment.get("TERM", "")
    return (
        environment.get("COLORTERM", "").lower() in ("truecolor", "24bit")
        or term.endswith("-direct")
        or any(name in term for name in ("kitty", "alacritty", "foot", "ghostty", "wezterm"))
        or "WT_SESSION" in environment
    )


class Terminal:
    """Shows a game in the terminal, as a view of `rlrun watch`.

    On a terminal it takes the whole screen and only sends what has changed; elsewhere, as in a pipe, it writes one
    picture at the end of each episode. Leaving its `with` block gives the screen and the cursor back.
    """

    fps = 20.0

    def __init__(
        self, title: str, action_names: Sequence[str], stream: TextIO | None = None, *, colors: bool | None = None
    ) -> None:
        """Draw to `stream`, stdout by default, with 24-bit `colors` or without, by default as its terminal can."""
        self._title, self._names = title, [spoken(name) for name in action_names]
        self._stream = sys.stdout if stream is None else stream
        self._live = self._stream.isatty()
        self.paced = self._live  # nobody watches a pipe
        self._ended: Moment | None = None  # the end that was written last
        self._colors = true_color(os.environ) if colors is None else colors
        self._drawn: list[str] = []
        self._size = (0, 0)
        self._low = self._high = 0.0
        self._open = False

    def __enter__(self) -> Terminal:
        """Take the screen."""
        if self._live:
            self._open = True
            self._stream.write(HIDE)
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back as it was; safe to call twice, and after Ctrl-C."""
        if self._open:
            self._open = False
            self._stream.write(SHOW)
            self._stream.flush()

    def show(self, frame: Frame, moment: Moment) -> bool:
        """Draw one picture; return True, for a terminal is closed by Ctrl-C only."""
        if not self._live and (not moment.over or moment is self._ended):
            self._widen(moment)
            return True
        size = shutil.get_terminal_size((100, 30))
        # The last column stays free: clearing the rest of a full line takes its last character on some terminals.
        lines = self.render(frame, moment, max(size.columns - 1, 1), size.lines)
        if not self._live:
            self._stream.write("\n".join(lines) + RESET + "\n")
            self._ended = moment
            return True
        clear = ""
        if size != self._size:
            self._size, self._drawn, clear = size, [], "\x1b[2J"
        changed = [
            f"\x1b[{row};1H{line}{RESET}\x1b[K"
            for row, line in enumerate(lines, 1)
            if row > len(self._drawn) or line != self._drawn[row - 1]
        ]
        if len(lines) < len(self._drawn):
            changed.append(f"\x1b[{len(lines) + 1};1H\x1b[J")
        self._drawn = lines
        self._stream.write(BEGIN + clear + "".join(changed) + END)
        self._stream.flush()
        return True

    def render(self, frame: Frame, moment: Moment, columns: int, rows: int) -> list[str]:
        """Return at most `rows` lines of at most `columns` characters: the game, and the panel where it fits."""
        self._widen(moment)
        beside = columns >= 2 * PANEL_WIDTH + 4
        panel = self._panel(moment, PANEL_WIDTH if beside else columns)
        below = 0 if beside else min(len(panel), rows // 2)
        width, height = fit(frame, columns - (PANEL_WIDTH + 2 if beside else 0), rows - below)
        picture = half_blocks(shrink(frame, width, 2 * height), self._colors)
        if not beside:
            return (picture + panel[:below])[:rows]
        side = panel[:rows] + [""] * (len(picture) - len(panel))
        picture += [" " * width] * (len(side) - len(picture))
        return [f"{left}{RESET}  {right}" for left, right in zip(picture, side, strict=True)]

    def _widen(self, moment: Moment) -> None:
        known = moment.q[np.isfinite(moment.q)]
        if len(known):
            self._low, self._high = min(self._low, float(known.min())), max(self._high, float(known.max()))

    def _panel(self, moment: Moment, width: int) -> list[str]:
        lives = "" if moment.lives is None else f"  lives {moment.lives}"
        note = "  episode over" if moment.over else "  random" if moment.explored else ""
        head = [
            (self._title, "1"), (f"score {told(moment.score)}  step {moment.step:,}{lives}", "0"),
            (f"episode {moment.episode}{note}", "0"), ("", "0"), ("E[R | a]", "2"),
        ]  # fmt: skip
        lines = [f"\x1b[{style}m{text[:width]}{RESET}" for text, style in head]
        label = min(max(map(len, self._names), default=0), 15)
        room = max(width - label - 11, 4)
        for index, (name, value) in enumerate(zip(self._names, moment.q, strict=False)):
            chosen = index == moment.action
            ink = _ink((255, 178, 71) if chosen else (110, 140, 185), self._colors, 38)
            mark, style = (">", "1") if chosen else (" ", "0")
            bar = bar_of(float(value), self._low, self._high, room)
            text = f"{mark}{name[:label]:<{label}} "
            number = f"{value:>9.2f}" if abs(value) < 1e5 else f"{value:>9.2g}"
            lines.append(f"\x1b[{style}m{text}\x1b[{ink}m{bar}{RESET}\x1b[{style}m{number}{RESET}")
        return lines


def fit(frame: Frame, columns: int, rows: int) -> tuple[int, int]:
    """Return the largest (columns, rows) of characters in which `frame` keeps its shape."""
    height, width = frame.shape[:2]
    scale = min(columns / width, 2 * rows * ASPECT / height)
    return max(1, min(columns, round(width * scale))), max(1, min(rows, round(height * scale / ASPECT / 2)))


def shrink(frame: Frame, width: int, height: int) -> Frame:
    """Return `frame` in another size; every pixel is the mean of those it stands for."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.uint8)


def half_blocks(picture: Frame, colors: bool = True) -> list[str]:
    """Return a picture of an even height as lines of text: each character is an upper and a lower pixel."""
    upper, lower = picture[0::2].astype(np.int64), picture[1::2].astype(np.int64)
    weights = np.array([65536, 256, 1])
    top, bottom = upper @ weights, lower @ weights  # (rows, columns), a colour as one number
    lines = []
    for above, under in zip(top, bottom, strict=True):
        starts = np.flatnonzero(np.r_[True, (above[1:] != above[:-1]) | (under[1:] != under[:-1])])
        lengths = np.diff(np.r_[starts, len(above)])
        parts = []
        pen = ground = -1
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            one, two = int(above[start]), int(under[start])
            if two != ground:
                parts.append(_escape(two, colors, 48))
                ground = two
            if one != two and one != pen:
                parts.append(_escape(one, colors, 38))
                pen = one
            parts.append((" " if one == two else "▀") * length)
        lines.append("".join(parts))
    return lines


def bar_of(value: float, low: float, high: float, width: int) -> str:
    """Return `width` characters with a bar from zero to `value`, on a scale that runs from `low` to `high`."""
    if not (np.isfinite(value) and high > low):
        return " " * width
    zero = round(8 * width * -low / (high - low)) // 8 * 8  # between two characters
    end = round(8 * width * (min(max(value, low), high) - low) / (high - low))
    first, last = min(zero, end), max(zero, end)
    cells = []
    for start in range(0, 8 * width, 8):
        left, right = max(first, start) - start, min(last, start + 8) - start
        if right <= left:
            cells.append(" ")
        elif left == 0:
            cells.append(EIGHTHS[right])
        else:  # there are no blocks that are filled from the right, so colours are swapped
            cells.append(f"\x1b[7m{EIGHTHS[left]}\x1b[27m")
    return "".join(cells)


@lru_cache(maxsize=65536)
def _escape(color: int, colors: bool, ground: int) -> str:
    return f"\x1b[{_ink((color >> 16, color >> 8 & 255, color & 255), colors, ground)}m"


def _ink(color: tuple[int, int, int], colors: bool, ground: int) -> str:
    """Return the parameters of an escape sequence that set the foreground (38) or the background (48)."""
    if colors:
        return f"{ground};2;{color[0]};{color[1]};{color[2]}"
    return f"{ground};5;{16 + int(((_palette() - color) ** 2).sum(1).argmin())}"


@lru_cache
def _palette() -> NDArray[np.int64]:
    """Return the colours 16 to 255 of xterm, (240, 3): a cube and a row of greys."""
    levels = (0, 95, 135, 175, 215, 255)
    cube = [(r, g, b) for r in levels for g in levels for b in levels]
    return np.array(cube + [(8 + 10 * i,) * 3 for i in range(24)], np.int64)

"""Paint: the colours, letters and smooth-edged shapes of which the stage's panel is made."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Color = tuple[int, int, int]
Picture = NDArray[np.uint8]  # (height, width, 3) RGB

NIGHT: Color = (11, 14, 20)  # behind everything
PANEL: Color = (18, 22, 31)
RAISED: Color = (33, 40, 54)  # the chosen action's row
LINE: Color = (48, 56, 72)
TEXT: Color = (232, 237, 244)
SOFT: Color = (165, 175, 190)
FAINT: Color = (122, 133, 150)
BAR: Color = (72, 98, 136)
LOSS: Color = (128, 76, 96)  # a bar below zero
CHOSEN: Color = (255, 178, 71)
CHOSEN_LOSS: Color = (255, 112, 112)
CURVE: Color = (98, 178, 255)
GAIN: Color = (110, 221, 150)


@cache
def font(size: int, bold: bool = False) -> FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings along, in `size` pixels."""
    import matplotlib
    from PIL import ImageFont

    file = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def _advance(text: str, size: int, bold: bool) -> float:
    return font(size, bold).getlength(text)


def width_of(text: str, size: int, bold: bool = False) -> int:
    """Return how many pixels wide `text` is."""
    if text[-1:].isdigit():  # numbers by the digit: they would fill the cache
        return round(sum(_advance(digit, size, bold) for digit in text))
    return round(_advance(text, size, bold))


def fitting(text: str, size: int, width: int, bold: bool = False, least: int = 11) -> tuple[str, int]:
    """Return `text` and its size, smaller where it would be wider than `width`, cut short where `least` is too wide."""
    while size > least and width_of(text, size, bold) > width:
        size -= 1
    if width_of(text, size, bold) > width:
        while text and width_of(text + "…", size, bold) > width:
            text = text[:-1]
        text += "…"
    return text, size


@lru_cache(maxsize=4096)
def _letters(text: str, size: int, bold: bool) -> tuple[NDArray[np.uint16], int, int]:
    """Return the coverage (h, w) of `text`, and how far it begins right of the pen and below the capitals' top."""
    from PIL import Image, ImageDraw

    face = font(size, bold)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(text, anchor="ls"))
    mask = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=face, anchor="ls")
    return np.asarray(mask, np.uint16), left, top - round(face.getbbox("H", anchor="ls")[1])


def write(
    canvas: Picture, text: str, x: float, y: float, size: int, color: Color, bold: bool = False, align: str = "left"
) -> int:
    """Write `text` with the top of its capitals at `y`; return its width in pixels.

    align: whether `x` is its "left" or its "right" end.
    """
    total = width_of(text, size, bold)
    pen = float(x - total if align == "right" else x)
    for piece in text if text[-1:].isdigit() else [text]:
        mask, left, drop = _letters(piece, size, bold)
        blend(canvas, mask, round(pen) + left, round(y) + drop, color)
        pen += _advance(piece, size, bold)
    return total


def blend(canvas: Picture, coverage: NDArray[np.uint16], x: int, y: int, color: Color) -> None:
    """Lay `color` over the canvas at (x, y), as thick as `coverage` (h, w) of 0 to 255 says; clipped at the edges."""
    height, width = coverage.shape
    if y + height <= 0 or x + width <= 0:
        return
    top, left = max(-y, 0), max(-x, 0)
    under = canvas[max(y, 0) : y + height, max(x, 0) : x + width]
    cut = coverage[top : top + under.shape[0], left : left + under.shape[1], None].astype(np.int32)
    under[:] = (under * (255 - cut) + np.array(color, np.int32) * cut + 127) // 255


def rectangle(canvas: Picture, left: float, top: int, right: float, bottom: int, color: Color) -> None:
    """Fill a rectangle whose left and right edges may lie between two pixels, so that bars grow smoothly."""
    if right <= left:
        return
    first, last = int(left), int(right)  # the columns that hold the edges
    canvas[top:bottom, first + 1 : last] = color
    for column in {first, last}:
        covered = min(column + 1, right) - max(column, left)
        blend(canvas, np.full((bottom - top, 1), 255 * covered, np.uint16), column, top, color)


def disc(canvas: Picture, x: float, y: float, radius: float, color: Color) -> None:
    """Fill a circle around (x, y), smooth at its edge."""
    left, top = int(x - radius) - 1, int(y - radius) - 1
    span = np.arange(int(2 * radius) + 4) + 0.5
    distance = np.hypot(span[None] + left - x, span[:, None] + top - y)
    blend(canvas, (255 * np.clip(radius + 0.5 - distance, 0, 1)).astype(np.uint16), left, top, color)


def curve(canvas: Picture, left: int, heights: NDArray[np.float64], base: int, color: Color) -> None:
    """Draw a line one pixel a value, each in pixels above the row `base`, with a soft fill below it."""
    if len(heights) < 2:
        return
    y = base - heights  # (W,) rows of the line
    before = np.concatenate([y[:1], y[:-1]])
    upper, lower = np.minimum(y, before) - 1.0, np.maximum(y, before) + 1.0  # steep parts stay joined
    top = int(np.floor(upper.min()))
    rows = np.arange(top, base)[:, None]
    line = np.clip(np.minimum(rows + 1, lower) - np.maximum(rows, upper), 0, 1)
    depth = np.clip((base - rows) / max(base - top, 1), 0, 1)
    fill = np.clip(rows + 1 - lower, 0, 1) * (0.08 + 0.22 * depth)
    blend(canvas, (255 * np.maximum(line, fill)).astype(np.uint16), left, top, color)

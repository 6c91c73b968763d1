"""Paint: the colours, letters and smooth-edged shapes of which the stage's panel is made."""

from __future__ import annotations

from functools import cache
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


def width_of(text: str, size: int, bold: bool = False) -> int:
    """Return how many pixels wide `text` is."""
    return round(font(size, bold).getlength(text))


def fitting(text: str, size: int, width: int, bold: bool = False, least: int = 11) -> tuple[str, int]:
    """Return `text` and its size, smaller where it would be wider than `width`, cut short where `least` is too wide."""
    while size > least and width_of(text, size, bold) > width:
        size -= 1
    if width_of(text, size, bold) > width:
        while text and width_of(text + "…", size, bold) > width:
            text = text[:-1]
        text += "…"
    return text, size


@cache
def _letters(text: str, size: int, bold: bool) -> tuple[NDArray[np.uint8], int]:
    """Return the coverage (h, w) of `text`, and how far its top lies below the top of the capital letters."""
    from PIL import Image, ImageDraw

    face = font(size, bold)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(text, anchor="ls"))
    mask = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=face, anchor="ls")
    return np.asarray(mask), top - round(face.getbbox("H", anchor="ls")[1])


def write(
    canvas: Picture, text: str, x: float, y: float, size: int, color: Color, bold: bool = False, align: str = "left"
) -> int:
    """Write `text` with the top of its capitals at `y`; return its width in pixels.

    align: whether `x` is its "left" or its "right" end. Single characters are cached, so running numbers cost little.
    """
    total = width_of(text, size, bold)
    pen = float(x - total if align == "right" else x)
    numeric = text[-1:].isdigit()
    for piece in text if numeric else [text]:  # numbers by the digit: any text would fill the cache
        if piece != " ":
            mask, drop = _letters(piece, size, bold)
            left = int(font(size, bold).getbbox(piece, anchor="ls")[0])
            blend(canvas, mask.astype(np.uint16), round(pen) + left, round(y) + drop, color)
        pen += font(size, bold).getlength(piece)
    return total


def blend(canvas: Picture, coverage: NDArray[np.uint16], x: int, y: int, color: Color) -> None:
    """Lay `color` over the canvas at (x, y), as thick as `coverage` (h, w) of 0 to 255 says; clipped at the edges."""
    height, width = coverage.shape
    top, left = max(-y, 0), max(-x, 0)
    under = canvas[max(y, 0) : y + height, max(x, 0) : x + width]
    cut = coverage[top : top + under.shape[0], left : left + under.shape[1], None].astype(np.int32)
    under += ((np.array(color, np.int32) - under) * cut // 255).astype(np.int8).view(np.uint8) if _small(color) else _step(
        under, cut, color
    )

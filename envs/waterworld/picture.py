"""Picture: a world as the original draws it, in plain colours on white, its rays tinted by what they see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .core import Core
from .layout import RADIUS
from .rays import APPLE, POISON

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Color = tuple[int, int, int]

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
TINTS: dict[int, Color] = {APPLE: (255, 120, 120), POISON: (110, 220, 110)}
UNSEEN: Color = (205, 205, 205)  # a ray that meets nothing; one that meets a wall is black
FINENESS = 2  # drawn so many times larger and made smaller: smooth edges


class Painter:
    """Draws worlds of one core, each picture uint8 (500, 700, 3) RGB."""

    def __init__(self, core: Core) -> None:
        """Draw what never changes."""
        from PIL import Image

        self._core = core
        layout = core.layout
        self._ground = Image.new("RGB", (FINENESS * int(layout.width), FINENESS * int(layout.height)), WHITE)
        pen = _pen(self._ground)
        for wall in layout.walls:
            _line(pen, *wall, BLACK, 2)

    def paint(self, row: int = 0, reward: float = 0.0) -> NDArray[np.uint8]:
        """Return the picture of the world at `row`; `reward`, the last one, colours its agent."""
        state, sight, layout = self._core.state, self._core.sight, self._core.layout
        picture = self._ground.copy()
        pen = _pen(picture)
        x, y, angle = (float(tensor[row]) for tensor in (state.x, state.y, state.angle))
        eyes = zip(layout.eye_angles, sight.distance[row].tolist(), sight.kind[row].tolist(), strict=True)
        for offset, distance, kind in eyes:
            tint = TINTS.get(kind, UNSEEN if kind < 0 else BLACK)
            end = x + distance * np.sin(angle + offset), y + distance * np.cos(angle + offset)
            _line(pen, x, y, *end, tint, 2 if kind in TINTS else 1)
        items = (state.item_x[row].tolist(), state.item_y[row].tolist(), state.item_kind[row].tolist())
        for item_x, item_y, kind in zip(*items, strict=True):
            if kind in TINTS:
                _disc(pen, item_x, item_y, TINTS[kind])
        # As in the original, the redder the better: 0.75 a step and less is blue-green.
        red = int(np.clip(200 * reward, 0, 255))
        _disc(pen, x, y, (red, 150, 150))
        if layout.turns:
            _line(pen, x, y, x + RADIUS * np.sin(angle), y + RADIUS * np.cos(angle), BLACK, 2)
        return np.asarray(picture.reduce(FINENESS), np.uint8)


def _pen(picture: Image) -> ImageDraw:
    from PIL import ImageDraw

    return ImageDraw.Draw(picture)


def _line(pen: ImageDraw, x1: float, y1: float, x2: float, y2: float, color: Color, width: int) -> None:
    pen.line([FINENESS * end for end in (x1, y1, x2, y2)], fill=color, width=FINENESS * width)


def _disc(pen: ImageDraw, x: float, y: float, color: Color) -> None:
    box = [FINENESS * edge for edge in (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)]
    pen.ellipse(box, fill=color, outline=BLACK, width=FINENESS)

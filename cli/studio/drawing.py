"""Drawing: from ink on the pad to the picture that a network was trained on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FAINT = 0.1  # thinner ink is what the soft edge of an eraser leaves behind


class Framing(NamedTuple):
    """Where in a picture a data set has its digits."""

    box: int  # pixels of the longer side
    centre: tuple[float, float]  # the centre of mass, as (row, column); whole numbers are the middles of pixels

    @classmethod
    def usual(cls, height: int, width: int) -> Framing:
        """Return the framing of pictures of so many pixels: MNIST's, or that of scikit-learn's digits up to 8 x 8.

        MNIST: the longer side is 20 of 28 pixels, and the centre of mass lies on pixel 14 (LeCun et al. 1998). The
        8 x 8 digits fill their picture from top to bottom.
        """
        if max(height, width) <= 8:
            return cls(min(height, width), ((height - 1) / 2, (width - 1) / 2))
        return cls(round(20 / 28 * min(height, width)), (height / 2, width / 2))


def as_seen(ink: NDArray[Any], height: int, width: int, framing: Framing | None = None) -> NDArray[np.float32]:
    """Return a drawing as the network sees it, (height, width), 0 paper to 1 ink: cut out, scaled, centred by mass.

    Each pixel is the mean of the area of the drawing that it covers. The digit never leaves the picture: where its
    mass cannot be in the middle, it touches an edge. No ink gives an empty picture.

    Args:
        ink: the drawing, (h, w), 0 paper to 1 ink.
        height: of the picture, in pixels.
        width: likewise.
        framing: where the digit goes; `Framing.usual` if None.

    """
    picture = np.zeros((height, width), np.float32)
    dark = np.asarray(ink, np.float64) > FAINT
    if not dark.any():
        return picture
    box, centre = Framing.usual(height, width) if framing is None else framing
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    cut = np.asarray(ink, np.float64)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = box / max(cut.shape)
    tall, wide = (max(1, round(side * scale)) for side in cut.shape)
    small = _shares(cut.shape[0], tall) @ cut @ _shares(cut.shape[1], wide).T
    mass = small.sum()
    middle = float(small.sum(1) @ np.arange(tall) / mass), float(small.sum(0) @ np.arange(wide) / mass)
    top = int(np.clip(np.floor(centre[0] - middle[0] + 0.5), 0, height - tall))
    left = int(np.clip(np.floor(centre[1] - middle[1] + 0.5), 0, width - wide))
    picture[top : top + tall, left : left + wide] = small
    return picture


def _shares(before: int, after: int) -> NDArray[np.float64]:
    """Return (after, before): how much of each old pixel is in each new one; rows add up to 1."""
    edges = np.linspace(0, before, after + 1)
    low, high = edges[:-1, None], edges[1:, None]
    at = np.arange(before)
    shares: NDArray[np.float64] = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None) / (high - low)
    return shares

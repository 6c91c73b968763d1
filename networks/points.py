"""Points in the plane that are not separable by a line: the circle, the spiral and the simple data of ConvNetJS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = tuple[NDArray[np.float32], NDArray[np.int64]]  # (n, 2) and (n,) of 0 or 1

SIMPLE: tuple[tuple[float, float, int], ...] = (
    (-0.4326, 1.1909, 1), (3.0, 4.0, 1), (0.1253, -0.0376, 1), (0.2877, 0.3273, 1), (-1.1465, 0.1746, 1),
    (1.8133, 1.0139, 0), (2.7258, 1.0668, 0), (1.4117, 0.5593, 0), (4.1832, 0.3044, 0), (1.8636, 0.1677, 0),
    (0.5, 3.2, 1), (0.8, 3.2, 1), (1.0, -2.2, 1),
)  # fmt: skip
"""The 13 fixed points of the demonstration classify2d: x, y, class."""


def circle(rng: np.random.Generator, each: int = 50) -> Points:
    """Return `each` points inside, r ~ U(0, 2), of class 1, and as many around them, r ~ U(3, 5), of class 0."""
    inner, outer = rng.uniform(0, 2, each), rng.uniform(3, 5, each)
    turns = np.r_[rng.uniform(0, 2 * np.pi, each), 2 * np.pi * np.arange(each) / each]
    return _polar(np.r_[inner, outer], turns), np.repeat(np.array([1, 0]), each)


def spiral(rng: np.random.Generator, each: int = 100) -> Points:
    """Return two arms of `each` points, r = 5 i/n +- 0.1, angle 2.5 pi i/n +- 0.1, the second one turned by pi."""
    along = np.tile(np.arange(each) / each, 2)
    label = np.repeat(np.array([1, 0]), each)
    r = 5 * along + rng.uniform(-0.1, 0.1, 2 * each)
    turns = 2.5 * np.pi * along + rng.uniform(-0.1, 0.1, 2 * each) + np.pi * (label == 0)
    return _polar(r, turns), label


def simple() -> Points:
    """Return the 13 points of `SIMPLE`."""
    table = np.array(SIMPLE)
    return table[:, :2].astype(np.float32), table[:, 2].astype(np.int64)


def _polar(r: NDArray[np.float64], turns: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.stack([r * np.sin(turns), r * np.cos(turns)], 1).astype(np.float32)

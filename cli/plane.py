"""The plane as a classifier of points sees it: its decision regions, and the grid as two neurons warp it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from ..networks.digits import Data
    from .model import Model

HALF = 4.0  # the square drawn, as in ConvNetJS's classify2d
RED, GREEN = "#d64545", "#2c9c69"
LIGHT_RED, LIGHT_GREEN = "#f6c9c4", "#c5e8d5"


def decision_regions(
    model: Model, steps: int = 81, half: float = HALF
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a grid of points, (steps, steps, 2) with x along the columns, and P(class 1) in each, (steps, steps)."""
    line = np.linspace(-half, half, steps, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line), -1)
    return grid, model.probabilities(grid.reshape(-1, 2))[:, 1].reshape(steps, steps)


@torch.no_grad()
def warped(model: Model, points: NDArray[np.float32], neurons: tuple[int, int] = (0, 1)) -> NDArray[np.float32]:
    """Return what two neurons of the body's last layer make of points, (..., 2) -> (..., 2)."""
    features = model.network.body(torch.as_tensor(points.reshape(-1, 2))).numpy()
    chosen: NDArray[np.float32] = features[:, list(neurons)]
    return chosen.reshape(*points.shape[:-1], 2)


def telling_pair(features: NDArray[np.float32], y: NDArray[np.int64]) -> tuple[int, int]:
    """Return the two neurons that tell two classes apart best, from features (n, F) and classes (n,) of 0 or 1.

    By Fisher's criterion (1936): the squared distance of the classes' means d^T S^-1 d, S the scatter within them. The
    first two of equal pairs; (0, 0) of a single neuron.
    """
    difference = features[y == 1].mean(0) - features[y == 0].mean(0)
    inner = np.concatenate([features[y == label] - features[y == label].mean(0) for label in (0, 1)])
    scatter = inner.T @ inner / len(inner) + 1e-6 * np.eye(features.shape[1])
    best, found = -np.inf, (0, 0)
    for pair in combinations(range(features.shape[1]), 2):
        d = difference[list(pair)]
        distance = float(d @ np.linalg.solve(scatter[np.ix_(pair, pair)], d))
        if distance > best:
            best, found = distance, pair
    return found


def draw_plane(left: Figure | SubFigure, right: Figure | SubFigure, model: Model, data: Data) -> None:
    """Draw the decision regions with the training points, and the same warped by the last hidden layer."""
    from matplotlib.colors import ListedColormap

    x, y = data.train.x.numpy(), data.train.y.numpy()
    colors = np.where(y == 1, GREEN, RED)
    half = max(HALF, float(np.abs(x).max()) * 1.05)
    grid, p = decision_regions(model, half=half)
    shades = ListedColormap([LIGHT_RED, LIGHT_GREEN])
    axes = left.subplots()
    axes.pcolormesh(grid[..., 0], grid[..., 1], (p > 0.5).astype(int), cmap=shades, vmin=0, vmax=1, shading="nearest")
    axes.contour(grid[..., 0], grid[..., 1], p, levels=[0.1, 0.5, 0.9], colors="#1f2733", linewidths=(0.5, 1.4, 0.5))
    axes.scatter(x[:, 0], x[:, 1], c=colors, s=26, edgecolors="white", linewidths=0.7, zorder=3)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set_title("decision regions", loc="left", fontsize=11)

    axes = right.subplots()
    with torch.no_grad():
        pair = telling_pair(model.network.body(data.train.x).numpy(), y)
    moved = warped(model, grid, pair)
    for lines in (moved, moved.transpose(1, 0, 2)):
        for line in lines[::4]:  # each along the fine grid, so that it bends smoothly
            axes.plot(*line.T, color="#b9c0cb", linewidth=0.8, zorder=1)
    shade = np.where(p[::4, ::4].ravel() > 0.5, LIGHT_GREEN, LIGHT_RED)
    crossings = moved[::4, ::4].reshape(-1, 2)
    axes.scatter(crossings[:, 0], crossings[:, 1], c=shade, s=12, zorder=2)
    seen = warped(model, x, pair)
    axes.scatter(seen[:, 0], seen[:, 1], c=colors, s=26, edgecolors="white", linewidths=0.7, zorder=3)
    axes.grid(False)
    axes.set_title(f"as neurons {pair[0]} and {pair[1]} of the last layer of the body see it", loc="left", fontsize=11)

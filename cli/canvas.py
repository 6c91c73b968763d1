"""Canvas: what the sheets are drawn with: a titled figure, labels, inputs as images or bars, maps side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .parts import TINTS
from .plot import COLORS

if TYPE_CHECKING:
    from .subject import Subject

MAPS = 12  # feature maps of a layer that are drawn


def figure_titled(width: float, height: float, title: str) -> Any:
    """Return a figure of so many inches; its axes take the style in force when they are made."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    return figure


def write_label(axes: Any, text: str) -> None:
    """Write `text` in place of a picture, at the right."""
    axes.axis("off")
    axes.text(1, 0.5, text, ha="right", va="center", fontsize=8, transform=axes.transAxes)


def show(axes: Any, x: Tensor, subject: Subject) -> None:
    """Show an input: an image, what Waterworld's eyes see now as rays, or numbers as bars."""
    rays = None if subject.parts is None else subject.parts.rays(x)
    if subject.sees_images:
        axes.imshow(picture_of(x), cmap="gray")
        axes.axis("off")
    elif subject.parts is not None and rays is not None:
        for (right, up), kind in zip(rays.tolist(), subject.parts.sights(x[None])[0].tolist(), strict=True):
            axes.plot((0, right), (0, up), color=TINTS[kind], linewidth=1.2, marker="o", markevery=[1], markersize=2)
        axes.plot(0, 0, "o", color=COLORS[0], markersize=4)
        axes.set(xlim=(-1.1, 1.1), ylim=(-1.1 if rays[:, 1].min() < -0.2 else -0.2, 1.1), aspect="equal")
        axes.axis("off")
    else:
        rows = np.atleast_2d(x.numpy())  # a window's, the newest last and darkest
        for row, values in enumerate(rows):
            at = np.arange(values.size) + row * values.size
            axes.bar(at, values, color=COLORS[0], alpha=(row + 1) / len(rows))
        if x.numel() <= 10:
            axes.set_xticks(range(x.numel()))
        axes.tick_params(labelsize=7)


def side_by_side(maps: Tensor) -> NDArray[Any]:
    """Return feature maps (U, H, W) as one picture, (H, MAPS (W + 1) - 1), a gap between two of them."""
    height, width = maps.shape[1:]
    picture = np.full((height, MAPS * (width + 1) - 1), np.nan, np.float32)
    for number, one in enumerate(maps.numpy()):
        picture[:, number * (width + 1) : number * (width + 1) + width] = one
    return picture


def picture_of(x: Tensor) -> NDArray[Any]:
    """Return an image (C, H, W) as it is drawn: colours, or the newest frame of a stack."""
    pixels: NDArray[Any] = (x.permute(1, 2, 0) if x.shape[0] == 3 else x[-1]).numpy()
    low, high = float(pixels.min()), float(pixels.max())
    return pixels if low >= 0 and high <= 1 else (pixels - low) / (high - low)

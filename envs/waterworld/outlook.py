"""Outlook: which walls an agent may touch or see, looked up by where it stands and where it is heading."""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin, sqrt

import torch
from torch import Tensor

from .layout import RADIUS, TURN, Layout

CELL = 10.0  # px, the side of the squares that places are sorted into
SECTORS = 32  # of a turn, the headings
STRIDE = RADIUS / 2  # px, no wheel turns an agent by more
MARGIN = 0.01  # px and rad: more than rounding can make of a pose
NOWHERE = (-1e6, -1e6, -1e6, -1e6 + 1)  # a wall that nobody ever meets


class Outlook:
    """For all poses of a layout's agents the walls that matter there, or a few more.

    A wall that is left out is certainly not met; one that is named wants to be worked out.
    """

    def __init__(self, layout: Layout, dtype: torch.dtype, device: torch.device) -> None:
        """Look up the walls of `layout`, whose places are told in `dtype`, on `device`."""
        self._rows, self._columns = _rows(layout), _columns(layout)
        self._within_stride, self._in_view = (table.to(device) for table in _tables(layout))
        self._sectors = self._in_view.shape[1] // (self._rows * self._columns)
        self._ends = torch.tensor([*layout.walls, NOWHERE], dtype=dtype, device=device).t().contiguous()  # (4, W + 1)
        self.nowhere = len(layout.walls)

    def within_stride(self, x: Tensor, y: Tensor) -> Tensor:
        """Return which walls agents at (x, y), each (N,), might meet on their way, as `in_view` does."""
        return self._within_stride.index_select(1, self._cell(x, y))

    def in_view(self, x: Tensor, y: Tensor, angle: Tensor) -> Tensor:
        """Return which walls some eye of agents at (x, y) with headings `angle`, each (N,), might see.

        They are the walls' numbers, (K, N) uint8; where there are less than K, `nowhere` stands behind the last.
        """
        sector = (angle * (self._sectors / TURN)).long().clamp_(0, self._sectors - 1)
        return self._in_view.index_select(1, self._cell(x, y).add_(sector, alpha=self._rows * self._columns))

    def ends(self, walls: Tensor) -> Tensor:
        """Return x1, y1, x2 and y2, (4, ...), of the walls with numbers (...)."""
        return self._ends.index_select(1, walls.flatten().int()).view(4, *walls.shape)

    def _cell(self, x: Tensor, y: Tensor) -> Tensor:
        return (x * (1 / CELL)).long().add_((y * (1 / CELL)).long(), alpha=self._columns)


def _rows(layout: Layout) -> int:
    return int(layout.height // CELL) + 1


def _columns(layout: Layout) -> int:
    return int(layout.width // CELL) + 1


@cache
def _tables(layout: Layout) -> tuple[Tensor, Tensor]:
    """Return what `Outlook` looks up, for each cell, and for each sector and cell: (K, cells), (K, sectors * cells)."""
    around = CELL * sqrt(0.5) + MARGIN  # how far an agent may be from the middle of its cell
    rows, columns = torch.arange(_rows(layout)).double(), torch.arange(_columns(layout)).double()
    y, x = ((axis.reshape(-1, 1) + 0.5) * CELL for axis in torch.meshgrid(rows, columns, indexing="ij"))
    walls = torch.tensor(layout.walls, dtype=torch.float64)
    from_x, from_y = walls[:, 0] - x, walls[:, 1] - y  # (cells, W), of a wall's beginning from the cell's middle
    along_x, along_y = walls[:, 2] - walls[:, 0], walls[:, 3] - walls[:, 1]
    length = torch.hypot(along_x, along_y)
    # The share of the wall where it comes nearest, were it endless, and how far that is.
    foot = -(from_x * along_x + from_y * along_y) / length**2
    apart = (from_x * along_y - from_y * along_x).abs() / length

    def within(distance: float) -> tuple[Tensor, Tensor]:
        """Return the shares of walls between which they are within `distance`; the first is larger where none is."""
        half = (distance**2 - apart**2).sqrt() / length  # no number where the line stays farther away
        return (foot - half).clamp(min=0).nan_to_num(1.0), (foot + half).clamp(max=1).nan_to_num(0.0)

    low, high = within(STRIDE + around)
    within_stride = _numbers(low <= high)
    low, high = within(layout.reach + around)
    fan = (layout.eyes - 1) * layout.eye_spacing
    if fan + TURN / SECTORS + 2 * MARGIN >= pi:  # eyes all around
        return within_stride, _numbers(low <= high)
    views = []
    for sector in range(SECTORS):
        first = sector * TURN / SECTORS + layout.first_eye - MARGIN
        last = first + TURN / SECTORS + fan + 2 * MARGIN
        lowest, highest = low, high
        for edge, side in ((first, 1), (last, -1)):
            # How far inwards of the outermost eye's line the wall begins, and how much farther it goes, px.
            cosine, sine = side * cos(edge), side * sin(edge)
            begins, goes = from_x * cosine - from_y * sine + around, along_x * cosine - along_y * sine
            lowest = torch.where(goes > 0, torch.maximum(lowest, -begins / goes), lowest)
            highest = torch.where(goes < 0, torch.minimum(highest, -begins / goes), highest)
            highest = highest.masked_fill((goes == 0) & (begins < 0), -1.0)
        views.append(lowest <= highest)
    return within_stride, _numbers(torch.cat(views))


def _numbers(chosen: Tensor) -> Tensor:
    """Return the numbers of those walls that `chosen` (C, W) bool names, (K, C), and W behind them."""
    count, walls = chosen.sum(1), chosen.shape[1]
    order = chosen.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, : int(count.max())]
    listed = torch.where(torch.arange(order.shape[1]) < count[:, None], order, walls)
    return listed.t().to(torch.uint8).contiguous()

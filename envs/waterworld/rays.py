"""Rays: what each eye of each agent meets first, among walls and items, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .layout import RADIUS, Layout
from .state import EMPTY, State

NOTHING, WALL, APPLE, POISON = -1, 0, 1, 2


class Sight(NamedTuple):
    """What eyes see, each (N, E)."""

    distance: Tensor  # px; the eyes' range where there is nothing
    kind: Tensor  # int64: NOTHING, WALL, APPLE or POISON
    place: Tensor  # int64: of the item seen in an (N, S) array laid flat, else -1


class Eyes:
    """The eyes of a layout's agents and the walls that they may see, on one device."""

    def __init__(self, layout: Layout, dtype: torch.dtype, device: torch.device) -> None:
        """Put the layout's numbers where they are needed."""
        self.layout = layout
        angles = torch.tensor(layout.eye_angles, dtype=torch.float64)
        self.sine, self.cosine = angles.sin().to(device, dtype), angles.cos().to(device, dtype)  # (E,)
        self.walls = torch.tensor(layout.walls, dtype=dtype, device=device)  # (W, 4)


def look(eyes: Eyes, state: State) -> Sight:
    """Return what the agents of N worlds see: every eye is asked about every wall and every item."""
    heading_sine, heading_cosine = state.angle.sin()[:, None], state.angle.cos()[:, None]
    sine = heading_sine * eyes.cosine + heading_cosine * eyes.sine
    cosine = heading_cosine * eyes.cosine - heading_sine * eyes.sine
    reach = eyes.layout.reach
    u, met = meeting(state.x[:, None], state.y[:, None], sine * reach, cosine * reach, eyes.walls)
    wall = torch.where(met, u, torch.inf).amin(2)  # the share of each ray, (N, E), before the nearest
    share, square = _items_ahead(state, sine, cosine, reach)
    nearest, slot = share.min(1)
    item = nearest < wall  # an item as near as a wall does not hide it
    # Not along the ray, but to the point where the original saw the item.
    distance = torch.where(item, square.gather(1, slot[:, None])[:, 0].sqrt(), wall.clamp(max=1.0) * reach)
    kind = torch.where(item, state.item_kind.gather(1, slot).long(), torch.where(wall.isinf(), NOTHING, WALL))
    rows = torch.arange(len(state.x), device=state.x.device)[:, None]
    return Sight(distance, kind, torch.where(item, rows * eyes.layout.items + slot, -1))


def meeting(x: Tensor, y: Tensor, step_x: Tensor, step_y: Tensor, walls: Tensor) -> tuple[Tensor, Tensor]:
    """Return for lines (x, y) + u (step_x, step_y), each (...), and walls (W, 4) the share u before they meet.

    And whether they do: each (..., W). The shares of parallels are infinite or no numbers.
    """
    x1, y1, x2, y2 = walls.unbind(1)
    step_x, step_y = step_x[..., None], step_y[..., None]
    along_x, along_y = x2 - x1, y2 - y1
    from_x, from_y = x[..., None] - x1, y[..., None] - y1
    spread = along_y * step_x - along_x * step_y
    u, v = (along_x * from_y - along_y * from_x) / spread, (step_x * from_y - step_y * from_x) / spread
    return u, (u > 0) & (u < 1) & (v > 0) & (v < 1)


def _items_ahead(state: State, sine: Tensor, cosine: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Return the share of each ray (sine, cosine) * reach, (N, E), before each item, infinite where it is not met.

    And the square of its distance: each (N, S, E). Faithful to the original, in which an item to the right of a ray is
    met as far again to the right of where it is: the point that counts lies e = s + |s| beside the ray, where s is the
    item's own offset to the right.
    """
    off_x = (state.item_x - state.x[:, None])[..., None]
    off_y = (state.item_y - state.y[:, None])[..., None]
    sine, cosine = sine[:, None], cosine[:, None]
    s = off_x * cosine - off_y * sine
    t = off_x * sine + off_y * cosine
    e = s + s.abs()
    # measured along the axis that the ray runs along more
    share = torch.where(sine.abs() > cosine.abs(), t + e * cosine / sine, t - e * sine / cosine) / reach
    met = (share > 0) & (share < 1) & (s.abs() <= RADIUS) & (state.item_kind != EMPTY)[..., None]
    return torch.where(met, share, torch.inf), t * t + e * e

"""Rays: what each eye of each agent meets first, among walls and items, in closed form.

Most items and walls are out of reach of all eyes, and of those in reach most are where no eye looks. So pairs of an
agent and a thing near it are chosen first, then the eyes that look towards it, and only what is left is worked out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .layout import RADIUS, TURN, Layout

NOTHING, WALL, APPLE, POISON = -1, 0, 1, 2


class Near(NamedTuple):
    """P pairs of an agent and an item near it, each (P,)."""

    world: Tensor  # int64: the agent's row
    place: Tensor  # int64: of the item in an (N, S) array laid flat
    off_x: Tensor  # px from the agent to the item
    off_y: Tensor

    def where(self, mask: Tensor) -> Near:
        """Return the pairs at which `mask` (P,) is true."""
        return Near(*(column[mask] for column in self))

    def plus(self, other: Near) -> Near:
        """Return these pairs and those of `other`."""
        return Near(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


class Sight(NamedTuple):
    """What eyes see, each (N, E)."""

    distance: Tensor  # px; the eyes' range where there is nothing
    kind: Tensor  # int64: NOTHING, WALL, APPLE or POISON
    place: Tensor  # int64: of the item seen in an (N, S) array laid flat, else -1


def near(layout: Layout, x: Tensor, y: Tensor, item_x: Tensor, item_y: Tensor, item_kind: Tensor) -> Near:
    """Return the pairs in which an eye of the agent could see the item, or more.

    Args:
        layout: the variant's numbers.
        x: (N,) where the agents stand, as y, px.
        y: (N,).
        item_x: (N, S) as item_y: the items.
        item_y: (N, S).
        item_kind: (N, S) APPLE or POISON; 0 is an empty slot.

    """
    off_x, off_y = item_x - x[:, None], item_y - y[:, None]
    close = off_x * off_x + off_y * off_y < farthest(layout)
    place = (close & (item_kind > 0)).view(-1).nonzero()[:, 0]
    return Near(place // item_x.shape[1], place, off_x.view(-1)[place], off_y.view(-1)[place])


def farthest(layout: Layout) -> float:
    """Return the square of the distance, px, from which on no eye sees an item."""
    # The original sees an item at most two radii too far to the right, and only if that point is within reach.
    return (layout.reach + 2 * RADIUS) ** 2 + RADIUS**2


class Eyes:
    """The eyes of a layout's agents and the walls that they may see, on one device."""

    def __init__(self, layout: Layout, dtype: torch.dtype, device: torch.device) -> None:
        """Put the layout's numbers where they are needed."""
        self.layout = layout
        angles = torch.tensor(layout.eye_angles, dtype=torch.float64)
        self.sine, self.cosine = angles.sin().to(device, dtype), angles.cos().to(device, dtype)  # (E,)
        self.walls = torch.tensor(layout.walls, dtype=dtype, device=device)  # (W, 4)
        low_x, high_x = self.walls[:, 0::2].aminmax(dim=1)
        low_y, high_y = self.walls[:, 1::2].aminmax(dim=1)
        self.bounds = (low_x - layout.reach, high_x + layout.reach, low_y - layout.reach, high_y + layout.reach)

    def directions(self, angle: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sine and the cosine, each (N, E), of where the eyes of agents with headings `angle` (N,) look."""
        sine, cosine = angle.sin()[:, None], angle.cos()[:, None]
        return sine * self.cosine + cosine * self.sine, cosine * self.cosine - sine * self.sine


def look(eyes: Eyes, x: Tensor, y: Tensor, angle: Tensor, items: Near, kinds: Tensor) -> Sight:
    """Return what N agents see.

    Args:
        eyes: theirs.
        x: (N,) where they stand, as y, px.
        y: (N,).
        angle: (N,) of their heading, rad; its vector is (sin, cos).
        items: those near the agents.
        kinds: (N, S) of all items, APPLE or POISON.

    """
    sine, cosine = eyes.directions(angle)
    reach = eyes.layout.reach
    wall_ray, wall_u = _walls_hit(eyes, x, y, sine * reach, cosine * reach)
    item_ray, item_u, item_distance, item_place = _items_hit(eyes.layout, angle, sine, cosine, items)

    nearest_wall = x.new_full((sine.numel(),), torch.inf).scatter_reduce_(0, wall_ray, wall_u, "amin")
    nearest = nearest_wall.scatter_reduce(0, item_ray, item_u, "amin")
    nothing = nearest.isinf()
    distance = (nearest * reach).masked_fill_(nothing, reach)
    kind = nothing.long().neg_()  # NOTHING or WALL, so far
    place = torch.full_like(kind, -1)
    # An item as near as a wall does not hide it.
    first = ((item_u == nearest[item_ray]) & (item_u < nearest_wall[item_ray])).nonzero()[:, 0]
    ray, seen = item_ray[first], item_place[first]
    distance[ray] = item_distance[first]  # not along the ray: to the point where the original saw the item
    place[ray] = seen
    kind[ray] = kinds.view(-1)[seen].long()
    return Sight(distance.view_as(sine), kind.view_as(sine), place.view_as(sine))


def crossed(x: Tensor, y: Tensor, step_x: Tensor, step_y: Tensor, walls: Tensor) -> Tensor:
    """Return for M lines from (x, y) along (step_x, step_y), each (M,), whether they cross a wall: bool (M,)."""
    u, v = _meeting(x[:, None], y[:, None], step_x[:, None], step_y[:, None], *walls.unbind(1))
    return (_inside(u) & _inside(v)).any(1)


def _walls_hit(eyes: Eyes, x: Tensor, y: Tensor, ray_x: Tensor, ray_y: Tensor) -> tuple[Tensor, Tensor]:
    """Return of all hits of walls the ray's number (H,) and the share of the ray before it (H,)."""
    low_x, high_x, low_y, high_y = eyes.bounds
    across, down = x[:, None], y[:, None]
    close = (across > low_x) & (across < high_x) & (down > low_y) & (down < high_y)
    agent, wall = close.nonzero().unbind(1)
    x1, y1, x2, y2 = eyes.walls[wall][:, :, None].unbind(1)
    u, v = _meeting(x[agent][:, None], y[agent][:, None], ray_x[agent], ray_y[agent], x1, y1, x2, y2)
    hit = (_inside(u) & _inside(v)).view(-1).nonzero()[:, 0]
    count = ray_x.shape[1]
    return agent[hit // count] * count + hit % count, u.view(-1)[hit]


def _meeting(
    x: Tensor, y: Tensor, step_x: Tensor, step_y: Tensor, x1: Tensor, y1: Tensor, x2: Tensor, y2: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the shares of the line (x, y) + u (step_x, step_y) and of the segment before they meet.

    They meet if both lie inside (0, 1). Those of parallels are infinite or no numbers.
    """
    along_x, along_y = x2 - x1, y2 - y1
    from_x, from_y = x - x1, y - y1
    spread = along_y * step_x - along_x * step_y
    return (along_x * from_y - along_y * from_x) / spread, (step_x * from_y - step_y * from_x) / spread


def _inside(share: Tensor) -> Tensor:
    return (share > 0) & (share < 1)


def _items_hit(
    layout: Layout, angle: Tensor, sine: Tensor, cosine: Tensor, items: Near
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return of all hits of items, each (H,): the ray's number, the share before it, the distance and the place.

    Faithful to the original, in which an item to the right of a ray is met as far again to the right of where it is:
    the point that counts lies e = s + |s| beside the ray, where s is the item's own offset to the right.
    """
    pair, eye = _towards(layout, angle, items)
    ray = items.world[pair] * layout.eyes + eye
    off_x, off_y, sine, cosine = items.off_x[pair], items.off_y[pair], sine.view(-1)[ray], cosine.view(-1)[ray]
    s = off_x * cosine - off_y * sine
    t = off_x * sine + off_y * cosine
    e = s + s.abs()
    # measured along the axis that the ray runs along more
    share = torch.where(sine.abs() > cosine.abs(), t + e * cosine / sine, t - e * sine / cosine) / layout.reach
    hit = (_inside(share) & (s.abs() <= RADIUS)).nonzero()[:, 0]
    return ray[hit], share[hit], (t * t + e * e).sqrt()[hit], items.place[pair[hit]]


def _towards(layout: Layout, angle: Tensor, items: Near) -> tuple[Tensor, Tensor]:
    """Return the pair's number and the eye, each (C,), where an eye looks towards an item, or nearly so."""
    distance = torch.hypot(items.off_x, items.off_y)
    # Half the angle that the item fills, a little widened. One nearer than t^2 + s^2 = (2 r)^2 + r^2 may be met by any
    # eye: e reaches two radii and can outweigh a t below zero.
    half = torch.asin((RADIUS / distance).clamp(max=1.0)) + 1e-3
    half = half.masked_fill(distance < 2.3 * RADIUS, TURN)
    # Counted from the first eye, and so that the middle of the fan is the middle of the turn.
    fan = (layout.eyes - 1) * layout.eye_spacing
    least = (fan - TURN) / 2
    bearing = torch.atan2(items.off_x, items.off_y) - angle[items.world] - layout.first_eye
    bearing = (bearing - least).remainder(TURN) + least
    # Where the fan all but closes, what is right of its last eye is also left of its first.
    turns = (0.0, -TURN, TURN) if TURN - fan < 1.0 else (0.0,)
    low = torch.cat([bearing - half + turn for turn in turns]).div_(layout.eye_spacing).ceil_().clamp_(min=0)
    high = torch.cat([bearing + half + turn for turn in turns]).div_(layout.eye_spacing).floor_()
    count = (high.clamp_(max=layout.eyes - 1) - low + 1).clamp_(min=0).long()
    entry = torch.repeat_interleave(count)
    eye = torch.arange(len(entry), device=angle.device) - (count.cumsum(0) - count)[entry] + low.long()[entry]
    return entry % max(len(distance), 1), eye

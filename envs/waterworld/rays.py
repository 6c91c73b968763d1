"""Rays: what each eye of each agent meets first, among walls and items, in closed form.

Most items and walls are out of reach of all eyes, and of those in reach most are where no eye looks. So walls are
looked up for each agent's pose, pairs of an agent and an item near it are chosen first and then the eyes that look
towards it, and only what is left is worked out. Eyes come first in the tensors, (E, N): what is the same for all eyes
of an agent then broadcasts over long rows.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import RADIUS, TURN, Layout
from .neighbours import Near
from .outlook import Outlook

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

    @cached_property
    def outlook(self) -> Outlook:
        """Which walls they may see."""
        return Outlook(self.layout, self.walls.dtype, self.walls.device)

    def directions(self, angle: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sine and the cosine, each (E, N), of where the eyes of agents with headings `angle` (N,) look."""
        sine, cosine = angle.sin(), angle.cos()
        own_sine, own_cosine = self.sine[:, None], self.cosine[:, None]
        return sine * own_cosine + cosine * own_sine, cosine * own_cosine - sine * own_sine


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
    nearest_wall = _walls_hit(eyes.outlook, x, y, angle, sine * reach, cosine * reach).view(-1)
    item_ray, item_u, item_distance, item_place = _items_hit(eyes.layout, angle, sine, cosine, items)

    nearest = nearest_wall.scatter_reduce(0, item_ray, item_u, "amin")
    distance = nearest.clamp(max=1.0) * reach
    kind = (nearest > 1.0).long().neg_()  # NOTHING or WALL, so far
    place = torch.full_like(kind, -1)
    # An item as near as a wall does not hide it.
    ahead = (item_u == nearest.index_select(0, item_ray)) & (item_u < nearest_wall.index_select(0, item_ray))
    first = ahead.nonzero()[:, 0]
    ray, seen = item_ray[first], item_place[first]
    distance[ray] = item_distance[first]  # not along the ray: to the point where the original saw the item
    place[ray] = seen
    kind[ray] = kinds.view(-1)[seen].long()
    return Sight(distance.view_as(sine).t(), kind.view_as(sine).t(), place.view_as(sine).t())


def crossed(x: Tensor, y: Tensor, step_x: Tensor, step_y: Tensor, walls: Tensor) -> Tensor:
    """Return for M lines from (x, y) along (step_x, step_y), each (M,), whether they cross a wall: bool (M,).

    walls: (4, K, M) where those begin and end that each may cross, x1, y1, x2 and y2; (4, K, 1) if these are the same.
    """
    return (_meeting(x, y, step_x, step_y, *walls)[1] > 0).any(0)


def _walls_hit(outlook: Outlook, x: Tensor, y: Tensor, angle: Tensor, ray_x: Tensor, ray_y: Tensor) -> Tensor:
    """Return the share of each ray (ray_x, ray_y), (E, N), before the nearest wall; infinite without one."""
    # Nearly all agents have a wall before them, a third a second one, few a third.
    wall, *others = outlook.in_view(x, y, angle)
    nearest = _wall_hit(x, y, ray_x, ray_y, outlook.ends(wall))
    for wall in others:
        agent = (wall != outlook.nowhere).nonzero()[:, 0]
        if len(agent):
            from_x, from_y, along_x, along_y = (t.index_select(-1, agent) for t in (x, y, ray_x, ray_y))
            share = _wall_hit(from_x, from_y, along_x, along_y, outlook.ends(wall[agent]))
            nearest.index_copy_(1, agent, torch.minimum(nearest.index_select(1, agent), share))
    return nearest


def _wall_hit(x: Tensor, y: Tensor, ray_x: Tensor, ray_y: Tensor, wall: Tensor) -> Tensor:
    """Return the share of each ray, (E, M), before its agent's `wall` (4, M); infinite where it does not meet it."""
    u, inside = _meeting(x, y, ray_x, ray_y, *wall)
    # u where `inside` is above 0, else infinite, in arithmetic: a choice between two costs the processor ten times as
    # much where it can't foresee it.
    other = F.threshold(inside, 0.0, torch.inf) - inside
    return torch.maximum(u, other).nan_to_num_(torch.inf, torch.inf, torch.inf)


def _meeting(
    x: Tensor, y: Tensor, step_x: Tensor, step_y: Tensor, x1: Tensor, y1: Tensor, x2: Tensor, y2: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the share of the line (x, y) + u (step_x, step_y) before it meets the segment, and whether it does.

    It does where the second is above 0, which is how far this share and that of the segment are inside (0, 1). Those of
    parallels are infinite or no numbers.
    """
    along_x, along_y = x2 - x1, y2 - y1
    from_x, from_y = x - x1, y - y1
    spread = along_y * step_x - along_x * step_y
    u, v = (along_x * from_y - along_y * from_x) / spread, (step_x * from_y - step_y * from_x) / spread
    return u, torch.minimum(torch.minimum(u, v), 1 - torch.maximum(u, v))


def _items_hit(
    layout: Layout, angle: Tensor, sine: Tensor, cosine: Tensor, items: Near
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return of all hits of items, each (H,): the ray's number, the share before it, the distance and the place.

    Faithful to the original, in which an item to the right of a ray is met as far again to the right of where it is:
    the point that counts lies e = s + |s| beside the ray, where s is the item's own offset to the right.
    """
    pair, eye = _towards(layout, angle, items)
    ray = eye * sine.shape[1] + items.world.index_select(0, pair)
    off_x, off_y = items.off_x.index_select(0, pair), items.off_y.index_select(0, pair)
    sine, cosine = sine.view(-1).index_select(0, ray), cosine.view(-1).index_select(0, ray)
    s = off_x * cosine - off_y * sine
    t = off_x * sine + off_y * cosine
    e = s + s.abs()
    # measured along the axis that the ray runs along more
    share = torch.where(sine.abs() > cosine.abs(), t + e * cosine / sine, t - e * sine / cosine) / layout.reach
    hit = ((share > 0) & (share < 1) & (s.abs() <= RADIUS)).nonzero()[:, 0]
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
    return entry if len(turns) == 1 else entry % max(len(distance), 1), eye

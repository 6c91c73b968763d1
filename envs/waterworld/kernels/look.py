"""Sight in one kernel: every eye is asked about every wall and item of its world, as `rays.look` answers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .. import layout, rays
from ..rays import Eyes, Sight
from ..state import State
from .plane import direction, meeting

NOTHING, WALL = tl.constexpr(rays.NOTHING), tl.constexpr(rays.WALL)
RADIUS = tl.constexpr(layout.RADIUS)
WORLDS = 32  # of one program
WARPS = 4


@triton.jit
def _look(
    x, y, angle, item_x, item_y, item_kind, walls, sines, cosines, distance, kind, place, obs, count,
    REACH: tl.constexpr, WALLS: tl.constexpr, ITEMS: tl.constexpr, EYES: tl.constexpr, WIDTH: tl.constexpr,
    WORLDS: tl.constexpr,
):  # fmt: skip
    """Look with all eyes of WORLDS worlds; WIDTH, a power of two, is EYES or more."""
    world = tl.program_id(0) * WORLDS + tl.arange(0, WORLDS)
    eye = tl.arange(0, WIDTH)
    there = world < count
    at_x = tl.load(x + world, mask=there, other=0.0)[:, None]
    at_y = tl.load(y + world, mask=there, other=0.0)[:, None]
    own_sine, own_cosine = direction(tl.load(angle + world, mask=there, other=0.0))
    eye_sine = tl.load(sines + eye, mask=eye < EYES, other=0.0)[None, :]
    eye_cosine = tl.load(cosines + eye, mask=eye < EYES, other=1.0)[None, :]
    sine = own_sine[:, None] * eye_cosine + own_cosine[:, None] * eye_sine
    cosine = own_cosine[:, None] * eye_cosine - own_sine[:, None] * eye_sine

    nearest = tl.full((WORLDS, WIDTH), float("inf"), tl.float32)  # px along the ray to what is met first
    for wall in range(WALLS):
        met, before, spread = meeting(at_x, at_y, sine * REACH, cosine * REACH, walls, wall)
        nearest = tl.where(met, tl.minimum(nearest, before / spread * REACH), nearest)
    seen = tl.where(nearest < float("inf"), WALL, NOTHING)
    far = tl.minimum(nearest, REACH)

    # An item to the right of a ray is met e = s + |s| beside it, whose share of the way is measured along one axis.
    slope = tl.where(tl.abs(sine) > tl.abs(cosine), cosine / sine, -sine / cosine)
    found = tl.full((WORLDS, WIDTH), -1, tl.int32)
    for slot in range(ITEMS):
        where = world * ITEMS + slot
        what = tl.load(item_kind + where, mask=there, other=0).to(tl.int32)[:, None]
        off_x = tl.load(item_x + where, mask=there, other=0.0)[:, None] - at_x
        off_y = tl.load(item_y + where, mask=there, other=0.0)[:, None] - at_y
        s = off_x * cosine - off_y * sine
        t = off_x * sine + off_y * cosine
        e = s + tl.abs(s)
        along = t + e * slope
        first = (what > 0) & (tl.abs(s) <= RADIUS) & (along > 0) & (along < REACH) & (along < nearest)
        nearest = tl.where(first, along, nearest)
        far = tl.where(first, tl.sqrt(t * t + e * e), far)  # to the point where the original saw the item
        seen = tl.where(first, what, seen)
        found = tl.where(first, where[:, None], found)

    ray = world[:, None] * EYES + eye[None, :]
    shown = there[:, None] & (eye < EYES)[None, :]
    tl.store(distance + ray, far, mask=shown)
    tl.store(kind + ray, seen.to(tl.int64), mask=shown)
    tl.store(place + ray, found.to(tl.int64), mask=shown)
    for told in range(3):
        tl.store(obs + ray * 3 + told, tl.where(seen == told, far / REACH, 1.0), mask=shown)


def look(eyes: Eyes, state: State) -> tuple[Sight, Tensor]:
    """Return what the agents of N worlds see, and of each eye what it says of wall, apple and poison: (N, 3 E) float32.

    Args:
        eyes: theirs.
        state: of the worlds, float32, on a GPU, its items' tensors contiguous.

    """
    numbers = eyes.layout
    count = len(state.x)
    device = state.x.device
    distance = torch.empty(count, numbers.eyes, device=device)
    kind, place = torch.empty(2, count, numbers.eyes, dtype=torch.int64, device=device).unbind()
    obs = torch.empty(count, 3 * numbers.eyes, device=device)
    _look[(triton.cdiv(count, WORLDS),)](
        state.x, state.y, state.angle, state.item_x, state.item_y, state.item_kind, eyes.walls, eyes.sine, eyes.cosine,
        distance, kind, place, obs, count, REACH=numbers.reach, WALLS=len(numbers.walls), ITEMS=numbers.items,
        EYES=numbers.eyes, WIDTH=triton.next_power_of_2(numbers.eyes), WORLDS=WORLDS, num_warps=WARPS,
        enable_fp_fusion=False,
    )  # fmt: skip
    return Sight(distance, kind, place), obs

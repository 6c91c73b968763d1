"""A tick of worlds after ConvNetJS' `rldemo` in one kernel, but for what is seen at its end; or their next episode."""

from __future__ import annotations

from math import ceil

import triton
import triton.language as tl

from .. import core, layout, rays
from . import plane
from .chance import between, drawn, episode_key, source
from .plane import crossed, direction

AGEING, SPAWNING, BIRTH = tl.constexpr(core.AGEING), tl.constexpr(core.SPAWNING), tl.constexpr(core.BIRTH)
OLD, AGEING_PERIOD = tl.constexpr(layout.OLD), tl.constexpr(layout.AGEING_PERIOD)
SPAWN_PERIOD = tl.constexpr(layout.SPAWN_PERIOD)
# A number in [0, 1) is below these chances if its 53 bits are below these.
AGEING_BITS, SPAWN_BITS = (tl.constexpr(ceil(part * 2**53)) for part in (layout.AGEING_CHANCE, layout.SPAWN_CHANCE))
APPLE_BITS = tl.constexpr(1 << 52)
WALL, APPLE, POISON = tl.constexpr(rays.WALL), tl.constexpr(rays.APPLE), tl.constexpr(rays.POISON)
RADIUS, MARGIN = tl.constexpr(layout.RADIUS), tl.constexpr(layout.MARGIN)
TURN, QUARTER = plane.TURN, plane.QUARTER


@triton.jit
def _moved(x, y, angle, action, wheels, walls, ACTIONS: tl.constexpr, WALLS: tl.constexpr):
    """Return the new x, y and angle and whether a wall stopped the agent, as RLDemo._move does."""
    known = (action >= 0) & (action < ACTIONS)  # no action else reads what is not there: the agent stands still
    left = tl.load(wheels + action, mask=known, other=0.0)
    right = tl.load(wheels + ACTIONS + action, mask=known, other=0.0)
    left_cosine = tl.load(wheels + 2 * ACTIONS + action, mask=known, other=1.0)
    left_sine = tl.load(wheels + 3 * ACTIONS + action, mask=known, other=0.0)
    right_cosine = tl.load(wheels + 4 * ACTIONS + action, mask=known, other=1.0)
    right_sine = tl.load(wheels + 5 * ACTIONS + action, mask=known, other=0.0)
    facing_sine, facing_cosine = direction(angle + QUARTER)
    arm_x, arm_y = facing_sine * (RADIUS / 2), facing_cosine * (RADIUS / 2)
    one_x, one_y, two_x, two_y = x + arm_x, y + arm_y, x - arm_x, y - arm_y
    to_x, to_y = x - two_x, y - two_y
    left_x = (two_x + (to_x * left_cosine - to_y * left_sine)) * 0.5
    left_y = (two_y + (to_x * left_sine + to_y * left_cosine)) * 0.5
    to_x, to_y = x - one_x, y - one_y
    new_x = left_x + (one_x + (to_x * right_cosine + to_y * right_sine)) * 0.5
    new_y = left_y + (one_y + (to_y * right_cosine - to_x * right_sine)) * 0.5
    collided = crossed(x, y, new_x - x, new_y - y, walls, WALLS) != 0
    angle = angle - left
    angle = tl.where(angle < 0, angle + TURN, angle) + right
    angle = tl.where(angle > TURN, angle - TURN, angle)
    return tl.where(collided, x, new_x), tl.where(collided, y, new_y), angle, collided


@triton.jit
def _item(origin, number, ACROSS: tl.constexpr, DOWN: tl.constexpr):
    """Return kind, x and y of new item `number` of those made of `origin`, as Core._new_items does."""
    kind = tl.where(drawn(origin, 5 * number) < APPLE_BITS, APPLE, POISON)
    x = between(drawn(origin, 5 * number + 1), MARGIN, ACROSS - 2 * MARGIN)
    return kind, x, between(drawn(origin, 5 * number + 2), MARGIN, DOWN - 2 * MARGIN)


@triton.jit
def _proximity(distance, kind, world, there, EYES: tl.constexpr, REACH: tl.constexpr):
    """Return what the agents get for keeping away from walls, given what was seen before they moved."""
    total = tl.zeros(world.shape, tl.float32)
    for eye in range(EYES):
        far = tl.load(distance + world * EYES + eye, mask=there, other=0.0) / REACH
        wall = tl.load(kind + world * EYES + eye, mask=there, other=0) == WALL
        total += tl.where(wall, far, 1.0)
    return tl.minimum(2 * total / EYES, 1.0)


@triton.jit
def live(
    actions, x, y, angle, clock, item_x, item_y, item_kind, item_born, keys, seeds, episodes, steps, ended,
    seen_distance, seen_kind, wheels, walls, reals, wholes, flags, kinds, count, limit,
    ACTIONS: tl.constexpr, WALLS: tl.constexpr, ITEMS: tl.constexpr, EYES: tl.constexpr, REACH: tl.constexpr,
    ACROSS: tl.constexpr, DOWN: tl.constexpr, START_X: tl.constexpr, START_Y: tl.constexpr,
    APPLE_REWARD: tl.constexpr, POISON_REWARD: tl.constexpr, WIDTH: tl.constexpr, WORLDS: tl.constexpr,
):  # fmt: skip
    """Let WORLDS worlds take a step; WIDTH, a power of two, is ITEMS or more.

    What is new goes to other memory than what is read: reals float32 (7, N), wholes int64 (6, N), flags bool (2, N) and
    kinds int8 (N, ITEMS). Only places and births of new items are written where the old ones were, after these were
    read: where an item appears depends on all others of its world.
    """
    world = tl.program_id(0) * WORLDS + tl.arange(0, WORLDS)
    there = world < count
    slot = tl.arange(0, WIDTH)[None, :]
    place = world[:, None] * ITEMS + slot
    room = there[:, None] & (slot < ITEMS)
    opened = tl.load(ended + world, mask=there, other=0) != 0
    action = tl.load(actions + world, mask=there, other=0)
    key = tl.load(keys + world, mask=there, other=0)
    now = tl.load(clock + world, mask=there, other=0) + 1

    proximity = _proximity(seen_distance, seen_kind, world, there, EYES, REACH)
    forward = tl.where((action == 0) & (proximity > 0.75), 0.1 * proximity, 0.0)
    at_x, at_y, heading, collided = _moved(
        tl.load(x + world, mask=there, other=0.0), tl.load(y + world, mask=there, other=0.0),
        tl.load(angle + world, mask=there, other=0.0), action, wheels, walls, ACTIONS, WALLS,
    )  # fmt: skip
    at_x, at_y = tl.minimum(tl.maximum(at_x, 0.0), ACROSS), tl.minimum(tl.maximum(at_y, 0.0), DOWN)

    kind = tl.load(item_kind + place, mask=room, other=0).to(tl.int32)
    off_x = tl.load(item_x + place, mask=room, other=0.0) - at_x[:, None]
    off_y = tl.load(item_y + place, mask=room, other=0.0) - at_y[:, None]
    eaten = (kind > 0) & (off_x * off_x + off_y * off_y < 4 * RADIUS * RADIUS)
    eaten = eaten & (crossed(at_x[:, None], at_y[:, None], off_x, off_y, walls, WALLS) == 0)
    apples = tl.sum((eaten & (kind == APPLE)).to(tl.int32), 1)
    poisons = tl.sum((eaten & (kind == POISON)).to(tl.int32), 1)
    digestion = apples.to(tl.float32) * APPLE_REWARD + poisons.to(tl.float32) * POISON_REWARD
    kind = tl.where(eaten, 0, kind)

    # Chance has its ticks: where no world of the program has one, nothing is drawn.
    ageing = there & (now % AGEING_PERIOD == 0) & (opened == 0)
    if tl.max(ageing.to(tl.int32), 0) > 0:
        born = tl.load(item_born + place, mask=room & ageing[:, None], other=0)
        unlucky = drawn(source(key, now, AGEING)[:, None], slot) < AGEING_BITS
        kind = tl.where(ageing[:, None] & (now[:, None] - born > OLD) & unlucky, 0, kind)
    spawning = there & (now % SPAWN_PERIOD == 0) & (opened == 0)
    if tl.max(spawning.to(tl.int32), 0) > 0:
        number = tl.zeros(world.shape, tl.int32)
        spawning = spawning & (drawn(source(key, now, SPAWNING), number) < SPAWN_BITS)
        empty = tl.min(tl.where(room & (kind == 0), slot, WIDTH), 1)  # the first such slot
        spawning = spawning & (empty < ITEMS)
        new_kind, new_x, new_y = _item(source(key, now, BIRTH), number, ACROSS, DOWN)
        kind = tl.where(spawning[:, None] & (slot == empty[:, None]), new_kind[:, None], kind)
        tl.store(item_x + world * ITEMS + empty, new_x, mask=spawning)
        tl.store(item_y + world * ITEMS + empty, new_y, mask=spawning)
        tl.store(item_born + world * ITEMS + empty, now, mask=spawning)

    episode = tl.load(episodes + world, mask=there, other=0)
    if tl.max(opened.to(tl.int32), 0) > 0:
        episode = tl.where(opened, episode + 1, episode)
        key = tl.where(opened, episode_key(tl.load(seeds + world, mask=there, other=0), episode), key)
        now = tl.where(opened, 0, now)
        new_kind, new_x, new_y = _item(source(key, now, BIRTH)[:, None], slot, ACROSS, DOWN)
        fresh = opened[:, None] & room
        kind = tl.where(fresh, new_kind, kind)
        tl.store(item_x + place, new_x, mask=fresh)
        tl.store(item_y + place, new_y, mask=fresh)
        tl.store(item_born + place, tl.zeros((WORLDS, WIDTH), tl.int64), mask=fresh)
    made = tl.where(opened, 0, tl.load(steps + world, mask=there, other=0) + 1)

    tl.store(kinds + place, kind.to(tl.int8), mask=room)
    tl.store(reals + world, tl.where(opened, START_X, at_x), mask=there)
    tl.store(reals + count + world, tl.where(opened, START_Y, at_y), mask=there)
    tl.store(reals + 2 * count + world, tl.where(opened, 0.0, heading), mask=there)
    tl.store(reals + 3 * count + world, tl.where(opened, 0.0, proximity), mask=there)
    tl.store(reals + 4 * count + world, tl.where(opened, 0.0, forward), mask=there)
    tl.store(reals + 5 * count + world, tl.where(opened, 0.0, digestion), mask=there)
    tl.store(reals + 6 * count + world, tl.where(opened, 0.0, proximity + forward + digestion), mask=there)
    tl.store(wholes + world, now, mask=there)
    tl.store(wholes + count + world, key, mask=there)
    tl.store(wholes + 2 * count + world, episode, mask=there)
    tl.store(wholes + 3 * count + world, made, mask=there)
    tl.store(wholes + 4 * count + world, tl.where(opened, 0, apples).to(tl.int64), mask=there)
    tl.store(wholes + 5 * count + world, tl.where(opened, 0, poisons).to(tl.int64), mask=there)
    tl.store(flags + world, collided & (opened == 0), mask=there)
    tl.store(flags + count + world, made >= limit, mask=there)

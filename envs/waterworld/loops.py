"""Loops: what a tick does to worlds one after the other, compiled for a CPU, rounded as the plain code rounds.

Arrays of floats have one dtype, and so have numbers given as `Real`: one of another would widen what it meets. Each
loop writes what it finds into arrays that it is given, one row for each world.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...native import native
from . import chance, core, rays, state

Real = Any  # a NumPy scalar of the arrays' dtype
Reals = NDArray[Any]
Wholes = NDArray[np.int64]
Kinds = NDArray[np.int8]
Flags = NDArray[np.bool_]

# Names that never change: compiled loops would not notice.
EMPTY, NOTHING, WALL, APPLE, POISON = state.EMPTY, rays.NOTHING, rays.WALL, rays.APPLE, rays.POISON
AGEING, SPAWNING, BIRTH = core.AGEING, core.SPAWNING, core.BIRTH
GOLDEN, FIRST, SECOND = (np.uint64(number % 2**64) for number in (chance.GOLDEN, chance.FIRST, chance.SECOND))


@native
def check(actions: Wholes, worlds: int, count: int) -> None:
    """Raise ValueError if there is not an action for each world, IndexError for one that is not among `count`."""
    if len(actions) != worlds:
        raise ValueError("there must be an action for each world")
    for action in actions:
        if not 0 <= action < count:
            raise IndexError("there is no such action")


@native
def roll(
    actions: Wholes, seen: Reals, seen_kind: Wholes, sine: Reals, cosine: Reals, reach: Real, bonus: Real, arm: Real,
    wheels: Reals, walls: Reals, turn: Real, width: Real, height: Real,
    x: Reals, y: Reals, angle: Reals, proximity: Reals, forward: Reals, collided: Flags,
) -> None:  # fmt: skip
    """Reward and move agents on two wheels, as `RLDemo._walking_reward` and `_move` do.

    seen and seen_kind: (N, E) before they move. sine and cosine: (N,) of the way to one of their wheels, which is as
    long as `arm`. wheels: (6, actions).
    """
    half, one, eyes = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(seen.shape[1])
    for n in range(len(x)):
        action = actions[n]
        total = seen[n, 0] / reach if seen_kind[n, 0] <= WALL else one
        for eye in range(1, seen.shape[1]):
            total += seen[n, eye] / reach if seen_kind[n, eye] <= WALL else one
        proximity[n] = min((total + total) / eyes, 1)
        forward[n] = bonus * proximity[n] if action == 0 and proximity[n] > 0.75 else 0

        left, right = wheels[0, action], wheels[1, action]
        arm_x, arm_y = sine[n] * arm, cosine[n] * arm
        one_x, one_y, two_x, two_y = x[n] + arm_x, y[n] + arm_y, x[n] - arm_x, y[n] - arm_y
        to_x, to_y = _turned(x[n] - two_x, y[n] - two_y, wheels[2, action], wheels[3, action])
        left_x, left_y = (two_x + to_x) * half, (two_y + to_y) * half
        to_x, to_y = _turned(x[n] - one_x, y[n] - one_y, wheels[4, action], -wheels[5, action])
        to_x, to_y = left_x + (one_x + to_x) * half, left_y + (one_y + to_y) * half
        collided[n] = _crosses(x[n], y[n], to_x - x[n], to_y - y[n], walls)
        if not collided[n]:
            x[n], y[n] = to_x, to_y
        x[n], y[n] = min(max(x[n], 0), width), min(max(y[n], 0), height)
        heading = angle[n] - left
        heading = (heading + turn if heading < 0 else heading) + right
        angle[n] = heading - turn if heading > turn else heading


@native
def drift(
    actions: Wholes, thrusts: Reals, drag: Real, width: Real, height: Real,
    x: Reals, y: Reals, velocity_x: Reals, velocity_y: Reals, collided: Flags,
) -> None:  # fmt: skip
    """Move agents that drift, as `ReinforceJS._move` does; thrusts: (2, actions)."""
    for n in range(len(x)):
        action = actions[n]
        velocity_x[n] = (velocity_x[n] + thrusts[0, action]) * drag
        velocity_y[n] = (velocity_y[n] + thrusts[1, action]) * drag
        to_x, to_y = x[n] + velocity_x[n], y[n] + velocity_y[n]
        x[n], y[n] = min(max(to_x, 1), width - 1), min(max(to_y, 1), height - 1)
        collided[n] = x[n] != to_x or y[n] != to_y
        if collided[n]:
            velocity_x[n] = velocity_y[n] = 0


@native
def happen(
    keys: Wholes, walls: Reals, touching: float, ageing_period: int, ageing_chance: float, old: int, spawn_period: int,
    spawn_chance: float, margin: float, width: float, height: float, speed: float, apple: float, poison: float,
    x: Reals, y: Reals, clock: Wholes, item_x: Reals, item_y: Reals, velocity_x: Reals, velocity_y: Reals, kind: Kinds,
    born: Wholes, digestion: Reals, apples: Wholes, poisons: Wholes, eaten: Flags, vanished: Flags,
) -> None:  # fmt: skip
    """Let agents eat what they touch and no wall keeps from them, and items age, move and appear, (N, S) each.

    touching: the square of the distance from which on they do not. apple and poison: what one of them brings. What is
    written into from `digestion` on is zero before.
    """
    for n in range(len(x)):
        ageing = clock[n] % ageing_period == 0
        for slot in range(kind.shape[1]):
            if kind[n, slot] == EMPTY:
                continue
            off_x, off_y = item_x[n, slot] - x[n], item_y[n, slot] - y[n]
            if off_x * off_x + off_y * off_y < touching and not _crosses(x[n], y[n], off_x, off_y, walls):
                eaten[n, slot] = True
                apples[n] += kind[n, slot] == APPLE
                poisons[n] += kind[n, slot] == POISON
                kind[n, slot] = EMPTY
            elif ageing and clock[n] - born[n, slot] > old and _draw(keys[n], clock[n], AGEING, slot) < ageing_chance:
                vanished[n, slot] = True
                kind[n, slot] = EMPTY
        digestion[n] = apples[n] * apple + poisons[n] * poison
        if speed > 0:
            for slot in range(kind.shape[1]):
                item_x[n, slot], velocity_x[n, slot] = _bounced(item_x[n, slot], velocity_x[n, slot], width)
                item_y[n, slot], velocity_y[n, slot] = _bounced(item_y[n, slot], velocity_y[n, slot], height)
        if clock[n] % spawn_period == 0 and _draw(keys[n], clock[n], SPAWNING, 0) < spawn_chance:
            for slot in range(kind.shape[1]):
                if kind[n, slot] == EMPTY:
                    kind[n, slot] = APPLE if _draw(keys[n], clock[n], BIRTH, 0) < 0.5 else POISON
                    born[n, slot] = clock[n]
                    item_x[n, slot] = margin + _draw(keys[n], clock[n], BIRTH, 1) * (width - 2 * margin)
                    item_y[n, slot] = margin + _draw(keys[n], clock[n], BIRTH, 2) * (height - 2 * margin)
                    velocity_x[n, slot] = (2 * _draw(keys[n], clock[n], BIRTH, 3) - 1) * speed
                    velocity_y[n, slot] = (2 * _draw(keys[n], clock[n], BIRTH, 4) - 1) * speed
                    break


@native
def see(
    sine: Reals, cosine: Reals, eye_sine: Reals, eye_cosine: Reals, walls: Reals, reach: Real, farthest: float,
    radius: float, x: Reals, y: Reals, item_x: Reals, item_y: Reals, item_kind: Kinds, first: int,
    distance: Reals, kind: Wholes, place: Wholes,
) -> bool:  # fmt: skip
    """Look with all eyes, as `rays.look` does, but write squares of the distances of items; return if any was seen.

    sine and cosine: (N,) of the agents' headings, and (E,) of their eyes. farthest: the square of a distance from which
    on no eye sees an item. first: the row of the first world, as `place` counts them.
    """
    items, seen = item_kind.shape[1], False
    ray_x, ray_y, nearest = np.empty_like(eye_sine), np.empty_like(eye_sine), np.empty_like(eye_sine)
    for n in range(len(x)):
        for eye in range(len(nearest)):
            ray_x[eye] = sine[n] * eye_cosine[eye] + cosine[n] * eye_sine[eye]
            ray_y[eye] = cosine[n] * eye_cosine[eye] - sine[n] * eye_sine[eye]
            nearest[eye] = np.inf
        for wall in range(len(walls)):
            along_x, along_y = walls[wall, 2] - walls[wall, 0], walls[wall, 3] - walls[wall, 1]
            from_x, from_y = x[n] - walls[wall, 0], y[n] - walls[wall, 1]
            for eye in range(len(nearest)):
                step_x, step_y = ray_x[eye] * reach, ray_y[eye] * reach
                spread = along_y * step_x - along_x * step_y
                u = (along_x * from_y - along_y * from_x) / spread
                v = (step_x * from_y - step_y * from_x) / spread
                # Chosen without a branch, so that all eyes are worked out at once.
                met = (u > 0) & (u < 1) & (v > 0) & (v < 1) & (u < nearest[eye])
                nearest[eye] = u if met else nearest[eye]
        for eye in range(len(nearest)):
            distance[n, eye] = min(nearest[eye], 1) * reach
            kind[n, eye] = WALL if nearest[eye] < 1 else NOTHING
            place[n, eye] = -1
        for slot in range(items):
            off_x, off_y = item_x[n, slot] - x[n], item_y[n, slot] - y[n]
            if item_kind[n, slot] == EMPTY or off_x * off_x + off_y * off_y > farthest:
                continue
            for eye in range(len(nearest)):
                s = off_x * ray_y[eye] - off_y * ray_x[eye]
                if abs(s) > radius:
                    continue
                t = off_x * ray_x[eye] + off_y * ray_y[eye]
                e = s + abs(s)
                if abs(ray_x[eye]) > abs(ray_y[eye]):
                    share = (t + e * ray_y[eye] / ray_x[eye]) / reach
                else:
                    share = (t - e * ray_x[eye] / ray_y[eye]) / reach
                if 0 < share < 1 and share < nearest[eye]:
                    nearest[eye] = share
                    distance[n, eye] = t * t + e * e
                    kind[n, eye] = item_kind[n, slot]
                    place[n, eye] = (first + n) * items + slot
                    seen = True
    return seen


@native
def tell(distance: Reals, kind: Wholes, reach: Real, width: int, told: Reals) -> None:
    """Write what eyes say, as `Core._nearness` has it, into the first three of each eye's `width` numbers, (N, ...)."""
    for n in range(len(distance)):
        for eye in range(distance.shape[1]):
            share = distance[n, eye] / reach
            for told_kind in range(3):
                told[n, eye * width + told_kind] = share if told_kind == max(kind[n, eye], 0) else 1


@native
def tell_velocities(
    place: Wholes, item_velocity_x: Reals, item_velocity_y: Reals, velocity_x: Reals, velocity_y: Reals, told: Reals
) -> None:
    """Write the velocities of what is seen behind what eyes say, and then the agents' own, as ReinforceJS does."""
    eyes, items = place.shape[1], item_velocity_x.shape[1]
    for n in range(len(place)):
        for eye in range(eyes):
            seen, slot = place[n, eye] >= 0, place[n, eye] % items
            told[n, 5 * eye + 3] = item_velocity_x[n, slot] if seen else 0
            told[n, 5 * eye + 4] = item_velocity_y[n, slot] if seen else 0
        told[n, 5 * eyes], told[n, 5 * eyes + 1] = velocity_x[n], velocity_y[n]


@native
def _turned(x: Real, y: Real, cosine: Real, sine: Real) -> tuple[Real, Real]:
    return x * cosine - y * sine, x * sine + y * cosine


@native
def _crosses(x: Real, y: Real, step_x: Real, step_y: Real, walls: Reals) -> bool:
    """Return whether a line from (x, y) along (step_x, step_y) crosses a wall, as `rays.meeting` has it."""
    for wall in range(len(walls)):
        along_x, along_y = walls[wall, 2] - walls[wall, 0], walls[wall, 3] - walls[wall, 1]
        from_x, from_y = x - walls[wall, 0], y - walls[wall, 1]
        spread = along_y * step_x - along_x * step_y
        u = (along_x * from_y - along_y * from_x) / spread
        v = (step_x * from_y - step_y * from_x) / spread
        if 0 < u < 1 and 0 < v < 1:
            return True
    return False


@native
def _bounced(place: Real, velocity: Real, size: float) -> tuple[Real, Real]:
    """Return where an item is after a tick between two edges, and its velocity."""
    to = place + velocity
    inside = min(max(to, 1), size - 1)
    return inside, velocity if inside == to else -velocity


@native
def _draw(key: int, clock: int, purpose: int, slot: int) -> float:
    """Return a world's number for `purpose` and `slot`, as `chance.uniform` has it."""
    place = _mixed(_mixed(np.uint64(key) + np.uint64(clock) * GOLDEN) + np.uint64(purpose))
    return np.float64(_mixed(place + np.uint64(slot + 1) * GOLDEN) >> np.uint64(11)) * 2.0**-53


@native
def _mixed(value: np.uint64) -> np.uint64:
    """Return SplitMix64's finaliser of `value`."""
    value = (value ^ (value >> np.uint64(30))) * FIRST
    value = (value ^ (value >> np.uint64(27))) * SECOND
    return value ^ (value >> np.uint64(31))

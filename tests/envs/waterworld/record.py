"""Makes recording.json: short runs of a plain, slow Waterworld, written from the rules, that the core must repeat.

    python tests/envs/waterworld/record.py

It shares no code with the core: one world, no tensors, every eye asked about every thing. The format is that of the
recorded runs of the original.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

WHEELS = [(1, 1), (0.8, 1), (1, 0.8), (0.5, 0), (0, 0.5)]
REACH, RADIUS = 85.0, 10.0
NOTHING, WALL = -1, 0
WALLS = [
    *[(10, 10, 690, 10), (690, 10, 690, 490), (690, 490, 10, 490), (10, 490, 10, 10)],
    *[(100, 100, 300, 100), (300, 100, 300, 400), (300, 400, 100, 400)],
    *[(400, 100, 600, 100), (600, 100, 600, 400), (600, 400, 400, 400)],
]


def crossing(x1: float, y1: float, x2: float, y2: float, wall: tuple[int, ...]) -> float | None:
    """Return the share of the way from (x1, y1) to (x2, y2) at which a wall is crossed."""
    x3, y3, x4, y4 = wall
    spread = (y4 - y3) * (x2 - x1) - (x4 - x3) * (y2 - y1)
    if spread == 0:
        return None
    u = ((x4 - x3) * (y1 - y3) - (y4 - y3) * (x1 - x3)) / spread
    v = ((x2 - x1) * (y1 - y3) - (y2 - y1) * (x1 - x3)) / spread
    return u if 0 < u < 1 and 0 < v < 1 else None


def blocked(x1: float, y1: float, x2: float, y2: float) -> bool:
    return any(crossing(x1, y1, x2, y2, wall) is not None for wall in WALLS)


class Plain:
    """One world; an item is [x, y, type, age]."""

    def __init__(self, x: float, y: float, angle: float, clock: int, items: list[list[Any]]) -> None:
        self.x, self.y, self.angle, self.clock = x, y, angle, clock
        self.items = items

    def looked(self) -> tuple[list[float], list[int]]:
        """Return what the eyes read: distances and types."""
        seen = [self._read(self.angle + 0.25 * (eye - 3)) for eye in range(9)]
        return [distance for distance, _ in seen], [kind for _, kind in seen]

    def _read(self, facing: float) -> tuple[float, int]:
        sine, cosine = math.sin(facing), math.cos(facing)
        nearest, distance, kind = 1.0, REACH, NOTHING
        for wall in WALLS:
            u = crossing(self.x, self.y, self.x + REACH * sine, self.y + REACH * cosine, wall)
            if u is not None and u < nearest:
                nearest, distance, kind = u, REACH * u, WALL
        for x, y, what, _ in self.items:
            dx, dy = x - self.x, y - self.y
            s, t = dx * cosine - dy * sine, dx * sine + dy * cosine
            if abs(s) > RADIUS:
                continue
            e = s + abs(s)
            along, whole = (t * sine + e * cosine, sine) if abs(sine) > abs(cosine) else (t * cosine - e * sine, cosine)
            u = along / (REACH * whole)
            if 0 < u < nearest:
                nearest, distance, kind = u, math.hypot(t, e), what
        return distance, kind

    def lived(self, action: int, chance: random.Random) -> dict[str, Any]:
        """Take a step; return what it brought."""
        self.clock += 1
        distances, kinds = self.looked()
        right, left = WHEELS[action]
        length, heading = 5 * math.sin((right + left) / 2), self.angle + (left - right) / 2
        x, y = self.x + length * math.sin(heading), self.y + length * math.cos(heading)
        collided = blocked(self.x, self.y, x, y)
        if not collided:
            self.x, self.y = x, y
        self.x, self.y = min(max(self.x, 0), 700), min(max(self.y, 0), 500)
        self.angle += left - right
        self.angle += 2 * math.pi * ((self.angle < 0) - (self.angle > 2 * math.pi))
        digestion, eaten, aged, kept = 0.0, [], [], []
        for index, item in enumerate(self.items):
            item[3] += 1
            if math.dist(item[:2], (self.x, self.y)) < 20 and not blocked(self.x, self.y, *item[:2]):
                digestion += 5.0 if item[2] == 1 else -6.0
                eaten.append(index)
            elif item[3] > 5000 and self.clock % 100 == 0 and chance.random() < 0.1:
                aged.append(index)
            else:
                kept.append(item)
        self.items = kept
        spawned: Any = 0
        if len(kept) < 30 and self.clock % 10 == 0 and chance.random() < 0.25:
            spawned = [chance.uniform(20, 680), chance.uniform(20, 480), chance.choice([1, 2])]
            self.items.append([*spawned, 0])
        free = [d / REACH if kind == WALL else 1.0 for d, kind in zip(distances, kinds, strict=True)]
        proximity = min(1.0, 2 * sum(free) / 9)
        forward = 0.1 * proximity if action == 0 and proximity > 0.75 else 0.0
        return {
            "action": action,
            "eye_dist": distances,
            "eye_type": kinds,
            "x": self.x,
            "y": self.y,
            "angle": self.angle,
            "collided": int(collided),
            "reward": proximity + forward + digestion,
            "r_proximity": proximity,
            "r_forward": forward,
            "r_digestion": digestion,
            "eaten": eaten,
            "aged_out": aged,
            "spawned": spawned,
            "n_items": len(self.items),
        }


def recorded(name: str, seed: int, steps: int, clock: int, oldest: int) -> dict[str, Any]:
    """Return an episode: a world of random items up to `oldest` ticks old, wandered through at random."""
    chance = random.Random(seed)
    items = [
        [chance.uniform(20, 680), chance.uniform(20, 480), chance.choice([1, 2]), chance.randint(0, oldest)]
        for _ in range(30)
    ]
    # Half of them around the agent, so that it sees and eats some on the way.
    x, y, angle = chance.uniform(30, 670), chance.uniform(30, 470), chance.uniform(0, 2 * math.pi)
    for item in items[::2]:
        item[:2] = x + chance.uniform(-110, 110), y + chance.uniform(-110, 110)
    world = Plain(x, y, angle, clock, items)
    begin = {"x": x, "y": y, "angle": angle, "clock": clock, "items": [list(item) for item in items]}
    rows = [world.lived(chance.choice([0, 0, 0, 1, 2, 3, 4]), chance) for _ in range(steps)]
    return {"name": name, "init": begin, **{key: [row[key] for row in rows] for key in rows[0]}}


def main() -> None:
    episodes = [
        recorded("young", seed=1, steps=40, clock=0, oldest=0),
        recorded("old", seed=2, steps=50, clock=7_960, oldest=7_900),
        recorded("middle-aged", seed=13, steps=30, clock=95, oldest=6_000),
    ]
    vectors = []
    for seed in range(20):
        begin = recorded("", seed, 1, 0, 0)
        vectors.append({**begin["init"], "eye_dist": begin["eye_dist"][0], "eye_type": begin["eye_type"][0]})
    document = {"episodes": episodes, "vectors": vectors}
    text = json.dumps(document, separators=(",", ":"))
    Path(__file__).with_name("recording.json").write_text(text + "\n")
    for episode in episodes:
        counts = {key: sum(map(bool, episode[key])) for key in ("collided", "eaten", "aged_out", "spawned")}
        print(episode["name"], counts)


if __name__ == "__main__":
    main()

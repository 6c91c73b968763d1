"""HostRLDemo: a few worlds of RLDemo on a CPU, ticked by NumPy."""

from __future__ import annotations

from functools import cached_property
from math import inf, pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .layout import RADIUS, TURN
from .neighbours import Near, farthest
from .rays import APPLE, NOTHING, WALL, Sight
from .state import EMPTY, Events, Tick
from .variants import RLDemo

Reals = NDArray[Any]  # of the core's dtype
Wholes = NDArray[np.int64]
Offsets = tuple[Reals, Reals, Reals]  # how far items lie from their agents, (N, S) each: in x, in y, and squared

MOST = 256
"""Worlds for which this is the faster way: it works out all walls for all eyes, RLDemo only those that are near."""


class HostRLDemo(RLDemo):
    """RLDemo on a CPU for at most `MOST` worlds, to the bit what RLDemo itself makes of them.

    A tick of RLDemo's is some 200 operations of torch's, each of which takes microseconds before its arithmetic begins;
    NumPy's take a fraction of that. Sines and roots are torch's here too, as NumPy's round otherwise. What happens once
    in ten ticks or more, births and deaths of items, is left to RLDemo.
    """

    @cached_property
    def _wall_ends(self) -> tuple[Reals, ...]:
        """Where walls begin, (W,) each, x and y, and how far they go from there."""
        x1, y1, x2, y2 = self._walls.numpy().T
        return x1, y1, x2 - x1, y2 - y1

    def tick(self, actions: Tensor, events: Events | None = None) -> Tick:
        """Let all worlds take one step, as Core does."""
        state, before, worlds = self.state, self.sight, len(actions)
        state.clock += 1
        with np.errstate(divide="ignore", invalid="ignore"):  # lines that run beside walls meet them nowhere
            collided = self._move(actions)
            apples, poisons = torch.zeros(2, worlds, dtype=torch.int64)
            offsets = self._offsets()
            meals = self._eaten(*offsets)
            for place in meals.tolist():
                eaten = apples if state.item_kind.view(-1)[place] == APPLE else poisons
                eaten[place // self.layout.items] += 1
                state.item_kind.view(-1)[place] = EMPTY
            vanished = self._aged() if events is None else events.vanishing
            if len(vanished):
                state.item_kind.view(-1)[vanished] = EMPTY
            arrivals = self._spawned() if events is None else events.arrivals
            if len(arrivals.world):
                self._place(arrivals)
                offsets = self._offsets()
            self.sight = self._seen(*offsets)
        digestion = apples * self.layout.apple + poisons * self.layout.poison
        walking = self._walking_reward(actions, before)
        return Tick(*walking, digestion.to(self.dtype), apples, poisons, collided, meals, vanished)

    def _due(self, period: int) -> Tensor:
        return torch.from_numpy((self.state.clock.numpy() % period == 0).nonzero()[0])

    def looked(self, items: Near | None = None) -> Sight:
        """Return what all eyes see from where the agents stand now."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._seen(*self._offsets())

    def _seen(self, off_x: Reals, off_y: Reals, square: Reals) -> Sight:
        """Return what all eyes see of walls, and of items at these offsets."""
        reach = self.layout.reach
        sine, cosine = (rows.numpy().T.copy() for rows in self._eyes.directions(self.state.angle))
        wall = self._walls_ahead(sine * reach, cosine * reach)
        nothing = wall == inf
        sight = np.where(nothing, reach, wall * reach), np.where(nothing, NOTHING, WALL), np.full(wall.shape, -1)
        world, slot = ((square < farthest(self.layout)) & (self.state.item_kind.numpy() != EMPTY)).nonzero()
        if len(world):
            line = off_x[world, slot][:, None], off_y[world, slot][:, None], sine[world], cosine[world]
            self._see_items(world, slot, *line, wall[world], *sight)
        distance, kind, place = sight
        return Sight(torch.from_numpy(distance), torch.from_numpy(kind), torch.from_numpy(place))

    def _walls_ahead(self, ray_x: Reals, ray_y: Reals) -> Reals:
        """Return the share of each ray (N, E) before the nearest wall; infinite without one."""
        x, y = self.state.x.numpy()[:, None], self.state.y.numpy()[:, None]
        u, hit = self._crossings(x, y, ray_x, ray_y)
        nearest: Reals = np.where(hit, u, inf).min(2)
        return nearest

    def _crossings(self, x: Reals, y: Reals, step_x: Reals, step_y: Reals) -> tuple[Reals, NDArray[np.bool_]]:
        """Return for lines from (x, y), as `rays.crossed` takes them, and all walls the share before they meet.

        And whether they do; both have an axis more than the lines, for the walls.
        """
        x1, y1, along_x, along_y = self._wall_ends
        step_x, step_y = step_x[..., None], step_y[..., None]
        from_x, from_y = x[..., None] - x1, y[..., None] - y1
        spread = along_y * step_x - along_x * step_y
        u = (along_x * from_y - along_y * from_x) / spread
        v = (step_x * from_y - step_y * from_x) / spread
        return u, (u > 0) & (u < 1) & (v > 0) & (v < 1)

    def _see_items(
        self, world: Wholes, slot: Wholes, off_x: Reals, off_y: Reals, sine: Reals, cosine: Reals, wall: Reals,
        distance: Reals, kind: Wholes, place: Wholes,
    ) -> None:  # fmt: skip
        """Write into `distance`, `kind` and `place`, (N, E) each, which of P items near agents are seen before a wall.

        world: (P,) and the items' slots there, their offsets, (P, 1), and of the agent's eyes, (P, E), the directions
        and the share of the ray before a wall.
        """
        # As `rays._items_hit` has it.
        s = off_x * cosine - off_y * sine
        t = off_x * sine + off_y * cosine
        e = s + np.abs(s)
        along = np.abs(sine) > np.abs(cosine)
        share = np.where(along, t + e * cosine / sine, t - e * sine / cosine) / self.layout.reach
        pair, eye = ((share > 0) & (share < 1) & (np.abs(s) <= RADIUS) & (share < wall)).nonzero()
        if not len(pair):
            return
        order = (-share[pair, eye]).argsort(kind="stable")  # the nearest last: what is written last stays
        pair, eye = pair[order], eye[order]
        seen, slot = (world[pair], eye), slot[pair]
        distance[seen] = torch.from_numpy((t * t + e * e)[pair, eye]).sqrt().numpy()
        kind[seen] = self.state.item_kind.numpy()[seen[0], slot]
        place[seen] = seen[0] * self.layout.items + slot

    def _offsets(self) -> Offsets:
        state = self.state
        off_x = state.item_x.numpy() - state.x.numpy()[:, None]
        off_y = state.item_y.numpy() - state.y.numpy()[:, None]
        return off_x, off_y, off_x * off_x + off_y * off_y

    def _eaten(self, off_x: Reals, off_y: Reals, square: Reals) -> Tensor:
        """Return the places of the items that agents eat, (K,)."""
        state = self.state
        world, slot = ((square < (2 * RADIUS) ** 2) & (state.item_kind.numpy() != EMPTY)).nonzero()
        if len(world):
            line = off_x[world, slot], off_y[world, slot]
            within_reach = ~self._crossings(state.x.numpy()[world], state.y.numpy()[world], *line)[1].any(1)
            world, slot = world[within_reach], slot[within_reach]
        return torch.from_numpy(world * self.layout.items + slot)

    def _move(self, actions: Tensor) -> Tensor:
        state, layout = self.state, self.layout
        left, right, left_cosine, left_sine, right_cosine, right_sine = self._wheels.numpy()[:, actions.numpy()]
        facing = state.angle + pi / 2
        old_x, old_y, angle = state.x.numpy(), state.y.numpy(), state.angle.numpy()
        # As RLDemo has it.
        arm_x, arm_y = facing.sin().numpy() * (RADIUS / 2), facing.cos().numpy() * (RADIUS / 2)
        one_x, one_y, two_x, two_y = old_x + arm_x, old_y + arm_y, old_x - arm_x, old_y - arm_y
        x, y = old_x - two_x, old_y - two_y
        x, y = x * left_cosine - y * left_sine, x * left_sine + y * left_cosine
        left_x, left_y = (two_x + x) * 0.5, (two_y + y) * 0.5
        x, y = old_x - one_x, old_y - one_y
        x, y = x * right_cosine + y * right_sine, y * right_cosine - x * right_sine
        x, y = left_x + (one_x + x) * 0.5, left_y + (one_y + y) * 0.5
        collided = self._crossings(old_x, old_y, x - old_x, y - old_y)[1].any(1)
        state.x = torch.from_numpy(np.where(collided, old_x, x).clip(0, layout.width))
        state.y = torch.from_numpy(np.where(collided, old_y, y).clip(0, layout.height))
        angle = angle - left
        angle = np.where(angle < 0, angle + TURN, angle) + right
        state.angle = torch.from_numpy(np.where(angle > TURN, angle - TURN, angle))
        return torch.from_numpy(collided)

    def _walking_reward(self, actions: Tensor, before: Sight) -> tuple[Tensor, Tensor]:
        free = np.where(before.kind.numpy() == WALL, before.distance.numpy() / self.layout.reach, 1.0)
        total = free.cumsum(1)[:, -1]  # one by one, as RLDemo adds them
        proximity = (2 * total / self.layout.eyes).clip(max=1.0)
        forward = np.where((actions.numpy() == 0) & (proximity > 0.75), 0.1 * proximity, 0.0)
        return torch.from_numpy(proximity), torch.from_numpy(forward)

    def observe(self) -> Tensor:
        """Return (N, 27), as RLDemo does."""
        distance, kind = self.sight.distance.numpy(), self.sight.kind.numpy()
        seen = np.ones((kind.size, 3), distance.dtype)
        seen[np.arange(kind.size), kind.clip(0).reshape(-1)] = (distance / self.layout.reach).reshape(-1)
        return torch.from_numpy(seen.reshape(len(kind), -1))

"""The core of Waterworld: any number of worlds as tensors, which tick together on any device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from . import chance
from .layout import (
    AGEING_CHANCE,
    AGEING_PERIOD,
    DRAG,
    MARGIN,
    OLD,
    RADIUS,
    SPAWN_CHANCE,
    SPAWN_PERIOD,
    THRUSTS,
    TURN,
    WHEELS,
    Layout,
)
from .rays import APPLE, POISON, WALL, Near, Sight, crossed, look, near

EMPTY = 0  # the kind of a slot without an item
AGEING, SPAWNING, BIRTH = range(3)  # what numbers are drawn for


@dataclass
class State:
    """N worlds with room for S items each; rows are worlds. Floats have one dtype, whole numbers are int64."""

    x: Tensor  # (N,) of the agent, px
    y: Tensor  # (N,)
    angle: Tensor  # (N,) of its heading (sin, cos), rad; 0 where agents have none
    velocity_x: Tensor  # (N,) px a tick; 0 where agents have none
    velocity_y: Tensor  # (N,)
    clock: Tensor  # (N,) ticks made
    item_x: Tensor  # (N, S) px
    item_y: Tensor  # (N, S)
    item_velocity_x: Tensor  # (N, S) px a tick
    item_velocity_y: Tensor  # (N, S)
    item_kind: Tensor  # (N, S) APPLE, POISON or EMPTY; int8
    item_born: Tensor  # (N, S) the clock when it was new

    def replace_rows(self, rows: Tensor, other: State) -> None:
        """Put the worlds of `other` in the place of those at `rows` (M,)."""
        for field in fields(State):
            getattr(self, field.name)[rows] = getattr(other, field.name)


class Arrivals(NamedTuple):
    """New items, M at once, one in a world at most; each (M,)."""

    world: Tensor  # int64: the row
    kind: Tensor  # APPLE or POISON
    x: Tensor  # px
    y: Tensor
    velocity_x: Tensor  # px a tick
    velocity_y: Tensor


class Events(NamedTuple):
    """What chance does in a tick."""

    vanishing: Tensor  # (V,) int64: items that vanish, their places in an (N, S) array laid flat
    arrivals: Arrivals


class Tick(NamedTuple):
    """What a tick brought, each (N,) unless said; the reward is the sum of its three parts."""

    proximity: Tensor  # for keeping away from walls
    forward: Tensor  # for going straight on in the open
    digestion: Tensor  # for what was eaten
    apples: Tensor  # int64, eaten
    poisons: Tensor  # int64, eaten
    collided: Tensor  # bool: a wall stopped the agent
    eaten: Tensor  # (K,) int64: places in an (N, S) array laid flat
    vanished: Tensor  # (V,) int64: likewise, of age

    @property
    def reward(self) -> Tensor:
        """The reward, (N,)."""
        return self.proximity + self.forward + self.digestion


class Core(ABC):
    """N worlds of one layout.

    Attributes:
        layout: the variant's numbers.
        keys: (N,) int64, what the worlds' chance is made of: a world's fate depends on its key and its actions alone.
        state: where everything is.
        sight: what the eyes see there.

    """

    def __init__(
        self,
        layout: Layout,
        keys: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make a world for each of `keys` (N,) int64, on their device."""
        self.layout = layout
        self.keys = keys
        self.device, self.dtype = keys.device, dtype
        self._walls = self._floats(layout.walls)
        self._eyes = self._floats(layout.eye_angles)
        self.state = self.born(keys)
        self.sight = self.looked()

    def born(self, keys: Tensor) -> State:
        """Return new worlds with `keys` (M,)."""
        count = len(keys)
        clock = torch.zeros_like(keys)
        start = self._floats(self.layout.start)
        still = torch.zeros(count, dtype=self.dtype, device=self.device)
        kind, x, y, velocity_x, velocity_y = self._new_items(keys, clock, BIRTH, self.layout.items)
        return State(
            x=start[0].repeat(count),
            y=start[1].repeat(count),
            angle=still,
            velocity_x=still.clone(),
            velocity_y=still.clone(),
            clock=clock,
            item_x=x,
            item_y=y,
            item_velocity_x=velocity_x,
            item_velocity_y=velocity_y,
            item_kind=kind,
            item_born=torch.zeros(kind.shape, dtype=torch.int64, device=self.device),
        )

    def restart(self, rows: Tensor, keys: Tensor) -> None:
        """Make the worlds at `rows` (M,) anew with `keys` (M,); call `observe` afterwards."""
        self.keys[rows] = keys
        self.state.replace_rows(rows, self.born(keys))
        self.sight = self.looked()

    def looked(self, items: Near | None = None) -> Sight:
        """Return what all eyes see from where the agents stand now; `items` spares the search for those near them."""
        state = self.state
        items = self._near() if items is None else items
        return look(
            self.layout, state.x, state.y, state.angle, self._eyes, self._walls, items, state.item_kind
        )

    def tick(self, actions: Tensor, events: Events | None = None) -> Tick:
        """Let all worlds take one step with `actions` (N,) int64; return what it brought.

        events: what chance is to do, instead of what the keys say: for the replay of a recorded world.
        """
        state, before = self.state, self.sight
        state.clock += 1
        collided = self._move(actions)
        items = self._near()
        meals = items.where(self._touched(items))
        food = state.item_kind.view(-1)[meals.place]
        state.item_kind.view(-1)[meals.place] = EMPTY
        vanished = self._aged() if events is None else events.vanishing
        state.item_kind.view(-1)[vanished] = EMPTY
        items = self._move_items(items)
        arrived = self._place(self._spawned() if events is None else events.arrivals)
        self.sight = self.looked(items.plus(arrived))
        apples, poisons = (meals.world[food == kind].bincount(minlength=len(state.x)) for kind in (APPLE, POISON))
        digestion = apples * self.layout.apple + poisons * self.layout.poison
        walking = self._walking_reward(actions, before)
        return Tick(*walking, digestion.to(self.dtype), apples, poisons, collided, meals.place, vanished)

    @abstractmethod
    def observe(self) -> Tensor:
        """Return the observations, (N, features), in the core's dtype."""

    @abstractmethod
    def _move(self, actions: Tensor) -> Tensor:
        """Move the agents; return whether a wall stopped them, (N,) bool."""

    @abstractmethod
    def _touched(self, items: Near) -> Tensor:
        """Return which of the items near them the agents eat, (P,) bool."""

    @abstractmethod
    def _move_items(self, items: Near) -> Near:
        """Move all items; return those near the agents, given who was near before."""

    @abstractmethod
    def _walking_reward(self, actions: Tensor, before: Sight) -> tuple[Tensor, Tensor]:
        """Return what the agents get for where they are and where they go, each (N,)."""

    def _near(self) -> Near:
        state = self.state
        return near(self.layout, state.x, state.y, state.item_x, state.item_y, state.item_kind)

    def _nearness(self) -> Tensor:
        """Return what each eye says, (N, E, 3): of the kind of thing that it sees the distance, 1 for the others."""
        seen = torch.ones(*self.sight.kind.shape, 3, dtype=self.dtype, device=self.device)
        share = self.sight.distance / self.layout.reach  # 1 where nothing is seen
        return seen.scatter(2, self.sight.kind.clamp(min=0)[..., None], share[..., None])

    def _aged(self) -> Tensor:
        """Return the places of items that vanish on this tick, (V,)."""
        state = self.state
        rows = (state.clock % AGEING_PERIOD == 0).nonzero()[:, 0]
        old = (state.clock[rows, None] - state.item_born[rows] > OLD) & (state.item_kind[rows] != EMPTY)
        row, slot = old.nonzero().unbind(1)
        if len(row):
            draw = chance.uniform(self.keys[rows], state.clock[rows], AGEING, self.layout.items)
            unlucky = draw[row, slot] < AGEING_CHANCE
            row, slot = row[unlucky], slot[unlucky]
        return rows[row] * self.layout.items + slot

    def _spawned(self) -> Arrivals:
        """Return the items that appear on this tick."""
        state = self.state
        rows = (state.clock % SPAWN_PERIOD == 0).nonzero()[:, 0]
        if len(rows):
            draw = chance.uniform(self.keys[rows], state.clock[rows], SPAWNING, 1)[:, 0]
            has_room = (state.item_kind[rows] == EMPTY).any(1)
            rows = rows[(draw < SPAWN_CHANCE) & has_room]
        new = self._new_items(self.keys[rows], state.clock[rows], BIRTH, 1)
        return Arrivals(rows, *(column[:, 0] for column in new))

    def _place(self, new: Arrivals) -> Near:
        """Put each new item in the first empty slot of its world; return them as their agents' neighbours."""
        state, rows = self.state, new.world
        slot = (state.item_kind[rows] == EMPTY).to(torch.uint8).argmax(1)
        place = rows * self.layout.items + slot
        for column, value in (
            (state.item_kind, new.kind),
            (state.item_born, state.clock[rows]),
            (state.item_x, new.x),
            (state.item_y, new.y),
            (state.item_velocity_x, new.velocity_x),
            (state.item_velocity_y, new.velocity_y),
        ):
            column.view(-1)[place] = value.to(column.dtype)
        return Near(rows, place, new.x - state.x[rows], new.y - state.y[rows])

    def _new_items(
        self, keys: Tensor, clock: Tensor, purpose: int, count: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return kind, x, y and both velocities of `count` new items for each of the worlds, each (M, count)."""
        layout = self.layout
        draw = chance.uniform(keys, clock, purpose, 5 * count).view(len(keys), count, 5)
        kind = torch.where(draw[..., 0] < 0.5, APPLE, POISON).to(torch.int8)
        x = MARGIN + draw[..., 1] * (layout.width - 2 * MARGIN)
        y = MARGIN + draw[..., 2] * (layout.height - 2 * MARGIN)
        velocity = (2 * draw[..., 3:] - 1) * layout.item_speed
        return kind, x.to(self.dtype), y.to(self.dtype), *velocity.to(self.dtype).unbind(2)

    def _floats(self, numbers: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor(numbers, dtype=self.dtype, device=self.device)


class RLDemo(Core):
    """An agent on two wheels among walls, after ConvNetJS' `rldemo`: items lie still."""

    def observe(self) -> Tensor:
        """Return (N, 27): of each eye the distances of wall, apple and poison over its range, 1 where not seen."""
        return self._nearness().flatten(1)

    def _move(self, actions: Tensor) -> Tensor:
        state, layout = self.state, self.layout
        left, right = self._floats(WHEELS)[actions].unbind(1)  # how far each wheel turns the agent about the other
        # Turning about one wheel and then about the other, and taking the middle, is a chord along the mean heading.
        length = RADIUS * torch.sin((left + right) / 2) / 2
        heading = state.angle + (right - left) / 2
        step_x, step_y = length * heading.sin(), length * heading.cos()
        collided = crossed(state.x, state.y, step_x, step_y, self._walls)
        state.x = (state.x + step_x.masked_fill(collided, 0.0)).clamp(0, layout.width)
        state.y = (state.y + step_y.masked_fill(collided, 0.0)).clamp(0, layout.height)
        angle = state.angle - left
        angle = torch.where(angle < 0, angle + TURN, angle) + right
        state.angle = torch.where(angle > TURN, angle - TURN, angle)
        return collided

    def _touched(self, items: Near) -> Tensor:
        touched = _touching(items)
        meals = items.where(touched)
        mouth = self.state.x[meals.world], self.state.y[meals.world]
        touched[touched.clone()] = ~crossed(*mouth, meals.off_x, meals.off_y, self._walls)
        return touched

    def _move_items(self, items: Near) -> Near:
        return items.where(self.state.item_kind.view(-1)[items.place] != EMPTY)

    def _walking_reward(self, actions: Tensor, before: Sight) -> tuple[Tensor, Tensor]:
        free = torch.where(before.kind == WALL, before.distance / self.layout.reach, 1.0).mean(1)
        proximity = (2 * free).clamp(max=1.0)
        return proximity, torch.where((actions == 0) & (proximity > 0.75), 0.1 * proximity, 0.0)


class ReinforceJS(Core):
    """An agent that drifts among moving items, after REINFORCEjs' WaterWorld: walls are the world's edge."""

    def observe(self) -> Tensor:
        """Return (N, 152): of each eye three distances as in RLDemo and the velocity of the item seen; then its own."""
        state, sight = self.state, self.sight
        nothing, place = sight.place < 0, sight.place.clamp(min=0)
        velocity_x = state.item_velocity_x.view(-1)[place].masked_fill(nothing, 0.0)
        velocity_y = state.item_velocity_y.view(-1)[place].masked_fill(nothing, 0.0)
        eyes = torch.cat([self._nearness(), velocity_x[..., None], velocity_y[..., None]], 2)
        return torch.cat([eyes.flatten(1), state.velocity_x[:, None], state.velocity_y[:, None]], 1)

    def _move(self, actions: Tensor) -> Tensor:
        state, layout = self.state, self.layout
        thrust_x, thrust_y = self._floats(THRUSTS)[actions].unbind(1)
        state.velocity_x = (state.velocity_x + thrust_x) * DRAG
        state.velocity_y = (state.velocity_y + thrust_y) * DRAG
        x, y = state.x + state.velocity_x, state.y + state.velocity_y
        state.x, state.y = x.clamp(1, layout.width - 1), y.clamp(1, layout.height - 1)
        collided = (state.x != x) | (state.y != y)
        state.velocity_x = state.velocity_x.masked_fill(collided, 0.0)
        state.velocity_y = state.velocity_y.masked_fill(collided, 0.0)
        return collided

    def _touched(self, items: Near) -> Tensor:
        return _touching(items)

    def _move_items(self, items: Near) -> Near:
        state, layout = self.state, self.layout
        x, y = state.item_x + state.item_velocity_x, state.item_y + state.item_velocity_y
        state.item_x, state.item_y = x.clamp(1, layout.width - 1), y.clamp(1, layout.height - 1)
        state.item_velocity_x = torch.where(state.item_x == x, state.item_velocity_x, -state.item_velocity_x)
        state.item_velocity_y = torch.where(state.item_y == y, state.item_velocity_y, -state.item_velocity_y)
        return self._near()

    def _walking_reward(self, actions: Tensor, before: Sight) -> tuple[Tensor, Tensor]:
        nothing = torch.zeros_like(self.state.x)
        return nothing, nothing


def _touching(items: Near) -> Tensor:
    """Return which items touch their agent, (P,) bool."""
    return items.off_x * items.off_x + items.off_y * items.off_y < (2 * RADIUS) ** 2

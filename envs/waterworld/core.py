"""The core of Waterworld: any number of worlds as tensors, which tick together on any device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from . import chance
from .episodes import Episodes, Outcome
from .layout import AGEING_CHANCE, AGEING_PERIOD, MARGIN, OLD, RADIUS, SPAWN_CHANCE, SPAWN_PERIOD, Layout
from .rays import APPLE, POISON, Eyes, Sight, look
from .state import EMPTY, Arrivals, Brought, Events, State, Tick

AGEING, SPAWNING, BIRTH = range(3)  # what numbers are drawn for


class Core(ABC):
    """N worlds of one layout.

    Attributes:
        layout: the variant's numbers.
        keys: (N,) int64, what the worlds' chance is made of: a world's fate depends on its key and its actions alone.
        state: where everything is.
        sight: what the eyes see there.

    """

    def __init__(self, layout: Layout, keys: Tensor, *, dtype: torch.dtype = torch.float32) -> None:
        """Make a world for each of `keys` (N,) int64, on their device, computed in `dtype`."""
        self.layout = layout
        self.keys = keys.clone()
        self.device, self.dtype = keys.device, dtype
        self._eyes = Eyes(layout, dtype, keys.device)
        self._walls = self._eyes.walls
        self.state = self.born(self.keys)
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
        """Make the worlds at `rows` (M,) int64 anew with `keys` (M,)."""
        self.put(rows, keys, self.born(keys))

    def put(self, rows: Tensor, keys: Tensor, worlds: State) -> None:
        """Set the worlds at `rows` (M,) int64 to `worlds`, their further chance made of `keys` (M,)."""
        self.keys[rows] = keys
        self.state.replace_rows(rows, worlds)
        self.sight = self.looked()

    def looked(self) -> Sight:
        """Return what all eyes see from where the agents stand now."""
        return look(self._eyes, self.state)

    def tick(self, actions: Tensor, events: Events | None = None) -> Tick:
        """Let all worlds take one step with `actions` (N,) int64; return what it brought.

        events: what chance is to do, instead of what the keys say: for the replay of a recorded world.
        """
        state, before = self.state, self.sight
        state.clock += 1
        collided = self._move(actions)
        meals = self._meals()
        apples, poisons = ((meals & (state.item_kind == kind)).sum(1) for kind in (APPLE, POISON))
        state.item_kind[meals] = EMPTY
        vanished = self._aged() if events is None else events.vanishing
        state.item_kind.view(-1)[vanished] = EMPTY
        self._move_items()
        self._place(self._spawned() if events is None else events.arrivals)
        self.sight = self.looked()
        digestion = apples * self.layout.apple + poisons * self.layout.poison
        walking = self._walking_reward(actions, before)
        eaten = meals.view(-1).nonzero()[:, 0]
        return Tick(*walking, digestion.to(self.dtype), apples, poisons, collided, eaten, vanished)

    def step(self, actions: Tensor, episodes: Episodes, limit: int | None) -> Outcome:
        """Let every world take a step with `actions` (N,) int64, or open its next episode where the last step ended it.

        episodes: theirs, which go on. limit: the steps of an episode before truncation; None for no end.
        """
        opened = episodes.ended
        brought: Brought = self.tick(actions)
        steps = episodes.steps + 1
        if bool(opened.any()):
            rows = opened.nonzero()[:, 0]
            episodes.episodes = episodes.episodes + opened
            steps = steps.masked_fill(opened, 0)
            brought = brought.without(opened)
            self.restart(rows, episodes.keys[rows])
        episodes.steps = steps
        episodes.ended = torch.zeros_like(opened) if limit is None else steps >= limit
        return Outcome(self.observe(), brought.reward, episodes.ended, opened, brought)

    @abstractmethod
    def observe(self) -> Tensor:
        """Return the observations, (N, features), in the core's dtype."""

    @abstractmethod
    def _move(self, actions: Tensor) -> Tensor:
        """Move the agents; return whether a wall stopped them, (N,) bool."""

    @abstractmethod
    def _meals(self) -> Tensor:
        """Return which items the agents eat, (N, S) bool."""

    @abstractmethod
    def _move_items(self) -> None:
        """Move all items."""

    @abstractmethod
    def _walking_reward(self, actions: Tensor, before: Sight) -> tuple[Tensor, Tensor]:
        """Return what the agents get for where they are and where they go, each (N,)."""

    def _nearness(self) -> Tensor:
        """Return what each eye says, (N, E, 3): of the kind of thing that it sees the distance, 1 for the others."""
        seen = torch.ones(*self.sight.kind.shape, 3, dtype=self.dtype, device=self.device)
        share = self.sight.distance / self.layout.reach  # 1 where nothing is seen
        return seen.scatter(2, self.sight.kind.clamp(min=0)[..., None], share[..., None])

    def _due(self, period: int) -> Tensor:
        """Return the worlds in which it is time for what happens every `period` ticks, (M,) int64."""
        return (self.state.clock % period == 0).nonzero()[:, 0]

    def _aged(self) -> Tensor:
        """Return the places of items that vanish on this tick, (V,)."""
        state = self.state
        rows = self._due(AGEING_PERIOD)
        old = (state.clock[rows, None] - state.item_born[rows] > OLD) & (state.item_kind[rows] != EMPTY)
        draw = chance.uniform(self.keys[rows], state.clock[rows], AGEING, self.layout.items)
        row, slot = (old & (draw < AGEING_CHANCE)).nonzero().unbind(1)
        return rows[row] * self.layout.items + slot

    def _spawned(self) -> Arrivals:
        """Return the items that appear on this tick."""
        state = self.state
        rows = self._due(SPAWN_PERIOD)
        draw = chance.uniform(self.keys[rows], state.clock[rows], SPAWNING, 1)[:, 0]
        has_room = (state.item_kind[rows] == EMPTY).any(1)
        rows = rows[(draw < SPAWN_CHANCE) & has_room]
        new = self._new_items(self.keys[rows], state.clock[rows], BIRTH, 1)
        return Arrivals(rows, *(column[:, 0] for column in new))

    def _place(self, new: Arrivals) -> None:
        """Put each new item in the first empty slot of its world."""
        state, rows = self.state, new.world
        slot = (state.item_kind[rows] == EMPTY).to(torch.uint8).argmax(1)
        for column, value in (
            (state.item_kind, new.kind),
            (state.item_born, state.clock[rows]),
            (state.item_x, new.x),
            (state.item_y, new.y),
            (state.item_velocity_x, new.velocity_x),
            (state.item_velocity_y, new.velocity_y),
        ):
            column[rows, slot] = value.to(column.dtype)

    def _touched(self) -> Tensor:
        """Return which items touch their agent, (N, S) bool."""
        off_x, off_y = self._offsets()
        return (off_x * off_x + off_y * off_y < (2 * RADIUS) ** 2) & (self.state.item_kind != EMPTY)

    def _offsets(self) -> tuple[Tensor, Tensor]:
        """Return how far items lie from their agents in x and y, (N, S) each, px."""
        state = self.state
        return state.item_x - state.x[:, None], state.item_y - state.y[:, None]

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
        velocity_x, velocity_y = velocity.to(self.dtype).permute(2, 0, 1).contiguous()
        return kind, x.to(self.dtype), y.to(self.dtype), velocity_x, velocity_y

    def _floats(self, numbers: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor(numbers, dtype=self.dtype, device=self.device)

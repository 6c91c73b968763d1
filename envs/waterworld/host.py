"""host: worlds on a CPU, one after the other in compiled loops."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from itertools import pairwise
from math import hypot, pi
from operator import is_
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import loops
from .core import Core
from .layout import (
    AGEING_CHANCE,
    AGEING_PERIOD,
    DRAG,
    MARGIN,
    OLD,
    RADIUS,
    SPAWN_CHANCE,
    SPAWN_PERIOD,
    TURN,
    Layout,
)
from .rays import Sight
from .state import Events, Tick
from .variants import ReinforceJS, RLDemo

Reals = NDArray[Any]  # of the core's dtype
Wholes = NDArray[np.int64]
Flags = NDArray[np.bool_]

PART = 2_048
"""Worlds at least that are worth a thread of their own."""


class Columns(NamedTuple):
    """A State as arrays in the same memory."""

    x: Reals
    y: Reals
    angle: Reals
    velocity_x: Reals
    velocity_y: Reals
    clock: Wholes
    item_x: Reals
    item_y: Reals
    item_velocity_x: Reals
    item_velocity_y: Reals
    item_kind: NDArray[np.int8]
    item_born: Wholes

    def part(self, rows: slice) -> Columns:
        """Return the worlds in `rows`."""
        columns: Any = [column[rows] for column in self]
        return Columns(*columns)


class Seen(NamedTuple):
    """A Sight as arrays in the same memory."""

    distance: Reals
    kind: Wholes
    place: Wholes


class Host(Core):
    """A core on a CPU: to the bit what the plain code makes of the same worlds.

    That is some hundred operations on all worlds, each of which takes microseconds before its arithmetic begins; a loop
    has a world's numbers at hand until all is done with them. Only sines and roots are torch's, which are not rounded
    as others'. The tensors of a state are written to in place.
    """

    def __init__(self, layout: Layout, keys: Tensor, *, dtype: torch.dtype = torch.float32) -> None:
        """Make a world for each of `keys`, as Core does."""
        self._known: tuple[tuple[Tensor, ...], Columns] | None = None
        super().__init__(layout, keys, dtype=dtype)

    def tick(self, actions: Tensor, events: Events | None = None) -> Tick:
        """Let all worlds take one step, as Core does.

        Raises IndexError for an action that does not exist, ValueError for more or less of them than worlds, and then
        nothing has changed.
        """
        if events is not None:  # recorded ones, for which nothing needs to be fast
            return super().tick(actions, events)
        columns, keys, doing = self._columns, self.keys.numpy(), actions.numpy()
        loops.check(doing, len(keys), len(self.layout.actions))
        clock = columns.clock
        clock += 1
        proximity, forward, digestion = floats = np.zeros((3, len(keys)), self._walls_there.dtype)
        apples, poisons = wholes = np.zeros((2, len(keys)), np.int64)
        eaten, vanished = happened = np.zeros((2, *columns.item_kind.shape), np.bool_)
        collided, before, seen = np.empty(len(keys), np.bool_), Seen(*_arrays(self.sight)), self._blank()

        def live(rows: slice) -> None:
            there = columns.part(rows)
            self._walk(rows, there, doing[rows], before, proximity[rows], forward[rows], collided[rows])
            loops.happen(
                keys[rows], *self._laws, there.x, there.y, there.clock, there.item_x, there.item_y,
                there.item_velocity_x, there.item_velocity_y, there.item_kind, there.item_born, digestion[rows],
                apples[rows], poisons[rows], eaten[rows], vanished[rows],
            )  # fmt: skip
            self._see(rows, there, seen)

        _in_parts(live, len(keys))
        self.sight = Sight(*map(torch.from_numpy, seen))
        gone = (torch.from_numpy(flags.reshape(-1).nonzero()[0]) for flags in happened)
        told = (torch.from_numpy(column) for column in (*floats, *wholes, collided))
        return Tick(*told, *gone)

    def looked(self) -> Sight:
        """Return what all eyes see from where the agents stand now."""
        columns, seen = self._columns, self._blank()
        _in_parts(lambda rows: self._see(rows, columns.part(rows), seen), len(columns.x))
        return Sight(*map(torch.from_numpy, seen))

    @property
    def _columns(self) -> Columns:
        """The state as arrays, looked up anew where it has other tensors than the last time."""
        tensors = tuple(vars(self.state).values())
        if self._known is None or not all(map(is_, tensors, self._known[0])):
            self._known = tensors, Columns(*_arrays(tensors))
        return self._known[1]

    @cached_property
    def _walls_there(self) -> Reals:
        """The walls, (W, 4)."""
        return self._walls.numpy()

    @cached_property
    def _laws(self) -> tuple[Reals, float, int, float, int, int, float, float, float, float, float, float, float]:
        """What `loops.happen` knows of the walls before food, and of touching, ageing, appearing, moving and eating."""
        ageing, appearing = (AGEING_PERIOD, AGEING_CHANCE, OLD), (SPAWN_PERIOD, SPAWN_CHANCE, MARGIN)
        size, food = (self.layout.width, self.layout.height), (self.layout.apple, self.layout.poison)
        return self._obstacles, (2 * RADIUS) ** 2, *ageing, *appearing, *size, self.layout.item_speed, *food

    @property
    def _obstacles(self) -> Reals:
        """The walls that keep an agent from what it touches, (K, 4)."""
        return self._walls_there

    @abstractmethod
    def _walk(
        self, rows: slice, there: Columns, actions: Wholes, before: Seen, proximity: Reals, forward: Reals,
        collided: Flags,
    ) -> None:  # fmt: skip
        """Move the agents of `rows`, which are `there`, and write what came of it, (N,) each."""

    @cached_property
    def _gaze(self) -> tuple[Reals, Reals, Reals, Any, float, float]:
        """What `loops.see` knows of eyes and of what they may see."""
        eyes, layout = self._eyes, self.layout
        # A pixel more than from where the original sees an item: two radii too far to the right, within reach.
        farthest = (hypot(layout.reach + 2 * RADIUS, RADIUS) + 1) ** 2
        return eyes.sine.numpy(), eyes.cosine.numpy(), self._walls_there, self._real(layout.reach), farthest, RADIUS

    def _see(self, rows: slice, there: Columns, seen: Seen) -> None:
        """Write into `seen` what the eyes of `rows`, which are `there`, see."""
        angle = torch.from_numpy(there.angle)
        distance, kind, place = (column[rows] for column in seen)
        items = loops.see(
            angle.sin().numpy(), angle.cos().numpy(), *self._gaze, there.x, there.y, there.item_x, there.item_y,
            there.item_kind, rows.start, distance, kind, place,
        )  # fmt: skip
        if items:
            squared = torch.from_numpy(distance)
            torch.where(torch.from_numpy(place) < 0, squared, squared.sqrt(), out=squared)

    def _blank(self) -> Seen:
        """Return room for what all eyes see."""
        shape = len(self.keys), self.layout.eyes
        kind, place = np.empty((2, *shape), np.int64)
        return Seen(np.empty(shape, self._walls_there.dtype), kind, place)

    def _real(self, number: float) -> Any:
        """Return `number` in the core's dtype."""
        return self._walls_there.dtype.type(number)


class HostRLDemo(Host, RLDemo):
    """RLDemo on a CPU."""

    @cached_property
    def _plan(self) -> tuple[Any, Any, Any, Reals, Reals, Any, Any, Any]:
        """What `loops.roll` knows of rewards and of wheels, and of where they roll."""
        real, layout = self._real, self.layout
        numbers = real(layout.reach), real(0.1), real(RADIUS / 2)
        return *numbers, self._wheels.numpy(), self._walls_there, real(TURN), real(layout.width), real(layout.height)

    def _walk(
        self, rows: slice, there: Columns, actions: Wholes, before: Seen, proximity: Reals, forward: Reals,
        collided: Flags,
    ) -> None:  # fmt: skip
        facing = torch.from_numpy(there.angle) + pi / 2
        loops.roll(
            actions, before.distance[rows], before.kind[rows], facing.sin().numpy(), facing.cos().numpy(), *self._plan,
            there.x, there.y, there.angle, proximity, forward, collided,
        )  # fmt: skip

    def observe(self) -> Tensor:
        """Return (N, 27), as RLDemo does."""
        distance, kind, _ = _arrays(self.sight)
        told = np.empty((len(distance), 3 * self.layout.eyes), distance.dtype)
        loops.tell(distance, kind, self._real(self.layout.reach), 3, told)
        return torch.from_numpy(told)


class HostReinforceJS(Host, ReinforceJS):
    """ReinforceJS on a CPU."""

    @property
    def _obstacles(self) -> Reals:
        return self._walls_there[:0]

    @cached_property
    def _plan(self) -> tuple[Reals, Any, Any, Any]:
        """What `loops.drift` knows of thrusts and of where they lead."""
        real, layout = self._real, self.layout
        return self._thrusts.numpy(), real(DRAG), real(layout.width), real(layout.height)

    def _walk(
        self, rows: slice, there: Columns, actions: Wholes, before: Seen, proximity: Reals, forward: Reals,
        collided: Flags,
    ) -> None:  # fmt: skip
        loops.drift(actions, *self._plan, there.x, there.y, there.velocity_x, there.velocity_y, collided)

    def observe(self) -> Tensor:
        """Return (N, 152), as ReinforceJS does."""
        columns, (distance, kind, place) = self._columns, _arrays(self.sight)
        told = np.empty((len(distance), 5 * self.layout.eyes + 2), distance.dtype)
        loops.tell(distance, kind, self._real(self.layout.reach), 5, told)
        velocities = columns.item_velocity_x, columns.item_velocity_y, columns.velocity_x, columns.velocity_y
        loops.tell_velocities(place, *velocities, told)
        return torch.from_numpy(told)


def _arrays(tensors: tuple[Tensor, ...]) -> list[NDArray[Any]]:
    """Return arrays in the memory of `tensors`."""
    return [tensor.numpy() for tensor in tensors]


def _in_parts(live: Callable[[slice], None], count: int) -> None:
    """Call `live` with the rows of `count` worlds, in parts at once where they are worth torch's threads."""
    parts = min(torch.get_num_threads(), max(count // PART, 1))
    edges = [count * part // parts for part in range(parts + 1)]
    first, *others = (slice(*pair) for pair in pairwise(edges))
    under_way = [_threads().submit(live, rows) for rows in others]
    live(first)
    for part in under_way:
        part.result()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="waterworld")


os.register_at_fork(after_in_child=_threads.cache_clear)  # a child has none of its parent's threads

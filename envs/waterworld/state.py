"""State: where everything is in N worlds, and what a tick of them brings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from torch import Tensor

EMPTY = 0  # the kind of a slot without an item


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

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it by name."""
        return {field.name: getattr(self, field.name) for field in fields(State)}


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


@dataclass
class Brought:
    """What a tick brought to N worlds, each (N,); the reward is the sum of its three parts."""

    proximity: Tensor  # for keeping away from walls
    forward: Tensor  # for going straight on in the open
    digestion: Tensor  # for what was eaten
    apples: Tensor  # int64, eaten
    poisons: Tensor  # int64, eaten
    collided: Tensor  # bool: a wall stopped the agent

    @property
    def reward(self) -> Tensor:
        """The reward, (N,)."""
        return self.proximity + self.forward + self.digestion

    def without(self, rows: Tensor) -> Brought:
        """Return it with zeros for the worlds at which `rows` (N,) bool is true."""
        return Brought(**{field.name: getattr(self, field.name).masked_fill(rows, 0) for field in fields(Brought)})


@dataclass
class Tick(Brought):
    """The same, and which items are gone: their places in an (N, S) array laid flat."""

    eaten: Tensor  # (K,) int64
    vanished: Tensor  # (V,) int64, of age

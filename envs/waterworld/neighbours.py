"""Neighbours: which items are near which agents, the few pairs among which all meals and most of what is seen are."""

from __future__ import annotations

from math import hypot
from typing import NamedTuple

import torch
from torch import Tensor

from .layout import RADIUS, Layout
from .state import EMPTY, State

SKIN = 50.0  # px: an agent that goes straight on takes ten ticks and more for it


class Near(NamedTuple):
    """P pairs of an agent and an item near it, each (P,)."""

    world: Tensor  # int64: the agent's row
    place: Tensor  # int64: of the item in an (N, S) array laid flat
    off_x: Tensor  # px from the agent to the item
    off_y: Tensor

    def where(self, mask: Tensor) -> Near:
        """Return the pairs at which `mask` (P,) is true."""
        kept = mask.nonzero()[:, 0]
        return Near(*(column.index_select(0, kept) for column in self))

    def plus(self, other: Near) -> Near:
        """Return these pairs and those of `other`."""
        return Near(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


def near(layout: Layout, state: State, beyond: float = 0.0) -> Near:
    """Return the pairs in which an eye of the agent could see the item, or more: all up to `beyond` px farther away."""
    off_x, off_y = state.item_x - state.x[:, None], state.item_y - state.y[:, None]
    close = off_x * off_x + off_y * off_y < farthest(layout, beyond)
    world, slot = close.logical_and_(state.item_kind != EMPTY).nonzero().unbind(1)
    place = world * layout.items + slot
    return Near(world, place, off_x.view(-1)[place], off_y.view(-1)[place])


def farthest(layout: Layout, beyond: float = 0.0) -> float:
    """Return the square of the distance, px, that lies `beyond` px behind that from which on no eye sees an item."""
    # The original sees an item at most two radii too far to the right, and only if that point is within reach.
    return (hypot(layout.reach + 2 * RADIUS, RADIUS) + beyond) ** 2


class Neighbours:
    """The pairs near each other among items that lie still, found without looking at all items every time.

    As in molecular dynamics (Verlet 1967), those within a skin beyond are kept in a list, which holds until an agent
    has crossed the skin.
    """

    def __init__(self, layout: Layout, state: State) -> None:
        """List the pairs in `state`."""
        self._layout = layout
        self._x, self._y = state.x.clone(), state.y.clone()
        self._items, self._written = state.item_x, state.item_x._version
        pairs = near(layout, state, SKIN)
        self._world, self._place = pairs.world, pairs.place
        self._item_x, self._item_y = state.item_x.view(-1)[self._place], state.item_y.view(-1)[self._place]

    def hold(self, state: State) -> bool:
        """Return whether the list still has all pairs that are near each other in `state`."""
        if state.item_x is not self._items or state.item_x._version != self._written:  # an item is elsewhere, or new
            return False
        gone_x, gone_y = state.x - self._x, state.y - self._y
        return float((gone_x * gone_x).addcmul_(gone_y, gone_y).max()) < SKIN**2

    def near(self, state: State) -> Near:
        """Return the pairs near each other, as the function of that name does."""
        off_x = self._item_x - state.x.index_select(0, self._world)
        off_y = self._item_y - state.y.index_select(0, self._world)
        close = off_x * off_x + off_y * off_y < farthest(self._layout)
        there = state.item_kind.view(-1).index_select(0, self._place) != EMPTY
        return Near(self._world, self._place, off_x, off_y).where(close & there)

"""Parts: which numbers of an observation belong together, by name, and what Waterworld's eyes see among them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..envs.waterworld.layout import Layout

SIGHTS = ("nothing", "wall", "apple", "poison")
TINTS = ("#d5dae1", "#6b7280", "#d64545", "#2c9c69")  # of an eye that sees each of them


@dataclass(frozen=True)
class Parts:
    """The parts of an observation that is no image; with eyes, these come first."""

    names: tuple[str, ...]
    masks: Tensor  # (M, *obs_shape) bool: each number is in one part at most
    readings: Tensor | None = None  # (E, 3) int64: where an eye's wall, apple and poison are in a flat observation
    directions: Tensor | None = None  # (E, 2): where each eye looks on a sheet, the agent's heading upwards

    def values(self, saliency: Tensor) -> Tensor:
        """Return the largest value in each part, (M,), of a saliency shaped as the observation, none below 0."""
        return (saliency * self.masks).flatten(1).amax(1)

    def sights(self, states: Tensor) -> Tensor:
        """Return what each eye sees, (n, E) indices into SIGHTS, in states (n, *obs_shape); (n, 0) without eyes."""
        if self.readings is None:
            return torch.zeros(len(states), 0, dtype=torch.int64)
        seen = self._seen(states)
        return torch.where(seen.any(2), seen.int().argmax(2) + 1, 0)

    def rays(self, state: Tensor) -> Tensor | None:
        """Return where each eye's ray ends, (E, 2) over its range; None for no state that eyes can be in."""
        if self.readings is None or self.directions is None or bool((self._seen(state[None]).sum(2) > 1).any()):
            return None
        return self.directions * state.flatten()[self.readings].amin(1)[:, None]

    def _seen(self, states: Tensor) -> Tensor:
        """Return whether each eye sees a wall, an apple and poison, (n, E, 3) bool: 1 is what it does not see."""
        return states.flatten(1)[:, self.readings] != 1.0


def parts_of(shape: tuple[int, ...], actions: int = 0, layout: Layout | None = None) -> Parts:
    """Return the parts of observations of `shape`: (D,), or a window (L, D + actions), the newest last.

    Every number is a part, and in a window the action before each observation is one; "3, 1 ago" is a step older than
    "3". In Waterworld an eye is a part: all its numbers, of the whole window. `layout` is Waterworld's.
    """
    length, row = shape if len(shape) == 2 else (1, shape[0])
    numbers = row - (actions if len(shape) == 2 else 0)
    names: list[str] = []
    masks: list[Tensor] = []

    def add(name: str, rows: slice | int, columns: slice) -> None:
        mask = torch.zeros(length, row, dtype=torch.bool)
        mask[rows, columns] = True
        names.append(name)
        masks.append(mask.view(shape))

    readings, directions, begin = None, None, 0
    if layout is not None:
        width = layout.eye_width
        newest = (length - 1) * row
        readings = newest + width * torch.arange(layout.eyes)[:, None] + torch.arange(3)
        angles = torch.tensor(layout.eye_angles)  # on a screen, where y points down, towards (sin, cos)
        directions = torch.stack([angles.sin(), -angles.cos()], 1) * (-1 if layout.turns else 1)
        for eye in range(layout.eyes):
            add(f"eye {eye}", slice(None), slice(width * eye, width * (eye + 1)))
        begin = width * layout.eyes
        if begin < numbers:
            add("velocity", slice(None), slice(begin, numbers))
            begin = numbers
    for age in range(length):
        when = f", {age} ago" if age else ""
        for number in range(begin, numbers):
            add(f"{number}{when}", length - 1 - age, slice(number, number + 1))
        if numbers < row:
            add(f"action{when}", length - 1 - age, slice(numbers, row))
    return Parts(tuple(names), torch.stack(masks), readings, directions)

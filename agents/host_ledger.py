"""HostLedger: a ledger on a CPU, a row of which is one loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..native import native
from .ledger import COLUMNS, MAX_AGE, Ledger, Transitions

Flags = NDArray[np.bool_]
Reals = NDArray[np.float32]
Slots = NDArray[np.int64]


class HostLedger(Ledger):
    """A ledger that a compiled loop writes and looks up, in the same memory, to the bit as the plain code does.

    A row has as many numbers as there are worlds, a batch some dozens: on so few, operations of torch's and NumPy's
    take microseconds each before their arithmetic begins, and they are sixty.
    """

    def __init__(self, rows: int, num_envs: int, **settings: Any) -> None:
        """Reserve the memory, as Ledger does."""
        super().__init__(rows, num_envs, **settings)
        self._following = tuple(column.numpy() for column in self.following.ring)
        columns = (getattr(self, name).numpy() for name in COLUMNS)
        weights = self.priorities.leaves.view(rows, num_envs).numpy()
        self._columns: tuple[Any, ...] = (*columns, *self._following, weights)

    def at(self, slot: Tensor) -> Transitions:
        """Return the transitions that start in the slots `slot` (B,) int64: row * N + world."""
        found = _look_up(slot.numpy(), self._columns[0], *self._following)
        return Transitions(*map(torch.from_numpy, found))

    def _write(
        self, row: int, action: Tensor, reward: Tensor, terminated: Tensor, truncated: Tensor, life_lost: Tensor
    ) -> None:
        """Write `row`, forget what was there, and let start what may start from now on."""
        numbers = self.stack, self.n_step, np.float32(self.discount), np.float32(self._fresh)
        told = action.numpy(), reward.numpy(), terminated.numpy(), truncated.numpy(), life_lost.numpy()
        _write_row(row, self.added, *numbers, *told, *self._columns)
        self._sum_changed(row)


@native
def _write_row(
    row: int, added: int, stack: int, steps: int, discount: np.float32, fresh: np.float32,
    new_action: Slots, new_reward: Reals, terminated: Flags, truncated: Flags, life_lost: Flags,
    action: Slots, reward: Reals, terminal: Flags, cut: Flags, done: Flags, age: NDArray[np.uint8], live: Flags,
    following_reward: Reals, following_discount: Reals, following_slots: NDArray[np.int32], weights: Reals,
) -> None:  # fmt: skip
    """Do what `Ledger._write` does; from `action` on, the columns (rows, N)."""
    rows, num_envs = action.shape
    told = len(new_action), len(new_reward), len(terminated), len(truncated), len(life_lost)
    if min(told) != num_envs or max(told) != num_envs:
        raise ValueError("a row of a replay must have a number for each of its worlds")
    last = (row - 1) % rows
    for world in range(num_envs):
        over, lost = terminated[world], life_lost[world]
        ends = over | truncated[world]
        action[row, world], reward[row, world] = new_action[world], new_reward[world]
        terminal[row, world], cut[row, world] = over | lost, ends | lost
        if added == 0:
            live[row, world], done[row, world] = True, ends
        else:
            final = done[last, world]  # this row shows the last episode's end
            live[row, world], done[row, world] = not final, ends and not final
            # The row after a final frame is an episode's first.
            age[row, world] = min(age[last, world], MAX_AGE - 1) + 1 if live[last, world] else 0
        if added >= rows:
            for gone in range(row, row + stack):
                weights[gone % rows, world] = 0

        total, factor, slots, whole = np.float32(0), np.float32(1), np.int32(0), True
        for k in range(1, min(steps, added) + 1):
            start = (row - k) % rows
            if cut[start, world]:
                total, factor, slots = np.float32(0), np.float32(1), np.int32(0)
            total = reward[start, world] + discount * total
            factor = np.float32(0) if terminal[start, world] else discount * factor
            slots += np.int32(num_envs)
            following_reward[start, world], following_discount[start, world] = total, factor
            following_slots[start, world] = slots
            whole = whole and (k == 1 or not cut[start, world])  # windows that were cut earlier were released then
            if live[start, world] and whole and (k == steps or cut[last, world]):
                weights[start, world] = fresh


@native
def _look_up(
    start: Slots, action: Slots, reward: Reals, discount: Reals, slots: NDArray[np.int32]
) -> tuple[Slots, Reals, Reals, Slots]:
    """Return action, reward, discount and end of the transitions from the slots `start` (B,), each (B,)."""
    rows, num_envs = action.shape
    actions, ends = np.empty(len(start), np.int64), np.empty(len(start), np.int64)
    rewards, discounts = np.empty(len(start), np.float32), np.empty(len(start), np.float32)
    for number, slot in enumerate(start):
        if not 0 <= slot < rows * num_envs:
            raise IndexError("there is no such slot in the replay")
        row, world = divmod(slot, num_envs)
        actions[number] = action[row, world]
        rewards[number], discounts[number] = reward[row, world], discount[row, world]
        ends[number] = (slot + slots[row, world]) % (rows * num_envs)
    return actions, rewards, discounts, ends

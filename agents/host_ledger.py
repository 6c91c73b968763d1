"""HostLedger: a ledger on a CPU, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .ledger import COLUMNS, MAX_AGE, Ledger, Transitions


class HostLedger(Ledger):
    """A ledger that NumPy writes and looks up, in the same memory, to the bit as the plain code does.

    A row has as many numbers as there are worlds, a batch some dozens, and on so few an operation of torch's takes five
    times as long as one of NumPy's, all of it before the arithmetic begins.
    """

    def __init__(self, rows: int, num_envs: int, **settings: Any) -> None:
        """Reserve the memory, as Ledger does."""
        super().__init__(rows, num_envs, **settings)
        self._columns = {name: getattr(self, name).numpy() for name in COLUMNS}
        self._following = [column.numpy() for column in self.following.ring]
        self._weights = self.priorities.leaves.view(rows, num_envs).numpy()
        self._uncut = 0  # rows before the next one in which no window ends, as far as is known
        discounts = np.ones(self.n_step + 1, np.float32)
        for k in range(1, self.n_step + 1):  # one after the other, as the plain code multiplies
            discounts[k] = self.discount * discounts[k - 1]
        self._discounts = discounts.tolist()

    def at(self, slot: Tensor) -> Transitions:
        """Return the transitions that start in the slots `slot` (B,) int64: row * N + world."""
        start = slot.numpy()
        reward, discount, ahead = (column.reshape(-1)[start] for column in self._following)
        end = (start + ahead) % (self.rows * self.num_envs)
        found = (self._columns["action"].reshape(-1)[start], reward, discount, end)
        return Transitions(*(torch.from_numpy(column) for column in found))

    def _write(
        self, row: int, action: Tensor, reward: Tensor, terminated: Tensor, truncated: Tensor, life_lost: Tensor
    ) -> None:
        """Write `row`, forget what was there, and let start what may start from now on."""
        actions, rewards, terminal, cut, done, age, live = self._columns.values()
        last = row - 1 if row else self.rows - 1
        over, lost = terminated.numpy(), life_lost.numpy()
        ends = over | truncated.numpy()
        actions[row], rewards[row] = action.numpy(), reward.numpy()
        np.logical_or(over, lost, out=terminal[row])
        np.logical_or(ends, lost, out=cut[row])
        if self.added == 0:
            live[row], done[row] = True, ends
        else:
            np.logical_not(done[last], out=live[row])  # a row that shows the last episode's end is not lived
            np.logical_and(ends, live[row], out=done[row])
            # The row after a final frame is an episode's first.
            age[row] = np.where(live[last], np.minimum(age[last], MAX_AGE - 1) + 1, 0)
        if self.added >= self.rows:
            for gone in range(row, row + self.stack):
                self._weights[gone % self.rows] = 0.0
        self._release(row)
        self._sum_changed(row)
        self._uncut = 0 if cut[row].any() else self._uncut + 1

    def close_episodes(self) -> None:
        """Book the newest row's running episodes as truncated, and add a row of final frames after it."""
        self._uncut = 0
        super().close_episodes()

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, from a ledger of the same shape."""
        self._uncut = 0
        super().load(state)

    def _release(self, row: int) -> None:
        """Let the rows whose window ends with `row` as their next observation start transitions from now on."""
        if self._uncut >= self.n_step:
            self._release_whole(row)
        else:
            self._release_any(row)

    def _release_whole(self, row: int) -> None:
        """Release where no window is cut short, which is most rows: a third of the operations."""
        rewards, live = self._columns["reward"], self._columns["live"]
        sums, factors, slots = self._following
        total: Any = self.following.end.reward.numpy()
        for k in range(1, self.n_step + 1):
            start = (row - k) % self.rows
            total = rewards[start] + self.discount * total
            sums[start], factors[start], slots[start] = total, self._discounts[k], k * self.num_envs
        self._weights[start][live[start]] = float(self._fresh)

    def _release_any(self, row: int) -> None:
        """Release whatever the worlds did."""
        _, rewards, terminal, cut, _, _, live = self._columns.values()
        sums, factors, slots = self._following
        fresh = float(self._fresh)
        ended = cut[row - 1 if row else self.rows - 1]
        whole = np.ones(self.num_envs, np.bool_)
        total, factor, ahead = (column.numpy() for column in self.following.end)
        for k in range(1, min(self.n_step, self.added) + 1):
            start = (row - k) % self.rows
            going_on = ~cut[start]
            total = rewards[start] + self.discount * total * going_on
            factor = self.discount * np.where(going_on, factor, np.float32(1)) * ~terminal[start]
            ahead = self.num_envs + going_on * ahead
            sums[start], factors[start], slots[start] = total, factor, ahead
            if k > 1:
                whole &= going_on
            ready = live[start] & whole
            if k < self.n_step:
                ready &= ended
            self._weights[start][ready] = fresh

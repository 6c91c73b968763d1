"""HostLedger: a ledger on a CPU, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
        # What follows the rows before a window's end, the farthest first: (n, 1).
        self._discounts = discounts[:0:-1, None]
        self._slots_ahead = np.arange(self.n_step, 0, -1)[:, None] * num_envs

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
        self._columns["action"][row], self._columns["reward"][row] = action.numpy(), reward.numpy()
        over, lost = terminated.numpy(), life_lost.numpy()
        ends = over | truncated.numpy()
        stops = ends | lost
        stopped = bool(stops.any())
        if self._uncut >= 2 and not stopped:  # nothing ended in the last row, and nobody was reset there
            self._write_even(row)
        else:
            self._write_any(row, over | lost, ends, stops)
        if self.added >= self.rows:
            for gone in range(row, row + self.stack):
                self._weights[gone % self.rows] = 0.0
        self._release(row)
        self._sum_changed(row)
        self._uncut = 0 if stopped else self._uncut + 1

    def _write_even(self, row: int) -> None:
        """Write what `row` says of ends where there are none, nor were any in the two rows before, as is usual."""
        _, _, terminal, cut, done, age, live = self._columns.values()
        terminal[row] = cut[row] = done[row] = False
        live[row] = True
        age[row] = np.minimum(age[row - 1 if row else self.rows - 1], MAX_AGE - 1) + 1

    def _write_any(self, row: int, over: NDArray[np.bool_], ends: NDArray[np.bool_], stops: NDArray[np.bool_]) -> None:
        """Write what `row` says of ends, whatever the worlds did: where nothing follows, episodes and windows end."""
        _, _, terminal, cut, done, age, live = self._columns.values()
        last = row - 1 if row else self.rows - 1
        terminal[row], cut[row] = over, stops
        if self.added == 0:
            live[row], done[row] = True, ends
        else:
            np.logical_not(done[last], out=live[row])  # a row that shows the last episode's end is not lived
            np.logical_and(ends, live[row], out=done[row])
            # The row after a final frame is an episode's first.
            age[row] = np.where(live[last], np.minimum(age[last], MAX_AGE - 1) + 1, 0)

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
        if self._uncut >= self.n_step and row >= self.n_step:
            self._release_whole(row)
        else:
            self._release_any(row)

    def _release_whole(self, row: int) -> None:
        """Release where no window is cut short nor around the ring's end, as most are: a third of the operations."""
        rewards, live = self._columns["reward"], self._columns["live"]
        sums, factors, slots = self._following
        first = row - self.n_step
        factors[first:row], slots[first:row] = self._discounts, self._slots_ahead
        sums[row - 1] = rewards[row - 1]
        for start in range(row - 2, first - 1, -1):
            sums[start] = rewards[start] + self.discount * sums[start + 1]
        self._weights[first][live[first]] = float(self._fresh)

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

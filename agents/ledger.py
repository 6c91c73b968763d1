"""Ledger: what a ring of steps holds beside the frames, and which of the steps a transition may start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .n_step import NStep
from .priorities import Priorities

MAX_AGE = 255
COLUMNS = ("action", "reward", "terminal", "cut", "done", "age", "live")  # what a checkpoint keeps of a row


class Transitions(NamedTuple):
    """What a ledger knows of B transitions, (B,) each."""

    action: Tensor  # int64
    reward: Tensor  # float32, the sum of the discounted rewards
    discount: Tensor  # float32, gamma^k for the k rewards summed, or 0 at a terminal
    end: Tensor  # int64, the slot of the step that shows the next observation


class Ledger:
    """Rows of `num_envs` steps each, (rows, N), and the priorities of those that may start a transition.

    A step starts one as soon as its n-step window is whole or its episode has ended, never before; a final frame,
    where the world reset instead of acting, never does.

    Attributes:
        action: (rows, N) int64.
        reward: (rows, N) float32.
        terminal: (rows, N) bool, nothing follows: discount 0.
        cut: (rows, N) bool, a return's window ends here.
        done: (rows, N) bool, the next row is a final frame.
        age: (rows, N) uint8, frames of the same episode before this one, MAX_AGE at most.
        live: (rows, N) bool, an action was taken here.
        following: what follows each step.
        priorities: of all slots, row * N + world; zero where no transition starts.
        added: rows ever written.

    """

    def __init__(
        self,
        rows: int,
        num_envs: int,
        *,
        stack: int,
        n_step: int,
        discount: float,
        priority_exponent: float,
        device: torch.device,
        priorities: Callable[[int, torch.device], Priorities] = Priorities,
    ) -> None:
        """Reserve the memory; the arguments are those of the replay that keeps it."""
        self.rows, self.num_envs = rows, num_envs
        self.stack, self.n_step, self.discount = stack, n_step, discount
        self.priority_exponent = priority_exponent
        shape = rows, num_envs
        self.action = torch.zeros(shape, dtype=torch.int64, device=device)
        self.reward = torch.zeros(shape, device=device)
        self.terminal = torch.zeros(shape, dtype=torch.bool, device=device)
        self.cut = torch.zeros(shape, dtype=torch.bool, device=device)
        self.done = torch.zeros(shape, dtype=torch.bool, device=device)
        self.age = torch.zeros(shape, dtype=torch.uint8, device=device)
        self.live = torch.zeros(shape, dtype=torch.bool, device=device)
        self.following = NStep(rows, num_envs, length=n_step, discount=discount, device=device)
        self.priorities = priorities(rows * num_envs, device)
        self.added = 0
        self._max_priority = torch.ones((), device=device)  # before the exponent
        self._fresh = torch.ones((), device=device)  # after it: what a step starts with
        self._nothing = torch.zeros(num_envs, device=device)

    def add(self, action: Tensor, reward: Tensor, terminated: Tensor, truncated: Tensor, life_lost: Tensor) -> None:
        """Write one row, (N,) each, as `Replay.add` is told of it."""
        self._write(self.added % self.rows, action, reward, terminated, truncated, life_lost)
        self.added += 1

    def _write(
        self, row: int, action: Tensor, reward: Tensor, terminated: Tensor, truncated: Tensor, life_lost: Tensor
    ) -> None:
        """Write `row`, forget what was there, and let start what may start from now on."""
        last = (row - 1) % self.rows
        self.action[row] = action
        self.reward[row] = reward
        done = terminated | truncated
        self.terminal[row] = terminated | life_lost
        self.cut[row] = done | life_lost
        if self.added == 0:
            self.live[row] = True
            self.done[row] = done
        else:
            final = self.done[last]  # this row shows the last episode's end
            begins = ~self.live[last]  # the row after a final frame is an episode's first
            self.live[row] = ~final
            self.done[row] = done & ~final
            self.age[row] = torch.where(begins, 0, (self.age[last].int() + 1).clamp(max=MAX_AGE)).to(torch.uint8)
        if self.added >= self.rows:
            # What is written over starts nothing now, nor do the rows whose older frames went with it.
            for gone in range(row, row + self.stack):
                self.priorities.fill((gone % self.rows) * self.num_envs, self._nothing)
        self._release(row)

    def _release(self, row: int) -> None:
        """Let the rows whose window ends with `row` as their next observation start transitions from now on."""
        ended = self.cut[(row - 1) % self.rows]
        whole = torch.ones_like(ended)
        following = self.following.end
        for k in range(1, min(self.n_step, self.added) + 1):
            start = (row - k) % self.rows
            # Where the window is not whole yet, a later release writes it again.
            following = self.following.write(
                start, self.reward[start], self.cut[start], self.terminal[start], following
            )
            if k > 1:
                whole = whole & ~self.cut[start]  # windows that were cut earlier were released then
            ready = self.live[start] & whole
            if k < self.n_step:
                ready &= ended
            slots = slice(start * self.num_envs, (start + 1) * self.num_envs)
            self.priorities.fill(slots.start, torch.where(ready, self._fresh, self.priorities.leaves[slots]))

    def _sum_changed(self, row: int) -> None:
        """Sum anew all weights that writing `row` may have changed: for who writes them in `priorities.leaves`."""
        released = min(self.n_step, self.added)
        gone = self.stack if self.added >= self.rows else 0
        # One after the other around the ring: those released, and from `row` on those that are gone.
        first = (row - released) % self.rows
        self.priorities.sum_slots(first * self.num_envs, (released + gone) * self.num_envs)

    def at(self, slot: Tensor) -> Transitions:
        """Return the transitions that start in the slots `slot` (B,) int64: row * N + world."""
        reward, discount, ahead = self.following.at(slot)
        return Transitions(self.action.view(-1)[slot], reward, discount, (slot + ahead) % (self.rows * self.num_envs))

    def update(self, index: Tensor, priority: Tensor) -> None:
        """Give the slots `index` (B,) their new priorities (B,), before the exponent.

        What is no finite number counts as the largest priority: a learner that diverges does not take the replay along.
        """
        priority = torch.where(priority.isfinite(), priority + 1e-6, self._max_priority)
        largest = torch.maximum(self._max_priority, priority.max())
        self._max_priority.copy_(largest)  # in place: a graph may hold it
        self._fresh.copy_(largest**self.priority_exponent)
        self.priorities.set(index, priority**self.priority_exponent)

    def close_episodes(self) -> None:
        """Book the newest row's running episodes as truncated, and add a row of final frames after it."""
        last = (self.added - 1) % self.rows
        cut = self.live[last] & ~self.done[last]
        self.cut[last] |= cut
        self.done[last] |= cut
        none = torch.zeros_like(cut)
        self.add(torch.zeros_like(self.action[0]), torch.zeros_like(self.reward[0]), none, none, none)
        self.live[(self.added - 1) % self.rows] = False

    def state(self) -> dict[str, Tensor]:
        """Return all of it as tensors."""
        used = min(self.added, self.rows)
        return {
            **{name: getattr(self, name)[:used] for name in COLUMNS},
            "priorities": self.priorities.leaves[: used * self.num_envs],
            "max_priority": self._max_priority,
            "added": torch.tensor(self.added),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, from a ledger of the same shape."""
        self.added = int(state["added"])
        used = min(self.added, self.rows)
        for name in COLUMNS:
            getattr(self, name)[:used] = state[name]
        self.following.find(self.reward, self.cut, self.terminal)
        released = min(max(self.added - 1, 0), self.rows)  # no window ends with the newest row
        self.priorities.load(state["priorities"][: released * self.num_envs])
        self._max_priority.copy_(state["max_priority"])
        self._fresh.copy_(self._max_priority**self.priority_exponent)

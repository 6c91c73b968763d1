"""n-step: the rewards that follow each step of a ring of rows, and where its window ends."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Following(NamedTuple):
    """What follows some steps, as far as their windows go, all of the same shape."""

    reward: Tensor  # float32, the sum of the discounted rewards
    discount: Tensor  # float32, gamma^k for the k rewards summed, or 0 at a terminal
    slots: Tensor  # int32, how many slots on the next observation lies: k rows of N


class NStep:
    """What follows each step of `num_envs` worlds, (rows, N): written once, when the step's window ends.

    Args:
        rows: of the ring.
        num_envs: worlds, N.
        length: n, rewards summed at most.
        discount: gamma, per step.
        device: where everything lies.

    Attributes:
        ring: what follows each step.
        end: what follows the last step of any window, (N,).

    """

    def __init__(self, rows: int, num_envs: int, *, length: int, discount: float, device: torch.device) -> None:
        """Reserve the memory."""
        self.length, self.discount, self._num_envs = length, discount, num_envs
        self.ring = _nothing((rows, num_envs), device)
        self.end = _nothing((num_envs,), device)

    def write(self, row: int, reward: Tensor, cut: Tensor, terminal: Tensor, following: Following) -> Following:
        """Write and return what follows the steps of `row`, of which `following` is what follows the next row's.

        Args:
            row: of the ring.
            reward: (N,) float32.
            cut: (N,) bool, the window ends with this step.
            terminal: (N,) bool, and nothing comes after it.
            following: (N,) each, `end` for the last row of a window.

        """
        found = self._preceded(reward, cut, terminal, following)
        for column, value in zip(self.ring, found, strict=True):
            column[row] = value
        return found

    def find(self, reward: Tensor, cut: Tensor, terminal: Tensor) -> None:
        """Find what follows every step of the ring anew, from what its rows hold, (rows, N) each."""
        found = _nothing(tuple(reward.shape), reward.device)
        for _ in range(self.length):
            found = self._preceded(reward, cut, terminal, Following(*(column.roll(-1, 0) for column in found)))
        for column, value in zip(self.ring, found, strict=True):
            column.copy_(value)

    def at(self, slot: Tensor) -> Following:
        """Return what follows the steps in the slots `slot` (B,) int64: row * N + world."""
        return Following(*(column.view(-1)[slot] for column in self.ring))

    def _preceded(self, reward: Tensor, cut: Tensor, terminal: Tensor, following: Following) -> Following:
        """Return what follows the steps before `following`: their windows go on with it, unless they are cut."""
        going_on = ~cut
        return Following(
            reward + self.discount * following.reward * going_on,
            self.discount * torch.where(going_on, following.discount, 1.0) * ~terminal,
            self._num_envs + going_on * following.slots,
        )


def _nothing(shape: tuple[int, ...], device: torch.device) -> Following:
    """Return what follows where windows end: no reward, and the next observation is right there."""
    zeros = torch.zeros(shape, device=device)
    return Following(zeros, torch.ones_like(zeros), torch.zeros_like(zeros, dtype=torch.int32))

"""Exploration: when a random action is taken instead of the best, and for how many steps."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from .config import Config

LONGEST = 128  # steps that one random action may last


class Exploration:
    """Epsilon-greedy: each action is random with probability epsilon, whatever was done before."""

    def __call__(self, greedy: Tensor, epsilon: float | Tensor, actions: int, generator: torch.Generator) -> Tensor:
        """Return `greedy` (N,) int64 with some of it replaced by one of `actions` random actions.

        An `epsilon` that is a scalar on the device may change while this is part of a captured graph.
        """
        draw = torch.rand(2, len(greedy), device=greedy.device, generator=generator)
        random = (draw[0] * actions).long()
        return torch.where(draw[1] < epsilon, random, greedy)

    def rows(self, first: int, last: int) -> Exploration:
        """Return that of the worlds `first` to `last`, which goes on with this one."""
        return self

    def state(self) -> dict[str, Tensor]:
        """Return what has to be remembered between two steps."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""


class LastingExploration(Exploration):
    """Epsilon-z-greedy (Dabney, Ostrovski & Barreto 2021): a random action is kept up for a random number of steps.

    What takes many equal actions in a row, such as crossing a road, single random steps never find. The number n has
    a probability proportional to n^-exponent, up to `LONGEST`; new ones begin so rarely that epsilon is still the share
    of steps that are random. Once epsilon has fallen to its end they last one step: who can play by then is thrown off
    by many wrong steps in a row far more than by one.
    """

    def __init__(self, left: Tensor, action: Tensor, exponent: float, end: float) -> None:
        """Explore in worlds that have `left` steps of `action` still to take, both (N,) int64, changed in place.

        Args:
            left: of each world.
            action: of each world.
            exponent: of the lengths' distribution.
            end: what epsilon falls to.

        """
        self._left, self._action, self._end = left, action, end
        lengths = torch.arange(1, LONGEST + 1, dtype=torch.float64, device=left.device)
        weights = lengths**-exponent
        self._cumulative = (weights / weights.sum()).cumsum(0).float()
        self._mean = float((lengths * weights).sum() / weights.sum())

    def __call__(self, greedy: Tensor, epsilon: float | Tensor, actions: int, generator: torch.Generator) -> Tensor:
        """Return `greedy` (N,) int64, with the actions of those worlds replaced that explore."""
        draw = torch.rand(3, len(greedy), device=greedy.device, generator=generator)
        falling = epsilon > self._end  # a number or a scalar on the device, as epsilon is; so is what follows from it
        start = epsilon / ((1 + (self._mean - 1) * falling) * (1 - epsilon) + epsilon)
        begins = (self._left == 0) & (draw[1] < start)
        length = torch.searchsorted(self._cumulative, draw[2]).clamp(max=LONGEST - 1) * falling + 1
        self._action.copy_(torch.where(begins, (draw[0] * actions).long(), self._action))
        self._left.copy_(torch.where(begins, length, self._left))
        chosen = torch.where(self._left > 0, self._action, greedy)
        self._left.sub_(1).clamp_(min=0)
        return chosen

    def rows(self, first: int, last: int) -> LastingExploration:
        """Return that of the worlds `first` to `last`, which goes on with this one."""
        part = copy.copy(self)
        part._left, part._action = self._left[first:last], self._action[first:last]
        return part

    def state(self) -> dict[str, Tensor]:
        """Return what each world is in the middle of."""
        return {"left": self._left, "action": self._action}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self._left.copy_(state["left"])
        self._action.copy_(state["action"])


def build_exploration(config: Config, device: torch.device) -> Exploration:
    """Return how the worlds of `config` are explored, with what is remembered on `device`."""
    if not config.exploration_exponent:
        return Exploration()
    left, action = (torch.zeros(config.num_envs, dtype=torch.int64, device=device) for _ in range(2))
    return LastingExploration(left, action, config.exploration_exponent, config.epsilon_end)

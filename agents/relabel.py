"""Relabel: a replay that shows some transitions as a counterpart of the world would have lived them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from .ledger import Transitions
from .replay import Departs, Lens, Replay


class Counterpart(Protocol):
    """A world in which the same would have happened, but would have been seen and rewarded otherwise."""

    @property
    def columns(self) -> Sequence[int]:
        """Which number of an observation, on its last axis, stands at each place of the counterpart's, (D,)."""

    def reward(self, reward: Tensor, /) -> Tensor:
        """Return the counterpart's rewards for single steps, given those of the world, both of any shape."""


class Averse:
    """A counterpart as its rewards are learned from where negative ones count more: see `Config.penalty_scale`."""

    def __init__(self, counterpart: Counterpart, penalty_scale: float) -> None:
        """Take rewards of which negative ones were multiplied by `penalty_scale`, and return such."""
        self.columns = counterpart.columns
        self._counterpart, self._scale = counterpart, penalty_scale

    def reward(self, reward: Tensor) -> Tensor:
        """Return the counterpart's rewards as they are learned from, given the world's likewise, of any shape."""
        as_it_was = torch.where(reward < 0, reward / self._scale, reward)
        other = self._counterpart.reward(as_it_was)
        return torch.where(other < 0, other * self._scale, other)


class RelabellingReplay(Replay):
    """A replay of which a share of each sample is what a counterpart of the world would have shown.

    Where an agent has learned to avoid something, it hardly meets it any more, and so hardly learns just how near is
    too near. What it seeks it meets all the time: where both obey the same laws, one experience serves for both, if
    only what was seen and what it brought are told anew. As in hindsight experience replay (Andrychowicz et al. 2017),
    which tells anew what the goal was, and counterfactual data augmentation (Pitis et al. 2020).

    A transition's actions stay those that were taken, so n-step returns are those of somebody who does not avoid it,
    unless they end where the agent departs from them (`departs` of `sample`).
    Where both worlds look alike at first, nobody could know better, and they would only spoil what is expected there:
    such transitions stay as they are.

    Args:
        counterpart: the other world.
        share: of the transitions, each drawn for itself.
        settings: what Replay takes.

    """

    def __init__(self, *args: Any, counterpart: Counterpart, share: float, **settings: Any) -> None:
        """Reserve the ring, as Replay does."""
        super().__init__(*args, **settings)
        self._counterpart, self._share = counterpart, share
        self._columns = torch.tensor(counterpart.columns, device=self.device)

    def _tell(self, index: Tensor, departs: Departs | None) -> tuple[Tensor, Transitions, Tensor]:
        """Return the transitions that start in the slots `index` (B,), a share of them relabelled."""
        return self._retell(index, departs)

    def _lens(self, obs: Tensor) -> Lens:
        """Return how transitions that start from `obs` (B, *obs_shape) are seen, a share of them relabelled."""
        drawn = torch.rand(len(obs), device=self.device, generator=self.generator) < self._share
        told_anew = drawn & (obs[..., self._columns] != obs).flatten(1).any(1)
        return Relabelled(self._counterpart, self._columns, told_anew)


class Relabelled:
    """A lens that shows some of B transitions as a counterpart of their world would have lived them."""

    def __init__(self, counterpart: Counterpart, columns: Tensor, told_anew: Tensor) -> None:
        """Show those at which `told_anew` (B,) bool is true; `columns` (D,) int64 are the counterpart's."""
        self._counterpart, self._columns, self._told_anew = counterpart, columns, told_anew

    def obs(self, obs: Tensor) -> Tensor:
        """Return observations, (B, ..., D)."""
        rows = self._told_anew.view(-1, *[1] * (obs.dim() - 1))
        return torch.where(rows, obs[..., self._columns], obs)

    def reward(self, reward: Tensor) -> Tensor:
        """Return the rewards of single steps, (B, n)."""
        return torch.where(self._told_anew[:, None], self._counterpart.reward(reward), reward)

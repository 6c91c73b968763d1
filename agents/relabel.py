"""Relabel: a replay that shows some transitions as a counterpart of the world would have lived them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from .replay import Batch, Replay


class Counterpart(Protocol):
    """A world in which the same would have happened, but would have been seen and rewarded otherwise."""

    @property
    def columns(self) -> Sequence[int]:
        """Which number of an observation, on its last axis, stands at each place of the counterpart's, (D,)."""

    def reward(self, reward: Tensor, /) -> Tensor:
        """Return the counterpart's rewards for single steps, given those of the world, both of any shape."""


class RelabellingReplay(Replay):
    """A replay of which a share of each sample is what a counterpart of the world would have shown.

    Where an agent has learned to avoid something, it hardly meets it any more, and so hardly learns just how near is
    too near. What it seeks it meets all the time: where both obey the same laws, one experience serves for both, if
    only what was seen and what it brought are told anew. As in hindsight experience replay (Andrychowicz et al. 2017),
    which tells anew what the goal was, and counterfactual data augmentation (Pitis et al. 2020).

    A transition's actions stay those that were taken, so n-step returns are those of somebody who does not avoid it.
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
        self._back = torch.arange(self.n_step, device=self.device) * self.num_envs  # slots from a window's first step
        self._factors = self.discount ** torch.arange(self.n_step, device=self.device)

    def sample(self, size: int, importance_exponent: float | Tensor = 0.0, count: int = 1) -> Batch:
        """Return what Replay.sample does, a share of it relabelled."""
        batch = super().sample(size, importance_exponent, count)
        obs = batch.obs[..., self._columns]
        drawn = torch.rand(size * count, device=self.device, generator=self.generator) < self._share
        told_anew = drawn & (obs != batch.obs).flatten(1).any(1)
        rows = told_anew.view(-1, *[1] * len(self.obs_shape))
        return batch._replace(
            obs=torch.where(rows, obs, batch.obs),
            reward=torch.where(told_anew, self._rewarded_otherwise(batch.index), batch.reward),
            next_obs=torch.where(rows, batch.next_obs[..., self._columns], batch.next_obs),
        )

    def _rewarded_otherwise(self, start: Tensor) -> Tensor:
        """Return the counterpart's sums of discounted rewards, (B,), in the windows that begin at the slots `start`."""
        reward = self.ledger.reward.view(-1)
        slots = (start[:, None] + self._back) % len(reward)
        inside = self._back < self.ledger.following.ring.slots.view(-1)[start][:, None]
        return (self._counterpart.reward(reward[slots]) * self._factors * inside).sum(1)

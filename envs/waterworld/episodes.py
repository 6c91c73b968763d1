"""Episodes: which one each of N worlds lives through, and what a step of it brought."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from . import chance
from .state import Brought


@dataclass
class Episodes:
    """The running episodes of N worlds under NEXT_STEP autoreset, each (N,) on the worlds' device."""

    seeds: Tensor  # int64
    episodes: Tensor  # int64, of this seed, counted from 0
    steps: Tensor  # int64, made in it
    ended: Tensor  # bool: the last step ended it, and the next one opens another

    @classmethod
    def first(cls, seeds: Tensor) -> Episodes:
        """Return the first episodes of `seeds` (N,) int64."""
        return cls(seeds, torch.zeros_like(seeds), torch.zeros_like(seeds), torch.zeros_like(seeds, dtype=torch.bool))

    def following(self) -> Episodes:
        """Return the next episodes of the same seeds."""
        return replace(Episodes.first(self.seeds), episodes=self.episodes + 1)

    @property
    def keys(self) -> Tensor:
        """What the chance of these episodes is made of, (N,) int64."""
        return chance.keys(self.seeds, self.episodes)

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it by name."""
        return {field.name: getattr(self, field.name) for field in fields(Episodes)}


class Outcome(NamedTuple):
    """What a step of N worlds brought, each (N, ...)."""

    obs: Tensor  # (N, features) float32
    reward: Tensor  # (N,) float32
    truncated: Tensor  # (N,) bool: the time limit is reached
    opened: Tensor  # (N,) bool: the step opened an episode instead of being one
    brought: Brought  # what the reward is made of; 0, as the reward, where an episode opened

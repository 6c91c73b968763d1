"""Batch: N worlds that live through episodes, seeded, cut by a time limit and opened anew, behind every door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import WorldError
from .episodes import Episodes, Outcome
from .explicit import read_state
from .state import Brought, State
from .variants import core_of


class Batch:
    """N worlds of a variant under NEXT_STEP autoreset: the step after an end opens the next episode.

    World i's fate depends on its seed, its episode and its actions, and on no other world: it is the same alone.

    Attributes:
        core: the worlds themselves.
        episodes: which episodes they live through.

    """

    def __init__(
        self,
        variant: str,
        num_envs: int,
        *,
        max_episode_steps: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Make the worlds, seeded with 0, 1, ... until `reset` says otherwise.

        max_episode_steps: before truncation; None for never. Raises WorldError for an unknown variant.
        """
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self.episodes = Episodes.first(torch.arange(num_envs, device=device))
        self.core = core_of(variant, self.episodes.keys)
        self.layout = self.core.layout

    def reset(self, seeds: NDArray[np.int64] | None = None, states: Sequence[Any] | None = None) -> Tensor:
        """Return the first observations (N, features) of N new episodes.

        seeds: (N,), to begin with; None goes on with the next episode of the present ones. states: where each world
        begins, as `read_state` takes it; WorldError if one is malformed, and then nothing is changed.
        """
        worlds = None if states is None else self._read(states)
        device = self.core.device
        if seeds is None:
            self.episodes = self.episodes.following()
        else:
            self.episodes = Episodes.first(torch.from_numpy(np.array(seeds, np.int64)).to(device))
        keys = self.episodes.keys
        worlds = self.core.born(keys) if worlds is None else worlds
        self.core.put(torch.arange(self.num_envs, device=device), keys, worlds)
        return self.core.observe()

    def step(self, actions: Tensor) -> Outcome:
        """Let every world take a step with `actions` (N,) int64, or open its next episode."""
        return self.core.step(actions, self.episodes, self.max_episode_steps)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that is going on, as values that JSON can hold."""
        return {name: tensor.tolist() for name, tensor in self._tensors().items()}

    def load_state_dict(self, saved: Mapping[str, Any]) -> Tensor:
        """Go on from what `state_dict` returned, bit for bit; return the observations to act on (N, features).

        Raises KeyError, TypeError or ValueError for what it did not return, and then nothing is changed.
        """
        mine = self._tensors()
        read = {name: torch.tensor(saved[name], dtype=old.dtype, device=old.device) for name, old in mine.items()}
        for name, old in mine.items():
            if read[name].shape != old.shape:
                raise ValueError(f"{name} has shape {tuple(read[name].shape)} instead of {tuple(old.shape)}")
        self.episodes = Episodes(**{name: read.pop(name) for name in self.episodes.tensors()})
        keys = read.pop("keys")
        self.core.put(torch.arange(self.num_envs, device=keys.device), keys, State(**read))
        return self.core.observe()

    def _tensors(self) -> dict[str, Tensor]:
        return {**self.core.state.tensors(), "keys": self.core.keys, **self.episodes.tensors()}

    def _read(self, states: Sequence[Any]) -> State:
        if len(states) != self.num_envs:
            raise WorldError(f"there are {self.num_envs} worlds, but {len(states)} states for them.")
        read = [read_state(self.layout, s, dtype=self.core.dtype, device=self.core.device).tensors() for s in states]
        return State(**{name: torch.cat([one[name] for one in read]) for name in read[0]})


def parts(outcome: Outcome) -> Iterator[tuple[str, Tensor]]:
    """Yield what stands in an info, each (N,), 0 where an episode opened.

    The reward's three parts, what was eaten, and whether a wall stopped the agent.
    """
    for field in fields(Brought):
        yield field.name, getattr(outcome.brought, field.name)

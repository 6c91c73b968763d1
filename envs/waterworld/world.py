"""WaterworldWorld: the batched worlds behind the house's own door."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..world import Flags, Obs, Step, World, whole_number
from .batch import Batch, parts
from .layout import layout_of
from .register import EPISODE_STEPS
from .spaces import observation_space


class WaterworldWorld(World):
    """N copies of Waterworld: obs float32 (N, 27), or (N, 152) for the variant "reinforcejs".

    max_episode_steps: before truncation, 10,000 if None. Info adds to a World's own, each (N,): the reward's parts
    `proximity`, `forward` and `digestion`, `apples` and `poisons` eaten, and `collided` with a wall.
    `load_state_dict` restores every row bit for bit.
    """

    def __init__(
        self, variant: str = "rldemo", num_envs: int = 1, seed: int = 0, *, max_episode_steps: int | None = None
    ) -> None:
        """Make the worlds; raises WorldError for an argument that does not fit."""
        layout = layout_of(variant)
        limit = EPISODE_STEPS
        if max_episode_steps is not None:
            limit = whole_number(max_episode_steps, "max_episode_steps", 1)
        super().__init__(
            name=layout.name,
            id=layout.name,
            protocol="none",
            num_envs=num_envs,
            seed=seed,
            frames_per_step=1,
            observation=observation_space(layout),
            action_names=layout.actions,
        )
        self.batch = Batch(variant, self.num_envs, max_episode_steps=limit)
        self._actions: NDArray[np.int64] = np.zeros(self.num_envs, np.int64)

    def _reset(self, seeds: NDArray[np.int64] | None) -> tuple[Obs, dict[str, Any]]:
        return self.batch.reset(seeds).numpy(), {}

    def _send(self, actions: NDArray[np.int64]) -> None:
        self._actions = actions

    def _recv(self, resetting: Flags) -> Step:
        outcome = self.batch.step(torch.from_numpy(self._actions))
        opened = outcome.opened.numpy()
        info: dict[str, Any] = {
            name: np.where(opened, values.dtype.type(0), values) for name, values in parts(outcome.tick).items()
        }
        info["life_lost"] = np.zeros(self.num_envs, np.bool_)
        nothing = np.zeros(self.num_envs, np.bool_)
        return outcome.obs.numpy(), outcome.reward.numpy(), nothing, outcome.truncated.numpy(), info

    def _state(self) -> dict[str, Any]:
        return {"batch": self.batch.state_dict()}

    def _restore(self, state: dict[str, Any], seeds: NDArray[np.int64]) -> tuple[Obs, Flags, Flags]:
        try:
            obs = self.batch.load_state_dict(state["batch"]).numpy()
        except ValueError as error:
            raise TypeError(str(error)) from error
        return obs, np.ones(self.num_envs, np.bool_), self.batch.ended.numpy()

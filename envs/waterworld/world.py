"""WaterworldWorld: the batched worlds behind the house's own door."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..world import Flags, Obs, Step, World, whole_number
from .batch import Batch, parts
from .episodes import Outcome
from .exchange import exchanged
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
        self,
        variant: str = "rldemo",
        num_envs: int = 1,
        seed: int = 0,
        *,
        max_episode_steps: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Make the worlds, computed on `device`; raises WorldError for an argument that does not fit."""
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
        self.counterpart = exchanged(layout)
        self.batch = Batch(variant, self.num_envs, max_episode_steps=limit, device=device)
        self._sent: Any = None

    def _reset(self, seeds: NDArray[np.int64] | None) -> tuple[Obs, dict[str, Any]]:
        return self._shown(self.batch.reset(seeds)), {}

    def _send(self, actions: Any) -> None:
        self._sent = actions

    def _recv(self, resetting: Flags) -> Step:
        outcome = self.batch.step(torch.as_tensor(self._sent).to(self.batch.core.device))
        info = {name: self._shown(values) for name, values in parts(outcome)}
        info["life_lost"] = np.zeros(self.num_envs, np.bool_)
        reward, truncated = self._on_host(outcome)
        return self._shown(outcome.obs), reward, np.zeros(self.num_envs, np.bool_), truncated, info

    def _on_host(self, outcome: Outcome) -> tuple[NDArray[np.float32], Flags]:
        """Return the rewards and truncations."""
        reward, truncated = torch.stack([outcome.reward, outcome.truncated.float()]).cpu().numpy()  # in one go
        return reward, truncated.astype(np.bool_)

    def _state(self) -> dict[str, Any]:
        return {"batch": self.batch.state_dict()}

    def _restore(self, state: dict[str, Any], seeds: NDArray[np.int64]) -> tuple[Obs, Flags, Flags]:
        try:
            obs = self._shown(self.batch.load_state_dict(state["batch"]))
        except ValueError as error:
            raise TypeError(str(error)) from error
        return obs, np.ones(self.num_envs, np.bool_), self.batch.episodes.ended.cpu().numpy()

    def _shown(self, told: Tensor) -> Any:
        """Return what is told of each world, (N, ...), as the outside sees it."""
        return told.cpu().numpy()


class ResidentWaterworld(WaterworldWorld):
    """The same worlds with observations, actions and what an info adds as tensors that never leave their device.

    So that replay and policy may stay there too; rewards and flags are arrays on the host, where scores are counted.
    Actions from elsewhere are checked before the step. Those that are on the device already are checked after it, when
    the host waits for the rewards anyway: of a WorldError then `recv` tells, and what comes next must be a reset.
    """

    def _checked(self, actions: Any) -> Any:
        device = self.batch.core.device
        fits = isinstance(actions, Tensor) and actions.dtype == torch.int64 and actions.shape == (self.num_envs,)
        if fits and actions.device == device:
            return actions
        on_host = actions.cpu() if isinstance(actions, Tensor) else actions
        return torch.from_numpy(super()._checked(on_host)).to(device)  # which has the words for what is wrong

    def _send(self, actions: Any) -> None:
        self._sent = actions.clamp(0, len(self.action_names) - 1)
        self._beyond = actions - self._sent  # 0 where the action exists

    def _on_host(self, outcome: Outcome) -> tuple[NDArray[np.float32], Flags]:
        told = torch.stack([outcome.reward, outcome.truncated.float(), self._beyond.float()])
        reward, truncated, beyond = told.cpu().numpy()
        if beyond.any():
            self._waiting = self._opened = False
            super()._checked((self._sent + self._beyond).cpu())
        return reward, truncated.astype(np.bool_)

    def _shown(self, told: Tensor) -> Any:
        return told

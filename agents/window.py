"""Window: worlds as an agent with a short memory sees them, their last observations beside the actions before them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor

from .config import Config, ConfigError
from .train import Envs


class Worlds(Envs, Protocol):
    """Worlds that tell their spaces, as gymnasium's vector environments do."""

    single_observation_space: Any
    single_action_space: Any


W = TypeVar("W", bound=Worlds)


def windowed(envs: W, config: Config) -> W | Window:
    """Return `envs` as an agent of `config` sees them; raise ConfigError if a window does not fit what they show."""
    return envs if config.window == 1 else Window(envs, config.window)


class Window:
    """Worlds whose observation is a window: (N, length, D + A) instead of (N, D), the newest last.

    Row k holds an observation, (D,), and beside it, one-hot, the action that led to it, (A,). Rows from before the
    episode's first observation are zero, and so is the action before that: what a replay makes of single rows when it
    stacks `length` of them. ConvNetJS' agent saw such a window of two (and so an action that led to the last state).
    Everything else is that of the worlds inside; of tensors, on any device, it makes tensors there.
    """

    def __init__(self, envs: Worlds, length: int) -> None:
        """Wrap worlds with flat float observations and discrete actions."""
        space = envs.single_observation_space
        if not isinstance(space, Box) or len(space.shape) != 1 or space.dtype == np.uint8:
            raise ConfigError(
                f"window = {length} is not possible: it must be 1 for worlds that observe {space}, not a row of numbers"
            )
        self.envs, self.length = envs, length
        self.num_envs = envs.num_envs
        self._actions = int(envs.single_action_space.n)
        nothing = np.zeros(self._actions, np.float32)
        low, high = np.append(np.minimum(space.low, 0), nothing), np.append(np.maximum(space.high, 0), nothing + 1)
        self.single_observation_space = Box(np.tile(low, (length, 1)), np.tile(high, (length, 1)), dtype=np.float32)
        self._rows = torch.zeros(self.num_envs, *self.single_observation_space.shape)
        self._taken = torch.zeros(self.num_envs, dtype=torch.int64)
        self._one_hot = torch.eye(self._actions)

    def __getattr__(self, name: str) -> Any:
        """Return what the worlds inside have."""
        if name == "envs":  # not there yet: while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.envs, name)

    @property
    def counterpart(self) -> Any:
        """The counterpart of the worlds inside, as it would be seen with the same actions beside; None without one."""
        inside = getattr(self.envs, "counterpart", None)
        if inside is None:
            return None
        width = len(inside.columns)
        return replace(inside, columns=(*inside.columns, *range(width, width + self._actions)))

    def reset(self, **options: Any) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the first windows and info; `options` are those of the worlds inside."""
        obs, info = self.envs.reset(**options)
        return self._seen(obs, np.ones(self.num_envs, np.bool_)), info

    def send(self, actions: Any) -> None:
        """Start a step."""
        self.envs.send(actions)
        self._taken = torch.as_tensor(actions)

    def recv(self) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Finish it."""
        obs, reward, terminated, truncated, info = self.envs.recv()
        return self._seen(obs, info["reset"]), reward, terminated, truncated, info

    def step(
        self, actions: Any
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Return recv() after send(actions)."""
        self.send(actions)
        return self.recv()

    def state_dict(self) -> dict[str, Any]:
        """Return the worlds' state and the windows, as values that JSON can hold."""
        return {**self.envs.state_dict(), "window": self._rows.tolist()}  # type: ignore[attr-defined]

    def load_state_dict(self, state: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Go on from `state` and return the windows, and which rows were restored, as the worlds inside do.

        Raises ValueError for windows of another shape, and what the worlds inside raise.
        """
        saved = torch.tensor(state["window"], dtype=torch.float32)
        if saved.shape != self._rows.shape:
            raise ValueError(f"the saved windows have shape {tuple(saved.shape)} instead of {tuple(self._rows.shape)}")
        obs, restored = self.envs.load_state_dict(state)  # type: ignore[attr-defined]
        self._seen(obs, np.ones(self.num_envs, np.bool_))
        kept = torch.as_tensor(restored).to(self._rows.device)[:, None, None]
        self._rows = torch.where(kept, saved.to(self._rows.device), self._rows)
        return self._shown(obs), restored

    def _seen(self, obs: Any, opened: NDArray[np.bool_]) -> Any:
        """Take new observations (N, D) into the windows, emptied before where an episode `opened`; return a copy."""
        newest = torch.as_tensor(obs)
        device = newest.device
        self._one_hot = self._one_hot.to(device)  # once: from then on it is there
        action, older = self._one_hot[self._taken.to(device)], self._rows[:, 1:].to(device)
        if opened.any():
            new = torch.as_tensor(opened).to(device)[:, None]
            action, older = action.masked_fill(new, 0), older.masked_fill(new[:, None], 0)
        self._rows = torch.cat([older, torch.cat([newest, action], 1)[:, None]], 1)
        return self._shown(obs)

    def _shown(self, obs: Any) -> Any:
        """Return a copy of the windows: an array or a tensor, as the observations in them were."""
        rows = self._rows.clone()
        return rows if isinstance(obs, Tensor) else rows.numpy()

"""Window: worlds as an agent with a short memory sees them, their last observations beside the actions before them."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

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
    Everything else is that of the worlds inside.
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
        self._rows = np.zeros((self.num_envs, *self.single_observation_space.shape), np.float32)
        self._taken: NDArray[np.int64] = np.zeros(self.num_envs, np.int64)

    def __getattr__(self, name: str) -> Any:
        """Return what the worlds inside have."""
        if name == "envs":  # not there yet: while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.envs, name)

    def reset(self, **options: Any) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the first windows and info; `options` are those of the worlds inside."""
        obs, info = self.envs.reset(**options)
        return self._seen(obs, np.ones(self.num_envs, np.bool_)), info

    def send(self, actions: Any) -> None:
        """Start a step."""
        self.envs.send(actions)
        self._taken = np.asarray(actions)

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
        rows = np.array(state["window"], np.float32)
        if rows.shape != self._rows.shape:
            raise ValueError(f"the saved windows have shape {rows.shape} instead of {self._rows.shape}")
        obs, restored = self.envs.load_state_dict(state)  # type: ignore[attr-defined]
        opened = self._seen(obs, np.ones(self.num_envs, np.bool_))
        self._rows = np.where(restored[:, None, None], rows, opened)
        return self._rows.copy(), restored

    def _seen(self, obs: NDArray[Any], opened: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Take new observations (N, D) into the windows, emptied before where an episode `opened`; return a copy."""
        rows = np.roll(self._rows, -1, axis=1)
        rows[opened] = 0
        features = obs.shape[1]
        rows[:, -1, :features] = obs
        rows[:, -1, features:] = np.eye(self._actions, dtype=np.float32)[self._taken]
        rows[opened, -1, features:] = 0
        self._rows = rows
        return rows.copy()

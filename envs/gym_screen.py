"""GymScreen: a gymnasium environment to watch, drawn by its own `rgb_array` mode."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np

from .door import make_gym
from .errors import WorldError
from .screen import Frame, Screen

_FALLBACK_FPS = 30.0  # for environments whose metadata tell none


class GymScreen(Screen):
    """One gymnasium environment; `frames` holds one picture a step, in whatever size the environment draws."""

    def __init__(self, id: str, seed: int = 0, *, max_episode_steps: int | None = None) -> None:
        """Make the environment; raises WorldError where `make` would, and if it has no rgb_array mode."""
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # pygame greets on stdout otherwise
        world = make_gym(id, 1, seed, max_episode_steps=max_episode_steps, render_mode="rgb_array")
        self._env: gymnasium.Env[Any, Any] = world.first_env
        super().__init__(world, float(self._env.metadata.get("render_fps") or _FALLBACK_FPS))

    def _pictures(self, action: int, reward: float, info: dict[str, Any]) -> list[Frame]:
        try:
            drawn = self._env.render()
        except gymnasium.error.DependencyNotInstalled as error:
            raise WorldError(f"drawing {self.name} needs pygame: pip install 'rlrun[window]'") from error
        picture = np.array(drawn, np.uint8)
        if picture.ndim != 3 or picture.shape[-1] != 3:
            raise WorldError(f"{self.name} drew an array of shape {picture.shape} instead of (height, width, 3).")
        return [picture]

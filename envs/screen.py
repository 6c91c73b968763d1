"""Screen: one environment to watch, with the observations of training and the picture of every emulator frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .world import World

Frame = NDArray[np.uint8]


class Played(Protocol):
    """What a Screen needs of its world: a World of one copy, or a wrapper around it."""

    def reset(self) -> tuple[NDArray[Any], dict[str, Any]]:
        """Return the first observation (1, ...) and info of a new episode."""

    def step(self, actions: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Return obs (1, ...), reward, terminated, truncated, each (1,), and info."""

    def close(self) -> None:
        """Close it."""


class Screen(ABC):
    """One copy of a world, stepped with plain values, which also keeps the pictures of its last step.

    Attributes:
        world: what is played, a World of one copy; an agent that sees it through a wrapper puts that here.
        frames: RGB pictures uint8 (height, width, 3) of the last step or reset, oldest first.
        info: what the last step or reset told, as plain values; Atari has `lives` there.
        fps: pictures a second at natural speed.
    """

    def __init__(self, world: World, fps: float) -> None:
        """Watch a world of one copy."""
        self.world: Played = world
        self.fps = fps
        self.frames: list[Frame] = []
        self.info: dict[str, Any] = {}
        self.name = world.name
        self.id = world.id
        self.protocol = world.protocol
        self.frames_per_step = world.frames_per_step
        self.action_names = world.action_names
        self.single_observation_space = world.single_observation_space
        self.single_action_space = world.single_action_space

    def reset(self) -> NDArray[Any]:
        """Return the first observation (1, ...) of a new episode."""
        obs, info = self.world.reset()
        self.info = _plain(info)
        self.frames = self._pictures(0, 0.0, self.info)
        return obs

    def step(self, action: int) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Return (obs (1, ...), reward, terminated, truncated, info), where info holds plain values.

        As in training, the step after an end ignores the action and opens the next episode: info["reset"] is True.
        Raises WorldError for an action out of range, or before the first reset.
        """
        obs, rewards, terminated, truncated, info = self.world.step([action])
        self.info, reward = _plain(info), float(rewards[0])
        self.frames = self._pictures(action, reward, self.info)
        return obs, reward, bool(terminated[0]), bool(truncated[0]), self.info

    def close(self) -> None:
        """Close the world; a second call does nothing."""
        self.world.close()

    @abstractmethod
    def _pictures(self, action: int, reward: float, info: dict[str, Any]) -> list[Frame]:
        """Return the pictures of what the world has just done; info["reset"] tells a reset from a step."""


def make_screen(
    env: str,
    seed: int = 0,
    protocol: str = "machado",
    *,
    full_action_set: bool = False,
    max_episode_steps: int | None = None,
) -> Screen:
    """Return a Screen on what `make` would build: the same arguments mean the same, and the same seed the same play.

    Raises WorldError where `make` would, and for an environment that cannot draw itself.
    """
    from .catalogue import find

    found = find(env)
    if found.kind == "atari":
        from .atari_screen import AtariScreen

        return AtariScreen(
            found.id, seed, protocol, full_action_set=full_action_set, max_episode_steps=max_episode_steps
        )
    if found.kind == "waterworld":
        from .waterworld.names import VARIANTS
        from .waterworld.screen import WaterworldScreen

        return WaterworldScreen(VARIANTS[found.id], seed, max_episode_steps=max_episode_steps)
    from .gym_screen import GymScreen

    return GymScreen(found.id, seed, max_episode_steps=max_episode_steps)


def _plain(info: dict[str, Any]) -> dict[str, Any]:
    return {key: value[0].item() for key, value in info.items()}

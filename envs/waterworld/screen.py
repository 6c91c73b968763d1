"""WaterworldScreen: a Waterworld to watch, in the original's colours."""

from __future__ import annotations

from typing import Any

from ..screen import Frame, Screen
from .picture import Painter
from .world import WaterworldWorld

FRAMES_PER_SECOND = 30.0


class WaterworldScreen(Screen):
    """One Waterworld; `frames` holds one picture a step, uint8 (500, 700, 3)."""

    def __init__(self, variant: str, seed: int = 0, *, max_episode_steps: int | None = None) -> None:
        """Make the world; arguments and errors are those of WaterworldWorld."""
        world = WaterworldWorld(variant, 1, seed, max_episode_steps=max_episode_steps)
        super().__init__(world, FRAMES_PER_SECOND)
        self._painter = Painter(world.batch.core)

    def _pictures(self, action: int, reward: float, info: dict[str, Any]) -> list[Frame]:
        return [self._painter.paint(0, reward)]

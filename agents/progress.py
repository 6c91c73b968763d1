"""Progress: where a training run stands, and what happened on its last step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

SECTIONS: tuple[str, ...] = ("act", "sample", "learn", "envs", "store")  # what the loop's time is spent on


@dataclass(frozen=True)
class Episode:
    """A finished episode: its undiscounted, unclipped score and its length in agent steps."""

    step: int
    score: float
    length: int
    truncated: bool


@dataclass
class Progress:
    """Where a training run stands; all of it, with the agent and the replay, is what a resumed run needs."""

    obs: NDArray[Any] | Tensor  # (N, ...) what the next actions answer
    score: NDArray[np.float64]  # (N,) of the running episodes
    length: NDArray[np.int64]  # (N,) of the running episodes, agent steps
    step: int = 0  # agent steps, over all worlds, resets not counted
    updates: int = 0  # gradient steps
    episodes: int = 0
    finished: list[Episode] = field(default_factory=list)  # on the step just made
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SECTIONS, 0.0))

    @classmethod
    def begin(cls, obs: NDArray[Any] | Tensor) -> Progress:
        """Return the state of a run that stands before its first step, given the first observations."""
        return cls(obs, np.zeros(len(obs)), np.zeros(len(obs), np.int64))

    def restart_episodes(self, obs: NDArray[Any] | Tensor) -> None:
        """Forget the running episodes, whose scores are lost, and go on from the first observations `obs`."""
        self.obs = obs
        self.score[:] = 0
        self.length[:] = 0

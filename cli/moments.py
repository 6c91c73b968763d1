"""Moment: one step of a watched game; `play` yields them, and whoever shows a game listens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..envs import Screen

Frame = NDArray[np.uint8]  # (height, width, 3) RGB


class Player(Protocol):
    """What a game is watched with: something that knows E[R | a]."""

    def q_values(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Return E[R | a, s], (N, A), for observations (N, ...)."""


@dataclass(frozen=True)
class Moment:
    """One agent step: what the agent expected of each action, what it did, and what came of it."""

    frames: Sequence[Frame]  # the pictures of this step, oldest first; at least one
    q: NDArray[np.float64]  # (A,) E[R | a] in the state that the action answered
    action: int | None  # None in the first picture of an episode
    explored: bool  # drawn at random instead of being the best
    score: float  # raw, with this step's reward
    step: int  # agent steps of this episode
    episode: int  # counted from 1
    lives: int | None  # None where lives do not exist
    over: bool  # the last step of its episode


def play(player: Player, screen: Screen, episodes: int, epsilon: float, seed: int) -> Iterator[Moment]:
    """Yield every step of `episodes` whole episodes, with one Moment more at each start.

    Actions are the best ones, with probability `epsilon` random ones; the same seed plays the same again.
    """
    rng = np.random.default_rng(seed)
    obs = screen.reset()
    has_lives = False
    for episode in range(1, episodes + 1):
        if episode > 1:
            obs, *_ = screen.step(0)  # the step after an end ignores its action and opens the next episode
        q = np.asarray(player.q_values(obs)[0], np.float64)
        score, step, over = 0.0, 0, False
        lives: int | None = None
        yield Moment(screen.frames, q, None, False, score, step, episode, lives, over)
        while not over:
            explored = bool(rng.random() < epsilon)
            action = int(rng.integers(len(q))) if explored else int(q.argmax())
            obs, reward, terminated, truncated, info = screen.step(action)
            score, step, over = score + reward, step + 1, terminated or truncated
            has_lives = has_lives or info.get("lives", 0) > 0  # a game without lives tells 0 all along
            lives = info["lives"] if has_lives else None
            yield Moment(screen.frames, q, action, explored, score, step, episode, lives, over)
            q = np.asarray(player.q_values(obs)[0], np.float64)


def spoken(name: str) -> str:
    """Return an action's name in words: "up right fire" for Atari's UPRIGHTFIRE."""
    parts = re.fullmatch("(UP|DOWN)?(RIGHT|LEFT)?(FIRE)?", name)
    return (" ".join(filter(None, parts.groups())) if parts else name.replace("_", " ")).lower()


def told(score: float) -> str:
    """Return a score as people write it: 1,234 or 0.5."""
    return f"{score:,.0f}" if float(score).is_integer() else f"{score:,.1f}"

"""Halves: two worlds in one, whose halves may also step apart, so that one is acted for while the other steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from .errors import WorldError
from .world import Flags, Obs, Step, World, whole_number


class Halves(World):
    """N copies as two worlds of half of them each: a World like any other, and two that a loop may step in turns.

    While the halves step apart, a state may be saved as long as it does not hold what they are doing: so only worlds
    that never restore a row, as Atari's, may be halved.

    Attributes:
        halves: the first and the second half of the rows; an odd one is in the second.

    """

    def __init__(self, make_one: Callable[[int, int], World], num_envs: int, seed: int) -> None:
        """Make both halves by `make_one(num_envs, seed)`; WorldError if there are not two copies, or as it raises."""
        if whole_number(num_envs, "num_envs", 1) < 2:
            raise WorldError(f"two halves need at least 2 copies, not {num_envs}.")
        first = make_one(num_envs // 2, seed)
        second = make_one(num_envs - num_envs // 2, seed)
        self.halves = first, second
        space: Box = first.single_observation_space  # type: ignore[assignment]  # as every World's
        super().__init__(
            name=first.name,
            id=first.id,
            protocol=first.protocol,
            num_envs=num_envs,
            seed=seed,
            frames_per_step=first.frames_per_step,
            observation=space,
            action_names=first.action_names,
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Close both."""
        for half in self.halves:
            half.close()

    def _reset(self, seeds: NDArray[np.int64] | None) -> tuple[Obs, dict[str, Any]]:
        split = self.halves[0].num_envs
        own = (None, None) if seeds is None else (int(seeds[0]), int(seeds[split]))
        (first, info), (second, other) = (half.reset(seed=seed) for half, seed in zip(self.halves, own, strict=True))
        return np.concatenate([first, second]), _joined(info, other)

    def _send(self, actions: NDArray[np.int64]) -> None:
        split = self.halves[0].num_envs
        self.halves[0].send(actions[:split])
        self.halves[1].send(actions[split:])

    def _recv(self, resetting: Flags) -> Step:
        *first, info = self.halves[0].recv()
        *second, other = self.halves[1].recv()
        obs, reward, terminated, truncated = (np.concatenate(both) for both in zip(first, second, strict=True))
        return obs, reward, terminated, truncated, _joined(info, other)


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {name: np.concatenate([values, second[name]]) for name, values in first.items()}

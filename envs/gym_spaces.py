"""Spaces: which observations and actions of a gymnasium environment fit a Q-network, and how they are cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from .errors import WorldError

Encode = Callable[[Any], NDArray[Any]]


def observation(space: Space[Any], name: str) -> tuple[Box, Encode]:
    """Return the Box that a network sees and the function that casts one observation into it.

    A Box keeps its shape; its values become float32, except that images (uint8, three axes) stay uint8. A Discrete
    space of n states becomes one-hot float32 (n,). Raises WorldError for every other space.
    """
    if isinstance(space, Discrete):
        count, start = int(space.n), int(space.start)

        def one_hot(state: Any) -> NDArray[Any]:
            row = np.zeros(count, np.float32)
            row[int(state) - start] = 1.0
            return row

        return Box(0.0, 1.0, (count,), np.float32), one_hot
    if isinstance(space, Box):
        dtype: Any = np.uint8 if space.dtype == np.uint8 and len(space.shape) == 3 else np.float32
        with np.errstate(over="ignore"):  # bounds at the edge of float64 mean "no bound"
            box = Box(space.low.astype(dtype), space.high.astype(dtype), dtype=dtype)
        return box, lambda obs: np.asarray(obs, dtype=dtype)
    raise WorldError(f"{name} observes {space}, but only Box and Discrete observations are supported.")


def actions(space: Space[Any], name: str) -> tuple[int, int]:
    """Return (number of actions, the environment's first action), or raise WorldError unless they are Discrete."""
    if not isinstance(space, Discrete):
        raise WorldError(f"{name} has the action space {space}, but Q-learning needs Discrete actions.")
    return int(space.n), int(space.start)

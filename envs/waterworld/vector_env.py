"""WaterworldVectorEnv: N worlds at once, what gymnasium.make_vec hands out under "vector_entry_point"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..errors import WorldError, one_of
from ..world import checked_actions, whole_number
from .batch import Batch, parts
from .explicit import write_state
from .layout import DEFAULT
from .options import state_in
from .picture import Painter
from .spaces import action_space, observation_space

Rows = NDArray[Any]


class WaterworldVectorEnv(VectorEnv[Rows, Rows, NDArray[Any]]):
    """N Waterworlds in one batch of tensors: obs float32 (N, 27), or (N, 152) for variant "reinforcejs".

    World i, seeded with S + i where the whole is seeded with S, is the same as a WaterworldEnv seeded with S + i. After
    a row's truncation its next step ignores the action, gives reward 0 and opens the next episode (NEXT_STEP).
    Info of a step, each (N,): what WaterworldEnv tells, and a mask `_name` that is False where an episode was opened.

    Args:
        num_envs: N.
        variant: "rldemo" (ConvNetJS) or "reinforcejs".
        max_episode_steps: before truncation; None for never.
        render_mode: "rgb_array" for pictures, or None.
        device: where the worlds are computed; what is handed in and out lies in NumPy arrays. To keep everything on a
            GPU, drive `batch` instead, whose `reset` and `step` speak tensors.

    Raises:
        WorldError: an argument, a seed, a state or actions that do not fit, one sentence each.

    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own type)
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 30,
    }

    def __init__(
        self,
        num_envs: int = 1,
        variant: str = DEFAULT,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Make the worlds."""
        self.num_envs = whole_number(num_envs, "num_envs", 1)
        if max_episode_steps is not None:
            max_episode_steps = whole_number(max_episode_steps, "max_episode_steps", 1)
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise WorldError(f"render mode {render_mode!r} does not exist for many worlds: it is {one_of(modes)}.")
        self.render_mode = render_mode
        self.batch = Batch(variant, self.num_envs, max_episode_steps=max_episode_steps, device=device)
        self.single_observation_space: Space[Any] = observation_space(self.batch.layout)
        self.single_action_space: Space[Any] = action_space(self.batch.layout)
        self.observation_space: Space[Any] = batch_space(self.single_observation_space, self.num_envs)
        self.action_space: Space[Any] = batch_space(self.single_action_space, self.num_envs)
        self._seeded = self._opened = False
        self._reward: NDArray[Any] = np.zeros(self.num_envs, np.float32)
        self._painter: Painter | None = None

    def state(self, row: int) -> dict[str, Any]:
        """Return the world at `row` as plain values, as `options={"state": ...}` takes them."""
        return write_state(self.batch.layout, self.batch.core.state, row)

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Rows, dict[str, Any]]:
        """Return the first observations (N, ...) of N new episodes and an empty info.

        seed: one for the first world, whose followers count up from it, or N of them. options: {"state": ...} holds one
        state for all worlds, or N of them.
        """
        state = state_in(options)
        states = [state] * self.num_envs if isinstance(state, Mapping) else state
        if states is not None and (not isinstance(states, Sequence) or isinstance(states, str)):
            raise WorldError(f"the state must be a dict, or a list of {self.num_envs}, not {type(state).__name__}.")
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(2**31))
        obs = self.batch.reset(None if seed is None else self._seeds(seed), states)
        self._seeded = self._opened = True
        self._reward = np.zeros(self.num_envs, np.float32)
        return obs.cpu().numpy(), {}

    def step(self, actions: Any) -> tuple[Rows, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Return (obs, reward, terminated, truncated, info) for `actions`, integers (N,)."""
        if not self._opened:
            raise WorldError("step() came before the first reset(): call reset() once, then step().")
        space: Any = self.single_action_space
        checked = checked_actions(actions, self.num_envs, int(space.n), self.batch.layout.name)
        outcome = self.batch.step(torch.from_numpy(checked).to(self.batch.core.device))
        lived = ~outcome.opened.cpu().numpy()
        info: dict[str, Any] = {}
        for name, values in parts(outcome):
            info[name] = values.cpu().numpy()
            info[f"_{name}"] = lived.copy()
        self._reward = outcome.reward.cpu().numpy()
        never = np.zeros(self.num_envs, np.bool_)
        return outcome.obs.cpu().numpy(), self._reward.copy(), never, outcome.truncated.cpu().numpy(), info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return N pictures (500, 700, 3) under "rgb_array", else None."""
        if self.render_mode is None:
            return None
        if self._painter is None:
            self._painter = Painter(self.batch.core)
        return tuple(self._painter.paint(row, float(self._reward[row])) for row in range(self.num_envs))

    def _seeds(self, seed: Any) -> NDArray[np.int64]:
        """Return a seed for each world."""
        if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str):
            if len(seed) != self.num_envs:
                raise WorldError(f"there are {self.num_envs} worlds, but {len(seed)} seeds for them.")
            seeds = [whole_number(one, "a seed", 0) for one in seed]
        else:
            first = whole_number(seed, "seed", 0)
            seeds = [first + world for world in range(self.num_envs)]
        if max(seeds) >= 2**63:
            raise WorldError(f"seed {max(seeds)} is too large: it must be below 2**63.")
        super().reset(seed=seeds[0])  # gymnasium's generator follows, though nothing here draws from it
        return np.array(seeds, np.int64)

"""GymWorld: copies of any gymnasium environment with discrete actions, stepped one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import gym_spaces
from .errors import WorldError
from .gym_maker import Maker
from .sub_env import SubEnv
from .world import Flags, Obs, Step, World, whole_number


class GymWorld(World):
    """N copies of one environment: obs (N, ...) float32 (uint8 for images), one-hot for Discrete states.

    make_one: makes a copy. action_names: as many as there are actions, or none for "0", "1", ...
    render_mode: handed to make_one. The copies step in this process inside `recv`: such worlds are so light that
    processes or threads would cost more than they bring.
    """

    def __init__(
        self,
        make_one: Maker,
        name: str,
        num_envs: int = 1,
        seed: int = 0,
        *,
        action_names: Sequence[str] = (),
        render_mode: str | None = None,
    ) -> None:
        """Make the copies; raises WorldError if their spaces do not fit or one cannot be made."""
        num_envs = whole_number(num_envs, "num_envs", 1)
        first = make_one(render_mode)
        try:
            box, encode = gym_spaces.observation(first.observation_space, name)
            count, first_action = gym_spaces.actions(first.action_space, name)
        except WorldError:
            first.close()
            raise
        super().__init__(
            name=name,
            id=name,
            protocol="none",
            num_envs=num_envs,
            seed=seed,
            frames_per_step=1,
            observation=box,
            action_names=action_names if len(action_names) == count else [str(i) for i in range(count)],
        )
        envs = [first, *(make_one(render_mode) for _ in range(num_envs - 1))]
        self._subs = [SubEnv(env, encode, first_action) for env in envs]
        self._actions: NDArray[np.int64] = np.zeros(num_envs, np.int64)

    @property
    def first_env(self) -> Any:
        """The first copy, a gymnasium.Env, for whoever wants to draw it."""
        return self._subs[0].env

    def close_extras(self, **kwargs: Any) -> None:
        """Close every copy."""
        for sub in self._subs:
            sub.env.close()

    def _reset(self, seeds: NDArray[np.int64] | None) -> tuple[Obs, dict[str, Any]]:
        return np.stack([sub.reset(None if seeds is None else int(seeds[i])) for i, sub in enumerate(self._subs)]), {}

    def _send(self, actions: NDArray[np.int64]) -> None:
        self._actions = actions

    def _recv(self, resetting: Flags) -> Step:
        rows = [
            (sub.reset(), 0.0, False, False) if sub.ended else sub.step(action)
            for sub, action in zip(self._subs, self._actions.tolist(), strict=True)
        ]
        obs, reward, terminated, truncated = zip(*rows, strict=True)
        info: dict[str, Any] = {"life_lost": np.zeros(self.num_envs, np.bool_)}
        return (
            np.array(obs),  # copies: some environments hand out the very array that they change in the next step
            np.array(reward, np.float32),
            np.array(terminated, np.bool_),
            np.array(truncated, np.bool_),
            info,
        )

    def _state(self) -> dict[str, Any]:
        return {"episodes": [sub.state() if self._opened else None for sub in self._subs]}

    def _restore(self, state: dict[str, Any], seeds: NDArray[np.int64]) -> tuple[Obs, Flags, Flags]:
        rows: list[NDArray[Any]] = []
        restored = np.zeros(self.num_envs, np.bool_)
        for i, (sub, episode) in enumerate(zip(self._subs, state["episodes"], strict=True)):
            obs = sub.restore(episode)
            restored[i] = obs is not None
            rows.append(sub.reset(int(seeds[i])) if obs is None else obs)
        return np.stack(rows), restored, np.array([sub.ended for sub in self._subs], np.bool_)

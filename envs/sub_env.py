"""SubEnv: one gymnasium environment that remembers how to live its present episode again, bit for bit."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .gym_spaces import Encode

# Beyond this an episode is no longer remembered: replaying it and storing it would cost more than it is worth.
REPLAY_LIMIT = 100_000


class SubEnv:
    """One environment, the actions of its present episode and a digest of everything it showed in it.

    Gymnasium environments cannot save themselves. But their chance comes from `np_random`, so its state just before
    a reset and the actions since then fix the episode; the digest over all observations, rewards and ends tells
    whether a replay really went the same way (an environment may draw its chance elsewhere).
    """

    def __init__(self, env: gymnasium.Env[Any, Any], encode: Encode, first_action: int) -> None:
        """Take over env; encode casts its observations, first_action is what its action space calls our 0."""
        self.env = env
        self.ended = False
        self._encode = encode
        self._first_action = first_action
        self._begin: dict[str, Any] = {}
        self._actions: list[int] = []
        self._digest = hashlib.blake2b(digest_size=16)

    def reset(self, seed: int | None = None) -> NDArray[Any]:
        """Return the first observation of a new episode, seeded or going on with the present generator."""
        self._begin = {"seed": seed} if seed is not None else {"generator": self._generator_state()}
        return self._open(self.env.reset(seed=seed)[0])

    def step(self, action: int) -> tuple[NDArray[Any], float, bool, bool]:
        """Return (obs, reward, terminated, truncated)."""
        raw, reward, terminated, truncated, _ = self.env.step(action + self._first_action)
        obs, reward = self._encode(raw), float(reward)
        terminated, truncated = bool(terminated), bool(truncated)
        self.ended = terminated or truncated
        if len(self._actions) <= REPLAY_LIMIT:
            self._actions.append(action)
            self._digest.update(obs.tobytes())
            self._digest.update(struct.pack("<d??", reward, terminated, truncated))
        return obs, reward, terminated, truncated

    def state(self) -> dict[str, Any] | None:
        """Return what `restore` needs, as values that JSON can hold, or None if the episode cannot be replayed."""
        if len(self._actions) > REPLAY_LIMIT or self._begin.get("generator", self) is None:
            return None
        return {"begin": self._begin, "actions": list(self._actions), "digest": self._digest.hexdigest()}

    def restore(self, state: dict[str, Any] | None) -> NDArray[Any] | None:
        """Live a saved episode again; return its last observation, or None if it did not go the same way."""
        if state is None:
            return None
        begin, actions, digest = dict(state["begin"]), list(state["actions"]), state["digest"]
        try:
            if "generator" in begin:
                self.env.unwrapped.np_random.bit_generator.state = begin["generator"]
            obs = self._open(self.env.reset(seed=begin.get("seed"))[0])
            for action in actions:
                if self.ended:
                    return None
                obs = self.step(action)[0]
        except Exception:  # a changed environment may raise anything on old actions; it starts anew instead
            return None
        self._begin = begin
        return obs if self._digest.hexdigest() == digest else None

    def _open(self, raw: Any) -> NDArray[Any]:
        obs = self._encode(raw)
        self.ended = False
        self._actions = []
        self._digest = hashlib.blake2b(obs.tobytes(), digest_size=16)
        return obs

    def _generator_state(self) -> dict[str, Any] | None:
        generator = self.env.unwrapped.np_random.bit_generator
        # gymnasium's own generator; its state holds only integers, so JSON can keep it.
        return dict(generator.state) if isinstance(generator, np.random.PCG64) else None

"""World: many copies of one environment that step together, with the step split into send and recv."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .counterpart import Counterpart
from .errors import WorldError

Obs = NDArray[Any]
Flags = NDArray[np.bool_]
Step = tuple[Obs, NDArray[np.float32], Flags, Flags, dict[str, Any]]


def sub_seeds(seed: int, num_envs: int, attempt: int = 0) -> NDArray[np.int64]:
    """Return one seed per sub-environment, each in [1, 2**31 - 1], shape (num_envs,).

    They are hashed, not counted up: with seed + i, seed 0's environment 1 would be seed 1's environment 0.
    The first k seeds do not depend on num_envs. attempt: 0 for a fresh run, one more at every resume.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(attempt,) if attempt else ())
    # 31 bits: ale-py keeps a seed in a C int, where negative means "do not seed".
    return 1 + sequence.generate_state(num_envs, np.uint32).astype(np.int64) % (2**31 - 1)


def whole_number(value: object, name: str, least: int) -> int:
    """Return `value` as an int, or raise WorldError unless it is a whole number >= least."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise WorldError(f"{name} must be a whole number, not {value!r}.") from None
    if number < least:
        raise WorldError(f"{name} must be at least {least}, not {number}.")
    return number


def checked_actions(actions: Any, num_envs: int, count: int, name: str) -> NDArray[np.int64]:
    """Return the actions as int64 (num_envs,), each below `count`, or raise WorldError; name: of the world."""
    try:
        array = np.asarray(actions)
    except (TypeError, ValueError) as error:
        raise WorldError(f"actions must be an array of {num_envs} integers: {error}.") from error
    if array.dtype.kind not in "iu":
        raise WorldError(f"actions must be integers, not {array.dtype}.")
    if array.shape != (num_envs,):
        raise WorldError(f"actions must have shape ({num_envs},), not {array.shape}.")
    checked = array.astype(np.int64)
    # Read as unsigned, a negative number is huge: one pass over the array instead of two.
    if np.maximum.reduce(checked.view(np.uint64)) >= count:
        bad = array[(array < 0) | (array >= count)][0]
        raise WorldError(f"action {bad} is out of range: {name} has actions 0 to {count - 1}.")
    return checked


class World(VectorEnv[Obs, Any, NDArray[Any]], ABC):
    """N copies of one environment with discrete actions, seeded once, under NEXT_STEP autoreset.

    After a row ends (terminated or truncated), its next step ignores the action, gives reward 0 and returns the
    first observation of the next episode. Every info holds two bool arrays of shape (N,):
    `reset`: this row opens an episode, so the step that led here is no transition;
    `life_lost`: a life was lost on this step (never on a reset row; always False where lives do not exist).

    Attributes:
        name: what to call it on a screen, e.g. "Breakout".
        id: what `make` accepts to build it again, e.g. "ALE/Breakout-v5".
        protocol: "machado" or "nature" for Atari, "none" elsewhere.
        frames_per_step: emulator frames in one agent step: 4 for Atari, 1 elsewhere.
        action_names: one name per action.
        counterpart: another world that the same experience could have come from; None where none is known.
        timeout_s: seconds `recv` waits for the emulators before it raises WorldError (Atari only).
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (gymnasium's own type)
    timeout_s: float = 60.0
    counterpart: Counterpart | None = None

    def __init__(
        self,
        *,
        name: str,
        id: str,
        protocol: str,
        num_envs: int,
        seed: int,
        frames_per_step: int,
        observation: Box,
        action_names: Sequence[str],
    ) -> None:
        """Set the public attributes; observation is one copy's space, seed is whole and >= 0."""
        self.name = name
        self.id = id
        self.protocol = protocol
        self.num_envs = whole_number(num_envs, "num_envs", 1)
        self.seed = whole_number(seed, "seed", 0)
        self.frames_per_step = frames_per_step
        self.action_names = tuple(action_names)
        self.single_observation_space: Space[Any] = observation
        self.single_action_space: Space[Any] = Discrete(len(self.action_names))
        self.observation_space: Space[Any] = batch_space(observation, self.num_envs)
        self.action_space: Space[Any] = batch_space(self.single_action_space, self.num_envs)
        self.action_space.seed(self.seed)
        self.single_action_space.seed(self.seed)
        self._resumes = 0
        self._seeded = False
        self._waiting = False
        self._opened = False
        self._ended: Flags = np.zeros(self.num_envs, np.bool_)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Return the first observations (N, ...) and info of N new episodes.

        The first call seeds the sub-environments from the world's seed; later calls go on with their generators.
        seed: seeds them all again, as a new world with this seed would be. options: none are known, so ignored.
        """
        self._check_open()
        if self._waiting:
            self.recv()
        if seed is not None:
            self.seed = whole_number(seed, "seed", 0)
            self._seeded = False
            self._resumes = 0
        seeds = None if self._seeded else sub_seeds(self.seed, self.num_envs, self._resumes)
        obs, info = self._reset(seeds)
        self._seeded = self._opened = True
        self._ended = np.zeros(self.num_envs, np.bool_)
        info["life_lost"] = np.zeros(self.num_envs, np.bool_)
        info["reset"] = np.ones(self.num_envs, np.bool_)
        return obs, info

    def send(self, actions: Any) -> None:
        """Start one step; Atari emulators then run in their own threads until `recv`.

        actions: array-like of integers, shape (N,), each in [0, number of actions). Raises WorldError for anything
        else (ale-py itself would wait for ever), for a second send before recv, and before the first reset.
        """
        self._check_open()
        if not self._opened:
            raise WorldError("send() came before the first reset(): call reset() once, then send().")
        if self._waiting:
            raise WorldError("send() came twice: call recv() before the next send().")
        self._send(self._checked(actions))
        self._waiting = True

    def recv(self) -> Step:
        """Finish the step that `send` started and return (obs, reward, terminated, truncated, info).

        obs (N, ...); reward float32 (N,), raw and unclipped; terminated, truncated bool (N,).
        Raises WorldError without a send, or when the emulators stay silent for timeout_s seconds.
        """
        self._check_open()
        if not self._waiting:
            raise WorldError("recv() came without a send(): call send(actions) first.")
        obs, reward, terminated, truncated, info = self._recv(self._ended)
        self._waiting = False
        info["reset"] = self._ended
        self._ended = terminated | truncated
        return obs, reward, terminated, truncated, info

    def step(self, actions: Any) -> Step:
        """Return recv() after send(actions)."""
        self.send(actions)
        return self.recv()

    def state_dict(self) -> dict[str, Any]:
        """Return what a later `load_state_dict` needs, as values that JSON can hold.

        Raises WorldError between send and recv: a half-taken step has no state.
        """
        self._check_open()
        if self._waiting:
            raise WorldError("state_dict() came between send() and recv(): call recv() first.")
        shared = {"id": self.id, "protocol": self.protocol, "num_envs": self.num_envs}
        return shared | {"seed": self.seed, "resumes": self._resumes} | self._state()

    def load_state_dict(self, state: dict[str, Any]) -> tuple[Obs, Flags]:
        """Go on from a saved state; return the observations to act on (N, ...) and which rows were restored, (N,).

        A row that is restored goes on bit for bit; any other row opens a new episode with a seed of its own, so a
        resumed run does not live through the same episode starts again. Raises WorldError for a state of another
        environment, another protocol or another number of copies.
        """
        self._check_open()
        if self._waiting:
            self.recv()
        try:
            mine = (self.id, self.protocol, self.num_envs)
            theirs = (state["id"], state["protocol"], state["num_envs"])
            if mine != theirs:
                raise WorldError("the saved state is of {} ({}) x {}, not of {} ({}) x {}.".format(*theirs, *mine))
            self.seed = whole_number(state["seed"], "seed", 0)
            self._resumes = whole_number(state["resumes"], "resumes", 0) + 1
            seeds = sub_seeds(self.seed, self.num_envs, self._resumes)
            obs, restored, ended = self._restore(state, seeds)
        except (KeyError, TypeError, IndexError) as error:
            raise WorldError(f"the saved state of {self.name} is damaged: {type(error).__name__}: {error}.") from error
        self._seeded = self._opened = True
        self._ended = ended
        return obs, restored

    @abstractmethod
    def _reset(self, seeds: NDArray[np.int64] | None) -> tuple[Obs, dict[str, Any]]:
        """Reset every sub-environment, with these seeds (N,) or going on unseeded."""

    @abstractmethod
    def _send(self, actions: NDArray[np.int64]) -> None:
        """Start a step with checked actions (N,)."""

    @abstractmethod
    def _recv(self, resetting: Flags) -> Step:
        """Finish the step; resetting (N,) tells the rows that ended one step earlier. Info holds `life_lost`."""

    def _state(self) -> dict[str, Any]:
        """Return what this kind of world adds to the state: nothing where it cannot say what goes on in it."""
        return {}

    def _restore(self, state: dict[str, Any], seeds: NDArray[np.int64]) -> tuple[Obs, Flags, Flags]:
        """Return (obs, restored, ended); rows that cannot be restored, here all, start anew with their seed."""
        obs, _ = self._reset(seeds)
        none = np.zeros(self.num_envs, np.bool_)
        return obs, none, none.copy()

    def _check_open(self) -> None:
        if self.closed:
            raise WorldError(f"{self.name} is closed: make a new world.")

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        """Return the actions as int64 (N,), or raise WorldError."""
        return checked_actions(actions, self.num_envs, len(self.action_names), self.name)

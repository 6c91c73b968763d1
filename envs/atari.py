"""AtariWorld: many Atari emulators stepping in C++ threads, under one of two protocols that are never mixed."""

from __future__ import annotations

import os
import weakref
from functools import partial
from typing import Any

import ale_py
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from .atari_names import game_id, game_name
from .background import in_background
from .courier import Courier
from .errors import WorldError
from .protocol import protocol_named
from .world import Flags, Obs, Step, World, whole_number

FRAMES_PER_STEP = 4
MAX_FRAMES = 108_000  # 30 minutes at 60 frames a second: 27,000 agent steps


class AtariWorld(World):
    """N copies of one Atari game: obs uint8 (N, 4, 84, 84), grey, max-pooled, oldest frame first.

    rom: ale-py's snake_case name. protocol: machado or nature; nature starts with 0 to 29 no-ops, not 1 to 30.
    num_threads: 0 lets ale-py take min(cores, num_envs). full_action_set: all 18 actions instead of the game's own.
    max_episode_steps: agent steps of 4 frames before truncation, 27,000 if None; no-ops do not count.
    background: whether the emulators' threads give way to the thread that acts, where there are not cores for all.

    An episode ends at game over or at that cap, never at a lost life. FIRE is not pressed for the agent: where a
    game waits for it, also after each lost life, the agent has to learn it. After a reset the three older frames of
    the stack are black. info adds `lives`, `frame_number` (since the seed) and `episode_frame_number`, int32 (N,).
    The vector emulator can neither save nor load a state, so `load_state_dict` starts every row anew.
    Its threads do not survive a fork: in a child process every call raises WorldError; spawn processes instead.
    """

    def __init__(
        self,
        rom: str,
        num_envs: int = 1,
        seed: int = 0,
        protocol: str = "machado",
        *,
        num_threads: int = 0,
        full_action_set: bool = False,
        max_episode_steps: int | None = None,
        background: bool = False,
    ) -> None:
        """Start the emulators and their threads; raises WorldError for an argument that does not fit."""
        frames = MAX_FRAMES
        if max_episode_steps is not None:
            frames = FRAMES_PER_STEP * whole_number(max_episode_steps, "max_episode_steps", 1)
        settings = protocol_named(protocol)
        whole_number(seed, "seed", 0)  # before any emulator starts
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # no banner on stderr
        make = partial(
            AtariVectorEnv,
            rom,
            whole_number(num_envs, "num_envs", 1),
            num_threads=whole_number(num_threads, "num_threads", 0),
            max_num_frames_per_episode=frames,  # emulator frames, whatever ale-py's C++ side calls it
            repeat_action_probability=settings.repeat_action_probability,  # its default depends on the door
            full_action_space=full_action_set,
            autoreset_mode=AutoresetMode.NEXT_STEP,  # the other mode loses the last frame's info
            stack_num=4,
            frameskip=FRAMES_PER_STEP,
            noop_max=settings.noop_max,
            episodic_life=False,  # True would restart the whole game at every lost life
            # False as well: `terminated` then means game over and nothing else, so a life lost on the very step of
            # game over or of the cap is no riddle. A lost life is read from `lives` instead.
            life_loss_info=False,
            reward_clipping=False,  # the raw score is kept; clipping is the learner's business
            use_fire_reset=False,
        )
        self._envs: AtariVectorEnv = in_background(make) if background else make()
        super().__init__(
            name=game_name(rom),
            id=game_id(rom),
            protocol=protocol,
            num_envs=num_envs,
            seed=seed,
            frames_per_step=FRAMES_PER_STEP,
            observation=Box(0, 255, (4, 84, 84), np.uint8),
            action_names=[action.name for action in action_set(self._envs.ale)],
        )
        self._courier: Courier[Step] = Courier(self._envs.ale.recv)
        # At exit a thread that comes back from C++ to a dead interpreter would abort the process.
        self._dismiss = weakref.finalize(self, self._courier.dismiss)
        self._lives: NDArray[np.int32] = np.zeros(self.num_envs, np.int32)
        self._owner = os.getpid()

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the emulators; a hung one is left behind with its thread instead of waiting for it."""
        if os.getpid() == self._owner:
            self._dismiss()
        # Freeing the emulators joins their threads. A courier that hangs, or that a fork left in the parent, still
        # holds them, so that join never happens.
        del self._envs

    def _reset(self, seeds: NDArray[np.int64] | None) -> tuple[Obs, dict[str, Any]]:
        self._check_owner()
        obs, info = self._envs.reset(seed=seeds)
        self._lives = info["lives"]
        return obs, _kept(info)

    def _send(self, actions: NDArray[np.int64]) -> None:
        self._check_owner()
        self._envs.send(actions)

    def _recv(self, resetting: Flags) -> Step:
        self._check_owner()
        try:
            obs, reward, terminated, truncated, info = self._courier.fetch(self.timeout_s)
        except TimeoutError:
            raise WorldError(f"{self.name}: the emulators did not answer for {self.timeout_s:g} seconds.") from None
        lives = info["lives"]
        info = _kept(info)
        info["life_lost"] = (lives < self._lives) & ~resetting
        self._lives = lives
        return obs, reward.astype(np.float32), terminated, truncated, info

    def _check_owner(self) -> None:
        if os.getpid() != self._owner:
            raise WorldError(f"{self.name}: emulator threads do not survive a fork: make the world in this process.")


def action_set(ale: Any) -> list[ale_py.Action]:
    """Return the actions of an emulator, in the order of their indices."""
    return [ale_py.Action(action) for action in ale.get_action_set()]


def _kept(info: dict[str, Any]) -> dict[str, Any]:
    # env_id always counts 0 .. N-1 here.
    return {key: info[key] for key in ("lives", "frame_number", "episode_frame_number")}

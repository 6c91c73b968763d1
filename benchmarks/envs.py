"""Envs: the emulators' ceiling, agent steps a second with random actions and nobody learning.

`rlrun.make`'s worlds, beside gymnasium's own: AtariPreprocessing with a stack of 4 in a SyncVectorEnv, and make_vec's
CartPole. The Atari work is the same for both: Breakout, 4 frames an action, the maximum of the last two, 84 x 84 grey,
stacks of 4, no-op starts, no sticky actions. Each world opens once and then gets its turn in every round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import ale_py
import gymnasium
import machine
import numpy as np
import rounds
from gymnasium.vector import SyncVectorEnv, VectorEnv
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

import rlrun

ACTIONS = 64  # different rows of actions, drawn before the clock starts
WARM_UP = 20  # steps of all worlds


def main() -> None:
    options = _options()
    machine.warn_if_busy()
    gymnasium.register_envs(ale_py)
    worlds = {key: make() for key, make in worlds_of(options).items()}
    try:
        rows = rounds.take_turns(
            {" ".join(key): partial(speed, envs, options.seconds) for key, envs in worlds.items()}, options.rounds
        )
    finally:
        for envs in worlds.values():
            envs.close()
    medians = rounds.medians(rows)
    told = [["world", "made by", "worlds", "threads", "agent steps/s"]]
    told += [[*key, f"{medians[' '.join(key)]['steps_per_second']:,.0f}"] for key in worlds]
    speeds = [
        {"world": world, "by": by, "envs": int(count), "threads": int(threads)}
        | {"steps_per_second": medians[f"{world} {by} {count} {threads}"]["steps_per_second"]}
        for world, by, count, threads in worlds
    ]
    rounds.tell(options, told, rows, {"kind": "envs", "rounds": options.rounds, "speeds": speeds})


def worlds_of(options: argparse.Namespace) -> dict[tuple[str, str, str, str], Callable[[], VectorEnv[Any, Any, Any]]]:
    """Return what makes each world, by its name, its maker, the number of copies and of threads."""
    made: dict[tuple[str, str, str, str], Callable[[], VectorEnv[Any, Any, Any]]] = {}
    for count in options.envs:
        for threads in options.threads:
            if threads <= count:  # a thread steps whole worlds
                key = ("Breakout", "rlrun", str(count), str(threads))
                made[key] = partial(rlrun.make, "Breakout", count, 0, "nature", num_threads=threads)
        made["Breakout", "gymnasium", str(count), "1"] = partial(gymnasium_breakout, count)
    for count in options.envs:
        made["CartPole-v1", "rlrun", str(count), "1"] = partial(rlrun.make, "CartPole-v1", count)
        made["CartPole-v1", "gymnasium", str(count), "1"] = partial(
            gymnasium.make_vec, "CartPole-v1", count, vectorization_mode="sync"
        )
    return made


def gymnasium_breakout(count: int) -> SyncVectorEnv:
    """Return Breakout as gymnasium's documentation builds it."""

    def one() -> gymnasium.Env[Any, Any]:
        env = gymnasium.make("ALE/Breakout-v5", frameskip=1, repeat_action_probability=0.0)
        return FrameStackObservation(AtariPreprocessing(env, noop_max=30, frame_skip=4, screen_size=84), 4)

    return SyncVectorEnv([one] * count)


def speed(envs: VectorEnv[Any, Any, Any], seconds: float) -> rounds.Row:
    """Return the agent steps a second of all worlds together, random actions."""
    n = envs.num_envs
    actions = np.random.default_rng(0).integers(envs.single_action_space.n, size=(ACTIONS, n))
    envs.reset()
    for row in actions[:WARM_UP]:
        envs.step(row)
    steps, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        envs.step(actions[steps % ACTIONS])
        steps += 1
    return {"steps_per_second": steps * n / spent}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--envs", nargs="+", type=int, default=[1, 8, 16, 64], help="copies that step together")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="of rlrun's emulators")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each world in a round")
    rounds.add_output(parser)
    options = parser.parse_args()
    rounds.at_least(parser, options, envs=1, threads=1, rounds=1, seconds=0.01)
    return options


if __name__ == "__main__":
    main()

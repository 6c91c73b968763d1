"""Loop: what the training loop itself costs, beside the network's arithmetic and the emulators; and the sampling.

For each batch size, a world is trained by `agents/train.py` as it is, from a replay that is already full. The loop's
own clock tells acting and learning (the network), the worlds, sampling and storing; what is left of the wall-clock is
the Python between them. As the emulators' threads run on the same cores while the loop goes on, and make longer
whatever it is at, these sections are measured while each step of the worlds is waited for at once. "overhead" is what
sampling, storing and that rest took so, of the time that a step takes as it is trained: with the emulators beside it.

Then the milliseconds of one `Replay.sample`, uniform and prioritised, from a full replay of random frames.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import machine
import numpy as np
import rounds
import torch
from filling import fill, random_pictures
from steady import script_at_once

from rlrun import make
from rlrun.agents.accelerator import build_replay
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.presets import preset
from rlrun.agents.progress import SECTIONS, Progress
from rlrun.agents.replay import Replay
from rlrun.agents.train import train
from rlrun.cli.tuning import tune_process
from rlrun.envs import World

WORLDS = {"Breakout": "fast", "CartPole-v1": "control"}  # each with the preset that trains it
PIXELS = (4, 84, 84)
STEPS_PER_UPDATE = {32: 4.0, 128: 32.0, 256: 64.0}  # with each batch size, as Atari's presets have it
WARM_UP = 3  # updates
OVERHEAD_GOAL, SAMPLE_GOAL = 5.0, 0.15  # % of the wall-clock; ms for a batch of 32


def main() -> None:
    options = _options()
    machine.warn_if_busy()
    tune_process(options.threads)
    script_at_once()
    loops = {f"{world} {size}": Loop(world, size, options) for world in options.world for size in options.batch}
    variants: dict[str, Callable[[], rounds.Row]] = {
        f"loop {name}": partial(loop.measure, options.seconds) for name, loop in loops.items()
    }
    for exponent, kind in ((0.0, "uniform"), (0.5, "prioritised")):
        settings = {
            "num_envs": 8,
            "replay_capacity": options.capacity,
            "learning_starts": 0,
            "priority_exponent": exponent,
        }
        replay = full_replay(preset("dqn").with_settings(settings), PIXELS)
        for size in options.batch:
            # beta as in the middle of a run
            call = partial(replay.sample, size, 0.7 if exponent else 0.0)
            variants[f"sample {size} {kind}"] = partial(sampling, call)
    try:
        rows = rounds.take_turns(variants, options.rounds)
    finally:
        for loop in loops.values():
            loop.envs.close()
    medians = rounds.medians(rows)
    result = {"kind": "loop", "capacity": options.capacity}
    result |= {"threads": torch.get_num_threads(), "rounds": options.rounds, "medians": medians}
    rounds.tell(options, lines(medians), rows, result)


class Loop:
    """A training run that can be gone on with for some seconds at a time."""

    def __init__(self, world: str, batch_size: int, options: argparse.Namespace) -> None:
        """Build it as `rlrun train` does, and let it learn a little."""
        config = preset(WORLDS[world]).with_settings(
            {
                "batch_size": batch_size,
                "steps_per_update": STEPS_PER_UPDATE.get(batch_size, batch_size / 4),
                "learning_starts": 0,
                "replay_capacity": options.capacity,
                "epsilon_start": 0.01,
                "epsilon_end": 0.01,
            }
        )
        self.envs = Waited(make(world, config.num_envs, 0, "nature", num_threads=options.threads))
        shape = self.envs.single_observation_space.shape
        agent = DQN(config, shape, int(self.envs.single_action_space.n), seed=0)
        self.progress = Progress.begin(self.envs.reset()[0])
        replay = full_replay(config, shape)
        self.run: Iterator[Progress] = train(agent, self.envs, replay, config, self.progress)
        while self.progress.updates < WARM_UP:
            next(self.run)

    def measure(self, seconds: float) -> rounds.Row:
        """Return the sections' shares of a step whose worlds are waited for, %, the overhead, %, and the speed."""
        updates = self.progress.updates
        speed = 1 / sum(self._seconds_a_step(seconds).values())
        self.envs.at_once = True
        spent = self._seconds_a_step(seconds)
        self.envs.at_once = False
        whole = sum(spent.values())
        return {
            **{name: 100 * spent[name] / whole for name in spent},
            "overhead": 100 * speed * sum(spent[name] for name in ("sample", "store", "rest")),
            "steps_per_second": speed,
            "updates": self.progress.updates - updates,
        }

    def _seconds_a_step(self, seconds: float) -> rounds.Row:
        """Train for `seconds`; return what each section took of an agent step, and the rest."""
        before, first = dict(self.progress.seconds), self.progress.step
        start = time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            next(self.run)
        told = {name: self.progress.seconds[name] - before[name] for name in SECTIONS}
        told["rest"] = spent - sum(told.values())
        return {name: value / (self.progress.step - first) for name, value in told.items()}


class Waited:
    """Worlds whose steps may be waited for at once, as if nothing could be done meanwhile."""

    def __init__(self, envs: World) -> None:
        """Wrap `envs`."""
        self.envs, self.at_once = envs, False
        self._found: Any = None

    def __getattr__(self, name: str) -> Any:
        """Return what the worlds inside have."""
        return getattr(self.envs, name)

    def send(self, actions: Any) -> None:
        """Start a step, and finish it where it is waited for."""
        self.envs.send(actions)
        self._found = self.envs.recv() if self.at_once else None

    def recv(self) -> Any:
        """Return what the step has brought."""
        return self._found or self.envs.recv()


def full_replay(config: Config, shape: tuple[int, ...]) -> Replay:
    """Return the replay that `config` describes, full of random frames, or of random rows of numbers."""
    pixels = len(shape) == 3
    replay = build_replay(config, shape, torch.uint8 if pixels else torch.float32)
    pictures = random_pictures(config.num_envs, shape)
    return fill(replay, pictures if pixels else [picture / 255 for picture in pictures], actions=2)


def sampling(call: Callable[[], object]) -> rounds.Row:
    """Return the milliseconds of one sample: the median of a hundred, as a pause by the system is none of its own."""
    times = []
    for _ in range(100):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return {"ms": 1e3 * float(np.median(times))}


def lines(medians: dict[str, rounds.Row]) -> list[list[str]]:
    """Return the table's cells: first the loops, then the sampling."""
    names = [*SECTIONS, "rest", "overhead"]
    told = [["", *(f"{name} %" for name in names), "steps/s", "ms", "goal"]]
    for variant, values in medians.items():
        if variant.startswith("loop"):
            numbers = [f"{values[name]:.1f}" for name in names]
            met = "met" if values["overhead"] < OVERHEAD_GOAL else "missed"
            told.append([variant, *numbers, f"{values['steps_per_second']:.0f}", "", f"< {OVERHEAD_GOAL:g} %, {met}"])
        else:
            goal = f"< {SAMPLE_GOAL}, {'met' if values['ms'] < SAMPLE_GOAL else 'missed'}" if " 32 " in variant else ""
            told.append([variant, *[""] * (len(names) + 1), f"{values['ms']:.3f}", goal])
    return told


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", nargs="+", type=int, default=[32, 128, 256])
    parser.add_argument("--world", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--capacity", type=int, default=100_000, help="of each replay, agent steps")
    parser.add_argument("--threads", type=int, default=0, help="of torch and the emulators; all cores by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each loop in a round")
    rounds.add_output(parser)
    options = parser.parse_args()
    rounds.at_least(parser, options, batch=1, capacity=1_000, threads=0, rounds=1, seconds=0.01)
    return options


if __name__ == "__main__":
    main()

"""Memory: what a full replay of Atari frames really takes, beside what rlrun predicts before it trains.

The replay is filled as training fills it, a row of 8 worlds at a time, with random frames, which no system can
compress or share. Linux only: the resident memory is read from /proc.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import rounds
import torch
from filling import fill, random_pictures

from rlrun.agents.config import Config
from rlrun.agents.replay import Replay
from rlrun.cli.memory import available_bytes, replay_bytes

SHAPE = (4, 84, 84)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--capacity", type=int, default=1_000_000, help="of the replay, agent steps")
    parser.add_argument("--envs", type=int, default=8, help="worlds")
    rounds.add_output(parser)
    options = parser.parse_args()
    rounds.at_least(parser, options, capacity=1_000, envs=1)
    torch.set_num_threads(1)  # the copies are small: more threads would only wait for each other
    config = Config(replay_capacity=options.capacity, learning_starts=0, num_envs=options.envs)
    predicted = replay_bytes(config, SHAPE, 1)
    if predicted > available_bytes():
        sys.exit(f"the replay needs {predicted / 1e9:.1f} GB, but only {available_bytes() / 1e9:.1f} GB are free")
    pictures = random_pictures(options.envs, SHAPE)
    filled(1_000 * options.envs, options.envs, pictures)  # what the first use of torch takes is not the replay's
    before = resident_bytes()
    start = time.perf_counter()
    replay = filled(options.capacity, options.envs, pictures)
    seconds = time.perf_counter() - start
    grown = resident_bytes() - before
    result = {
        "kind": "memory",
        "capacity": options.capacity,
        "envs": options.envs,
        "kept": len(replay),
        "predicted_bytes": predicted,
        "measured_bytes": grown,
        "ratio": round(grown / predicted, 4),
        "seconds": round(seconds, 1),
    }
    told = [["a replay of", "predicted GB", "measured GB", "measured / predicted", "filled in s"]]
    cells = [f"{number / 1e9:.4f}" for number in (predicted, grown)]
    told.append([f"{len(replay):,} steps", *cells, f"{grown / predicted:.3f}", f"{seconds:.1f}"])
    rounds.tell(options, told, [result], result)


def filled(capacity: int, num_envs: int, pictures: list[torch.Tensor]) -> Replay:
    """Return a full replay."""
    return fill(Replay(capacity, num_envs, SHAPE, obs_dtype=torch.uint8, stack=SHAPE[0]), pictures)


def resident_bytes() -> int:
    """Return the memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

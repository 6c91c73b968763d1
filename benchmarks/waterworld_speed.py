"""Waterworld's speed: world-steps a second with random actions, at several numbers of worlds."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import machine
import rounds
import torch

from rlrun.envs.waterworld.batch import Batch
from rlrun.envs.waterworld.layout import LAYOUTS

WARM_UP = 20  # steps
ACTIONS = 64  # different rows of actions, drawn before the clock starts
NODE = 154_000  # the original's world-steps a second in node


def measured(variant: str, worlds: int, device: torch.device, seconds: float, repeats: int) -> dict[str, Any]:
    """Return the speed of `worlds` worlds that step together: the median and the best of `repeats`."""
    batch = Batch(variant, worlds, device=device)
    batch.reset(torch.arange(worlds).numpy())
    count = len(batch.layout.actions)
    actions = torch.randint(0, count, (ACTIONS, worlds), generator=torch.Generator().manual_seed(0)).to(device)
    for row in actions[:WARM_UP]:
        batch.step(row)
    speeds = []
    for _ in range(repeats):
        _wait(device)
        start, steps = time.perf_counter(), 0
        while (spent := time.perf_counter() - start) < seconds:
            for _ in range(10):
                batch.step(actions[steps % ACTIONS])
                steps += 1
            _wait(device)
        speeds.append(steps * worlds / spent)
    speeds.sort()
    return {"worlds": worlds, "median": speeds[len(speeds) // 2], "best": speeds[-1], "all": speeds}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, nargs="+", help="1, 64 and 4,096 by default, on a GPU also 65,536")
    parser.add_argument("--variant", choices=list(LAYOUTS), default="rldemo")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="of torch; all cores by default")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file to write")
    options = parser.parse_args()
    machine.warn_if_busy()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"Waterworld {options.variant}, on {name}; world-steps a second")
    results = []
    for worlds in options.worlds or [1, 64, 4_096, *([65_536] if device.type == "cuda" else [])]:
        results.append(measured(options.variant, worlds, device, options.seconds, options.rounds))
        median, best = results[-1]["median"], results[-1]["best"]
        print(
            f"{worlds:>7,} worlds: median {median:>12,.0f}, best {best:>12,.0f}; {median / NODE:.2f} of node's {NODE:,}"
        )
    if options.out:
        told = {"machine": machine.describe(), "device": name, "variant": options.variant, "results": results}
        rounds.write_json(options.out, told)


if __name__ == "__main__":
    main()

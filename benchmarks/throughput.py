"""Throughput: agent steps a second of rlrun and of its peers, for the same work on the same cores.

The work `breakout`: the Nature CNN at full width, batches of 32, one update for every 4 agent steps, Adam, Huber loss,
gradients clipped at a norm of 10, 1-step returns, uniform replay of 100,000 steps, epsilon 0.01. The works `cartpole`
and `cartpole-wide`: MLPs of two layers of 64 or 256, batches of 32 or 128, all else likewise.

Every measurement is a process of its own; the sides take turns, so a machine that slows down slows all. The clock runs
only after the warm-up's updates, and updates are counted where they happen: by hooks on the optimisers' steps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

import machine
import rounds
from peers import RUNS, run_rlrun
from work import WORKS

OURS = {"rlrun": "float32", "rlrun-bf16": "bfloat16"}
RATIOS = {"rlrun": "fp32", "rlrun-bf16": "bf16"}
RIVAL = "sb3"  # whom the ratios are over
TOLERANCE = 0.02  # of the updates a step
MISSING = "missing"  # the key of a side that cannot be imported, with the reason


def main() -> None:
    options = _options()
    if options.side:
        print(json.dumps(measure(options)))
        return
    machine.warn_if_busy()
    sides = ["rlrun", *options.peers, *(["rlrun-bf16"] if options.precision == "bfloat16" else [])]
    rows: list[rounds.Row] = []
    missing: dict[str, str] = {}
    for pair in range(1, options.pairs + 1):
        for side in [side for side in sides if side not in missing]:
            measured = in_process(side, options)
            if MISSING in measured:
                missing[side] = measured[MISSING]
                print(f"{side}: not installed ({missing[side]})", file=sys.stderr, flush=True)
                continue
            rows.append({"pair": pair, **measured})
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    check(rows, WORKS[options.work].steps_per_update)
    result = summary(rows, missing, options)
    rounds.tell(options, lines(rows, result), rows, result)


def in_process(side: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return one measurement, made by a fresh process."""
    command = [sys.executable, __file__, "--side", side]
    for name in ("work", "seconds", "peer_envs", "envs", "threads", "warm_up_updates"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    threads = str(options.threads)
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""},
    )
    if done.returncode:
        sys.exit(f"the measurement of {side} failed: see the error above")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one side in this process; or say what it lacks to be imported."""
    import torch

    torch.set_num_threads(options.threads)
    watch = Stopwatch(options.warm_up_updates, options.seconds)
    count_updates(watch)
    work = WORKS[options.work]
    if options.side in OURS:
        envs = options.envs
        parameters = run_rlrun(work, watch, envs, options.threads, OURS[options.side])
    else:
        envs = options.peer_envs
        try:
            parameters = RUNS[options.side](work, watch, envs, options.threads)
        except ImportError as error:
            return {MISSING: str(error)}
    return {
        "side": options.side,
        "envs": envs,
        "threads": torch.get_num_threads(),
        "parameters": parameters,
        "steps": watch.steps,
        "updates": watch.counted,
        "seconds": round(watch.elapsed, 3),
        "steps_per_second": round(watch.steps / watch.elapsed, 2),
        "updates_per_step": round(watch.counted / watch.steps, 5),
    }


def count_updates(watch: Stopwatch) -> None:
    """Let `watch` hear of every optimiser step in this process, where its arithmetic is done.

    The peers use torch's optimiser classes, which have a hook for that; rlrun the functions behind them.
    """
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from rlrun.agents import optimiser

    register_optimizer_step_post_hook(watch.updated)
    step = optimiser.adam

    def counted(*tensors: Any, **settings: Any) -> None:
        step(*tensors, **settings)
        watch.updated()

    optimiser.adam = counted


class Stopwatch:
    """Counts steps, updates and seconds, from the end of the warm-up on."""

    def __init__(self, warm_up_updates: int, seconds: float) -> None:
        self.warm_up_updates, self.seconds = warm_up_updates, seconds
        self.updates = 0  # all that were heard of
        self.steps = self.counted = 0  # since the clock runs
        self.elapsed = 0.0
        self._began: tuple[float, int, int] | None = None  # time, steps, updates

    def updated(self, *_: Any) -> None:
        """Hear that an optimiser has made a step."""
        self.updates += 1

    def over(self, steps: int) -> bool:
        """Hear that `steps` agent steps are made in all; return whether that is enough."""
        now = time.perf_counter()
        if self._began is None:
            if self.updates >= self.warm_up_updates:
                self._began = (now, steps, self.updates)
            return False
        began, first_step, first_update = self._began
        self.elapsed, self.steps, self.counted = now - began, steps - first_step, self.updates - first_update
        return self.elapsed >= self.seconds


def check(rows: list[rounds.Row], steps_per_update: int) -> None:
    """Refuse results in which the sides did not do the same work."""
    if len({row["parameters"] for row in rows}) > 1:
        sys.exit(f"the networks differ: {[(row['side'], row['parameters']) for row in rows]}")
    for row in rows:
        # A short measurement may begin or end between a step and its update: allow two rounds of updates for that.
        slack = TOLERANCE / steps_per_update + 2 * row["envs"] / row["steps"]
        if abs(row["updates_per_step"] - 1 / steps_per_update) > slack:
            sys.exit(f"{row['side']} made {row['updates_per_step']} updates a step instead of {1 / steps_per_update}")


def summary(rows: list[rounds.Row], missing: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    """Return the medians, and the medians over pairs of each pair's ratios to the peers."""
    speeds: dict[str, list[float]] = {}
    updates: dict[str, list[float]] = {}
    for row in rows:
        speeds.setdefault(row["side"], []).append(row["steps_per_second"])
        updates.setdefault(row["side"], []).append(row["updates_per_step"])
    result: dict[str, Any] = {"kind": "throughput", "work": options.work}
    for side, key in RATIOS.items():
        over = {
            peer: [round(ours / theirs, 3) for ours, theirs in zip(speeds[side], speeds[peer], strict=True)]
            for peer in options.peers
            if side in speeds and peer in speeds
        }
        result[f"ratio_{key}"] = round(median(over[RIVAL]), 3) if RIVAL in over else None
        result[f"ratios_{key}"] = over.get(RIVAL, [])
        result[f"ratio_{key}_over"] = {peer: round(median(ratios), 3) for peer, ratios in over.items()}
    result["steps_per_second"] = {side: median(values) for side, values in speeds.items()}
    result["updates_per_step"] = {side: median(values) for side, values in updates.items()}
    result["not_installed"] = missing
    names = ("pairs", "seconds", "envs", "peer_envs", "threads", "warm_up_updates")
    return result | {name: getattr(options, name) for name in names}


def lines(rows: list[rounds.Row], result: dict[str, Any]) -> list[list[str]]:
    """Return the table's cells: each side's speeds, a column for each pair, and rlrun's speed over it."""
    heads = [f"pair {pair}" for pair in range(1, result["pairs"] + 1)]
    told = [["agent steps/s", *heads, "median", "updates/step", "rlrun over it", "in bfloat16"]]
    for side, speed in result["steps_per_second"].items():
        each = [f"{row['steps_per_second']:.1f}" for row in rows if row["side"] == side]
        over = [result[f"ratio_{key}_over"].get(side) for key in RATIOS.values()]
        told.append(
            [side, *each, f"{speed:.1f}", f"{result['updates_per_step'][side]:.4f}"]
            + ["" if ratio is None else f"{ratio:.2f}" for ratio in over]
        )
    told += [[f"{side}: not installed", *[""] * (len(told[0]) - 1)] for side in result["not_installed"]]
    return told


def _line(row: rounds.Row) -> str:
    return (
        f"pair {row['pair']}, {row['side']}: {row['steps_per_second']:.1f} steps/s "
        f"({row['steps']} steps and {row['updates']} updates in {row['seconds']:.1f} s)"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=WORKS, default="breakout")
    parser.add_argument(
        "--peers", nargs="+", choices=RUNS, default=list(RUNS), help="those that are not installed are left out"
    )
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each side")
    parser.add_argument("--seconds", type=float, default=25.0, help="of each measurement, after the warm-up")
    parser.add_argument("--envs", type=int, help="rlrun's worlds; as many as suit the work if not given")
    parser.add_argument("--peer-envs", type=int, default=1, help="the peers' worlds")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of every side")
    parser.add_argument("--warm-up-updates", type=int, help="before the clock runs; the work's own if not given")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="bfloat16",
        help="bfloat16 measures rlrun in both; the peers always compute in float32",
    )
    rounds.add_output(parser)
    parser.add_argument("--side", choices=[*OURS, *RUNS], help=argparse.SUPPRESS)  # what in_process asks for
    options = parser.parse_args()
    work = WORKS[options.work]
    for name in ("envs", "warm_up_updates"):
        if getattr(options, name) is None:
            setattr(options, name, getattr(work, name))
    rounds.at_least(parser, options, pairs=1, envs=1, peer_envs=1, threads=1, warm_up_updates=1, seconds=0.01)
    return options


if __name__ == "__main__":
    main()

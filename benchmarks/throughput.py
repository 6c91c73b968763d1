"""Throughput: agent steps a second of rlrun and of Stable-Baselines3, for the same work on the same cores.

The work: Breakout, the Nature CNN at full width, batches of 32, one update for every 4 agent steps, Adam, Huber loss,
gradients clipped at a norm of 10, 1-step returns, uniform replay of 100,000 steps, epsilon 0.01. Every measurement is
a process of its own; rlrun and its peer take turns, so a machine that slows down slows both. The clock runs only after
the warm-up's updates, and updates are counted where they happen: by hooks on the optimisers' steps.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import machine

LEARNING_STARTS = 1_000  # steps
CAPACITY = 100_000  # steps
STEPS_PER_UPDATE, BATCH = 4, 32
LEARNING_RATE, ADAM_EPS, MAX_GRAD_NORM = 6.25e-5, 1.5e-4, 10.0
EPSILON = 0.01
TARGET_UPDATES = 2_000  # updates between copies to the target network
SIDES = ("rlrun", "sb3", "rlrun-bf16")
TOLERANCE = 0.02  # of the updates a step


def main() -> None:
    options = _options()
    if options.side:
        print(json.dumps(measure(options)))
        return
    machine.warn_if_busy()
    sides = SIDES if options.precision == "bfloat16" else SIDES[:2]
    rows: list[dict[str, Any]] = []
    for pair in range(1, options.pairs + 1):
        for side in sides:
            rows.append({"pair": pair, **in_process(side, options)})
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    check(rows)
    if options.out:
        write_csv(options.out, rows)
    result = summary(rows, options)
    print(table(rows, result))
    if options.json:
        print(json.dumps(result))


def in_process(side: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return one measurement, made by a fresh process."""
    command = [sys.executable, __file__, "--side", side]
    for name in ("seconds", "peer_envs", "envs", "threads", "warm_up_updates"):
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
    """Measure one side in this process."""
    import torch

    torch.set_num_threads(options.threads)
    watch = Stopwatch(options.warm_up_updates, options.seconds)
    count_updates(watch)
    if options.side == "sb3":
        parameters = run_sb3(watch, options.peer_envs)
        envs = options.peer_envs
    else:
        precision = "bfloat16" if options.side == "rlrun-bf16" else "float32"
        parameters = run_rlrun(watch, options.envs, options.threads, precision)
        envs = options.envs
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

    Stable-Baselines3 uses torch's optimiser classes, which have a hook for that; rlrun the functions behind them.
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


def run_rlrun(watch: Stopwatch, num_envs: int, threads: int, precision: str) -> int:
    """Run rlrun's own loop until the watch is over; return the network's number of weights."""
    import torch

    from rlrun import make
    from rlrun.agents.dqn import DQN
    from rlrun.agents.presets import preset
    from rlrun.agents.replay import Replay
    from rlrun.agents.train import Progress, train
    from rlrun.cli.tuning import tune_process

    tune_process(threads)
    config = preset("dqn").with_settings(
        {
            "num_envs": num_envs,
            "precision": precision,
            "batch_size": BATCH,
            "steps_per_update": STEPS_PER_UPDATE,
            "learning_starts": LEARNING_STARTS,
            "replay_capacity": CAPACITY,
            "target_period_updates": TARGET_UPDATES,
            "learning_rate": LEARNING_RATE,
            "learning_rate_end": LEARNING_RATE,
            "optimizer_eps": ADAM_EPS,
            "max_grad_norm": MAX_GRAD_NORM,
            "epsilon_start": EPSILON,
            "epsilon_end": EPSILON,
        }
    )
    envs = make("Breakout", num_envs, 0, "nature", num_threads=threads)
    try:
        shape = envs.single_observation_space.shape
        agent = DQN(config, shape, int(envs.single_action_space.n), seed=0)
        replay = Replay(
            CAPACITY, num_envs, shape, obs_dtype=torch.uint8, stack=shape[0], n_step=1, discount=config.discount, seed=0
        )
        for progress in train(agent, envs, replay, config, Progress.begin(envs.reset()[0])):
            if watch.over(progress.step):
                break
    finally:
        envs.close()
    return sum(weight.numel() for weight in agent.online.parameters())


def run_sb3(watch: Stopwatch, num_envs: int) -> int:
    """Run Stable-Baselines3's DQN until the watch is over; return the network's number of weights."""
    import ale_py
    import gymnasium
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            return not watch.over(self.num_timesteps)

    gymnasium.register_envs(ale_py)
    envs = VecFrameStack(make_atari_env("BreakoutNoFrameskip-v4", n_envs=num_envs, seed=0), 4)
    model = DQN(
        "CnnPolicy",
        envs,
        learning_rate=LEARNING_RATE,
        buffer_size=CAPACITY,
        learning_starts=LEARNING_STARTS,
        batch_size=BATCH,
        train_freq=STEPS_PER_UPDATE,  # steps of all worlds at once ...
        gradient_steps=num_envs,  # ... so this is one update for 4 agent steps, whatever their number
        target_update_interval=TARGET_UPDATES * STEPS_PER_UPDATE,
        max_grad_norm=MAX_GRAD_NORM,
        exploration_initial_eps=EPSILON,
        exploration_final_eps=EPSILON,
        optimize_memory_usage=False,
        policy_kwargs={"optimizer_kwargs": {"eps": ADAM_EPS}},
        seed=0,
        device="cpu",
        verbose=0,
    )
    model.learn(10**9, callback=Watch(), log_interval=None)
    envs.close()
    return sum(weight.numel() for weight in model.policy.q_net.parameters())


def check(rows: list[dict[str, Any]]) -> None:
    """Refuse results in which the sides did not do the same work."""
    if len({row["parameters"] for row in rows}) > 1:
        sys.exit(f"the networks differ: {[(row['side'], row['parameters']) for row in rows]}")
    for row in rows:
        # A short measurement may begin or end between a step and its update: allow two rounds of updates for that.
        slack = TOLERANCE / STEPS_PER_UPDATE + 2 * row["envs"] / row["steps"]
        if abs(row["updates_per_step"] - 1 / STEPS_PER_UPDATE) > slack:
            sys.exit(f"{row['side']} made {row['updates_per_step']} updates a step instead of {1 / STEPS_PER_UPDATE}")


def summary(rows: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Return the medians, and the median over pairs of each pair's ratio to the peer."""
    speeds = {side: [r["steps_per_second"] for r in rows if r["side"] == side] for side in SIDES}
    result: dict[str, Any] = {"kind": "throughput"}
    for key, side in (("fp32", "rlrun"), ("bf16", "rlrun-bf16")):
        if speeds[side]:
            ratios = [ours / peers for ours, peers in zip(speeds[side], speeds["sb3"], strict=True)]
            result[f"ratio_{key}"] = round(median(ratios), 3)
            result[f"ratios_{key}"] = [round(ratio, 3) for ratio in ratios]
    result["steps_per_second"] = {side: median(values) for side, values in speeds.items() if values}
    result["updates_per_step"] = {
        side: median(r["updates_per_step"] for r in rows if r["side"] == side)
        for side, values in speeds.items()
        if values
    }
    names = ("pairs", "seconds", "envs", "peer_envs", "threads", "warm_up_updates")
    return result | {name: getattr(options, name) for name in names} | {"machine": machine.describe()}


def table(rows: list[dict[str, Any]], result: dict[str, Any]) -> str:
    """Return the speeds and ratios as a table, a line for each pair and one for the medians."""
    sides = list(result["steps_per_second"])
    ratios = [name for name in ("ratio_fp32", "ratio_bf16") if name in result]
    lines = [["pair", *(f"{side} steps/s" for side in sides), *(f"{side} upd/step" for side in sides), *ratios]]
    for pair in range(1, result["pairs"] + 1):
        of = {row["side"]: row for row in rows if row["pair"] == pair}
        lines.append(
            [
                str(pair),
                *(f"{of[side]['steps_per_second']:.1f}" for side in sides),
                *(f"{of[side]['updates_per_step']:.4f}" for side in sides),
                *(f"{result[name.replace('ratio', 'ratios')][pair - 1]:.2f}" for name in ratios),
            ]
        )
    lines.append(
        [
            "median",
            *(f"{result['steps_per_second'][side]:.1f}" for side in sides),
            *(f"{result['updates_per_step'][side]:.4f}" for side in sides),
            *(f"{result[name]:.2f}" for name in ratios),
        ]
    )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write every measurement, a row each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _line(row: dict[str, Any]) -> str:
    return (
        f"pair {row['pair']}, {row['side']}: {row['steps_per_second']:.1f} steps/s "
        f"({row['steps']} steps and {row['updates']} updates in {row['seconds']:.1f} s)"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3, help="measurements of each side")
    parser.add_argument("--seconds", type=float, default=25.0, help="of each measurement, after the warm-up")
    parser.add_argument("--envs", type=int, default=8, help="rlrun's worlds")
    parser.add_argument("--peer-envs", type=int, default=1, help="Stable-Baselines3's worlds")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of either side")
    parser.add_argument("--warm-up-updates", type=int, default=100, help="updates before the clock runs")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16 measures rlrun in bfloat16 as well; the peer always computes in float32",
    )
    parser.add_argument("--out", type=Path, help="a CSV file for every measurement")
    parser.add_argument("--json", action="store_true", help="close with one JSON object")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)  # what in_process asks for
    options = parser.parse_args()
    for name in ("pairs", "envs", "peer_envs", "threads", "warm_up_updates"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    if options.seconds <= 0:
        parser.error("--seconds must be above 0")
    return options


if __name__ == "__main__":
    main()

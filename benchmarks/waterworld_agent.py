"""Waterworld's agent: trains seed after seed from nothing, lets each live in fresh worlds, writes all four numbers."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch

import rlrun
from rlrun.agents.window import windowed
from rlrun.cli.errors import CommandError
from rlrun.cli.options import split_settings
from rlrun.cli.run import read_metrics

EVALUATION_SEED = 20_000  # and on: worlds that no training has seen
PARTS = ("proximity", "forward", "digestion")
TARGETS = {"reward": 1.10, "red_per_1000": 4.0, "green_per_1000": 0.25, "wall_hits_per_1000": 5.0}


def lived(player: rlrun.Player, worlds: int, steps: int, epsilon: float, seed: int) -> dict[str, Any]:
    """Return what `worlds` fresh worlds of `steps` each bring at `epsilon`; at 1 the player does not matter."""
    envs = windowed(rlrun.make(player.world, worlds, seed, max_episode_steps=steps), player.config)
    agent = player.agent
    agent.generator.manual_seed(seed)  # of the random actions
    torch.set_num_threads(1)  # a few states at a time
    start = time.perf_counter()
    obs, _ = envs.reset()
    sums = {name: np.zeros(worlds) for name in ("reward", *PARTS, "apples", "poisons", "collided")}
    for _ in range(steps):
        actions = agent.act_silently(torch.as_tensor(obs), epsilon).numpy()
        obs, reward, _, _, info = envs.step(actions)
        sums["reward"] += reward
        for name in (*PARTS, "apples", "poisons", "collided"):
            sums[name] += info[name]
    means = {name: values / steps for name, values in sums.items()}
    thousands = {"red": "apples", "green": "poisons", "wall_hits": "collided"}
    return {
        "epsilon": epsilon,
        "worlds": worlds,
        "steps_each": steps,
        "seed": seed,
        "reward": float(means["reward"].mean()),
        **{f"{name}_per_1000": float(1000 * means[key].mean()) for name, key in thousands.items()},
        **{name: float(means[name].mean()) for name in PARTS},
        "each_world": {name: values.tolist() for name, values in means.items()},
        "wall_seconds": round(time.perf_counter() - start, 1),
    }


def one_seed(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one seed and evaluate what it ends with."""
    start = time.perf_counter()
    run = rlrun.train(
        options.env,
        steps=options.steps,
        preset=options.preset,
        settings=split_settings(options.set),
        seed=seed,
        device=options.device,
        directory=options.dir,
        evaluate=0,
    )
    seconds = time.perf_counter() - start
    rows = [row for row in read_metrics(run.metrics) if row["kind"] == "progress"]
    player = rlrun.load(run, checkpoint="latest")
    player.agent.generator = torch.Generator()
    result = lived(player, options.worlds, options.world_steps, options.epsilon, EVALUATION_SEED + seed)
    return {
        "seed": seed,
        "run": run.folder.name,
        "preset": run.settings.preset,
        "training_seconds": round(seconds, 1),  # all of it: building the worlds and saving too
        "trained_steps": rows[-1]["step"],
        "updates": rows[-1]["updates"],
        "evaluation": result,
        "revision": json.loads((run.folder / "manifest.json").read_text())["revision"],
    }


def sentence(name: str, result: dict[str, Any]) -> str:
    """Return one line with all four numbers."""
    return (
        f"{name}: reward {result['reward']:.4f}, red {result['red_per_1000']:.2f}, green "
        f"{result['green_per_1000']:.2f}, wall hits {result['wall_hits_per_1000']:.2f} per 1,000 steps"
    )


def missed(result: dict[str, Any]) -> list[str]:
    """Return the targets that a result misses."""
    at_least = ("reward", "red_per_1000")
    return [n for n, t in TARGETS.items() if (result[n] < t if n in at_least else result[n] > t)]


def write(path: Path, options: argparse.Namespace, seeds: list[dict[str, Any]], random: dict[str, Any]) -> None:
    """Write the file, whole or not at all."""
    words = ["python", "benchmarks/waterworld_agent.py", "--env", options.env]
    for name in ("steps", "preset", "device"):
        if getattr(options, name) is not None:
            words += [f"--{name}", str(getattr(options, name))]
    words += [word for pair in options.set for word in ("--set", pair)]
    words += ["--seeds", *map(str, options.seeds), "--worlds", str(options.worlds)]
    words += ["--world-steps", str(options.world_steps), "--epsilon", f"{options.epsilon:g}"]
    document = {
        "command": shlex.join(words),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "targets": TARGETS,
        "random": random,
        "seeds": seeds,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(draft, path)


def main() -> None:
    options = _options()
    warning = machine.busy()
    if warning:
        print(warning, file=sys.stderr)
    seeds: list[dict[str, Any]] = []
    random: dict[str, Any] = {}
    for seed in options.seeds:
        try:
            seeds.append(one_seed(seed, options))
        except CommandError as error:
            sys.exit(f"seed {seed}: {error}")
        except KeyboardInterrupt:
            sys.exit(f"stopped in seed {seed}; the seeds before it are in {options.out}")
        result = seeds[-1]["evaluation"]
        print(sentence(f"seed {seed}, {seeds[-1]['training_seconds']:.0f} s of training", result), flush=True)
        if "rldemo" in options.env or options.env.lower() == "waterworld":
            print(f"  misses: {', '.join(missed(result)) or 'none'}", flush=True)
        if not random:
            player = rlrun.load(options.dir / seeds[-1]["run"], checkpoint="latest")
            random = lived(player, options.worlds, options.world_steps, 1.0, EVALUATION_SEED + seed)
            print(sentence("random actions", random), flush=True)
        write(options.out, options, seeds, random)  # after each, so that a run that is stopped keeps what it has


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="Waterworld", help="Waterworld or Waterworld-reinforcejs")
    parser.add_argument("--steps", type=int, default=250_000, help="agent steps of training, for each seed")
    parser.add_argument("--preset", help="see rlrun presets; the world's default if not given")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as rlrun train takes it")
    parser.add_argument("--device", help="cpu or cuda; the GPU by default where there is one")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--worlds", type=int, default=3, help="fresh worlds of the evaluation, for each seed")
    parser.add_argument("--world-steps", type=int, default=50_000, help="steps in each of them")
    parser.add_argument("--epsilon", type=float, default=0.05, help="of the evaluation")
    parser.add_argument("--dir", type=Path, default=Path("runs"), help="the folder of runs")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Waterworld's agent: trains seed after seed from nothing, lets each live in fresh worlds, writes all four numbers."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
import rounds
import torch

import rlrun
from rlrun.cli.errors import CommandError
from rlrun.cli.options import split_settings
from rlrun.cli.run import read_metrics

EVALUATION_SEED = 20_000  # and on: worlds that no training has seen
PARTS = ("proximity", "forward", "digestion")  # of the reward
EVENTS = {"apples": "red", "poisons": "green", "collided": "wall_hits"}  # in an info, and as they are reported
TARGETS = {"reward": 1.10, "red_per_1000": 4.0, "green_per_1000": 0.25, "wall_hits_per_1000": 5.0}


def lived(
    players: list[rlrun.Player], worlds: int, steps: int, epsilon: float, seed: int = EVALUATION_SEED
) -> list[dict[str, Any]]:
    """Return what `worlds` fresh worlds of `steps` each bring to each player, and at last to random actions.

    All of them live in one batch: a world is the same in any company.
    """
    first = players[0]
    rows = [slice(worlds * index, worlds * (index + 1)) for index in range(len(players) + 1)]
    envs = first.seeing(rlrun.make(first.world, worlds * len(rows), seed, max_episode_steps=steps))
    for index, player in enumerate(players):
        player.agent.generator.manual_seed(seed + index)  # of the random actions
    chance = np.random.default_rng(seed)
    count = first.agent.actions
    torch.set_num_threads(1)  # few states at a time: a second thread would only wait
    start = time.perf_counter()
    obs, _ = envs.reset()
    sums = {name: np.zeros(worlds * len(rows)) for name in ("reward", *PARTS, *EVENTS)}
    for _ in range(steps):
        seen = torch.as_tensor(obs)
        chosen = [p.agent.act_silently(seen[part], epsilon).numpy() for p, part in zip(players, rows, strict=False)]
        obs, reward, _, _, info = envs.step(np.concatenate([*chosen, chance.integers(count, size=worlds)]))
        for name in sums:
            sums[name] += reward if name == "reward" else info[name]
    seconds = round(time.perf_counter() - start, 1)
    return [
        {
            "epsilon": epsilon if index < len(players) else 1.0,
            "worlds": worlds,
            "steps_each": steps,
            "seed": seed,
            **{name: float(sums[name][part].mean() / steps) for name in ("reward", *PARTS)},
            **{f"{EVENTS[name]}_per_1000": float(1000 * sums[name][part].mean() / steps) for name in EVENTS},
            "each_world": {name: (values[part] / steps).tolist() for name, values in sums.items()},
            "wall_seconds_of_all": seconds,
        }
        for index, part in enumerate(rows)
    ]


def trained(seed: int, options: argparse.Namespace) -> tuple[dict[str, Any], rlrun.Player]:
    """Train one seed; return what there is to tell of it, and the agent that it ends with."""
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
    told = {
        "seed": seed,
        "run": run.folder.name,
        "preset": run.settings.preset,
        "training_seconds": round(seconds, 1),  # all of it: building the worlds and saving too
        "trained_steps": rows[-1]["step"],
        "updates": rows[-1]["updates"],
        "revision": json.loads((run.folder / "manifest.json").read_text())["revision"],
    }
    return told, rlrun.load(run, checkpoint="latest")


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
    words += rounds.settings_words(options)
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
    rounds.write_json(path, document)


def main() -> None:
    options = _options()
    machine.warn_if_busy()
    runs: list[tuple[dict[str, Any], rlrun.Player]] = []
    try:
        for seed in options.seeds:
            runs.append(trained(seed, options))
            print(f"seed {seed}: trained in {runs[-1][0]['training_seconds']:.0f} s", flush=True)
        results = lived([player for _, player in runs], options.worlds, options.world_steps, options.epsilon)
    except CommandError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(f"stopped; what was trained is in {options.dir}")
    random = results.pop()
    seeds = [{**told, "evaluation": result} for (told, _), result in zip(runs, results, strict=True)]
    print(sentence("random actions", random))
    for told in seeds:
        print(sentence(f"seed {told['seed']}, {told['training_seconds']:.0f} s of training", told["evaluation"]))
        if runs[0][1].world == "Waterworld":
            print(f"  misses: {', '.join(missed(told['evaluation'])) or 'none'}")
    write(options.out, options, seeds, random)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="Waterworld", help="Waterworld or Waterworld-reinforcejs")
    parser.add_argument("--steps", type=int, default=250_000, help="agent steps of training, for each seed")
    parser.add_argument("--preset", help="see rlrun presets; the world's default if not given")
    rounds.add_settings(parser)
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

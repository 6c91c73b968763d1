"""Learning: trains seed after seed from nothing, evaluates each, and writes all scores to one JSON file."""

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

import rlrun
from rlrun.cli.errors import CommandError
from rlrun.cli.evaluate import measure
from rlrun.cli.options import split_settings
from rlrun.cli.run import read_metrics

KEPT = (
    "env", "protocol", "checkpoint", "step", "episodes", "cut", "epsilon", "mean", "interval", "human_normalised",
    "references", "scores", "lengths",
)  # fmt: skip


def main() -> None:
    options = _options()
    machine.warn_if_busy()
    results: list[dict[str, Any]] = []
    for seed in options.seeds:
        try:
            results.append(one_seed(seed, options))
        except CommandError as error:
            sys.exit(f"seed {seed}: {error}")
        except KeyboardInterrupt:
            sys.exit(f"stopped in seed {seed}; the seeds before it are in {options.out}")
        write(options.out, results, options)  # after each, so that a run that is stopped keeps what it has
        low, high = results[-1]["interval"]
        print(
            f"seed {seed}: {results[-1]['mean']:.2f} ({low:.2f} to {high:.2f}) after "
            f"{results[-1]['training_seconds']:.0f} s of training",
            flush=True,
        )
    means = [result["mean"] for result in results]
    print(f"mean over {len(means)} seeds: {np.mean(means):.2f}, from {min(means):.2f} to {max(means):.2f}")


def one_seed(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate one seed."""
    start = time.perf_counter()
    run = rlrun.train(
        options.env,
        steps=options.steps,
        minutes=options.minutes,
        preset=options.preset,
        settings=split_settings(options.set),
        protocol=options.protocol,
        seed=seed,
        device=options.device,
        directory=options.dir,
        evaluate=0,
    )
    training_seconds = time.perf_counter() - start
    score = measure(run, options.episodes)
    rows = [row for row in read_metrics(run.metrics) if row["kind"] == "progress"]
    last = rows[-1] if rows else {}
    return {
        "seed": seed,
        "run": run.folder.name,
        "preset": run.settings.preset,
        "settings": options.set,
        "training_seconds": round(training_seconds, 1),  # all of it: building the worlds and saving too
        "loop_seconds": last.get("seconds"),  # what --minutes counts
        "trained_steps": last.get("step"),
        "updates": last.get("updates"),
        "evaluation_seconds": score["wall_seconds"],
        "evaluation_seed": score["seed"],
        "revision": json.loads((run.folder / "manifest.json").read_text())["revision"],
        **{name: score[name] for name in KEPT},
    }


def write(path: Path, results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the file, whole or not at all."""
    means = [result["mean"] for result in results]
    document = {
        "command": command(options),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "mean_of_means": float(np.mean(means)),
        "lowest_mean": min(means),
        "seeds": results,
    }
    rounds.write_json(path, document)


def command(options: argparse.Namespace) -> str:
    """Return the command that repeats this, without the folders of this machine."""
    words = ["python", "benchmarks/learning.py", "--env", options.env]
    for name in ("minutes", "steps", "preset", "protocol", "device"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    words += rounds.settings_words(options)
    words += ["--seeds", *map(str, options.seeds), "--episodes", str(options.episodes)]
    return shlex.join([*words, "--out", options.out.name])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", required=True, help="as rlrun train takes it")
    parser.add_argument("--minutes", type=float, help="of training, for each seed")
    parser.add_argument("--steps", type=int, help="agent steps, for each seed")
    parser.add_argument("--preset", help="see rlrun presets; the world's default if not given")
    parser.add_argument("--protocol", help="Atari only: machado (default) or nature")
    rounds.add_settings(parser)
    parser.add_argument("--device", help="cpu or cuda; the GPU by default where there is one")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=100, help="of the evaluation, for each seed")
    parser.add_argument("--dir", type=Path, default=Path("runs"), help="the folder of runs")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    options = parser.parse_args()
    if options.minutes is None and options.steps is None:
        parser.error("give a budget: --minutes or --steps")
    if options.episodes < 1:
        parser.error("--episodes must be at least 1")
    return options


if __name__ == "__main__":
    main()

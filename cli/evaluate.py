"""rlrun evaluate: how good a trained agent is, beside the human's and the published scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rich_click as click

from .options import usual
from .run import Run

WORLDS = 10  # that play at once
SEED_OFFSET = 10_000  # evaluation never sees the seeds of training
STEPS_AN_EPISODE = 10_000  # the cap, on average: an agent that stalls is cut


@click.command("evaluate")
@click.argument("run")
@click.option("--episodes", type=click.IntRange(1), help="Whole episodes to play.  [default: 100; in Waterworld 10]")
@click.option("--epsilon", type=click.FloatRange(0, 1), help="Share of random actions; the preset's by default.")
@click.option("--checkpoint", type=click.Choice(["best", "latest"]), default="best", show_default=True)
@click.option("--protocol", help="Atari only: machado or nature; the one it was trained under by default.")
@click.option("--seed", type=click.IntRange(0), help="Of the worlds; one that training did not use by default.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(run: str, directory: Path, episodes: int | None, as_json: bool, **options: Any) -> None:
    """Play whole episodes without learning and tell the score."""
    conclude(Run.find(run, directory), episodes, as_json, **options)


def conclude(run: Run, episodes: int | None, as_json: bool, **options: Any) -> dict[str, Any]:
    """Evaluate a run's agent over `episodes` episodes, None for as many as is usual; write, print and return it."""
    if episodes is None:
        from ..envs.catalogue import find

        episodes = usual(find(run.settings.env)).episodes
    result = measure(run, episodes, **options)
    run.record("evaluation", **result)
    print(json.dumps({"kind": "evaluation", **result}) if as_json else "\n".join(sentences(result)), flush=True)
    return result


def measure(
    run: Run,
    episodes: int,
    *,
    epsilon: float | None = None,
    checkpoint: str = "best",
    protocol: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return the scores of `episodes` episodes and everything that a reader needs to compare them."""
    import time

    from ..agents.evaluate import evaluate
    from ..envs import human_normalised, make, reference_scores
    from .player import load_player
    from .tuning import on_one_thread

    player = load_player(run, checkpoint=checkpoint)
    epsilon = player.config.evaluation_epsilon if epsilon is None else epsilon
    protocol = player.protocol if protocol is None else protocol
    seed = player.seed + SEED_OFFSET if seed is None else seed
    worlds = make(player.world, min(WORLDS, episodes), seed, protocol if player.protocol != "none" else "machado")
    envs = player.seeing(worlds)
    numbers = len(player.agent.obs_shape) != 3  # so few of them that a second thread would only wait for the first
    start = time.perf_counter()
    try:
        with on_one_thread(numbers):
            result = evaluate(player.agent, envs, episodes, epsilon, max_steps=STEPS_AN_EPISODE * episodes)
    finally:
        envs.close()
    low, high = result.interval()
    return {
        "run": str(run.folder),
        "env": player.name,
        "protocol": protocol,
        "checkpoint": player.checkpoint,
        "step": player.step,
        "episodes": len(result.scores),
        "cut": result.cut,
        "epsilon": epsilon,
        "seed": seed,
        "mean": result.mean,
        "interval": [low, high],
        "human_normalised": human_normalised(player.name, result.mean),
        "references": dict(reference_scores(player.name)),
        "scores": list(result.scores),
        "lengths": list(result.lengths),
        "wall_seconds": round(time.perf_counter() - start, 1),
        "command": f"rlrun evaluate {run.folder} --episodes {episodes} --epsilon {epsilon:g} --seed {seed} "
        f"--checkpoint {checkpoint} --protocol {protocol}",
    }


def sentences(result: dict[str, Any]) -> list[str]:
    """Return the result as lines of text."""
    low, high = result["interval"]
    lines = [
        f"{result['env']}: mean score {result['mean']:.2f} (95% interval {low:.2f} to {high:.2f}) over "
        f"{result['episodes']} episodes, checkpoint {result['checkpoint']} at step {result['step']:,}, "
        f"epsilon {result['epsilon']:g}"
        + (f", {result['protocol']} protocol" if result["protocol"] != "none" else "")
        + f", in {result['wall_seconds']:.0f} s"
    ]
    if result["cut"]:
        lines.append(f"{result['cut']} of these episodes stalled and were cut: they count with their score so far")
    if result["human_normalised"] is not None:
        lines.append(f"human-normalised: {result['human_normalised']:.2f} (0 is random play, 1 a human)")
    if result["references"]:
        lines.append("beside it: " + ", ".join(f"{who} {score:g}" for who, score in result["references"].items()))
    lines.append(f"again: {result['command']}")
    return lines

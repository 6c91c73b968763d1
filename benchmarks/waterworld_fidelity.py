"""Waterworld's fidelity: replays recorded runs of the original through our core in float64 and tells the errors."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rlrun.envs.errors import WorldError
from rlrun.envs.waterworld.core import Core
from rlrun.envs.waterworld.explicit import read_state
from rlrun.envs.waterworld.layout import AGEING_PERIOD, OLD, RLDEMO, SPAWN_PERIOD
from rlrun.envs.waterworld.state import EMPTY, Arrivals, Events
from rlrun.envs.waterworld.variants import core_of

TOLERANCE = 1e-9  # px, rad or reward
COUNTS = ("eye type", "collided", "eaten", "ageing", "spawning", "items")
ERRORS = ("pose", "eye distance", "reward", "reward's parts")


class Fidelity(NamedTuple):
    """How far a replay is from its recording."""

    name: str
    steps: int
    mismatches: dict[str, int]  # of each of COUNTS
    errors: dict[str, float]  # the largest of each of ERRORS

    @property
    def holds(self) -> bool:
        """Whether nothing differs by more than the tolerance."""
        return not any(self.mismatches.values()) and all(error <= TOLERANCE for error in self.errors.values())

    def __str__(self) -> str:
        """Return one line."""
        counts = ", ".join(f"{name} {count}" for name, count in self.mismatches.items())
        errors = ", ".join(f"{name} {error:.2e}" for name, error in self.errors.items())
        verdict = "ok" if self.holds else "DIFFERS"
        return f"{self.name}: {self.steps} steps; mismatches: {counts}; largest errors: {errors}; {verdict}"


def replayed(episode: dict[str, Any]) -> Fidelity:
    """Live a recorded episode again, with the chance that was recorded, and return how far it went off.

    The world is never put back on the recording's track: what differs once goes on differing.
    """
    core = _core([episode["init"]])
    slots = list(range(len(episode["init"]["items"])))  # of the original's list of items, in its order
    mismatches = dict.fromkeys(COUNTS, 0)
    errors = dict.fromkeys(ERRORS, 0.0)

    def differ(name: str, ours: Any, theirs: Any) -> None:
        exact = (torch.as_tensor(value, dtype=torch.float64) for value in (ours, theirs))
        distance = torch.sub(*exact).abs().max()
        errors[name] = max(errors[name], float(distance.nan_to_num(torch.inf)))

    for step, action in enumerate(episode["action"]):
        mismatches["eye type"] += int((core.sight.kind[0] != torch.tensor(episode["eye_type"][step])).sum())
        differ("eye distance", core.sight.distance[0], episode["eye_dist"][step])
        aged, eaten, spawned = (episode[name][step] for name in ("aged_out", "eaten", "spawned"))
        vanishing = torch.tensor([slots[index] for index in aged], dtype=torch.int64)
        age = core.state.clock + 1 - core.state.item_born[0, vanishing]
        tick = core.tick(torch.tensor([action]), Events(vanishing, _arrivals(spawned)))
        clock = int(core.state.clock)
        # Chance is recorded, but what it may do and when is ours to know.
        mismatches["ageing"] += int((age <= OLD).sum()) + bool(aged and clock % AGEING_PERIOD)
        mismatches["eaten"] += sorted(tick.eaten.tolist()) != sorted(slots[index] for index in eaten)
        gone = {*tick.eaten.tolist(), *vanishing.tolist()}
        slots = [slot for slot in slots if slot not in gone]
        if spawned:
            mismatches["spawning"] += len(slots) >= RLDEMO.items or bool(clock % SPAWN_PERIOD)
            used = (core.state.item_kind[0] != EMPTY).nonzero()[:, 0].tolist()
            slots += [slot for slot in used if slot not in slots]
        mismatches["items"] += len(slots) != episode["n_items"][step] or int(
            (core.state.item_kind != EMPTY).sum()
        ) != len(slots)
        mismatches["collided"] += bool(tick.collided) != bool(episode["collided"][step])
        state = core.state
        differ(
            "pose",
            [float(state.x), float(state.y), float(state.angle)],
            [episode[k][step] for k in ("x", "y", "angle")],
        )
        differ("reward", float(tick.reward), episode["reward"][step])
        for part in ("proximity", "forward", "digestion"):
            if f"r_{part}" in episode:
                differ("reward's parts", float(getattr(tick, part)), episode[f"r_{part}"][step])
    return Fidelity(episode["name"], len(episode["action"]), mismatches, errors)


def seen(vectors: list[dict[str, Any]]) -> Fidelity:
    """Look from independent states and return how far the readings are off."""
    core = _core([{"clock": 0, **vector} for vector in vectors])
    kinds = torch.tensor([vector["eye_type"] for vector in vectors])
    distances = torch.tensor([vector["eye_dist"] for vector in vectors], dtype=torch.float64)
    error = float((core.sight.distance - distances).abs().max())
    return Fidelity("eyes", len(vectors), {"eye type": int((core.sight.kind != kinds).sum())}, {"eye distance": error})


def _core(states: list[dict[str, Any]]) -> Core:
    """Return a core with these worlds, in float64."""
    core = core_of("rldemo", torch.zeros(len(states), dtype=torch.int64), dtype=torch.float64)
    for row, state in enumerate(states):
        plain = {key: state[key] for key in ("x", "y", "angle", "clock", "items")}
        plain["items"] = [[*item, 0][:4] for item in plain["items"]]  # the vectors tell no age
        world = read_state(RLDEMO, plain, dtype=torch.float64, device=core.device)
        core.state.replace_rows(torch.tensor([row]), world)
    core.sight = core.looked()
    return core


def _arrivals(spawned: Any) -> Arrivals:
    """Return what a recording says of a new item: 0 for none, or its [x, y, type]."""
    x, y, kind = spawned[:3] if spawned else ((), (), ())
    row = [0] if spawned else []
    places = torch.tensor([[x], [y]] if spawned else [[], []], dtype=torch.float64)
    kinds = torch.tensor([kind] if spawned else [], dtype=torch.int8)
    still = torch.zeros(len(row), dtype=torch.float64)
    return Arrivals(torch.tensor(row, dtype=torch.int64), kinds, places[0], places[1], still, still)


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments`, the process's own if None; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=Path, help="recorded episodes, JSON")
    parser.add_argument("--eyes", type=Path, help="states and what is seen in them, JSON")
    options = parser.parse_args(arguments)
    if options.trajectories is None and options.eyes is None:
        parser.error("give --trajectories FILE, --eyes FILE or both")
    results: list[Fidelity] = []
    try:
        if options.trajectories is not None:
            results += map(replayed, json.loads(options.trajectories.read_text())["episodes"])
        if options.eyes is not None:
            results.append(seen(json.loads(options.eyes.read_text())["vectors"]))
    except (OSError, ValueError, KeyError, IndexError, WorldError) as error:
        print(f"error: the recording cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 3
    print("\n".join(map(str, results)))
    print("the replay holds" if all(result.holds for result in results) else "THE REPLAY DOES NOT HOLD")
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

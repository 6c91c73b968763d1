"""Gymnasium names: which of its ids can be trained on, what they are, and what their actions are called."""

from __future__ import annotations

from typing import NamedTuple

import gymnasium

from .atari_names import normalised, without_version


class Known(NamedTuple):
    """An environment that comes with gymnasium and fits: Discrete actions, Box or Discrete observations."""

    kind: str
    description: str
    action_names: tuple[str, ...]


_WINDS = ("left", "down", "right", "up")
_COMPASS = ("up", "right", "down", "left")

# The words are those of gymnasium's own documentation pages. A test makes each one and compares.
KNOWN: dict[str, Known] = {
    "Acrobot-v1": Known(
        "classic control", "swing a two-link arm above the bar", ("torque -1", "torque 0", "torque +1")
    ),
    "CartPole-v1": Known("classic control", "keep a pole upright on a cart", ("left", "right")),
    "MountainCar-v0": Known("classic control", "rock a weak car out of a valley", ("push left", "coast", "push right")),
    "LunarLander-v3": Known(
        "box2d", "land softly between two flags", ("coast", "left engine", "main engine", "right engine")
    ),
    "CliffWalking-v1": Known("toy text", "cross a grid along a cliff edge", _COMPASS),
    "CliffWalkingSlippery-v1": Known("toy text", "the cliff edge, on slippery ground", _COMPASS),
    "FrozenLake-v1": Known("toy text", "cross a 4x4 slippery lake with holes", _WINDS),
    "FrozenLake8x8-v1": Known("toy text", "cross an 8x8 slippery lake with holes", _WINDS),
    "Taxi-v4": Known(
        "toy text",
        "fetch a passenger and bring them to their stop",
        ("south", "north", "east", "west", "pick up", "drop off"),
    ),
}


def registered() -> dict[str, str]:
    """Return normalised spelling -> id of every environment gymnasium knows, ale-py's own ids left out.

    Each id answers to itself and, in its newest version, to its name without the version.
    """
    found: dict[str, str] = {}
    newest: dict[str, int] = {}
    for spec in gymnasium.registry.values():
        if str(spec.entry_point).startswith("ale_py"):
            continue
        found[normalised(spec.id)] = spec.id
        bare = normalised(without_version(spec.id))
        if (spec.version or 0) >= newest.get(bare, 0):
            newest[bare] = spec.version or 0
            found[bare] = spec.id
    return found


def gym_id(name: str) -> str | None:
    """Return gymnasium's id for an exact id or a loose spelling (`cartpole`, `lunar_lander`), or None."""
    spec = gymnasium.registry.get(name)
    if spec is not None and not str(spec.entry_point).startswith("ale_py"):
        return name
    return registered().get(normalised(name))

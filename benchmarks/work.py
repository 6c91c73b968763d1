"""Work: what every side of a throughput comparison does alike, and who watches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

DISCOUNT, EPSILON = 0.99, 0.01
MAX_GRAD_NORM = 10.0


@dataclass(frozen=True)
class Work:
    """What every side does alike: one network, one world, one rhythm of steps and updates."""

    world: str  # as rlrun calls it
    peer_world: str  # as gymnasium calls the bare one
    pixels: bool
    preset: str
    batch: int = 32
    steps_per_update: int = 4
    learning_rate: float = 6.25e-5
    adam_eps: float = 1.5e-4
    target_updates: int = 2_000  # updates between copies to the target network
    learning_starts: int = 1_000  # steps
    capacity: int = 100_000  # steps
    envs: int = 16  # rlrun's worlds
    warm_up_updates: int = 100  # before the clock runs
    hidden: tuple[int, ...] = (512,)  # units after the convolutions, or of all of the MLP
    settings: dict[str, Any] = field(default_factory=dict)  # rlrun's, beside those above


def _numbers(world: str, peer_world: str, first: int, second: int, batch: int = 32) -> Work:
    """Return the work of an MLP with layers of `first` and `second` units in a world that shows numbers."""
    return Work(
        world,
        peer_world,
        False,
        "dqn",
        batch=batch,
        envs=32,
        hidden=(first, second),
        settings={"body": "mlp", "mlp_hidden": (first,), "hidden": (second,), "reward_clip": 0.0},
    )


WORKS = {
    "breakout": Work("Breakout", "BreakoutNoFrameskip-v4", True, "dqn"),
    # Stable-Baselines3's own sizes: so small that what runs is Python, not arithmetic.
    "cartpole": _numbers("CartPole-v1", "CartPole-v1", 64, 64),
    # The sizes of rlrun's preset for such worlds.
    "cartpole-wide": _numbers("CartPole-v1", "CartPole-v1", 256, 256, batch=128),
    # A world of ours: the peers step it as gymnasium's door shows it, one world at a time.
    "waterworld": _numbers("Waterworld", "rlrun/Waterworld-v0", 64, 64),
}


class Watch(Protocol):
    """Whoever counts."""

    def over(self, steps: int) -> bool:
        """Hear that `steps` agent steps are made in all; return whether that is enough."""

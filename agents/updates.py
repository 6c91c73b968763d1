"""Updates: sample, learn, write the priorities back; one update as a function, and who makes those that are due."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Protocol

from torch import Tensor

from .config import Config
from .dqn import DQN
from .progress import Progress
from .replay import Replay


class Updates(Protocol):
    """Whoever makes updates."""

    def __call__(self, count: int, progress: Progress) -> None:
        """Make `count` updates at the step of `progress`, and count them and their seconds there."""


def update(
    agent: DQN, replay: Replay, batch_size: int, importance_exponent: float | Tensor, learning_rate: float | Tensor
) -> float:
    """Make one update; return the moment, of `perf_counter`, when its batch was there.

    All that it reads and changes are tensors of the agent and the replay, changed in place, and nothing here depends
    on a number in them: it can be captured as a graph. Then the two numbers are scalars on the device, which may be
    set anew between two replays of the graph.
    """
    batch = replay.sample(batch_size, importance_exponent)
    sampled = perf_counter()
    agent.optimiser.set_learning_rate(learning_rate)
    replay.update(batch.index, agent.learn(batch))
    return sampled


class EagerUpdates:
    """Makes updates one operation after the other: on a CPU, and where nothing else can."""

    def __init__(self, agent: DQN, replay: Replay, config: Config) -> None:
        """Make the updates of `agent` from `replay`."""
        self._agent, self._replay, self._config = agent, replay, config

    def __call__(self, count: int, progress: Progress) -> None:
        """Make `count` updates at the step of `progress`, and count them and their seconds there."""
        config = self._config
        for _ in range(count):
            before = perf_counter()
            if config.copies_target(progress.updates):
                self._agent.copy_to_target()
            beta, rate = config.importance_exponent(progress.step), config.learning_rate_at(progress.step)
            sampled = update(self._agent, self._replay, config.batch_size, beta, rate)
            progress.updates += 1
            progress.seconds["sample"] += sampled - before
            progress.seconds["learn"] += perf_counter() - sampled


def pieces(first: int, count: int, size: int, config: Config) -> Iterator[tuple[bool, int]]:
    """Yield updates number `first` to `first + count` in pieces of `size` or 1, as (target copied before, updates).

    A copy to the target network falls on a piece's beginning only, so what a piece does is always the same.
    """
    update, last = first, first + count
    while update < last:
        whole = update + size <= last and not any(map(config.copies_target, range(update + 1, update + size)))
        length = size if whole else 1
        yield config.copies_target(update), length
        update += length

"""Updates: sample, learn, write the priorities back; one update as a function, and who makes those that are due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor

from .config import Config
from .dqn import DQN
from .progress import Progress
from .replay import Batch, Replay
from .script import Scripted, scripted_after

POOLED = 256
"""Transitions at most of updates that share a sample and a pass: what they gain by that, they have gained by then."""

SCRIPTED_AFTER = 1_000
"""Updates after which they are scripted on a CPU: each takes .3 to 1.3 ms less then."""


class Updates(Protocol):
    """Whoever makes updates."""

    def __call__(self, count: int, progress: Progress) -> None:
        """Make `count` updates at the step of `progress`, and count them and their seconds there."""


def update(
    agent: DQN,
    replay: Replay,
    batch_size: int,
    importance_exponent: float | Tensor,
    learning_rate: float | Tensor,
    learn: Callable[[Batch], Tensor] | None = None,
) -> float:
    """Make one update; return the moment, of `perf_counter`, when its batch was there.

    All that it reads and changes are tensors of the agent and the replay, changed in place, and nothing here depends
    on a number in them: it can be captured as a graph. Then the two numbers are scalars on the device, which may be
    set anew between two replays of the graph. `learn` does what `DQN.learn` does, if that itself is not to.
    """
    batch = replay.sample(batch_size, importance_exponent, departs=agent.departs)
    sampled = perf_counter()
    agent.optimiser.set_learning_rate(learning_rate)
    replay.update(batch.index, (learn or agent.learn)(batch))
    return sampled


class EagerUpdates:
    """Makes one update after the other: on a CPU, and where nothing else can."""

    def __init__(self, agent: DQN, replay: Replay, config: Config) -> None:
        """Make the updates of `agent` from `replay`."""
        self._agent, self._replay, self._config = agent, replay, config
        after = scripted_after(config, agent.device, SCRIPTED_AFTER)
        self._ahead = Scripted(lambda *tensors: _reward_and_ahead(agent, Batch(*tensors)), after)
        self._slopes = Scripted(agent.slopes, after)

    def __call__(self, count: int, progress: Progress) -> None:
        """Make `count` updates at the step of `progress`, and count them and their seconds there."""
        config = self._config
        for _ in range(count):
            before = perf_counter()
            if config.copies_target(progress.updates):
                self._agent.copy_to_target()
            beta, rate = config.importance_exponent(progress.step), config.learning_rate_at(progress.step)
            sampled = update(self._agent, self._replay, config.batch_size, beta, rate, self._learn)
            progress.updates += 1
            progress.seconds["sample"] += sampled - before
            progress.seconds["learn"] += perf_counter() - sampled

    def _learn(self, batch: Batch) -> Tensor:
        """Do what the agent's `learn` does, by scripts after a while."""
        self._agent.draw_noise()
        reward, ahead = self._ahead(*batch)
        priority, *downhill = self._slopes(*batch._replace(reward=reward), ahead)
        self._agent.move(downhill)
        return priority

    @property
    def scripts(self) -> int:
        """How many scripts of gradients there are."""
        return self._slopes.scripts


class PooledUpdates:
    """Makes updates whose batches are drawn at once and go through the target network in one pass.

    They are the updates that `EagerUpdates` makes, of other draws: the target network stays until the next copy, and a
    uniform sample does not depend on what the update before it did; see `poolable`. The Nature network's pass on two
    cores takes a seventh less time for 128 images than for four times 32.
    """

    def __init__(self, agent: DQN, replay: Replay, config: Config) -> None:
        """Make the updates of `agent` from `replay`."""
        self._agent, self._replay, self._config = agent, replay, config
        self._most = max(1, POOLED // config.batch_size)
        after = scripted_after(config, agent.device, SCRIPTED_AFTER)
        self._ahead = Scripted(lambda *tensors: _reward_and_ahead(agent, Batch(*tensors)), after)
        self._downhill = Scripted(lambda *tensors: agent.slopes(*tensors)[1:], after)  # priorities say nothing here

    def __call__(self, count: int, progress: Progress) -> None:
        """Make `count` updates at the step of `progress`, and count them and their seconds there."""
        agent, config = self._agent, self._config
        agent.optimiser.set_learning_rate(config.learning_rate_at(progress.step))
        for copied, length in runs(progress.updates, count, self._most, config):
            before = perf_counter()
            if copied:
                agent.copy_to_target()
            pool = self._replay.sample(config.batch_size, count=length)
            sampled = perf_counter()
            reward, ahead = self._ahead(*pool)
            pool = pool._replace(reward=reward)
            batches = zip(pool.split(config.batch_size), torch.split(ahead, config.batch_size), strict=True)
            self._downhill.each(((*batch, outputs) for batch, outputs in batches), agent.move)
            progress.updates += length
            progress.seconds["sample"] += sampled - before
            progress.seconds["learn"] += perf_counter() - sampled

    @property
    def scripts(self) -> int:
        """How many scripts of gradients there are."""
        return self._downhill.scripts


def _reward_and_ahead(agent: DQN, pool: Batch) -> list[Tensor]:
    """Return what `agent.look_ahead` says of `pool`, as tensors: the rewards, (B,), and what comes next."""
    pool, ahead = agent.look_ahead(pool)
    return [pool.reward, ahead]


def poolable(config: Config) -> bool:
    """Return whether updates may share a sample and a pass: nothing in them depends on the update before but by Q."""
    if config.priority_exponent or config.watkins_tolerance:  # what is drawn, or how far it goes, is asked of Q
        return False
    # And not where networks are compiled, which happens anew for each number of observations in a pass.
    return not config.noisy and not config.compile


def eager_updates(agent: DQN, replay: Replay, config: Config) -> Updates:
    """Return who makes updates as a CPU does: pooled where that changes nothing."""
    return (PooledUpdates if poolable(config) else EagerUpdates)(agent, replay, config)


def runs(first: int, count: int, most: int, config: Config) -> Iterator[tuple[bool, int]]:
    """Yield updates number `first` to `first + count` in runs of up to `most`, as (target copied before, updates).

    A copy to the target network falls on a run's beginning only.
    """
    update, last = first, first + count
    while update < last:
        length = 1
        while length < most and update + length < last and not config.copies_target(update + length):
            length += 1
        yield config.copies_target(update), length
        update += length


def pieces(first: int, count: int, size: int, config: Config) -> Iterator[tuple[bool, int]]:
    """Yield updates number `first` to `first + count` in pieces of `size` or 1, as (target copied before, updates).

    A copy to the target network falls on a piece's beginning only, so what a piece does is always the same.
    """
    for copied, length in runs(first, count, size, config):
        if length == size:
            yield copied, size
        else:
            yield from ((copied and number == 0, 1) for number in range(length))

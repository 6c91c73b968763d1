"""The training loop for worlds in two halves: one half is acted for while the other steps."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .dqn import DQN
from .progress import Progress
from .replay import Replay
from .train import Envs, count, store, train, updates_due
from .updates import Updates, eager_updates


@runtime_checkable
class Halved(Protocol):
    """N worlds that step as two halves, each as `Envs` do and with NumPy arrays; the first half's rows come first."""

    @property
    def halves(self) -> tuple[Envs, Envs]:
        """Both halves."""


def train_as_they_step(
    agent: DQN, envs: Envs | Halved, replay: Replay, config: Config, progress: Progress, updates: Updates | None = None
) -> Iterator[Progress]:
    """Train in turns where the worlds come in halves, else as `train` does."""
    if isinstance(envs, Halved):
        return train_in_turns(agent, envs, replay, config, progress, updates)
    return train(agent, envs, replay, config, progress, updates)


def train_in_turns(
    agent: DQN, envs: Halved, replay: Replay, config: Config, progress: Progress, updates: Updates | None = None
) -> Iterator[Progress]:
    """Train as `train` does, from worlds whose halves step in turns.

    A GPU answers for one half while the emulators of the other run, so that they wait for it less. The rows that are
    stored are those of both halves at the same step; when the first half acts, the second's last step is not counted
    yet, and that is all that differs. Whenever progress is yielded, the first half is under way already.
    """
    updates = updates or eager_updates(agent, replay, config)
    clock = perf_counter
    seconds = progress.seconds
    first, second = envs.halves

    def act(half: Envs, obs: Tensor) -> Tensor:
        start = clock()
        actions = agent.act(obs, config.epsilon(progress.step))
        half.send(actions.cpu().numpy())
        seconds["act"] += clock() - start
        return actions

    def receive(half: Envs) -> tuple[Tensor, list[Any]]:
        start = clock()
        obs, reward, terminated, truncated, info = half.recv()
        received = clock()
        seen = torch.as_tensor(obs).to(agent.device)
        seconds["envs"] += received - start
        seconds["store"] += clock() - received
        return seen, [reward, terminated, truncated, info["reset"], info["life_lost"]]

    obs = torch.as_tensor(progress.obs).to(agent.device)
    begun = act(first, obs[: first.num_envs])
    while True:
        actions = torch.cat([begun, act(second, obs[first.num_envs :])])
        due = updates_due(progress, config, replay)
        if due:
            updates(due, progress)
        first_obs, told = receive(first)
        begun = act(first, first_obs)  # while the second half steps
        second_obs, told_too = receive(second)
        start = clock()
        reward, terminated, truncated, reset, life_lost = map(np.concatenate, zip(told, told_too, strict=True))
        store(replay, config, obs, actions, reward, terminated, truncated, life_lost)
        count(progress, reward, terminated, truncated, reset)
        progress.obs = obs = torch.cat([first_obs, second_obs])
        seconds["store"] += clock() - start
        yield progress

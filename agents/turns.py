"""The training loop for worlds in two halves: one half is acted for while the other steps."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from .accelerator import build_acting, build_updates, build_uploads
from .config import Config
from .dqn import DQN
from .progress import Progress
from .replay import Replay
from .train import Envs, as_learned, count, train, updates_due
from .updates import Updates


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

    Acting, learning and the emulators go on at the same time, and nobody waits for a copy: while one half steps, a GPU
    answers for the other, by the network as it was at the turn's beginning, and makes the updates that are due. So the
    first half acts by a network that is a turn old, and its step counts when both have made it; that is all that
    differs. Whenever progress is yielded, the first half is under way already.
    """
    updates = updates or build_updates(agent, replay, config)
    acting, uploads = build_acting(agent, progress.step), build_uploads(agent.device)
    clock = perf_counter
    seconds = progress.seconds
    first, second = envs.halves
    split = first.num_envs

    obs = torch.as_tensor(progress.obs).to(agent.device)
    acting.refresh()
    acting.ask(obs[:split], config.epsilon(progress.step), 0)
    first_actions = acting.answer()
    first.send(first_actions)
    while True:
        start = clock()
        acting.refresh()
        acting.ask(obs[split:], config.epsilon(progress.step), split)
        asked = clock()
        due = updates_due(progress, config, replay)
        if due:
            updates(due, progress)  # before the answer is there: a GPU goes on to learn meanwhile
        learned = clock()
        second_actions = acting.answer()
        second.send(second_actions)
        answered = clock()
        first_obs, *first_told, first_info = first.recv()
        received = clock()
        first_seen = acting.ask(first_obs, config.epsilon(progress.step), 0)  # while the second half steps
        actions = np.concatenate([first_actions, second_actions])
        first_actions = acting.answer()
        first.send(first_actions)
        sent = clock()
        second_obs, *second_told, second_info = second.recv()
        told = clock()
        reward, terminated, truncated = map(np.concatenate, zip(first_told, second_told, strict=True))
        reset, life_lost = (np.concatenate([first_info[name], second_info[name]]) for name in ("reset", "life_lost"))
        learned_reward, ends = as_learned(config, reward, life_lost)
        second_seen, *row = uploads(second_obs, actions, learned_reward, terminated, truncated, ends)
        replay.add(obs, *row)
        count(progress, reward, terminated, truncated, reset)
        progress.obs = obs = torch.cat([first_seen, second_seen])
        seconds["act"] += asked - start + answered - learned + sent - received
        seconds["envs"] += received - answered + told - sent
        seconds["store"] += clock() - told
        yield progress

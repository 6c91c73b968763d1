"""The training loop: a generator that acts, learns and yields what happened, to whoever listens."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .accelerator import build_uploads
from .config import Config
from .dqn import DQN
from .progress import Episode, Progress
from .replay import Replay
from .updates import Updates, eager_updates


class Envs(Protocol):
    """N worlds that step at once and reset on the step after an end (gymnasium's NEXT_STEP).

    Worlds on the host show arrays and are sent arrays; worlds that live on the learner's device may show tensors there,
    and are then sent tensors. Rewards and flags are arrays in any case.
    """

    num_envs: int

    def reset(self) -> tuple[NDArray[Any] | Tensor, dict[str, Any]]:
        """Return the first observations, (N, ...)."""

    def send(self, actions: NDArray[np.int64] | Tensor) -> None:
        """Start a step."""

    def recv(self) -> tuple[NDArray[Any] | Tensor, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Finish it: obs, raw reward, terminated, truncated, and an info with `reset` and `life_lost`, each (N,)."""


def train(
    agent: DQN, envs: Envs, replay: Replay, config: Config, progress: Progress, updates: Updates | None = None
) -> Iterator[Progress]:
    """Train `agent` for ever, yielding `progress`, always the same object, after every step of all worlds.

    The worlds step while the learner learns. That changes nothing but the speed: the updates come after the acting
    in program order, so a run is the same under the same seed. `updates` is who makes those that are due: by default
    `updates.eager_updates`.
    """
    updates = updates or eager_updates(agent, replay, config)
    uploads = build_uploads(agent.device)
    clock = perf_counter
    seconds = progress.seconds
    obs = torch.as_tensor(progress.obs).to(agent.device)
    while True:
        start = clock()
        actions = agent.act(obs, config.epsilon(progress.step))
        chosen = _understood(actions, progress.obs)
        acted = clock()
        seconds["act"] += acted - start
        envs.send(chosen)
        sent = clock()
        due = updates_due(progress, config, replay)
        if due:
            updates(due, progress)
        learned = clock()
        next_obs, reward, terminated, truncated, info = envs.recv()
        received = clock()
        seconds["envs"] += sent - acted + received - learned
        learned_reward, ends = as_learned(config, reward, info["life_lost"])
        replay.add(obs, actions, *uploads(learned_reward, terminated, truncated, ends))
        count(progress, reward, terminated, truncated, info["reset"])
        progress.obs = next_obs
        obs = torch.as_tensor(next_obs).to(agent.device)
        seconds["store"] += clock() - received
        yield progress


def _understood(actions: Tensor, obs: NDArray[Any] | Tensor) -> NDArray[np.int64] | Tensor:
    """Return `actions` in the kind that worlds which show `obs` are sent."""
    return actions if isinstance(obs, Tensor) else actions.cpu().numpy()


def updates_due(progress: Progress, config: Config, replay: Replay) -> int:
    """Return how many updates bring the run to its replay ratio, whatever the number of worlds."""
    learnable = progress.step - config.learning_starts
    due = int(learnable / config.steps_per_update) - progress.updates
    # With an early start there may be no whole window yet: what is due then is made up for later.
    return due if due > 0 and replay.ready() else 0


def as_learned(
    config: Config, reward: NDArray[Any], life_lost: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the rewards that `config` learns from, clipped or raw, and which lost lives end a return, both (N,)."""
    if config.reward_clip:
        reward = np.clip(reward, -config.reward_clip, config.reward_clip)
    if config.penalty_scale != 1.0:
        reward = np.where(reward < 0, config.penalty_scale * reward, reward)
    if not config.life_loss_terminal:
        life_lost = np.zeros_like(life_lost)
    return reward.astype(np.float32), life_lost


def count(
    progress: Progress, reward: NDArray[Any], terminated: NDArray[Any], truncated: NDArray[Any], reset: NDArray[Any]
) -> None:
    """Count steps and raw scores, and list the episodes that ended."""
    opened = int(np.count_nonzero(reset))
    progress.step += len(reset) - opened
    progress.score += np.where(reset, 0.0, reward) if opened else reward
    progress.length += ~reset if opened else 1
    progress.finished = []
    for env in np.flatnonzero(terminated | truncated):
        progress.finished.append(
            Episode(progress.step, float(progress.score[env]), int(progress.length[env]), bool(truncated[env]))
        )
        progress.score[env] = 0.0
        progress.length[env] = 0
    progress.episodes += len(progress.finished)

"""Evaluation: whole episodes played without learning, and what their scores tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .dqn import DQN
from .train import Envs


@dataclass(frozen=True)
class Evaluation:
    """Raw scores of whole episodes and their lengths in agent steps."""

    scores: tuple[float, ...]
    lengths: tuple[int, ...]
    cut: int = 0  # episodes that the step budget ended, counted with their score so far

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))

    def interval(self, level: float = 0.95, resamples: int = 10_000) -> tuple[float, float]:
        """Return the bootstrap confidence interval of the mean (Efron's percentile method, fixed seed)."""
        rng = np.random.default_rng(0)
        scores = np.asarray(self.scores)
        means = scores[rng.integers(len(scores), size=(resamples, len(scores)))].mean(1)
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def evaluate(
    agent: DQN,
    envs: Envs,
    episodes: int,
    epsilon: float,
    *,
    max_steps: int | None = None,
    on_episode: Callable[[int], None] | None = None,
) -> Evaluation:
    """Play `episodes` whole episodes at `epsilon`, noise silenced, and return their raw scores.

    Every world plays the same number of episodes (one more for the first few), fixed beforehand: taking whichever
    end first would favour short ones. After `max_steps` agent steps over all worlds the running episodes are cut and
    those not begun are left out: an agent that stalls must not play on for hours.
    """
    agent.silence()
    quota = np.array([len(part) for part in np.array_split(np.arange(episodes), envs.num_envs)])
    obs, _ = envs.reset()
    score, length = np.zeros(envs.num_envs), np.zeros(envs.num_envs, np.int64)
    played = np.zeros(envs.num_envs, np.int64)
    scores: list[float] = []
    lengths: list[int] = []
    steps = 0
    while len(scores) < episodes:
        if max_steps is not None and steps >= max_steps:
            running = np.flatnonzero((played < quota) & (length > 0))
            scores += score[running].tolist()
            lengths += length[running].tolist()
            return Evaluation(tuple(scores), tuple(lengths), cut=len(running))
        actions = agent.act_silently(torch.as_tensor(obs).to(agent.device), epsilon)
        envs.send(actions.cpu().numpy())
        obs, reward, terminated, truncated, info = envs.recv()
        score += np.where(info["reset"], 0.0, reward)
        length += ~info["reset"]
        steps += int((~info["reset"]).sum())
        for env in np.flatnonzero(terminated | truncated):
            if played[env] < quota[env]:
                scores.append(float(score[env]))
                lengths.append(int(length[env]))
                if on_episode is not None:
                    on_episode(len(scores))
            played[env] += 1
            score[env], length[env] = 0.0, 0
    return Evaluation(tuple(scores), tuple(lengths))

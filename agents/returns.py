"""Returns: what an agent expected of the states that it visited, beside the discounted return that followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .dqn import DQN
from .train import Envs, as_learned

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """n visited states, in the order in which they were visited; all returns are as the agent learned them."""

    predicted: Array  # (n,) max_a Q
    realised: Array  # (n,) the discounted return that followed

    @property
    def overestimation(self) -> float:
        """The mean of what was predicted less what came."""
        return float((self.predicted - self.realised).mean())

    @property
    def correlation(self) -> float:
        """Pearson's between both; nan where one of them never changes."""
        if min(self.predicted.std(), self.realised.std()) < 1e-9:
            return float("nan")
        return float(np.corrcoef(self.predicted, self.realised)[0, 1])


def realised_returns(
    reward: Array, value: Array, terminal: Flags, truncated: Flags, discount: float
) -> tuple[Array, Array]:
    """Return the discounted return that followed each step, and how much of it is a bootstrap, both (T, N).

    The return ends at a terminal step; where an episode is truncated, and after the last row, a value stands for the
    rest. Its weight gamma^k is the second result, 0 if a terminal came first: where it is small, all was really seen.

    Args:
        reward: (T, N).
        value: (T + 1, N), what is expected of the state that each step began in, and of the last state.
        terminal: (T, N), nothing follows.
        truncated: (T, N), the episode was cut: the next row begins in its final state.
        discount: gamma.

    """
    returns, weights = np.zeros_like(reward), np.zeros_like(reward)
    after, weight = value[-1], np.ones_like(value[-1])
    for row in reversed(range(len(reward))):
        after = np.where(truncated[row], value[row + 1], after)
        weight = np.where(truncated[row], 1.0, weight)
        after = reward[row] + discount * np.where(terminal[row], 0.0, after)
        weight = discount * np.where(terminal[row], 0.0, weight)
        returns[row], weights[row] = after, weight
    return returns, weights


def calibrate(agent: DQN, envs: Envs, steps: int, epsilon: float, most_bootstrap: float) -> Calibration:
    """Play `steps` steps in every world at `epsilon`, noise silenced; return what was expected and what came.

    States are left out whose return hangs on a bootstrap by more than `most_bootstrap`: the agent would be compared
    with itself there.
    """
    agent.silence()
    config = agent.config
    obs, info = envs.reset()
    value = np.zeros((steps + 1, envs.num_envs))
    reward = np.zeros((steps, envs.num_envs))
    terminal, truncated, acted = (np.zeros(reward.shape, np.bool_) for _ in range(3))
    for row in range(steps):
        seen = torch.as_tensor(obs).to(agent.device)
        value[row] = agent.q_values(seen).amax(1).cpu().numpy()
        envs.send(agent.act_silently(seen, epsilon).cpu().numpy())
        obs, raw, terminated, truncated[row], info = envs.recv()
        reward[row], life_lost = as_learned(config, raw, info["life_lost"])
        terminal[row] = terminated | life_lost
        acted[row] = ~info["reset"]
    value[steps] = agent.q_values(torch.as_tensor(obs).to(agent.device)).amax(1).cpu().numpy()
    returns, weights = realised_returns(reward, value, terminal, truncated, config.discount)
    kept = acted & (weights <= most_bootstrap)
    return Calibration(value[:-1][kept], returns[kept])

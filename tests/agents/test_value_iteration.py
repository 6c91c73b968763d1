"""What the agent learns is E[R | A, S]: on a small MDP, Q equals the solution that value iteration finds exactly."""

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.progress import Progress
from rlrun.agents.replay import Replay
from rlrun.agents.train import train

STATES, ACTIONS, DISCOUNT = 6, 3, 0.9
LIMIT = 8  # steps after which an episode is truncated
TRAINING = 256_000  # steps
Array = NDArray[np.float64]


@dataclass(frozen=True)
class MDP:
    """A finite Markov decision process whose last state is the end."""

    chance: Array  # (S, A, S + 1) of the next state
    reward: Array  # (S, A, S + 1) of the transition

    @classmethod
    def drawn(cls, seed: int) -> "MDP":
        """Return one in which few next states are likely, the end is one of them, and rewards are in [-0.25, 0.25].

        With these no TD error of an agent that has learned is above 1, where Huber's loss would learn no mean any more.
        """
        rng = np.random.default_rng(seed)
        chance = rng.dirichlet(np.full(STATES + 1, 0.3), size=(STATES, ACTIONS))
        return cls(chance, rng.uniform(-0.25, 0.25, size=chance.shape))

    def solution(self, n_step: int = 1) -> Array:
        """Return the fixed point of Q(s, a) = E[R_1 + ... + gamma^(n-1) R_n + gamma^n max_a Q(S_n, a)], (S, A).

        Later actions than the first are random, as they are for an agent that explores all the time: for n = 1 there
        are none, and this is value iteration.
        """
        q = np.zeros((STATES, ACTIONS))
        while True:
            after = q.max(1)
            for _ in range(n_step - 1):
                after = self.backup(after).mean(1)
            updated = self.backup(after)
            if np.abs(updated - q).max() < 1e-12:
                return updated
            q = updated

    def backup(self, value: Array) -> Array:
        """Return E[R + gamma V(S')], (S, A), for values (S,) of all states but the end, whose value is 0."""
        expected: Array = (self.chance * (self.reward + DISCOUNT * np.append(value, 0.0))).sum(-1)
        return expected


class Worlds:
    """N copies of an MDP that show the state one-hot; they reset on the step after an end (NEXT_STEP)."""

    def __init__(self, mdp: MDP, num_envs: int, limit: int, seed: int) -> None:
        self.mdp, self.num_envs, self.limit = mdp, num_envs, limit
        self.rng = np.random.default_rng(seed)
        self.bounds = mdp.chance.cumsum(-1)

    def reset(self) -> tuple[NDArray[Any], dict[str, Any]]:
        self.state = self.rng.integers(STATES, size=self.num_envs)
        self.age = np.zeros(self.num_envs, np.int64)
        self.ended = np.zeros(self.num_envs, bool)
        return self.shown(), {}

    def shown(self) -> NDArray[Any]:
        return np.eye(STATES + 1, dtype=np.float32)[self.state]

    def send(self, actions: NDArray[np.int64]) -> None:
        self.actions = actions

    def recv(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        reset = self.ended
        at = np.where(reset, 0, self.state), self.actions
        drawn = (self.rng.random((self.num_envs, 1)) > self.bounds[at]).sum(1).clip(max=STATES)
        reward = np.where(reset, 99.0, self.mdp.reward[(*at, drawn)])  # a trap: nothing is learned from a reset
        self.state = np.where(reset, self.rng.integers(STATES, size=self.num_envs), drawn)
        self.age = np.where(reset, 0, self.age + 1)
        terminated = ~reset & (self.state == STATES)
        truncated = ~reset & ~terminated & (self.age >= self.limit)
        self.ended = terminated | truncated
        info = {"reset": reset, "life_lost": np.zeros(self.num_envs, bool)}
        return self.shown(), reward, terminated, truncated, info


def learned(mdp: MDP, limit: int = LIMIT, seed: int = 0, **settings: Any) -> Array:
    """Return Q, (S, A), of an agent that trained on `mdp` with nothing but random actions, which visit everything."""
    config = Config(
        body="mlp",
        mlp_hidden=(),  # on one-hot states a linear network is a table
        hidden=(),
        discount=DISCOUNT,
        reward_clip=0.0,
        loss="squared",
        num_envs=256,
        batch_size=256,
        steps_per_update=128.0,
        learning_starts=25_600,
        replay_capacity=400_000,
        learning_rate=1e-2,
        learning_rate_end=1e-4,
        anneal_steps=TRAINING,
        optimizer_eps=1e-5,
        target_period_updates=25,
        epsilon_end=1.0,
    ).with_settings(settings)
    envs = Worlds(mdp, config.num_envs, limit, seed)
    replay = Replay(
        config.replay_capacity,
        config.num_envs,
        (STATES + 1,),
        obs_dtype=torch.float32,
        n_step=config.n_step,
        discount=config.discount,
        priority_exponent=config.priority_exponent,
        seed=seed,
    )
    agent = DQN(config, (STATES + 1,), ACTIONS, seed=seed)
    progress = Progress.begin(envs.reset()[0])
    for _ in takewhile(lambda told: told.step < TRAINING, train(agent, envs, replay, config, progress)):
        pass
    q: Array = agent.q_values(torch.eye(STATES + 1)[:STATES]).double().numpy()
    return q


@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        pytest.param({}, 0.035, id="table"),
        pytest.param({"mlp_hidden": (32,), "hidden": (32,)}, 0.035, id="network"),
        pytest.param({"double": True}, 0.035, id="double"),
        pytest.param({"gap_increase": 0.7}, 0.035, id="gap increase"),
        pytest.param({"distribution": "ensemble", "members": 3}, 0.035, id="ensemble"),
        # Quantiles come out a little low here (docs/log.md): Huber's quantile loss is the likely reason, not isolated.
        pytest.param({"distribution": "quantile", "atoms": 16}, 0.09, id="quantile"),
    ],
)
def test_q_equals_exact_value_iteration(settings: dict[str, Any], tolerance: float) -> None:
    mdp = MDP.drawn(1)
    exact = mdp.solution()
    assert np.abs(exact).max() > 3 * tolerance  # to expect nothing would not do
    assert np.abs(learned(mdp, **settings) - exact).max() < tolerance


def test_q_of_several_steps_equals_the_fixed_point_of_their_returns() -> None:
    mdp = MDP.drawn(1)
    exact = mdp.solution(n_step=3)
    assert np.abs(exact - mdp.solution()).max() > 0.1  # later actions are random and no longer the best
    assert np.abs(learned(mdp, limit=10**9, n_step=3) - exact).max() < 0.035


def test_q_of_several_steps_that_end_where_the_agent_departs_equals_exact_value_iteration() -> None:
    mdp = MDP.drawn(1)
    learnt = learned(mdp, limit=10**9, n_step=3, watkins_tolerance=1e-6)
    assert np.abs(learnt - mdp.solution()).max() < 0.035
    assert np.abs(learnt - mdp.solution(n_step=3)).max() > 0.1

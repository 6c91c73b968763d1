from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.evaluate import Evaluation, evaluate


class Clocks:
    """Worlds whose episodes have fixed lengths and pay 5 a step; they show nothing but ones."""

    def __init__(self, *lengths: int) -> None:
        self.num_envs = len(lengths)
        self.lengths = np.array(lengths)
        self.age = np.full(self.num_envs, 77)
        self.ended = np.zeros(self.num_envs, bool)
        self.actions: list[NDArray[Any]] = []

    def show(self) -> NDArray[Any]:
        return np.ones((self.num_envs, 2), np.float32)

    def reset(self) -> tuple[NDArray[Any], dict[str, Any]]:
        self.age[:] = 0
        self.ended[:] = False
        return self.show(), {}

    def send(self, actions: NDArray[np.int64]) -> None:
        self.actions.append(actions.copy())

    def recv(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        reset = self.ended
        self.age = np.where(reset, 0, self.age + 1)
        self.ended = (self.age == self.lengths) & ~reset
        odd = np.arange(self.num_envs) % 2 == 1
        info = {"reset": reset, "life_lost": (self.age == 1) & ~reset}
        reward = np.where(reset, 99.0, 5.0).astype(np.float32)
        return self.show(), reward, self.ended & odd, self.ended & ~odd, info


def agent_with(**settings: Any) -> DQN:
    return DQN(Config(body="mlp", mlp_hidden=(8,), hidden=(8,)).with_settings(settings), (2,), 4)


def played(envs: Clocks, episodes: int, **settings: Any) -> Evaluation:
    return evaluate(agent_with(), envs, episodes, 0.0, **settings)


@pytest.mark.parametrize(
    ("episodes", "lengths"),
    [(6, [1, 1, 3, 3, 20, 20]), (7, [1, 1, 1, 3, 3, 20, 20]), (2, [1, 3]), (1, [1]), (3, [1, 3, 20])],
)
def test_every_world_plays_its_share_so_that_short_episodes_are_not_favoured(episodes: int, lengths: list[int]) -> None:
    assert sorted(played(Clocks(1, 3, 20), episodes).lengths) == lengths


def test_scores_are_raw_and_whole_and_neither_lives_nor_resets_count() -> None:
    evaluation = played(Clocks(4, 7), 4)
    assert sorted(zip(evaluation.lengths, evaluation.scores, strict=True)) == [
        (4, 20.0),
        (4, 20.0),
        (7, 35.0),
        (7, 35.0),
    ]
    assert evaluation.cut == 0


def test_worlds_in_the_middle_of_an_episode_begin_anew() -> None:
    envs = Clocks(4)
    assert played(envs, 2).lengths == (4, 4)
    envs.age[:] = 3
    assert played(envs, 1).lengths == (4,)


def test_who_listens_hears_of_each_episode_once() -> None:
    heard: list[int] = []
    played(Clocks(1, 3), 5, on_episode=heard.append)
    assert heard == [1, 2, 3, 4, 5]


def test_a_budget_of_steps_cuts_the_running_episodes_and_says_how_many() -> None:
    evaluation = played(Clocks(3, 1000), 4, max_steps=11)
    assert sorted(evaluation.lengths) == [2, 3, 6]
    assert sorted(evaluation.scores) == [10.0, 15.0, 30.0]
    assert evaluation.cut == 2
    longer = played(Clocks(3, 1000), 4, max_steps=12)  # a seventh round: in the fourth, a world reset and one stepped
    assert (sorted(longer.lengths), longer.cut) == ([3, 3, 7], 1)
    assert played(Clocks(3, 3), 2, max_steps=12).cut == 0
    resetting = played(Clocks(3, 1000), 4, max_steps=6)  # the first world has ended one episode, begun no other
    assert (sorted(resetting.lengths), resetting.cut) == ([3, 3], 1)


@pytest.mark.parametrize("epsilon", [0.0, 0.4])
def test_actions_are_random_as_often_as_epsilon_says(epsilon: float) -> None:
    agent, envs = agent_with(), Clocks(*[20] * 100)
    evaluate(agent, envs, 100, epsilon)
    best = int(agent.q_values(torch.ones(1, 2)).argmax())
    share = float(np.mean(np.array(envs.actions) != best))
    assert share == pytest.approx(epsilon * 3 / 4, abs=0.04)
    assert (share == 0) == (epsilon == 0)


def test_noise_is_silent_throughout() -> None:
    agent = agent_with(noisy=True, noisy_sigma=100.0)
    obs = torch.ones(1, 2)
    noisy = []
    for _ in range(20):
        noisy.append(int(agent.act(obs, 0.0)))
    assert len(set(noisy)) > 1
    envs = Clocks(50)
    evaluate(agent, envs, 2, 0.0)
    q = agent.q_values(obs)
    assert {int(actions[0]) for actions in envs.actions} == {int(q.argmax())}
    agent.silence()
    assert torch.equal(agent.q_values(obs), q)
    agent.act(obs, 0.0)
    assert not torch.equal(agent.q_values(obs), q)  # and comes back with the next act of training


def test_evaluation_changes_no_weight() -> None:
    agent = agent_with()
    before = [weight.clone() for weight in agent.online.parameters()]
    evaluate(agent, Clocks(3, 4), 4, 0.5)
    assert all(map(torch.equal, before, agent.online.parameters()))


def test_the_interval_of_equal_scores_is_that_score() -> None:
    evaluation = Evaluation((7.0,) * 5, (1,) * 5)
    assert evaluation.mean == 7.0
    assert evaluation.interval() == (7.0, 7.0)


def test_the_interval_is_the_one_of_the_binomial_distribution_for_two_scores() -> None:
    # The mean of 4 draws from {0, 1} is 0, 1/4, 1/2, 3/4, 1 with probability 1, 4, 6, 4, 1 sixteenths.
    evaluation = Evaluation((0.0, 0.0, 1.0, 1.0), (1,) * 4)
    assert evaluation.mean == 0.5
    assert evaluation.interval(0.95) == (0.0, 1.0)  # 2.5% < 1/16
    assert evaluation.interval(0.8) == (0.25, 0.75)  # 1/16 < 10% < 5/16
    assert evaluation.interval(0.2) == (0.5, 0.5)  # 5/16 < 40%


def test_the_interval_is_the_same_each_time_and_narrows_with_more_scores() -> None:
    few, many = (Evaluation(tuple(map(float, range(10))) * count, ()) for count in (1, 10))
    assert few.interval() == few.interval()
    low, high = few.interval()
    assert low < few.mean < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(8.25 / 10), rel=0.05)
    low, high = many.interval()
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(8.25 / 100), rel=0.05)

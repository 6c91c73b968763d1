"""Departures: n-step returns that end where the agent would not have gone on likewise (soft Watkins)."""

from typing import Any

import pytest
import torch
from torch import Tensor

from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.progress import Progress
from rlrun.agents.relabel import RelabellingReplay
from rlrun.agents.replay import Batch, Replay
from rlrun.agents.updates import eager_updates, update

GAMMA, STEPS, WORLDS, ROWS = 0.5, 4, 2, 60
ODD = 1
"""The action that the agent of these tests never takes."""


class Negated:
    """A world whose two numbers have changed places, and in which what was paid is owed."""

    columns = (1, 0)

    def reward(self, reward: Tensor) -> Tensor:
        return -reward


def odd(row: int, world: int) -> bool:
    return (row + world) % 7 in (3, 4)


def lived(kind: type[Replay] = Replay, **settings: Any) -> Replay:
    """Return a full replay whose observations tell the row and the world, and whose rewards tell the row."""
    replay = kind(
        ROWS * WORLDS, WORLDS, (2,), obs_dtype=torch.float32, n_step=STEPS, discount=GAMMA, seed=3, **settings
    )
    none = torch.zeros(WORLDS, dtype=torch.bool)
    for row in range(ROWS):
        obs = torch.tensor([[float(row), 100.0 + world] for world in range(WORLDS)])
        action = torch.tensor([ODD if odd(row, world) else 2 for world in range(WORLDS)])
        reward = torch.full((WORLDS,), 1.0 + row)
        replay.add(obs, action, reward, torch.full((WORLDS,), row % 20 == 19), none, none)
    return replay


def departs(obs: Tensor, action: Tensor) -> Tensor:
    return action == ODD


def expected(row: int, world: int) -> tuple[int, float, float]:
    """Return how many steps the return of a step has, its sum, and the discount of what comes after."""
    steps = 1
    while steps < STEPS and (row + steps - 1) % 20 != 19 and not odd(row + steps, world):
        steps += 1
    over = (row + steps - 1) % 20 == 19
    return steps, sum(GAMMA**k * (1.0 + row + k) for k in range(steps)), 0.0 if over else GAMMA**steps


def test_a_return_ends_before_the_first_later_action_that_is_none_of_the_agents() -> None:
    batch = lived().sample(400, departs=departs)
    found = set()
    for row, world, reward, discount, then in zip(
        batch.obs[:, 0].int().tolist(), (batch.obs[:, 1] - 100).int().tolist(), batch.reward.tolist(),
        batch.discount.tolist(), batch.next_obs[:, 0].int().tolist(), strict=True,
    ):  # fmt: skip
        steps, total, factor = expected(row, world)
        assert reward == pytest.approx(total)
        assert discount == pytest.approx(factor)
        assert then == row + steps
        found.add((steps, odd(row, world), factor == 0.0))
    assert {steps for steps, *_ in found} == {1, 2, 3, 4}
    assert (4, True, False) in found, "its own first action may be any"
    assert {steps for steps, _, over in found if over} > {1}, "what comes after an end is not asked about"


def test_who_is_asked_sees_each_later_step_and_what_was_done_there() -> None:
    asked: list[tuple[int, int, int]] = []

    def ask(obs: Tensor, action: Tensor) -> Tensor:
        asked.extend(zip(obs[:, 0].int().tolist(), (obs[:, 1] - 100).int().tolist(), action.tolist(), strict=True))
        return torch.zeros_like(action, dtype=torch.bool)

    batch = lived().sample(50, departs=ask)
    assert len(asked) == 50 * (STEPS - 1)
    assert all((action == ODD) == odd(row, world) for row, world, action in asked)
    plain = lived().sample(50)
    assert torch.equal(batch.next_obs, plain.next_obs)
    torch.testing.assert_close(batch.reward, plain.reward)
    torch.testing.assert_close(batch.discount, plain.discount)


def test_where_nobody_is_asked_or_a_return_is_one_step_the_ledgers_own_sums_are_told() -> None:
    def never(obs: Tensor, action: Tensor) -> Tensor:
        raise AssertionError

    replay = Replay(20, 1, (2,), obs_dtype=torch.float32, n_step=1, seed=3)
    none = torch.zeros(1, dtype=torch.bool)
    for row in range(20):
        replay.add(torch.full((1, 2), float(row)), torch.tensor([ODD]), torch.ones(1), none, none, none)
    batch = replay.sample(30, departs=never)
    assert torch.equal(batch.next_obs, batch.obs + 1)


def test_a_relabelled_return_ends_where_the_counterparts_agent_departs() -> None:
    def high(obs: Tensor, action: Tensor) -> Tensor:
        return (obs[:, 0] < 100) & (action == ODD)  # only where nothing is relabelled

    share = {"counterpart": Negated(), "share": 0.5}
    batch = lived(RelabellingReplay, **share).sample(400, departs=high)
    told_anew = batch.obs[:, 0] >= 100
    assert 0.3 < float(told_anew.float().mean()) < 0.7
    for anew, obs, reward, discount, then in zip(
        told_anew.tolist(), batch.obs.tolist(), batch.reward.tolist(), batch.discount.tolist(),
        batch.next_obs.tolist(), strict=True,
    ):  # fmt: skip
        row, world = (int(obs[1]), int(obs[0]) - 100) if anew else (int(obs[0]), int(obs[1]) - 100)
        steps, total, factor = expected(row, world)
        if anew:  # nobody departs
            steps = min(STEPS, 20 - row % 20)
            total = -sum(GAMMA**k * (1.0 + row + k) for k in range(steps))
            factor = 0.0 if (row + steps - 1) % 20 == 19 else GAMMA**steps
        assert reward == pytest.approx(total)
        assert discount == pytest.approx(factor)
        assert int(then[1 if anew else 0]) == row + steps


def agent(**settings: Any) -> DQN:
    config = Config(body="mlp", mlp_hidden=(8,), hidden=(8,), reward_clip=0.0, batch_size=8, learning_starts=0)
    return DQN(config.with_settings(settings), (2,), 3, seed=4)


@pytest.mark.parametrize("gap_increase", [0.0, 0.7])
def test_an_agent_departs_from_what_it_holds_to_be_too_far_behind_its_best(gap_increase: float) -> None:
    learner = agent(watkins_tolerance=0.05, gap_increase=gap_increase)
    obs = torch.randn(200, 2)
    q = learner.q_values(obs)
    behind = q.amax(1, keepdim=True) - q
    assert learner.departs is not None
    for action in range(3):
        told = learner.departs(obs, torch.full((200,), action))
        assert torch.equal(told, behind[:, action] > 0.05)
    assert 0.1 < float((behind > 0.05).float().mean()) < 0.9


def test_without_a_tolerance_an_agent_departs_from_nothing() -> None:
    assert agent().departs is None


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_updates_ask_the_agent_as_it_is_now(tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, replay, seen = agent(watkins_tolerance=tolerance), lived(), []
    sample = replay.sample

    def watched(*arguments: Any, **settings: Any) -> Batch:
        seen.append(settings["departs"])
        return sample(*arguments, **settings)

    monkeypatch.setattr(replay, "sample", watched)
    update(learner, replay, 8, 0.0, 1e-3)
    assert seen == [learner.departs if tolerance else None]
    if tolerance:
        updates = eager_updates(learner, replay, learner.config)
        updates(3, Progress.begin(torch.zeros(WORLDS, 2).numpy()))
        assert len(seen) == 4, "one sample an update, as each may change what the next is asked"

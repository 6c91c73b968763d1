import pytest
import torch

from rlrun.agents.acting import PlainActing
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN


@pytest.fixture
def agent() -> DQN:
    return DQN(Config(body="mlp", mlp_hidden=(8,), hidden=(8,)), (3,), 4, seed=0)


def unlearn(agent: DQN) -> None:
    """Turn what the agent thinks of its actions upside down."""
    with torch.no_grad():
        for weight in agent.online.head.parameters():
            weight.neg_()


def test_a_snapshot_acts_by_what_was_learned_until_it_was_refreshed(agent: DQN) -> None:
    obs = torch.eye(3)
    snapshot = agent.policy.snapshot(seed=0)
    before = agent.q_values(obs)
    unlearn(agent)
    assert torch.equal(snapshot.q_values(obs), before)
    snapshot.refresh()
    assert torch.equal(snapshot.q_values(obs), agent.q_values(obs))
    assert not torch.equal(snapshot.q_values(obs), before)


def test_a_snapshots_chance_is_its_own_and_made_of_its_seed(agent: DQN) -> None:
    obs = torch.zeros(64, 3)
    one, two, other = (agent.policy.snapshot(seed).act(obs, 1.0) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    state = agent.generator.get_state()
    agent.policy.snapshot(1).act(obs, 1.0)
    assert torch.equal(agent.generator.get_state(), state)


def test_the_noise_of_a_snapshot_leaves_the_learners_alone() -> None:
    agent = DQN(Config(body="mlp", mlp_hidden=(8,), hidden=(8,), noisy=True), (3,), 4, seed=0)
    agent.act(torch.eye(3), 0.0)
    before = agent.q_values(torch.eye(3))
    snapshot = agent.policy.snapshot(seed=1)
    snapshot.act(torch.eye(3), 0.0)
    assert not torch.equal(snapshot.q_values(torch.eye(3)), before)
    assert torch.equal(agent.q_values(torch.eye(3)), before)


def test_what_was_asked_is_answered_for_each_world(agent: DQN) -> None:
    acting = PlainActing(agent.policy.snapshot(seed=0), agent.exploration)
    seen = acting.ask(torch.eye(3).numpy(), 0.0, 0)
    assert torch.equal(seen, torch.eye(3))
    assert acting.answer().tolist() == agent.q_values(torch.eye(3)).argmax(1).tolist()
    unlearn(agent)
    acting.refresh()
    acting.ask(torch.eye(3), 0.0, 0)
    assert acting.answer().tolist() == agent.q_values(torch.eye(3)).argmax(1).tolist()

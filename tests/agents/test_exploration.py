import pytest
import torch
from torch import Tensor

from rlrun.agents.config import Config, ConfigError
from rlrun.agents.dqn import DQN
from rlrun.agents.exploration import LONGEST, Exploration, LastingExploration, build_exploration

ACTIONS = 5


def lasting(worlds: int = 500, exponent: float = 2.0) -> Exploration:
    return build_exploration(Config(exploration_exponent=exponent, num_envs=worlds), torch.device("cpu"))


def explored(exploration: Exploration, steps: int, epsilon: float | Tensor, worlds: int = 500, seed: int = 0) -> Tensor:
    """Return what is done (steps, worlds) where the best action is always -1, which no random one is."""
    generator = torch.Generator().manual_seed(seed)
    greedy = torch.full((worlds,), -1)
    return torch.stack([exploration(greedy, epsilon, ACTIONS, generator) for _ in range(steps)])


def stretches(done: Tensor) -> list[int]:
    """Return the lengths of all runs of the same random action."""
    found = []
    for world in done.T.tolist():
        length = 0
        for action, following in zip(world, [*world[1:], None], strict=True):
            length += 1
            if action != following:
                if action >= 0:
                    found.append(length)
                length = 0
    return found


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("exponent", [0.0, 2.0])
def test_the_share_of_random_steps_is_epsilon_however_long_they_last(epsilon: float, exponent: float) -> None:
    done = explored(lasting(exponent=exponent), 600, epsilon)[100:]
    assert float((done >= 0).float().mean()) == pytest.approx(epsilon, abs=0.02)


def test_random_actions_last_as_long_as_the_zeta_distribution_says() -> None:
    lengths = torch.tensor(stretches(explored(lasting(), 2000, 0.02)))
    weights = torch.arange(1, LONGEST + 1) ** -2.0
    weights /= weights.sum()
    for least in (1, 2, 10, 50):
        expected = float(weights[least - 1 :].sum())
        assert float((lengths >= least).float().mean()) == pytest.approx(expected, rel=0.15)
    assert int(lengths.max()) <= LONGEST


@pytest.mark.parametrize("end", [0.3, torch.tensor(0.3)])
def test_once_epsilon_has_fallen_to_its_end_random_actions_do_not_last(end: float | Tensor) -> None:
    config = Config(exploration_exponent=2.0, num_envs=500, epsilon_end=0.3)
    exploration = build_exploration(config, torch.device("cpu"))
    before = torch.tensor(stretches(explored(exploration, 600, 0.31)))
    assert float((before == 1).float().mean()) < 0.7
    explored(exploration, LONGEST, end)  # what had begun goes on to its end
    done = explored(exploration, 600, end)
    assert float((torch.tensor(stretches(done)) == 1).float().mean()) > 0.9  # the same one again by chance
    assert float((done >= 0).float().mean()) == pytest.approx(0.3, abs=0.02)


def test_without_an_exponent_random_actions_do_not_last() -> None:
    lengths = torch.tensor(stretches(explored(lasting(exponent=0.0), 600, 0.3)))
    assert float((lengths == 1).float().mean()) > 0.9  # the same one again by chance


def test_all_actions_are_equally_likely() -> None:
    done = explored(lasting(), 2000, 1.0)
    assert (done.flatten().bincount() / done.numel()).tolist() == pytest.approx([1 / ACTIONS] * ACTIONS, abs=0.01)


def test_each_world_explores_by_itself() -> None:
    done = explored(lasting(), 50, 0.5)
    assert not torch.equal(done[:, 0], done[:, 1])


def test_the_halves_of_the_worlds_go_on_with_what_all_of_them_are_at() -> None:
    whole = lasting(worlds=6)
    generator = torch.Generator().manual_seed(0)
    greedy = torch.full((6,), -1)
    while not (whole.state()["left"] > 2).all():
        whole(greedy, 1.0, ACTIONS, generator)
    before = whole.state()["action"].clone()
    done = [whole.rows(*rows)(greedy[: rows[1] - rows[0]], 0.0, ACTIONS, generator) for rows in ((0, 4), (4, 6))]
    assert torch.equal(torch.cat(done), before)
    assert torch.equal(whole(greedy, 0.0, ACTIONS, generator), before)


def test_epsilon_may_be_a_scalar_on_the_device() -> None:
    assert torch.equal(explored(lasting(), 20, 0.5), explored(lasting(), 20, torch.tensor(0.5)))


def test_an_agent_put_back_goes_on_exploring_where_it_was() -> None:
    config = Config(exploration_exponent=2.0, num_envs=8, body="mlp", mlp_hidden=(4,), hidden=(4,))
    agent, other = (DQN(config, (3,), ACTIONS, seed=seed) for seed in (0, 1))
    obs = torch.zeros(8, 3)
    for _ in range(20):
        agent.act(obs, 0.9)
    other.load(agent.state())
    assert isinstance(agent.exploration, LastingExploration)
    assert int(agent.exploration.state()["left"].sum()) > 0
    for _ in range(20):
        assert torch.equal(agent.act(obs, 0.9), other.act(obs, 0.9))


def test_an_exponent_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"exploration_exponent = -1\.0 is not possible: it must be 0 or more"):
        Config(exploration_exponent=-1.0)

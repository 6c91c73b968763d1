"""Relabelling: a share of what is sampled is told as the world's counterpart would have told it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from rlrun.agents.accelerator import build_replay
from rlrun.agents.config import Config, ConfigError
from rlrun.agents.relabel import RelabellingReplay
from rlrun.agents.replay import Replay
from rlrun.agents.window import Window

GAMMA, STEPS, WORLDS = 0.5, 3, 2
ROWS = 40


@dataclass(frozen=True)
class Negated:
    """A world whose two numbers have changed places, and in which what was paid is owed."""

    columns: tuple[int, ...] = (1, 0)

    def reward(self, reward: Tensor) -> Tensor:
        return -reward


def lived(share: float | None, **settings: Any) -> Replay:
    """Return a replay, full, whose observations and rewards tell the row and the world; None: not relabelling."""
    arguments = {"obs_dtype": torch.float32, "n_step": STEPS, "discount": GAMMA, "seed": 3, **settings}
    shape = (ROWS * WORLDS, WORLDS, (2,))
    replay = (
        Replay(*shape, **arguments)
        if share is None
        else RelabellingReplay(*shape, counterpart=Negated(), share=share, **arguments)
    )
    none = torch.zeros(WORLDS, dtype=torch.bool)
    for row in range(ROWS):
        obs = torch.tensor([[row, 100.0 + world] for world in range(WORLDS)])
        reward = torch.tensor([1.0 + row, 1000.0 + row])
        ends = torch.full((WORLDS,), row % 10 == 9)
        replay.add(obs, torch.zeros(WORLDS, dtype=torch.int64), reward, none, ends, none)
    return replay


def test_all_of_it_is_the_counterparts_observations_and_n_step_returns() -> None:
    batch = lived(share=1.0).sample(500)
    plain = lived(share=None)
    action, reward, discount, end = plain.ledger.at(batch.index)
    obs, next_obs = plain._observe(plain._ring, plain.ledger.age, batch.index, end)
    assert torch.equal(batch.obs, obs.flip(1))
    assert torch.equal(batch.next_obs, next_obs.flip(1))
    torch.testing.assert_close(batch.reward, -reward)  # sums of one, two and three rewards: the windows are cut
    assert len(discount.unique()) == STEPS
    assert torch.equal(batch.discount, discount)
    assert torch.equal(batch.action, action)


def test_a_share_is_drawn_transition_by_transition_and_the_rest_stays_as_it_is() -> None:
    batch, plain = lived(share=0.3).sample(2_000), lived(share=None).sample(2_000)
    assert torch.equal(batch.index, plain.index)
    told_anew = batch.reward < 0
    assert 0.26 < float(told_anew.float().mean()) < 0.34
    for mine, theirs in ((batch.obs, plain.obs), (batch.next_obs, plain.next_obs), (batch.reward, plain.reward)):
        assert torch.equal(mine[~told_anew], theirs[~told_anew])
    assert torch.equal(batch.obs[told_anew], plain.obs[told_anew].flip(1))
    old, new = (plain.index[rows].float().mean() for rows in (told_anew, ~told_anew))
    assert abs(float(old - new)) < ROWS * WORLDS / 20, "the oldest and the newest are as likely"


def test_where_both_worlds_look_alike_nothing_is_told_anew() -> None:
    none = torch.zeros(WORLDS, dtype=torch.bool)
    replay = RelabellingReplay(
        ROWS * WORLDS, WORLDS, (2,), obs_dtype=torch.float32, counterpart=Negated(), share=1.0, seed=3
    )
    for row in range(ROWS):
        obs = torch.tensor([[1.0, 1.0], [float(row), 0.5]])  # the first world's two numbers are the same
        replay.add(obs, torch.zeros(WORLDS, dtype=torch.int64), torch.ones(WORLDS), none, none, none)
    batch = replay.sample(200)
    first = batch.index % WORLDS == 0
    assert first.any()
    assert not first.all()
    assert torch.equal(batch.reward, torch.where(first, 1.0, -1.0))


def test_the_same_seed_draws_the_same() -> None:
    one, two = lived(share=0.5).sample(64, count=2), lived(share=0.5).sample(64, count=2)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, two, strict=True))


def test_a_window_is_relabelled_in_each_of_its_rows() -> None:
    length, none = 3, torch.zeros(1, dtype=torch.bool)
    replay = RelabellingReplay(
        20, 1, (length, 2), obs_dtype=torch.float32, stack=length, counterpart=Negated(), share=1.0
    )
    for row in range(20):
        window = torch.stack([torch.tensor([max(step, 0), 100.0 + max(step, 0)]) for step in range(row - 2, row + 1)])
        replay.add(window[None], torch.zeros(1, dtype=torch.int64), torch.ones(1), none, none, none)
    batch = replay.sample(50)
    assert batch.obs.shape == (50, length, 2)
    shown = batch.obs[batch.index >= length]  # whole windows
    assert (shown[..., 0] == shown[..., 1] + 100).all()


def settings(**changed: Any) -> Config:
    return Config(replay_capacity=100, num_envs=2, learning_starts=10, reward_clip=0.0).with_settings(changed)


def test_the_replay_of_a_config_relabels_if_the_config_says_so() -> None:
    replay = build_replay(settings(relabel_share=0.5), (2,), torch.float32, counterpart=Negated())
    assert isinstance(replay, RelabellingReplay)
    assert type(build_replay(settings(), (2,), torch.float32, counterpart=Negated())) is Replay


def test_a_world_without_a_counterpart_cannot_be_relabelled() -> None:
    with pytest.raises(ConfigError, match=r"relabel_share = 0.5 is not possible: it must be 0 for a world without"):
        build_replay(settings(relabel_share=0.5), (2,), torch.float32)


def test_clipped_rewards_cannot_be_relabelled() -> None:
    with pytest.raises(ConfigError, match=r"relabel_share = 0.5 .*: it must be 0 with reward_clip above 0"):
        settings(relabel_share=0.5, reward_clip=1.0)


def test_who_is_averse_to_losses_is_so_in_the_counterpart_too() -> None:
    none = torch.zeros(2, dtype=torch.bool)
    replay = build_replay(settings(relabel_share=0.5, penalty_scale=3.0), (2,), torch.float32, counterpart=Negated())
    for _ in range(20):  # one world brings 2 a step and its counterpart -2, the other the reverse
        reward = torch.tensor([2.0, 3 * -2.0])
        replay.add(torch.tensor([[0.0, 100.0]] * 2), torch.zeros(2, dtype=torch.int64), reward, none, none, none)
    batch = replay.sample(200)
    anew = batch.obs[:, 0] == 100.0
    gains = (batch.index % 2 == 0) != anew
    assert all((gains[anew == told] == gain).any() for told in (False, True) for gain in (False, True))
    assert batch.reward.tolist() == torch.where(gains, 2.0, -6.0).tolist()


def test_a_share_is_a_share() -> None:
    with pytest.raises(ConfigError, match=r"relabel_share = 1.5 is not possible: it must be between 0 and 1"):
        settings(relabel_share=1.5)


class Worlds:
    """As much of worlds as a window looks at."""

    num_envs = 2

    def __init__(self, counterpart: Negated | None) -> None:
        self.single_observation_space, self.single_action_space = Box(0, 1, (2,), np.float32), Discrete(3)
        if counterpart:
            self.counterpart = counterpart


def test_a_window_adds_its_actions_which_stay_where_they_are() -> None:
    seen: Any = Window(Worlds(Negated()), 4)
    assert seen.counterpart.columns == (1, 0, 2, 3, 4)
    assert Window(Worlds(None), 4).counterpart is None

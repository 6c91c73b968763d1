"""The window: the last observations and the actions between them, as the replay would stack them."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from rlrun.agents.config import Config, ConfigError
from rlrun.agents.replay import Replay
from rlrun.agents.window import Window, windowed


class Counting:
    """Two worlds that show how many steps they made; world 1 ends after two."""

    num_envs = 2
    name = "counting"
    single_observation_space = Box(0, 9, (1,), np.float32)
    single_action_space = Discrete(3)

    def __init__(self) -> None:
        self.count = np.zeros((2, 1), np.float32)
        self.ended = np.zeros(2, np.bool_)

    def reset(self) -> tuple[Any, dict[str, Any]]:
        self.count[:] = 1
        return self.count.copy(), {"reset": np.ones(2, np.bool_)}

    def send(self, actions: Any) -> None:
        pass

    def recv(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        opened = self.ended
        self.count += 1
        self.count[opened] = 1
        self.ended = np.array([False, self.count[1, 0] == 3])
        info = {"reset": opened, "life_lost": np.zeros(2, np.bool_)}
        return self.count.copy(), self.count[:, 0].copy(), self.ended, np.zeros(2, np.bool_), info

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> tuple[Any, Any]:
        self.count = np.array(state["count"], np.float32)
        return self.count.copy(), np.array([True, False])


def test_a_window_holds_the_last_observations_and_the_action_that_led_to_each() -> None:
    window = Window(Counting(), 2)
    obs, _ = window.reset()
    assert obs[0].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]  # nothing before the first, and no action led to it
    obs, *_ = window.step(np.array([2, 0]))
    assert obs[0].tolist() == [[1, 0, 0, 0], [2, 0, 0, 1]]
    obs, *_ = window.step(np.array([0, 0]))
    assert obs[0].tolist() == [[2, 0, 0, 1], [3, 1, 0, 0]]
    assert obs[1].tolist() == [[2, 1, 0, 0], [3, 1, 0, 0]]
    obs, *_ = window.step(np.array([1, 1]))  # world 1 opens an episode
    assert obs[1].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
    assert window.single_observation_space.contains(obs[0])


def test_what_was_handed_out_stays_as_it_was() -> None:
    window = Window(Counting(), 2)
    first, _ = window.reset()
    kept = first.copy()
    window.step(np.array([2, 2]))
    assert np.array_equal(first, kept)


def test_a_replay_stacks_to_the_very_window_that_the_agent_acted_on() -> None:
    window = Window(Counting(), 3)
    replay = Replay(60, 2, (3, 4), obs_dtype=torch.float32, stack=3, seed=0)
    rng = np.random.default_rng(0)
    obs, _ = window.reset()
    seen, after = {}, {}
    for step in range(12):
        actions = rng.integers(3, size=2)
        next_obs, reward, terminated, truncated, info = window.step(actions)
        row = (torch.as_tensor(values) for values in (obs, actions, reward, terminated, truncated, info["life_lost"]))
        replay.add(*row)
        for env in range(2):
            seen[step * 2 + env], after[step * 2 + env] = obs[env], next_obs[env]
        obs = next_obs
    batch = replay.sample(200)
    for index, stacked, following in zip(batch.index.tolist(), batch.obs, batch.next_obs, strict=True):
        assert np.array_equal(stacked.numpy(), seen[index])
        assert np.array_equal(following.numpy(), after[index])


def test_a_window_of_tensors_is_a_tensor_with_the_same_rows() -> None:
    class Tensors(Counting):
        def reset(self) -> tuple[Any, dict[str, Any]]:
            obs, info = super().reset()
            return torch.from_numpy(obs), info

        def recv(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
            obs, *rest = super().recv()
            return torch.from_numpy(obs), *rest

    arrays, tensors = Window(Counting(), 3), Window(Tensors(), 3)
    assert torch.equal(tensors.reset()[0], torch.as_tensor(arrays.reset()[0]))
    rng = np.random.default_rng(0)
    for _ in range(8):  # world 1 ends and opens on the way
        actions = rng.integers(3, size=2)
        ours, theirs = arrays.step(actions)[0], tensors.step(torch.from_numpy(actions))[0]
        assert isinstance(theirs, torch.Tensor)
        assert torch.equal(theirs, torch.as_tensor(ours))


def test_a_restored_window_goes_on_and_an_opened_row_starts_anew() -> None:
    window = Window(Counting(), 2)
    window.reset()
    window.step(np.array([2, 1]))
    obs, restored = Window(Counting(), 2).load_state_dict(window.state_dict())
    assert restored.tolist() == [True, False]
    assert obs[0].tolist() == [[1, 0, 0, 0], [2, 0, 0, 1]]
    assert obs[1].tolist() == [[0, 0, 0, 0], [2, 0, 0, 0]]


def test_without_a_window_worlds_stay_as_they_are_and_pictures_take_none() -> None:
    worlds = Counting()
    assert windowed(worlds, Config()) is worlds
    assert windowed(worlds, Config(window=2)).name == "counting"
    worlds.single_observation_space = Box(0, 255, (4, 84, 84), np.uint8)
    with pytest.raises(ConfigError, match="window = 2 is not possible: it must be 1"):
        windowed(worlds, Config(window=2))

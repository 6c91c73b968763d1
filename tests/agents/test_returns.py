"""Returns that followed, by numbers worked out by hand, and what a calibration keeps of them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.returns import Calibration, calibrate, realised_returns


def test_returns_end_at_a_terminal_and_bootstrap_at_a_truncation_and_after_the_last_row() -> None:
    reward = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [99.0, 99.0, 4.0]])
    value = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [50.0, 8.0, 0.0], [7.0, 7.0, 16.0]])
    terminal = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]], bool)
    truncated = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    returns, weights = realised_returns(reward, value, terminal, truncated, 0.5)
    # terminated: 1 + 2 / 2; truncated: 1 + 2 / 2 + 8 / 4; running on: 1 + 2 / 2 + 4 / 4 + 16 / 8
    assert returns[0].tolist() == [2.0, 4.0, 5.0]
    assert returns[1].tolist() == [2.0, 6.0, 8.0]
    assert weights[0].tolist() == [0.0, 0.25, 0.125]
    assert weights[1].tolist() == [0.0, 0.5, 0.25]


def test_overestimation_and_correlation() -> None:
    found = Calibration(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0]))
    assert found.overestimation == 1.0
    assert found.correlation == pytest.approx(1.0)
    assert np.isnan(Calibration(np.ones(3), np.arange(3.0)).correlation)


class Countdown:
    """One world of four steps, each with reward 3; a life is lost on the second, and the last terminates."""

    num_envs = 1

    def reset(self) -> tuple[NDArray[Any], dict[str, Any]]:
        self.age = 0
        return np.ones((1, 2), np.float32), {}

    def send(self, actions: NDArray[np.int64]) -> None:
        self.age = (self.age + 1) % 5

    def recv(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        reward = np.array([3.0 if self.age else 99.0])
        info = {"reset": np.array([self.age == 0]), "life_lost": np.array([self.age == 2])}
        return np.ones((1, 2), np.float32), reward, np.array([self.age == 4]), np.zeros(1, bool), info


@pytest.mark.parametrize(
    ("settings", "returns"),
    [
        ({}, [1.5, 1.0, 1.5, 1.0]),  # clipped to 1, and a lost life ends a return
        ({"reward_clip": 0.0}, [4.5, 3.0, 4.5, 3.0]),
        ({"life_loss_terminal": False}, [1.875, 1.75, 1.5, 1.0]),
    ],
)
def test_returns_are_as_the_agent_learned_them(settings: dict[str, Any], returns: list[float]) -> None:
    config = Config(body="mlp", mlp_hidden=(4,), hidden=(4,), discount=0.5).with_settings(settings)
    found = calibrate(DQN(config, (2,), 2), Countdown(), 11, 0.0, most_bootstrap=0.0)
    # 4 steps, a reset, 4 steps, a reset; the 11th step's return is cut and hangs on a bootstrap
    assert found.realised.tolist() == returns * 2
    assert len(set(found.predicted.tolist())) == 1  # all states look the same

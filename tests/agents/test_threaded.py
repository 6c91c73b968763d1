"""Batches shared out among threads: the same learning, and the caller's own threads left alone."""

from typing import Any

import pytest
import torch
from torch import Tensor

from rlrun.agents.accelerator import build_agent
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.replay import Batch
from rlrun.agents.threaded import ThreadedDQN, parts_of

pytestmark = pytest.mark.usefixtures("two_threads")

PICTURE, ACTIONS, ROWS = (4, 44, 44), 3, 12

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {"double": True, "dueling": True, "layer_norm": True, "gap_increase": 0.7, "max_grad_norm": 0.1},
    "quantile": {"distribution": "quantile", "atoms": 8, "munchausen": 0.9},
    "categorical": {"distribution": "categorical", "atoms": 11, "noisy": True},
    "bfloat16": {"precision": "bfloat16", "dueling": True},
}


def config(**settings: Any) -> Config:
    return Config(width=0.25, hidden=(16,), batch_size=ROWS, target_period_updates=2).with_settings(settings)


def batch(seed: int) -> Batch:
    source = torch.Generator().manual_seed(seed)

    def pictures() -> Tensor:
        return torch.randint(256, (ROWS, *PICTURE), generator=source, dtype=torch.uint8)

    def draw() -> Tensor:
        return torch.rand(ROWS, generator=source)

    action = torch.randint(ACTIONS, (ROWS,), generator=source)
    return Batch(pictures(), action, draw(), 0.9 * draw().round(), pictures(), draw(), torch.arange(ROWS))


def learned(agent: DQN) -> list[Tensor]:
    """Return the priorities of some updates."""
    priorities = []
    for number in range(4):
        if number == 2:
            agent.copy_to_target()
        priorities.append(agent.learn(batch(number)))
    return priorities


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_parts_learn_what_the_whole_would(variant: str, parts: int) -> None:
    settings = config(**VARIANTS[variant])
    whole = DQN(settings, PICTURE, ACTIONS, seed=1)
    shared = ThreadedDQN(settings, PICTURE, ACTIONS, seed=1, parts=parts)
    atol, rtol = (2e-2, 2e-2) if settings.precision == "bfloat16" else (2e-5, 1e-4)
    for ours, theirs in zip(learned(shared), learned(whole), strict=True):  # in the order of the rows
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=rtol)
    for name, weight in whole.online.state_dict().items():
        torch.testing.assert_close(shared.online.state_dict()[name], weight, atol=atol, rtol=rtol)
    assert shared.drain() == pytest.approx(whole.drain(), rel=rtol, abs=atol)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_seed_makes_a_run_to_the_bit(precision: str) -> None:
    first, second = (ThreadedDQN(config(precision=precision), PICTURE, ACTIONS, seed=1, parts=2) for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(learned(first), learned(second), strict=True))
    pairs = zip(first.online.parameters(), second.online.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_the_callers_own_threads_stay_as_many() -> None:
    learned(ThreadedDQN(config(), PICTURE, ACTIONS, parts=2))
    assert torch.get_num_threads() == 2


def test_what_fails_in_a_thread_fails_in_the_caller() -> None:
    agent = ThreadedDQN(config(), PICTURE, ACTIONS, parts=2)
    wrong = batch(0)._replace(action=torch.full((ROWS,), ACTIONS))
    with pytest.raises((RuntimeError, IndexError), match="out of bounds"):
        agent.learn(wrong)
    agent.learn(batch(0))  # and the next batch finds everything in order


def test_parts_are_equal_and_not_too_small() -> None:
    assert [parts_of(32, threads) for threads in (1, 2, 3, 16)] == [1, 2, 2, 2]
    assert [parts_of(size, 4) for size in (8, 31, 48, 50, 64, 256)] == [1, 1, 3, 2, 4, 4]


def test_only_pictures_on_several_cores_are_shared_out() -> None:
    settings = Config(mlp_hidden=(8,), hidden=(8,), width=0.25)
    assert isinstance(build_agent(settings, PICTURE, ACTIONS), ThreadedDQN)
    assert not isinstance(build_agent(settings, (5,), ACTIONS), ThreadedDQN)
    torch.set_num_threads(1)
    assert not isinstance(build_agent(settings, PICTURE, ACTIONS), ThreadedDQN)

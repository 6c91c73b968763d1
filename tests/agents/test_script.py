"""Scripts of updates: the same numbers to the bit, with the weights as they are at each call."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from rlrun.agents import policy, script, updates
from rlrun.agents.accelerator import build_replay
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.progress import Progress
from rlrun.agents.replay import Batch
from rlrun.agents.script import Scripted
from rlrun.agents.updates import EagerUpdates, PooledUpdates

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "squared": {"loss": "squared", "max_grad_norm": 0.1, "optimizer": "rmsprop"},
    "everything": {"double": True, "dueling": True, "layer_norm": True, "gap_increase": 0.7},
    "quantile": {"distribution": "quantile", "atoms": 8, "munchausen": 0.9},
    "categorical": {"distribution": "categorical", "atoms": 11},
    "ensemble": {"distribution": "ensemble", "members": 3, "dueling": True},
    "bfloat16": {"precision": "bfloat16", "dueling": True, "max_grad_norm": 10},
    "knots": {"knots": "0,.4,.5,1", "layer_norm": True},
}


def agents(variant: str) -> tuple[DQN, DQN]:
    """Return two that are the same."""
    settings = Config(body="mlp", mlp_hidden=(16,), hidden=(8,), learning_rate=1e-2).with_settings(VARIANTS[variant])
    return DQN(settings, (5,), 3, seed=1), DQN(settings, (5,), 3, seed=1)


def batches(count: int, size: int = 8) -> list[Batch]:
    source = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=source)

    return [
        Batch(
            draw(size, 5), torch.randint(3, (size,), generator=source), draw(size), draw(size), draw(size, 5),
            draw(size), torch.arange(size),
        )
        for _ in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_scripted_update_is_the_update_to_the_bit(variant: str) -> None:
    eager, other = agents(variant)
    slopes = Scripted(other.slopes)
    for number, batch in enumerate(batches(12)):
        if number == 6:  # what the script reads changes between calls
            eager.copy_to_target()
            other.copy_to_target()
        expected = eager.learn(batch)
        ahead = other.look_ahead(batch)
        priority, *downhill = slopes(*ahead[0], ahead[1])
        other.move(downhill)
        assert torch.equal(priority, expected)
    assert slopes.scripts == 1
    parts = zip(eager.state().values(), other.state().values(), strict=True)
    assert all(torch.equal(ours[name], theirs[name]) for ours, theirs in parts for name in ours)
    assert eager.drain() == other.drain()


def test_each_shape_has_a_script_of_its_own() -> None:
    double = Scripted(lambda tensor: [tensor + tensor])
    for size in (2, 3, 2):
        assert double(torch.ones(size))[0].tolist() == [2.0] * size
    assert double(torch.ones(2, dtype=torch.int64))[0].dtype == torch.int64
    assert double.scripts == 3


def test_a_shape_is_recorded_only_after_as_many_calls_with_it() -> None:
    double = Scripted(lambda tensor: [tensor + tensor], after=2)
    for size, scripts in ((2, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2), (2, 2)):
        assert double(torch.ones(size))[0].tolist() == [2.0] * size
        assert double.scripts == scripts


def test_tensors_that_lie_otherwise_in_memory_have_a_script_of_their_own() -> None:
    flat = Scripted(lambda tensor: [tensor.reshape(-1) * 1])  # a view of the one, a copy of the other
    square = torch.arange(4.0).view(2, 2)
    assert flat(square)[0].tolist() == [0, 1, 2, 3]
    assert flat(square.t())[0].tolist() == [0, 2, 1, 3]
    assert flat.scripts == 2


@pytest.mark.parametrize(
    "variant", [{}, {"noisy": True}, {"gap_increase": 0.5, "distribution": "quantile", "atoms": 3}]
)
def test_acting_by_script_takes_the_same_actions_by_the_weights_as_they_are(
    variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = []
    for after in (3, 10**9):
        monkeypatch.setattr(policy, "SCRIPTED_AFTER", after)
        agent = DQN(Config(mlp_hidden=(16,), hidden=(8,), learning_rate=1e-2).with_settings(variant), (5,), 3, seed=1)
        seen = [agent.act(batch.obs, 0.2).tolist() for batch in batches(40, size=32) if agent.learn(batch).dim()]
        assert agent.policy._expect.scripts == (1 if after == 3 else 0)
        chosen.append(seen)
    assert chosen[0] == chosen[1]


def test_a_function_that_cannot_be_scripted_or_comes_out_otherwise_goes_on_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = torch.arange(8, dtype=torch.uint8)
    views = Scripted(lambda tensor: [tensor.view(torch.int32)])  # which TorchScript does not know
    assert torch.equal(views(words)[0], words.view(torch.int32))
    assert views.scripts == 0

    def wrong(function: Any, tensors: Sequence[Tensor]) -> Any:
        return lambda tensor: [tensor + 1e-6]

    monkeypatch.setattr(script, "_script", wrong)
    same = Scripted(lambda tensor: [tensor])
    assert same(torch.ones(2))[0].tolist() == [1.0, 1.0]
    assert same.scripts == 0


PRIORITISED = {"priority_exponent": 0.5, "noisy": True, "importance_start": 0.4}


@pytest.mark.parametrize("variant", [{}, PRIORITISED], ids=["pooled", "prioritised"])
@pytest.mark.parametrize("shape", [(5,), (4, 44, 44)], ids=["numbers", "pictures"])
def test_updates_are_scripted_when_that_pays_and_nothing_else_changes(
    shape: tuple[int, ...], variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Config(width=0.1, mlp_hidden=(16,), hidden=(8,), batch_size=8, target_period_updates=7)
    settings = settings.with_settings(variant)
    found: list[dict[str, Tensor]] = []
    for after in (10, 10**9):
        monkeypatch.setattr(updates, "SCRIPTED_AFTER", after)
        agent = DQN(settings, shape, 3, seed=1)
        replay = build_replay(
            settings.with_settings({"replay_capacity": 80, "num_envs": 2, "learning_starts": 0}),
            shape,
            torch.uint8 if len(shape) == 3 else torch.float32,
        )
        none = torch.zeros(2, dtype=torch.bool)
        for value in range(20):
            obs = torch.full((2, *shape), value % 7, dtype=replay.obs_dtype)
            replay.add(obs, torch.tensor([0, 1]), torch.ones(2), none, none, none)
        make, progress = updates.eager_updates(agent, replay, settings), Progress.begin(torch.zeros(2))
        assert isinstance(make, EagerUpdates if variant else PooledUpdates)
        for _ in range(6):
            make(4, progress)
        assert make.scripts == (1 if after == 10 else 0)
        found.append(agent.state()["weights"] | {"priorities": replay.ledger.priorities.leaves})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.graph import LARGEST, graph_size
from rlrun.agents.optimiser import Optimiser
from rlrun.agents.progress import Progress
from rlrun.agents.replay import Batch, Replay
from rlrun.agents.updates import EagerUpdates, PooledUpdates, eager_updates, pieces, update

STATES, ACTIONS = 5, 3


def config(**settings: Any) -> Config:
    return Config(body="mlp", mlp_hidden=(16,), hidden=(8,), batch_size=16).with_settings(settings)


def built(settings: Config) -> tuple[DQN, Replay]:
    """Return an agent, and a replay of random transitions with an exponent, both seeded."""
    agent = DQN(settings, (STATES,), ACTIONS, seed=1)
    replay = Replay(400, 4, (STATES,), obs_dtype=torch.float32, n_step=2, priority_exponent=0.6, seed=2)
    source = torch.Generator().manual_seed(3)
    for _ in range(60):
        obs, reward = torch.randn(4, STATES, generator=source), torch.randn(4, generator=source)
        action = torch.randint(ACTIONS, (4,), generator=source)
        ends = torch.rand(3, 4, generator=source) < 0.1
        replay.add(obs, action, reward, ends[0], ends[1] & ~ends[0], ends[2])
    return agent, replay


def everything(agent: DQN, replay: Replay) -> list[Tensor]:
    parts = [*agent.state().values(), replay.state()]
    return [value.clone() for part in parts for value in part.values()]


@pytest.mark.parametrize("variant", [{}, {"noisy": True, "double": True, "max_grad_norm": 1.0}])
def test_a_learning_rate_that_is_a_scalar_on_the_device_makes_the_same_updates_to_the_bit(
    variant: dict[str, Any],
) -> None:
    by_number, by_scalar = built(config(**variant)), built(config(**variant))
    scalar = torch.zeros((), dtype=torch.float64)
    for rate in (1e-2, 1.3e-3, 0.0, 7e-4):
        update(*by_number, 16, 0.4, rate)
        update(*by_scalar, 16, 0.4, scalar.fill_(rate))
        assert all(map(torch.equal, everything(*by_number), everything(*by_scalar)))


@pytest.mark.parametrize("beta", [0.0, 0.4, 0.5, 0.7317, 1.0])
def test_a_beta_that_is_a_scalar_on_the_device_weighs_the_same_samples_alike(beta: float) -> None:
    replays = [built(config())[1] for _ in range(2)]
    source = torch.Generator().manual_seed(4)
    error = 10 ** (4 * torch.rand(240, generator=source) - 2)
    for replay in replays:
        slots = replay.startable.view(-1).nonzero()[:, 0]
        replay.update(slots, error[: len(slots)])
    by_number, by_scalar = replays[0].sample(64, beta), replays[1].sample(64, torch.tensor(beta))
    assert torch.equal(by_number.index, by_scalar.index)
    # Not to the bit: of numbers torch takes some powers, as 1/2, by another way.
    torch.testing.assert_close(by_scalar.weight, by_number.weight, rtol=1e-6, atol=0)
    assert (by_number.weight.unique().numel() > 10) == (beta > 0)


def test_a_rate_on_the_device_is_read_at_each_step_and_not_when_it_was_set() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    optimiser = Optimiser(layer, Config(optimizer_eps=1e-8))
    rate = torch.tensor(0.25)
    optimiser.set_learning_rate(rate)
    moves = []
    for value in (0.25, 0.0, 0.5):
        rate.fill_(value)
        before = layer.weight.item()
        optimiser.move(optimiser.gradients(layer(torch.ones(1, 1)).sum()))
        moves.append(before - layer.weight.item())
    assert moves == pytest.approx([0.25, 0.0, 0.5], rel=1e-5)


def test_an_update_changes_tensors_in_place_and_never_puts_others_there() -> None:
    agent, replay = built(config(noisy=True, optimizer="rmsprop"))

    def held() -> list[int]:
        found = []
        for owner in (agent, agent.optimiser, replay, replay.ledger, replay.ledger.priorities):
            for value in vars(owner).values():
                several = value if isinstance(value, list) else [value]
                found += [one.data_ptr() for one in several if isinstance(one, Tensor)]
        networks = [*agent.online.state_dict().values(), *agent.target.state_dict().values()]
        return found + [one.data_ptr() for one in networks]

    before, numbers = held(), everything(agent, replay)
    for _ in range(3):
        update(agent, replay, 16, 0.4, 1e-3)
    assert held() == before
    assert not all(map(torch.equal, numbers, everything(agent, replay)))


@pytest.mark.parametrize("variant", [{}, {"noisy": True, "gap_increase": 0.5}])
def test_updates_one_by_one_do_what_the_agents_own_learning_does(variant: dict[str, Any]) -> None:
    settings = config(
        learning_rate=1e-3, learning_rate_end=1e-3, priority_exponent=0.6, importance_start=0.4, **variant
    )
    ours, theirs = built(settings), built(settings)
    EagerUpdates(*ours, settings)(3, Progress.begin(np.zeros(4)))
    theirs[0].copy_to_target()  # as before the first update
    for _ in range(3):
        update(*theirs, settings.batch_size, 0.4, 1e-3)
    assert all(map(torch.equal, everything(*ours), everything(*theirs)))


def test_the_moment_returned_lies_between_sampling_and_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, replay = built(config())
    moments = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr("rlrun.agents.updates.perf_counter", lambda: next(moments))
    learn, seen = agent.learn, []

    def spy(batch: Any) -> Tensor:
        seen.append(next(moments))
        return learn(batch)  # type: ignore[no-any-return,unused-ignore]

    agent.learn = spy  # type: ignore[method-assign,unused-ignore]
    assert update(agent, replay, 16, 0.0, 1e-3) == 1.0
    assert seen == [2.0]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("period", [1, 2, 5, 8, 100])
def test_pieces_are_whole_or_single_and_a_copy_falls_on_a_beginning_only(size: int, period: int) -> None:
    settings = config(target_period_updates=period)
    for first, count in ((0, 1), (0, 40), (3, 1), (17, 23), (99, 12)):
        cut = list(pieces(first, count, size, settings))
        starts = [first]
        for _, length in cut:
            assert length in (1, size)
            starts.append(starts[-1] + length)
        assert starts[-1] == first + count
        copies = [start for start, (copied, _) in zip(starts, cut, strict=False) if copied]
        assert copies == [number for number in range(first, first + count) if settings.copies_target(number)]
        if period == 100 and first == 0 and count == 40:
            assert sum(length == 1 for _, length in cut) == 40 % size + 40 * (size == 1)


def test_a_growing_period_is_kept_too() -> None:
    settings = config(target_period_updates=30, target_period_first=4, target_growth_updates=200)
    starts, copies = 0, []
    for copied, length in pieces(0, 300, 4, settings):
        copies += [starts] if copied else []
        starts += length
    assert copies == [number for number in range(300) if settings.copies_target(number)]
    assert copies[1] - copies[0] < 6 < 25 < max(b - a for a, b in pairwise(copies))


@pytest.mark.parametrize(
    ("num_envs", "steps_per_update", "size"),
    [(8, 4.0, 2), (64, 4.0, 16), (4, 32.0, 1), (1, 0.5, 2), (512, 1.0, LARGEST), (10, 4.0, 2)],
)
def test_a_graph_holds_what_one_step_of_all_worlds_makes_due(num_envs: int, steps_per_update: float, size: int) -> None:
    assert graph_size(config(num_envs=num_envs, steps_per_update=steps_per_update)) == size


def uniform(settings: Config) -> tuple[DQN, Replay]:
    agent, replay = built(settings)
    replay.priority_exponent = 0.0
    replay.ledger.priorities.load((replay.ledger.priorities.leaves > 0).float())
    return agent, replay


@pytest.mark.parametrize("variant", [{}, {"double": True, "dueling": True}, {"distribution": "categorical"}])
def test_pooled_updates_are_those_made_one_by_one_on_the_same_batches(variant: dict[str, Any]) -> None:
    settings = config(**variant, target_period_updates=3, priority_exponent=0.0)
    (pooled, replay), (single, other) = uniform(settings), uniform(settings)
    drawn = []
    sample = replay.sample

    def kept(*args: Any, **kwargs: Any) -> Batch:
        drawn.append(sample(*args, **kwargs))
        return drawn[-1]

    replay.sample = kept
    progress = Progress.begin(np.zeros((4, STATES)))
    PooledUpdates(pooled, replay, settings)(8, progress)
    assert progress.updates == 8
    assert [len(pool.action) for pool in drawn] == [48, 48, 32]  # cut where the target is copied
    for number, batch in enumerate(batch for pool in drawn for batch in pool.split(16)):
        if settings.copies_target(number):
            single.copy_to_target()
        single.optimiser.set_learning_rate(settings.learning_rate_at(0))
        single.learn(batch)
    for mine, theirs in zip(everything(pooled, replay)[:-1], everything(single, other)[:-1], strict=True):
        torch.testing.assert_close(mine.float(), theirs.float(), rtol=1e-4, atol=1e-6)


def test_every_batch_of_a_pool_covers_the_whole_replay() -> None:
    replay = uniform(config())[1]
    slots = int(replay.startable.sum())
    for batch in replay.sample(40, count=5).split(40):
        place = replay.startable.view(-1).cumsum(0)[batch.index].float() / slots
        assert len(batch.obs) == 40
        # One draw from each of 40 equal parts, in their order.
        assert ((place * 40).ceil() - torch.arange(1, 41)).abs().max() <= 1


@pytest.mark.parametrize("setting", [{"priority_exponent": 0.5}, {"noisy": True}])
def test_updates_that_depend_on_the_one_before_are_not_pooled(setting: dict[str, Any]) -> None:
    settings = config(**setting)
    assert isinstance(eager_updates(*built(settings), settings), EagerUpdates)
    assert isinstance(eager_updates(*built(config()), config()), PooledUpdates)

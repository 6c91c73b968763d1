"""The counterpart: a world whose apples are poison and whose poison is apples would have told just that."""

from dataclasses import replace

import pytest
import torch

from rlrun import make
from rlrun.envs.waterworld.core import Core
from rlrun.envs.waterworld.exchange import exchanged
from rlrun.envs.waterworld.layout import LAYOUTS, layout_of
from rlrun.envs.waterworld.rays import APPLE, POISON
from rlrun.envs.waterworld.state import EMPTY
from rlrun.envs.waterworld.variants import core_of

WORLDS, STEPS = 256, 60


def with_kinds_exchanged(core: Core) -> Core:
    """Return the same worlds, each apple a poison and each poison an apple."""
    other = core_of(core.layout.variant, core.keys)
    state = replace(core.state, **{name: value.clone() for name, value in core.state.tensors().items()})
    state.item_kind = torch.where(state.item_kind == EMPTY, EMPTY, APPLE + POISON - state.item_kind).to(torch.int8)
    other.put(torch.arange(WORLDS), core.keys.clone(), state)
    return other


@pytest.mark.parametrize("variant", LAYOUTS)
def test_it_tells_what_a_world_with_the_kinds_exchanged_shows_and_pays(variant: str) -> None:
    core = core_of(variant, torch.arange(WORLDS))
    counterpart = exchanged(core.layout)
    chance = torch.Generator().manual_seed(0)
    apples = poisons = 0
    for _ in range(STEPS):
        other = with_kinds_exchanged(core)
        torch.testing.assert_close(core.observe()[:, counterpart.columns], other.observe(), atol=0, rtol=0)
        actions = torch.randint(0, len(core.layout.actions), (WORLDS,), generator=chance)
        brought, otherwise = core.tick(actions), other.tick(actions)
        apples, poisons = apples + int(brought.apples.sum()), poisons + int(brought.poisons.sum())
        torch.testing.assert_close(counterpart.reward(brought.reward), otherwise.reward)
    assert min(apples, poisons) > 20, "too little was eaten to tell"


@pytest.mark.parametrize("walking", [0.0, 0.3, 1.1])
@pytest.mark.parametrize(("apples", "poisons"), [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (0, 2), (0, 3), (1, 1)])
def test_a_reward_tells_what_was_eaten(walking: float, apples: int, poisons: int) -> None:
    reward = exchanged(layout_of("rldemo")).reward(torch.tensor([[walking + 5 * apples - 6 * poisons]]))
    torch.testing.assert_close(reward, torch.tensor([[walking + 5 * poisons - 6 * apples]]))


@pytest.mark.parametrize("name", ["Waterworld", "Waterworld-reinforcejs"])
def test_worlds_to_train_in_have_one_and_others_have_none(name: str) -> None:
    envs = make(name, 2, 0)
    assert envs.counterpart is not None
    columns = envs.counterpart.columns
    assert sorted(columns) == list(range(envs.single_observation_space.shape[0]))
    assert make("CartPole-v1", 2, 0).counterpart is None

"""The list of neighbours: it tells what a look at all items finds, for as long as it says that it holds."""

from collections.abc import Callable

import pytest
import torch

from rlrun.envs.waterworld.layout import RLDEMO
from rlrun.envs.waterworld.neighbours import SKIN, Near, Neighbours, near
from rlrun.envs.waterworld.state import EMPTY, State
from rlrun.envs.waterworld.variants import RLDemo

WORLDS = 300


@pytest.fixture
def state() -> State:
    return RLDemo(RLDEMO, torch.arange(WORLDS)).state


def same(one: Near, other: Near) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_it_tells_what_a_look_at_all_items_finds_until_an_agent_has_crossed_the_skin(state: State) -> None:
    listed = Neighbours(RLDEMO, state)
    held = 0
    while listed.hold(state):
        assert same(listed.near(state), near(RLDEMO, state))
        state.x, state.y = state.x + 3.0, state.y + 4.0  # new tensors, as a tick makes them
        held += 1
    assert held == SKIN / 5
    state.x = state.x + 5.0
    assert not same(listed.near(state), near(RLDEMO, state)), "it could have held for longer"


def test_what_is_eaten_is_no_neighbour_any_more(state: State) -> None:
    listed = Neighbours(RLDEMO, state)
    gone = listed.near(state).place[::2]
    state.item_kind.view(-1)[gone] = EMPTY
    assert listed.hold(state)
    assert same(listed.near(state), near(RLDEMO, state))


def moved_away(state: State) -> None:
    state.x[WORLDS // 2] += SKIN + 1


def placed_in_a_slot(state: State) -> None:
    state.item_x.view(-1)[7] = 1.0


def restarted(state: State) -> None:
    state.replace_rows(torch.tensor([3]), RLDemo(RLDEMO, torch.tensor([9])).state)


def exchanged(state: State) -> None:
    state.item_x = state.item_x.clone()


@pytest.mark.parametrize("change", [moved_away, placed_in_a_slot, restarted, exchanged])
def test_it_does_not_hold_where_somebody_else_moved_agents_or_items(
    state: State, change: Callable[[State], None]
) -> None:
    listed = Neighbours(RLDEMO, state)
    change(state)
    assert not listed.hold(state)

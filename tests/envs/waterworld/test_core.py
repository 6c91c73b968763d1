"""The core: what a tick does to a world, by hand; and that a world does not feel its neighbours."""

from dataclasses import fields
from math import isclose, pi, sin
from typing import Any

import pytest
import torch

from rlrun.envs.waterworld import chance
from rlrun.envs.waterworld.core import Core
from rlrun.envs.waterworld.explicit import read_state
from rlrun.envs.waterworld.host import HostReinforceJS, HostRLDemo
from rlrun.envs.waterworld.layout import LAYOUTS, REINFORCEJS, RLDEMO
from rlrun.envs.waterworld.state import Tick
from rlrun.envs.waterworld.variants import ReinforceJS, RLDemo, core_of

APPLE, POISON = 1, 2
FORWARD, VEER_LEFT, VEER_RIGHT, SPIN_RIGHT, SPIN_LEFT = range(5)


def world(variant: str = "rldemo", **state: Any) -> Core:
    core = core_of(variant, torch.tensor([5]), dtype=torch.float64)
    pose = {"angle": 0.0} if variant == "rldemo" else {"velocity_x": 0.0, "velocity_y": 0.0}
    plain = {"x": 350.0, "y": 250.0, **pose, "clock": 0, "items": [], **state}
    rows = torch.tensor([0])
    core.put(rows, core.keys.clone(), read_state(core.layout, plain, dtype=torch.float64, device=core.device))
    return core


def tick(core: Core, action: int) -> Tick:
    return core.tick(torch.tensor([action]))


@pytest.mark.parametrize(
    ("action", "length", "turn"),
    [
        (FORWARD, 5 * sin(1), 0.0),
        (VEER_LEFT, 5 * sin(0.9), 0.2),
        (VEER_RIGHT, 5 * sin(0.9), -0.2),
        (SPIN_RIGHT, 5 * sin(0.25), -0.5),
        (SPIN_LEFT, 5 * sin(0.25), 0.5),
    ],
)
def test_wheels_move_the_agent_along_a_chord_and_turn_it(action: int, length: float, turn: float) -> None:
    core = world(angle=1.0)
    tick(core, action)
    heading = 1.0 + turn / 2
    assert isclose(float(core.state.x), 350 + length * sin(heading), abs_tol=1e-12)
    assert isclose(float(core.state.y), 250 + length * sin(heading + pi / 2), abs_tol=1e-12)
    assert isclose(float(core.state.angle), 1.0 + turn, abs_tol=1e-12)


def test_an_angle_stays_within_a_turn() -> None:
    core = world(angle=0.1)
    tick(core, SPIN_RIGHT)
    assert isclose(float(core.state.angle), 2 * pi - 0.4)
    tick(core, SPIN_LEFT)
    assert isclose(float(core.state.angle), 0.1, abs_tol=1e-12)


def test_a_wall_undoes_the_way_but_not_the_turn() -> None:
    core = world(x=50.0, y=12.0, angle=pi)  # up, towards y = 10
    brought = tick(core, VEER_LEFT)
    assert bool(brought.collided)
    assert (float(core.state.x), float(core.state.y)) == (50.0, 12.0)
    assert isclose(float(core.state.angle), pi + 0.2)


def test_food_is_eaten_within_two_radii_and_not_through_a_wall() -> None:
    touching, beside, walled = [350.0, 270.0, APPLE, 0], [350.0, 280.0, POISON, 0], [90.0, 95.0, POISON, 0]
    core = world(items=[touching, beside])
    brought = tick(core, FORWARD)  # to y = 254.2: 15.8 and 25.8 away
    assert (int(brought.apples), int(brought.poisons), float(brought.digestion)) == (1, 0, 5.0)
    assert core.state.item_kind[0, :2].tolist() == [0, POISON]
    core = world(x=200.0, y=105.0, items=[[200.0, 95.0, POISON, 0], walled])
    assert float(tick(core, SPIN_LEFT).digestion) == 0.0  # a wall at y = 100
    core = world(x=200.0, y=85.0, items=[[200.0, 95.0, POISON, 0]])
    assert float(tick(core, SPIN_LEFT).digestion) == -6.0


def test_the_reward_for_going_straight_needs_room_as_it_was_before_the_move() -> None:
    brought = tick(world(), FORWARD)
    assert [float(brought.proximity), float(brought.forward)] == pytest.approx([1.0, 0.1])
    assert float(tick(world(), VEER_LEFT).forward) == 0.0
    near = world(x=12.0, y=250.0, angle=3 * pi / 2)  # at the left wall, facing it
    before = float((2 * torch.where(near.sight.kind == 0, near.sight.distance / 85, 1.0).mean()).clamp(max=1))
    brought = tick(near, FORWARD)
    assert before < 0.75
    assert float(brought.proximity) == pytest.approx(before)
    assert float(brought.forward) == 0.0


def test_items_vanish_only_when_old_and_on_the_hundredth_tick() -> None:
    old, young = [[500.0, 450.0, POISON, 5_000]] * 15, [[500.0, 20.0, APPLE, 4_998]] * 15
    vanished = 0
    for seed in range(40):
        core = world(clock=98, items=[*old, *young])
        core.keys = torch.tensor([seed])
        assert len(tick(core, SPIN_LEFT).vanished) == 0  # the 99th tick
        brought = tick(core, SPIN_RIGHT)
        vanished += len(brought.vanished)
        assert all(place < 15 for place in brought.vanished.tolist())
    assert 600 * 0.1 * 0.6 < vanished < 600 * 0.1 * 1.4


def test_an_item_appears_in_a_quarter_of_the_tenth_ticks_where_there_is_room() -> None:
    appeared = 0
    for seed in range(200):
        core = world(clock=8)
        core.keys = torch.tensor([seed])
        tick(core, SPIN_LEFT)
        assert int((core.state.item_kind > 0).sum()) == 0
        tick(core, SPIN_LEFT)
        appeared += int((core.state.item_kind > 0).sum())
    assert 50 * 0.6 < appeared < 50 * 1.4
    full = world(clock=9, items=[[500.0, 450.0, POISON, 0]] * 30)
    for _ in range(300):
        tick(full, SPIN_LEFT)
    assert int((full.state.item_kind > 0).sum()) == 30


def test_a_drifting_agent_keeps_its_speed_but_for_drag_and_stops_at_the_edge() -> None:
    core = world("reinforcejs", x=300.0, y=300.0)
    tick(core, 1)  # right
    assert (float(core.state.velocity_x), float(core.state.x)) == (0.95, 300.95)
    tick(core, 2)  # up
    assert float(core.state.velocity_x) == pytest.approx(0.95**2)
    assert float(core.state.velocity_y) == -0.95
    core = world("reinforcejs", x=1.2, velocity_x=-3.0)
    brought = tick(core, 0)
    assert bool(brought.collided)
    assert (float(core.state.x), float(core.state.velocity_x)) == (1.0, 0.0)


def test_moving_items_bounce_at_the_edge() -> None:
    core = world("reinforcejs", items=[[698.0, 100.0, APPLE, 0, 2.0, 1.0]])
    tick(core, 0)
    assert [float(core.state.item_x[0, 0]), float(core.state.item_velocity_x[0, 0])] == [699.0, -2.0]
    assert [float(core.state.item_y[0, 0]), float(core.state.item_velocity_y[0, 0])] == [101.0, 1.0]


@pytest.mark.parametrize("variant", LAYOUTS)
def test_a_world_is_the_same_alone_and_among_4096(variant: str) -> None:
    keys = chance.keys(torch.arange(4_096), torch.zeros(4_096, dtype=torch.int64))
    many = core_of(variant, keys)
    chosen = [0, 1, 777, 4_095]
    alone = [core_of(variant, keys[row : row + 1]) for row in chosen]
    actions = torch.randint(0, 4, (60, 4_096), generator=torch.Generator().manual_seed(1))
    for core in (many, *alone):
        core.state.clock += 5_960  # items are old, and many meet the 6,000th tick
    for chosen_actions in actions:
        rewards = many.tick(chosen_actions).reward
        for row, core in zip(chosen, alone, strict=True):
            assert torch.equal(core.tick(chosen_actions[row : row + 1]).reward, rewards[row : row + 1])
            assert torch.equal(core.observe()[0], many.observe()[row])
    for row, core in zip(chosen, alone, strict=True):
        for field in fields(core.state):
            assert torch.equal(getattr(core.state, field.name)[0], getattr(many.state, field.name)[row]), field.name


def test_on_a_cpu_compiled_loops_tick_all_worlds() -> None:
    assert type(core_of("rldemo", torch.arange(2))) is HostRLDemo
    assert type(core_of("rldemo", torch.arange(2), dtype=torch.float64)) is HostRLDemo
    assert type(core_of("reinforcejs", torch.arange(2_000))) is HostReinforceJS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("kinds", [(RLDemo, HostRLDemo), (ReinforceJS, HostReinforceJS)], ids=LAYOUTS)
def test_loops_tick_worlds_as_the_plain_code_does_to_the_bit(kinds: tuple[type[Core], ...], dtype: torch.dtype) -> None:
    keys = chance.keys(torch.arange(64), torch.zeros(64, dtype=torch.int64))
    layout = RLDEMO if RLDemo in kinds else REINFORCEJS
    cores = [kind(layout, keys, dtype=dtype) for kind in kinds]
    happened = dict.fromkeys(("apples", "poisons", "collided", "eaten", "vanished"), 0)
    for core in cores:
        core.state.clock += 5_700 + 10 * torch.arange(64)  # items are old, and many meet the 6,000th tick
    for actions in torch.randint(0, len(layout.actions), (400, 64), generator=torch.Generator().manual_seed(1)):
        walking = actions % 5 * (actions > 2)  # straight on, more often than not
        one, other = (core.tick(walking) for core in cores)
        for field in fields(Tick):
            assert torch.equal(getattr(one, field.name), getattr(other, field.name)), field.name
        assert torch.equal(*(core.observe() for core in cores))
        for seen in zip(*(core.sight for core in cores), strict=True):
            assert torch.equal(*seen)
        for name in happened:
            happened[name] += int(getattr(one, name).sum())
    for name, column in cores[0].state.tensors().items():
        assert torch.equal(column, cores[1].state.tensors()[name]), name
    assert min(happened.values()) > 50, happened


@pytest.mark.parametrize("variant", LAYOUTS)
def test_in_loops_an_action_that_does_not_exist_is_refused(variant: str) -> None:
    core = core_of(variant, torch.arange(3))
    for action in (-1, 5):
        with pytest.raises(IndexError, match="no such action"):
            core.tick(torch.tensor([0, action, 0]))
    with pytest.raises(ValueError, match="an action for each world"):
        core.tick(torch.tensor([0, 0]))
    assert core.state.clock.tolist() == [0, 0, 0]


def test_chance_is_even_and_differs_by_world_tick_purpose_and_slot() -> None:
    keys = chance.keys(torch.arange(2_000), torch.zeros(2_000, dtype=torch.int64))
    clock = torch.full_like(keys, 7)
    drawn = chance.uniform(keys, clock, 0, 30)
    assert bool(((drawn >= 0) & (drawn < 1)).all())
    assert abs(float(drawn.mean()) - 0.5) < 0.005
    assert abs(float(drawn.var()) - 1 / 12) < 0.002
    for other in (
        chance.uniform(keys, clock + 1, 0, 30),
        chance.uniform(keys, clock, 1, 30),
        chance.uniform(chance.keys(torch.arange(2_000), torch.ones(2_000, dtype=torch.int64)), clock, 0, 30),
        drawn.roll(1, 0),
        drawn.roll(1, 1),
    ):
        correlation = torch.corrcoef(torch.stack([drawn.flatten(), other.flatten()]))[0, 1]
        assert abs(float(correlation)) < 0.02

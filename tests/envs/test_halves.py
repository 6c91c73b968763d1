"""Halves: a world like any other, of two that may step apart."""

from typing import Any

import numpy as np
import pytest

from rlrun.envs import World, WorldError, make
from rlrun.envs.halves import Halves


def halves(num_envs: int = 5, seed: int = 3) -> Halves:
    made = make("Pong", num_envs, seed, device="cuda")  # where it is learned from: nothing here needs a GPU
    assert isinstance(made, Halves)
    return made


def lived(world: World, steps: int = 30, seed: int | None = None) -> list[Any]:
    rng = np.random.default_rng(0)
    told = [world.reset(seed=seed)[0]]
    for _ in range(steps):
        obs, reward, *_ = world.step(rng.integers(6, size=world.num_envs))
        told += [obs, reward]
    return told


def same(ours: list[Any], theirs: list[Any]) -> bool:
    return all(np.array_equal(one, two) for one, two in zip(ours, theirs, strict=True))


def test_it_steps_like_one_world_of_all_rows() -> None:
    world = halves()
    assert [half.num_envs for half in world.halves] == [2, 3]
    obs, info = world.reset()
    assert obs.shape == (5, 4, 84, 84)
    assert info["reset"].tolist() == [True] * 5
    obs, reward, terminated, truncated, info = world.step(np.zeros(5, np.int64))
    assert obs.shape == (5, 4, 84, 84)
    assert {len(column) for column in (reward, terminated, truncated, *info.values())} == {5}
    world.close()
    assert all(half.closed for half in world.halves)


def test_the_seed_decides_and_no_half_repeats_the_other() -> None:
    worlds = [halves(4), halves(4), halves(4, seed=4)]
    first, second, other = (lived(world) for world in worlds)
    assert same(first, second)
    assert not same(first, other)
    assert not same([obs[:2] for obs in first], [obs[2:] for obs in first])
    assert same(first, lived(worlds[2], seed=3))
    for world in worlds:
        world.close()


def test_a_state_may_be_saved_while_a_half_is_under_way_and_all_rows_then_start_anew() -> None:
    world = halves(4)
    world.reset()
    world.halves[0].send([0, 0])
    saved = world.state_dict()
    other = halves(4, seed=9)
    obs, restored = other.load_state_dict(saved)
    assert obs.shape == (4, 4, 84, 84)
    assert not restored.any()
    assert other.seed == 3
    world.reset()  # waits for the half that was under way
    world.step([0, 0, 0, 0])
    world.close()
    other.close()


def test_one_copy_has_no_halves() -> None:
    assert not isinstance(make("Pong", 1, device="cuda"), Halves)
    assert not isinstance(make("Pong", 4), Halves)
    with pytest.raises(WorldError, match="two halves need at least 2 copies, not 1"):
        Halves(lambda num_envs, seed: make("Pong", num_envs, seed), 1, 0)

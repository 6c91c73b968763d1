"""Waterworld behind the house's door: names, steps, restoring bit for bit, and the screen."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rlrun.envs import UnknownWorld, WorldError, make, make_screen, trainable
from rlrun.envs.catalogue import find
from rlrun.envs.waterworld.world import ResidentWaterworld


@pytest.mark.parametrize(
    ("spelling", "id"),
    [
        ("Waterworld", "Waterworld"),
        ("waterworld", "Waterworld"),
        ("rlrun/Waterworld-v0", "Waterworld"),
        ("Waterworld-rldemo", "Waterworld"),
        ("Waterworld-reinforcejs", "Waterworld-reinforcejs"),
        ("water_world ReinforceJS", "Waterworld-reinforcejs"),
    ],
)
def test_every_usual_spelling_finds_the_variant(spelling: str, id: str) -> None:
    assert find(spelling) == ("waterworld", id)
    assert make(spelling).id == id


@pytest.mark.parametrize(
    ("spelling", "told"),
    [
        ("Waterworld-reinforce", "did you mean Waterworld-reinforcejs"),
        ("Waterworld-zzz", "it is Waterworld or Waterworld-reinforcejs"),
        ("Waterwrld", "did you mean Waterworld"),
    ],
)
def test_an_unknown_variant_is_one_sentence_with_the_nearest_names(spelling: str, told: str) -> None:
    with pytest.raises(UnknownWorld, match=told):
        make(spelling)


def test_it_is_listed() -> None:
    assert {"Waterworld", "Waterworld-reinforcejs"} <= {entry.id for entry in trainable()}


@pytest.mark.parametrize("name", ["Waterworld", "Waterworld-reinforcejs"])
def test_a_saved_state_goes_on_bit_for_bit(name: str) -> None:
    world = make(name, 3, seed=5, max_episode_steps=30)
    world.reset()
    rng = np.random.default_rng(0)
    for _ in range(40):
        world.step(rng.integers(4, size=3))
    saved = json.loads(json.dumps(world.state_dict()))
    other = make(name, 3, seed=9, max_episode_steps=30)
    _, restored = other.load_state_dict(saved)
    assert restored.all()
    for _ in range(40):
        actions = rng.integers(4, size=3)
        ours, theirs = world.step(actions), other.step(actions)
        for one, two in zip(ours[:4], theirs[:4], strict=True):
            assert np.array_equal(one, two)
        assert np.array_equal(ours[4]["reset"], theirs[4]["reset"])


def test_worlds_that_stay_on_their_device_live_through_the_same() -> None:
    house = make("Waterworld", 3, seed=5, max_episode_steps=30)
    resident = ResidentWaterworld("rldemo", 3, seed=5, max_episode_steps=30)
    assert np.array_equal(house.reset()[0], resident.reset()[0])
    rng = np.random.default_rng(0)
    for step in range(80):
        actions = rng.integers(5, size=3)
        told: Any = resident.step(torch.from_numpy(actions))
        for ours, theirs in zip(house.step(actions)[:4], told[:4], strict=True):
            assert np.array_equal(ours, theirs)
        assert isinstance(told[0], Tensor)
        if step == 40:
            obs, restored = resident.load_state_dict(json.loads(json.dumps(resident.state_dict())))
            assert torch.equal(torch.as_tensor(obs), told[0])
            assert restored.all()


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        (torch.tensor([0, 5]), "action 5 is out of range"),
        (torch.tensor([0, -1]), "action -1 is out of range"),
        (torch.tensor([0.0, 1.0]), "actions must be integers, not float32"),
        (torch.tensor([0]), r"actions must have shape \(2,\), not \(1,\)"),
        ([0, 7], "action 7 is out of range"),
    ],
)
def test_worlds_that_stay_on_their_device_refuse_what_is_no_action(actions: Any, told: str) -> None:
    world = ResidentWaterworld("rldemo", 2)
    world.reset()
    with pytest.raises(WorldError, match=told):
        world.step(actions)
    world.reset()
    assert world.step(torch.tensor([0, 4]))[0].shape == (2, 27)


def test_an_action_that_only_the_step_found_out_wants_a_reset() -> None:
    world = ResidentWaterworld("rldemo", 2)
    world.reset()
    with pytest.raises(WorldError, match="action -3 is out of range"):
        world.step(torch.tensor([1, -3]))
    with pytest.raises(WorldError, match="before the first reset"):
        world.step(torch.tensor([1, 3]))


def test_a_damaged_state_is_one_sentence() -> None:
    world = make("Waterworld", 2)
    saved = world.state_dict()
    saved["batch"]["item_x"].pop()
    with pytest.raises(WorldError, match=r"the saved state of Waterworld is damaged: .*item_x has shape"):
        world.load_state_dict(saved)
    with pytest.raises(WorldError, match=r"the saved state is of Waterworld \(none\) x 2, not of Waterworld"):
        make("Waterworld-reinforcejs", 2).load_state_dict(world.state_dict())


def test_a_row_resets_on_the_step_after_its_end_without_a_reward() -> None:
    world = make("Waterworld", 2, max_episode_steps=4)
    world.reset()
    steps = [world.step([0, 0]) for _ in range(6)]
    assert [bool(step[3][0]) for step in steps] == [False, False, False, True, False, False]
    assert [bool(step[4]["reset"][0]) for step in steps] == [False, False, False, False, True, False]
    assert steps[4][1].tolist() == [0, 0]
    assert not steps[4][4]["proximity"].any()
    assert not any(step[2].any() for step in steps)


def test_a_screen_plays_what_training_saw() -> None:
    screen = make_screen("Waterworld", seed=3)
    world = make("Waterworld", 1, seed=3)
    assert np.array_equal(screen.reset(), world.reset()[0])
    for action in (0, 4, 0, 0, 2, 1):
        obs, reward, *_ = screen.step(action)
        expected, rewards, *_ = world.step([action])
        assert np.array_equal(obs, expected)
        assert reward == rewards[0]
        assert [frame.shape for frame in screen.frames] == [(500, 700, 3)]

"""Waterworld among gymnasium's environments: checked, seeded, alone or in a batch, drawn, told where to begin."""

import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rlrun  # noqa: F401 (registers)
from rlrun.envs import WorldError
from rlrun.envs.waterworld.env import WaterworldEnv
from rlrun.envs.waterworld.vector_env import WaterworldVectorEnv

ID = "rlrun/Waterworld-v0"
STATE = {"x": 350.0, "y": 250.0, "angle": 1.0, "clock": 7, "items": [[350.0, 300.0, 1, 3], [400.0, 250.0, 2, 0]]}
PARTS = {"proximity", "forward", "digestion", "apples", "poisons", "collided"}


def batch(num_envs: int, **options: Any) -> Any:
    return gymnasium.make_vec(ID, num_envs=num_envs, vectorization_mode="vector_entry_point", **options)


@pytest.mark.parametrize("variant", ["rldemo", "reinforcejs"])
def test_gymnasium_checks_it_without_a_warning(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with warnings.catch_warnings(action="error"):
        check_env(gymnasium.make(ID, variant=variant).unwrapped)


def test_importing_rlrun_registers_before_and_after_gymnasium_and_does_not_import_it() -> None:
    script = f"""
import sys, rlrun
assert "gymnasium" not in sys.modules and "torch" not in sys.modules
import gymnasium
assert "{ID}" in gymnasium.registry and "torch" not in sys.modules
gymnasium.make("rlrun:{ID}").reset(seed=0)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    script = f"""
import sys, gymnasium, rlrun
assert "{ID}" in gymnasium.registry and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("variant", ["rldemo", "reinforcejs"])
def test_world_i_of_a_batch_is_the_single_world_with_its_seed_through_truncations_too(variant: str) -> None:
    many = batch(70, variant=variant, max_episode_steps=25)
    alone = {row: gymnasium.make(ID, variant=variant, max_episode_steps=25) for row in (0, 1, 69)}
    obs, _ = many.reset(seed=1_000)
    for row, env in alone.items():
        assert np.array_equal(env.reset(seed=1_000 + row)[0], obs[row])
    rng, ended = np.random.default_rng(0), False
    for _ in range(60):
        actions = rng.integers(4, size=70)
        obs, reward, terminated, truncated, info = many.step(actions)
        assert not terminated.any()
        for row, env in alone.items():
            if ended:
                one, _ = env.reset()
                assert reward[row] == 0
                assert not info["_apples"][row]
            else:
                one, its_reward, _, its_end, its_info = env.step(actions[row])
                assert (np.float32(its_reward), its_end) == (reward[row], truncated[row])
                assert {name: info[name][row] for name in PARTS} == its_info
            assert np.array_equal(one, obs[row])
        ended = bool(truncated[0])
        assert truncated.all() == truncated.any()


def test_episodes_of_a_seed_differ_and_come_again() -> None:
    env = WaterworldEnv()
    env.reset(seed=3)
    first = env.state
    env.reset()
    second = env.state
    assert first["items"] != second["items"]
    env.reset(seed=3)
    assert env.state == first
    env.reset()
    assert env.state == second


def test_without_a_seed_two_worlds_differ() -> None:
    one, two = WaterworldEnv(), WaterworldEnv()
    one.reset(), two.reset()
    assert one.state != two.state


def test_a_time_limit_truncates_and_the_registered_one_is_ten_thousand() -> None:
    assert gymnasium.spec(ID).max_episode_steps == 10_000
    assert batch(2).batch.max_episode_steps == 10_000
    envs = batch(2, max_episode_steps=3)
    envs.reset(seed=0)
    ends = [envs.step(np.zeros(2, int))[3].tolist() for _ in range(8)]
    assert [end[0] for end in ends] == [False, False, True, False, False, False, True, False]


def test_info_tells_the_rewards_parts_what_was_eaten_and_walls() -> None:
    env = WaterworldEnv()
    env.reset(options={"state": {**STATE, "angle": 0.0, "items": [[350.0, 270.0, 1, 0]]}})
    _, reward, _, _, info = env.step(0)
    assert set(info) == PARTS
    assert (info["apples"], info["poisons"], info["digestion"], info["collided"]) == (1, 0, 5.0, False)
    assert reward == pytest.approx(info["proximity"] + info["forward"] + info["digestion"])
    env.reset(options={"state": {**STATE, "x": 12.0, "angle": 4.712, "items": []}})
    assert env.step(0)[4]["collided"] is True


def test_a_state_is_taken_and_given_back() -> None:
    env = WaterworldEnv()
    env.reset(seed=0, options={"state": STATE})
    told = env.state
    assert told == STATE
    for action in (0, 1, 2, 3, 4, 0, 0):
        env.step(action)
    later = env.state
    obs, _ = env.reset(options={"state": later})
    assert env.state == later
    envs = batch(3)
    rows, _ = envs.reset(options={"state": later})
    assert np.array_equal(rows[2], obs)
    rows, _ = envs.reset(options={"state": [STATE, later, STATE]})
    assert np.array_equal(rows[1], obs)
    assert envs.state(0) == STATE


def test_a_drifting_worlds_state_holds_velocities() -> None:
    env = WaterworldEnv("reinforcejs")
    env.reset(seed=4)
    env.step(1)
    told = env.state
    assert told["velocity_x"] == pytest.approx(0.95)
    assert len(told["items"][0]) == 6
    env.reset(options={"state": told})
    assert env.state == told


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (3, "the state must be a dict with x, y, angle, clock and items, not int"),
        ({"x": 1.0}, "the state lacks 'y'"),
        ({**STATE, "itens": []}, "has no 'itens'; did you mean items"),
        ({**STATE, "x": "a"}, "x is 'a', but must be a number from 0 to 700"),
        ({**STATE, "y": float("nan")}, "y is nan, but must be a number from 0 to 500"),
        ({**STATE, "angle": 7}, "angle is 7, but must be a number from 0 to 6.28"),
        ({**STATE, "clock": -1}, "clock is -1, but must be a whole number, at least 0"),
        ({**STATE, "items": 5}, "items is 5, but must be a list of at most 30 items"),
        ({**STATE, "items": [[1, 2, 1, 0]] * 31}, "items is 31 items, but must be at most 30"),
        ({**STATE, "items": [[1, 2, 1]]}, r"items\[0\] is \[1, 2, 1\], but must be \[x, y, type, age\]"),
        (
            {**STATE, "items": [[1, 2, 1, 0], [1, 2, 3, 0]]},
            r"items\[1\] type is 3, but must be a whole number from 1 to 2",
        ),
    ],
)
def test_a_malformed_state_is_one_sentence_and_changes_nothing(state: Any, told: str) -> None:
    env = WaterworldEnv()
    env.reset(seed=1)
    before = env.state
    with pytest.raises(WorldError, match=told):
        env.reset(options={"state": state})
    assert env.state == before


@pytest.mark.parametrize("action", [5, -1, 1.0, "a", None, True, np.array([1])])
def test_an_action_that_is_none_is_one_sentence(action: Any) -> None:
    env = WaterworldEnv()
    env.reset(seed=0)
    with pytest.raises(WorldError, match="action"):
        env.step(action)


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        (np.zeros(3, int), r"shape \(2,\), not \(3,\)"),
        (np.zeros(2), "integers, not float64"),
        (np.array([0, 9]), "action 9 is out of range: Waterworld has actions 0 to 4"),
    ],
)
def test_actions_that_do_not_fit_a_batch_are_one_sentence(actions: Any, told: str) -> None:
    envs = WaterworldVectorEnv(2)
    with pytest.raises(WorldError, match="before the first reset"):
        envs.step(np.zeros(2, int))
    envs.reset(seed=0)
    with pytest.raises(WorldError, match=told):
        envs.step(actions)


def test_other_bad_input_is_one_sentence() -> None:
    with pytest.raises(WorldError, match="unknown variant 'rldem' of Waterworld; did you mean rldemo"):
        WaterworldEnv("rldem")
    with pytest.raises(WorldError, match="render mode 'ansi' is unknown: it is rgb_array"):
        WaterworldEnv(render_mode="ansi")
    with pytest.raises(WorldError, match="unknown option 'stat'; did you mean 'state'"):
        WaterworldEnv().reset(options={"stat": STATE})
    with pytest.raises(WorldError, match="there are 2 worlds, but 3 seeds"):
        WaterworldVectorEnv(2).reset(seed=[1, 2, 3])
    with pytest.raises(WorldError, match="there are 2 worlds, but 1 states"):
        WaterworldVectorEnv(2).reset(options={"state": [STATE]})
    with pytest.raises(WorldError, match="a seed must be a whole number"):
        WaterworldVectorEnv(2).reset(seed=["a", 1])


def test_it_is_drawn_in_the_originals_colours_with_tinted_rays() -> None:
    env = gymnasium.make(ID, render_mode="rgb_array")
    env.reset(options={"state": {**STATE, "angle": 0.0, "items": [[350.0, 310.0, 1, 0], [600.0, 450.0, 2, 0]]}})
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (500, 700, 3)
    assert picture.dtype == np.uint8
    red, green, white = [255, 120, 120], [110, 220, 110], [255, 255, 255]
    assert picture[310, 350].tolist() == red
    assert picture[450, 600].tolist() == green
    assert picture[450, 300].tolist() == white
    assert picture[250, 10].tolist() != white  # a wall
    assert picture[275, 350].tolist() == red  # the ray that sees the apple
    many = batch(2, render_mode="rgb_array")
    many.reset(seed=0)
    assert [frame.shape for frame in many.render()] == [(500, 700, 3)] * 2

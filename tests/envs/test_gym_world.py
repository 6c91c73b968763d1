"""GymWorld against gymnasium itself, and against the worlds that people write."""

import json
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrun.envs import UnknownWorld, WorldError, make, make_screen
from rlrun.envs.gym_names import KNOWN
from rlrun.envs.world import sub_seeds

needs_box2d = pytest.mark.skipif(find_spec("Box2D") is None, reason="needs rlrun[box2d]")
needs_pygame = pytest.mark.skipif(find_spec("pygame") is None, reason="needs rlrun[window]")
PLAYED = [
    pytest.param(id, marks=needs_box2d) if known.kind == "box2d" else id
    for id, known in KNOWN.items()
    if id in gymnasium.registry
]


@pytest.mark.parametrize("id", PLAYED)
def test_every_copy_plays_as_gymnasiums_single_environment_does(id: str) -> None:
    world = make(id, 3, seed=4)
    singles = [gymnasium.make(id) for _ in range(3)]
    shown, _ = world.reset()
    seeds = sub_seeds(4, 3)
    hers = [single.reset(seed=int(seed))[0] for single, seed in zip(singles, seeds, strict=True)]
    actions = np.random.default_rng(1)
    over = [False] * 3
    for _ in range(250):
        for row, obs in zip(shown, hers, strict=True):
            expected = np.eye(len(row))[obs] if np.ndim(obs) == 0 else np.asarray(obs, np.float32)
            assert np.array_equal(row, expected)
        choice = actions.integers(len(world.action_names), size=3)
        shown, reward, terminated, truncated, _ = world.step(choice)
        for i, single in enumerate(singles):
            if over[i]:
                hers[i], over[i] = single.reset()[0], False
                assert (reward[i], terminated[i], truncated[i]) == (0, False, False)
                continue
            hers[i], score, end, cut, _ = single.step(int(choice[i]))
            assert (reward[i], terminated[i], truncated[i]) == (np.float32(score), end, cut)
            over[i] = end or cut
    world.close()


@pytest.mark.parametrize("id", PLAYED)
def test_every_known_environment_has_a_name_for_each_action(id: str) -> None:
    world = make(id)
    assert world.action_names == KNOWN[id].action_names
    assert (world.name, world.id, world.protocol, world.frames_per_step) == (id, id, "none", 1)
    assert world.single_observation_space.dtype == np.float32
    world.close()


def test_a_protocol_means_nothing_outside_atari() -> None:
    assert make("CartPole-v1", protocol="no such thing").protocol == "none"


def test_own_worlds_keep_images_shift_actions_and_are_copied(own: str) -> None:
    world = make(f"{own}:Grid", 2, max_episode_steps=3)
    assert (world.single_observation_space.shape, world.single_observation_space.dtype) == ((5, 6, 3), np.uint8)
    assert world.action_names == ("0", "1", "2")
    first, _ = world.reset()
    before = first.copy()
    obs, reward, _, _, _ = world.step([0, 2])
    assert reward.tolist() == [-1, 1]  # the person's own actions are -1, 0 and 1
    assert np.array_equal(first, before)
    assert np.array_equal(obs, before + np.uint8(1))
    world.step([0, 0])
    assert world.step([0, 0])[3].all()
    world.close()


def test_an_id_that_a_module_registers_can_be_made(own: str) -> None:
    world = make(f"{own}:Registered-v0")
    world.reset()
    assert [bool(world.step([1])[3][0]) for _ in range(4)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("{own}:Grit", r"has no environment 'Grit'; did you mean .*:Grid"),
        ("{own}:Jug", "Jug has to be a subclass of gymnasium.Env"),
        ("{own}:Dear", "cannot be made: TypeError.*price"),
        ("{own}:Flat", r"observes MultiBinary\(4\), but only Box and Discrete"),
        ("{own}_missing:Grid", "there is no module"),
        ("{own}_broken:Grid", "cannot be imported: ModuleNotFoundError.*not_there_at_all"),
        ("{own}:", "module:Class"),
        (":Grid", "module:Class"),
        ("Pendulum-v1", r"action space Box\(-2.0.*Discrete"),
        ("Blackjack-v1", "observes Tuple"),
    ],
)
def test_worlds_that_do_not_fit_are_refused_in_one_sentence(own: str, wanted: str, message: str) -> None:
    with pytest.raises(WorldError, match=message) as caught:
        make(wanted.format(own=own))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(find_spec("Box2D") is not None, reason="Box2D is installed")
def test_a_missing_package_is_named_with_its_remedy() -> None:
    with pytest.raises(WorldError, match=r"pip install 'rlrun\[box2d\]'"):
        make("LunarLander-v3")


def test_one_line_per_state_means_one_hot_observations() -> None:
    world = make("FrozenLake-v1", 2)
    assert world.reset()[0].tolist() == [[1.0] + [0.0] * 15] * 2


def steps(world: Any, count: int, seed: int) -> list[Any]:
    actions = np.random.default_rng(seed)
    found: list[Any] = []
    for _ in range(count):
        *arrays, info = world.step(actions.integers(len(world.action_names), size=world.num_envs))
        found += [*arrays, info["reset"]]
    return found


@pytest.mark.parametrize("id", PLAYED)
@pytest.mark.parametrize("before", [0, 1, 23, 157])
def test_a_restored_world_goes_on_bit_for_bit(id: str, before: int) -> None:
    world = make(id, 4, seed=8)
    last = world.reset()[0]
    played = steps(world, before, 1)
    saved = json.loads(json.dumps(world.state_dict()))
    other = make(id, 4, seed=99)
    if before % 2:  # into a new world, or into one that has been played
        other.reset()
        steps(other, 7, 3)
    obs, restored = other.load_state_dict(saved)
    assert restored.all()
    assert np.array_equal(obs, played[-5] if played else last)
    for one, two in zip(steps(world, 60, 2), steps(other, 60, 2), strict=True):
        assert np.array_equal(one, two)
    assert json.dumps(world.state_dict()["episodes"]) == json.dumps(other.state_dict()["episodes"])


def test_a_copy_that_was_about_to_reset_still_is_when_restored() -> None:
    world = make("CartPole-v1", 2, seed=1)
    world.reset()
    while not world.step([0, 1])[2].any():
        pass
    other = make("CartPole-v1", 2)
    other.load_state_dict(world.state_dict())
    *_, info = other.step([0, 0])
    assert np.array_equal(info["reset"], world.step([0, 0])[4]["reset"])
    assert info["reset"].any()


def test_what_cannot_be_lived_again_starts_anew_and_the_other_copies_go_on(own: str) -> None:
    world = make("CartPole-v1", 3, seed=1)
    world.reset()
    steps(world, 5, 1)
    saved = world.state_dict()
    saved["episodes"][0]["digest"] = "0" * 32
    saved["episodes"][2] = None
    obs, restored = world.load_state_dict(saved)
    assert restored.tolist() == [False, True, False]
    assert (np.abs(obs[[0, 2]]) <= 0.05).all()
    dice = make(f"{own}:Dice")
    dice.reset()
    steps(dice, 3, 1)
    assert dice.load_state_dict(dice.state_dict())[1].tolist() == [False]


def test_an_episode_too_long_to_be_lived_again_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlrun.envs.sub_env.REPLAY_LIMIT", 5)
    world = make("MountainCar-v0", 1)
    world.reset()
    steps(world, 5, 1)
    assert world.load_state_dict(world.state_dict())[1].tolist() == [True]
    steps(world, 1, 1)
    assert world.load_state_dict(world.state_dict())[1].tolist() == [False]
    steps(world, 5, 1)
    assert world.load_state_dict(world.state_dict())[1].tolist() == [True]


def test_a_world_saved_before_its_first_reset_starts_with_its_seed() -> None:
    saved = make("CartPole-v1", 2, seed=1).state_dict()
    assert make("CartPole-v1", 2).load_state_dict(saved)[1].tolist() == [False, False]


def test_a_state_of_something_else_is_refused() -> None:
    world = make("CartPole-v1", 2)
    world.reset()
    with pytest.raises(WorldError, match=r"is of CartPole-v1 \(none\) x 2, not of CartPole-v1 \(none\) x 3"):
        make("CartPole-v1", 3).load_state_dict(world.state_dict())
    with pytest.raises(WorldError, match="not of Acrobot-v1"):
        make("Acrobot-v1", 2).load_state_dict(world.state_dict())
    for missing in ("id", "seed", "resumes", "episodes"):
        with pytest.raises(WorldError, match="damaged"):
            world.load_state_dict({key: value for key, value in world.state_dict().items() if key != missing})


def test_a_resumed_atari_world_starts_new_games_with_seeds_of_their_own() -> None:
    world = make("breakout", 1, seed=3, protocol="nature")
    starts = [int(world.reset()[1]["frame_number"][0])]
    for _ in range(2):
        saved = json.loads(json.dumps(world.state_dict()))
        obs, restored = world.load_state_dict(saved)
        assert restored.tolist() == [False]
        assert obs.shape == (1, 4, 84, 84)
        info = world.step([0])[4]
        assert not info["reset"].any()
        starts.append(int(info["frame_number"][0]) - 4)
    assert len(set(starts)) == 3
    with pytest.raises(WorldError, match="not of ALE/Breakout-v5"):
        world.load_state_dict(saved | {"protocol": "machado"})
    world.close()


def test_an_own_world_can_be_watched(own: str) -> None:
    screen = make_screen(f"{own}:Grid", max_episode_steps=2)
    assert (screen.fps, screen.action_names) == (12, ("0", "1", "2"))
    obs = screen.reset()
    assert obs.shape == (1, 5, 6, 3)
    assert np.array_equal(screen.frames, obs)
    obs, reward, terminated, truncated, info = screen.step(2)
    assert np.array_equal(screen.frames, obs)
    assert (reward, terminated, truncated) == (1.0, False, False)
    assert info == {"life_lost": False, "reset": False}
    assert screen.step(1)[3]
    assert screen.step(1)[4]["reset"]
    screen.close()
    screen.close()


@pytest.mark.filterwarnings("error")
def test_a_world_that_cannot_draw_is_refused_for_watching(own: str) -> None:
    with pytest.raises(WorldError, match="no render mode 'rgb_array'"):
        make_screen(f"{own}:Blind")
    gymnasium.register("Blind-v0", entry_point=f"{own}:Blind")
    try:
        with pytest.raises(WorldError, match="no render mode 'rgb_array'"):
            make_screen("Blind-v0")
    finally:
        del gymnasium.registry["Blind-v0"]
    with pytest.raises(UnknownWorld):
        make_screen("NoSuchWorld")


@needs_pygame
@pytest.mark.parametrize("id", PLAYED)
def test_a_screen_shows_copy_0_of_the_world_of_its_seed(id: str) -> None:
    world, screen = make(id, 2, seed=6), make_screen(id, 6)
    assert np.array_equal(screen.reset(), world.reset()[0][:1])
    actions = np.random.default_rng(0)
    for _ in range(60):
        action = actions.integers(len(world.action_names), size=2)
        assert np.array_equal(screen.step(int(action[0]))[0], world.step(action)[0][:1])
        (picture,) = screen.frames
        assert picture.dtype == np.uint8
        assert picture.any()
    screen.close()


@pytest.mark.skipif(find_spec("pygame") is not None, reason="pygame is installed")
def test_watching_without_pygame_names_the_remedy() -> None:
    with pytest.raises(WorldError, match=r"pip install 'rlrun\[window\]'"):
        make_screen("CartPole-v1").reset()

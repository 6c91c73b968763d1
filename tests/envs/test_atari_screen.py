"""What is watched is what was trained on: AtariWorld, AtariScreen, ALE itself and gymnasium show the same frames."""

from typing import Any

import ale_py
import numpy as np
import pytest
from ale_py import roms
from numpy.typing import NDArray

from rlrun.envs import WorldError, make, make_screen
from rlrun.envs.atari_screen import AtariScreen
from rlrun.envs.world import sub_seeds

GAMES = ("breakout", "pong", "ms_pacman")


def assert_is_the_picture_of(plane: NDArray[Any], last_two: list[NDArray[Any]]) -> None:
    """Check an 84x84 plane against the brighter of two grey 210x160 frames, averaged over areas.

    Computed here from scratch. Only where the mean is exactly half a grey level may the rounding differ.
    """
    brightest = np.maximum(*last_two).astype(np.int64)
    # 210 rows x 2 = 84 x 5, 160 columns x 21 = 84 x 40: repeated so often, whole pixels make up each area.
    rows = np.repeat(brightest, 2, axis=0).reshape(84, 5, 160).sum(1)
    areas = np.repeat(rows, 21, axis=1).reshape(84, 84, 40).sum(2)
    assert np.abs(200 * plane.astype(np.int64) - areas).max() <= 100


def emulator(rom: str, sticky: float, seed: int) -> Any:
    ale = ale_py.ALEInterface()
    ale.setLoggerMode(ale_py.LoggerMode.Error)
    ale.setFloat("repeat_action_probability", sticky)
    ale.setInt("random_seed", seed)
    path = roms.get_rom_path(rom)
    assert path is not None
    ale.loadROM(path)
    ale.reset_game()
    return ale


@pytest.mark.parametrize(
    ("rom", "protocol", "sticky"),
    [
        ("breakout", "machado", 0.25),
        ("breakout", "nature", 0.0),
        ("pong", "nature", 0.0),
        ("ms_pacman", "machado", 0.25),
    ],
)
def test_observations_and_pictures_are_those_of_the_emulator_itself(rom: str, protocol: str, sticky: float) -> None:
    screen = make_screen(rom, 11, protocol)
    obs = screen.reset()
    ale = emulator(rom, sticky, int(sub_seeds(11, 1)[0]))
    noops = screen.info["frame_number"]
    assert 0 < noops < 30 if protocol == "nature" else noops == 0
    for _ in range(noops):
        ale.act(ale_py.Action.NOOP)
    assert np.array_equal(screen.frames, [ale.getScreenRGB()])
    black = np.zeros((210, 160), np.uint8)
    assert_is_the_picture_of(obs[0, -1], [ale.getScreenGrayscale(), black])
    choices, actions = ale.getMinimalActionSet(), np.random.default_rng(1)
    for _ in range(60):
        action = int(actions.integers(len(choices)))
        obs, reward, terminated, _, info = screen.step(action)
        score, shown, colours = 0, [], []
        for _ in range(4):
            score += ale.act(choices[action])
            shown.append(ale.getScreenGrayscale())
            colours.append(ale.getScreenRGB())
        assert (reward, info["lives"], terminated) == (score, ale.lives(), False)
        assert np.array_equal(screen.frames, colours)
        assert_is_the_picture_of(obs[0, -1], shown[-2:])
    screen.close()


@pytest.mark.parametrize("protocol", ["machado", "nature"])
def test_a_screen_shows_copy_0_of_the_world_of_its_seed_through_lost_lives_and_ends(protocol: str) -> None:
    world = make("breakout", 1, 3, protocol)
    screen = make_screen("Breakout", 3, protocol)
    assert screen.action_names == world.action_names
    assert np.array_equal(screen.reset(), world.reset()[0])
    assert [frame.shape for frame in screen.frames] == [(210, 160, 3)]
    actions = np.random.default_rng(0)
    ends = losses = 0
    for _ in range(280):
        action = actions.integers(4, size=1)
        obs, reward, terminated, truncated, info = world.step(action)
        seen = screen.step(int(action[0]))
        assert np.array_equal(seen[0], obs)
        assert seen[1:4] == (reward[0], terminated[0], truncated[0])
        assert seen[4] == {key: value[0] for key, value in info.items()}
        assert len(screen.frames) == 1 if info["reset"][0] else 1 <= len(screen.frames) <= 4
        ends += int(terminated[0])
        losses += int(info["life_lost"][0])
    assert ends >= 1
    assert losses >= 5
    screen.close()
    screen.close()
    world.close()


def test_a_screen_plays_on_after_a_reset_and_after_an_end() -> None:
    screen = make_screen("breakout", 5, "nature", max_episode_steps=7)
    screen.reset()
    flags = [screen.step(1)[2:] for _ in range(9)]
    assert [flag[1] for flag in flags] == [False] * 6 + [True] + [False] * 2
    assert [flag[2]["reset"] for flag in flags] == [False] * 7 + [True] + [False]
    for _ in range(3):  # in the middle of an episode too
        screen.reset()
        screen.step(2)
        assert len(screen.frames) == 4
    assert screen.fps == 60
    screen.close()


def test_a_picture_out_of_step_with_the_game_raises() -> None:
    screen = make_screen("breakout", 5)
    assert isinstance(screen, AtariScreen)
    screen.reset()
    screen._actions = [ale_py.Action.NOOP] * 4  # the drawing emulator now never serves the ball

    def play() -> None:
        for _ in range(300):
            screen.step(1)

    with pytest.raises(WorldError, match="fell out of step"):
        play()
    screen.close()


def test_a_screen_takes_the_full_action_set() -> None:
    screen = make_screen("pong", full_action_set=True)
    assert len(screen.action_names) == 18
    screen.reset()
    screen.step(17)
    with pytest.raises(WorldError, match="out of range"):
        screen.step(18)
    screen.close()


@pytest.mark.parametrize("rom", GAMES)
def test_the_world_shows_what_gymnasiums_own_preprocessing_shows(rom: str) -> None:
    pytest.importorskip("cv2", reason="gymnasium's AtariPreprocessing needs opencv-python")
    from ale_py.env import AtariEnv
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    world = make(rom, 1, seed=4, protocol="machado")
    inner = AtariEnv(rom, frameskip=1, repeat_action_probability=0.25)
    inner.ale.setInt("random_seed", int(sub_seeds(4, 1)[0]))
    inner.load_game()
    # No-ops are off in machado; zero padding, because ale-py's stack starts black.
    other = FrameStackObservation(AtariPreprocessing(inner, noop_max=0), 4, padding_type="zero")
    obs, theirs = world.reset()[0], other.reset()[0]
    actions = np.random.default_rng(2)
    ends = 0
    for _ in range(300):
        assert np.abs(obs[0].astype(int) - theirs.astype(int)).max() <= 1  # exact halves may round either way
        action = int(actions.integers(len(world.action_names)))
        obs, reward, terminated, _, info = world.step([action])
        if info["reset"][0]:
            theirs = other.reset()[0]
            continue
        theirs, score, over, _, their_info = other.step(action)
        assert (reward[0], terminated[0], info["lives"][0]) == (score, over, their_info["lives"])
        ends += over
    if rom == "breakout":
        assert ends >= 1
    world.close()

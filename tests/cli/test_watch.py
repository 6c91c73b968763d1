import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray

from rlrun.agents.config import Config
from rlrun.cli import player, watch
from rlrun.cli.errors import CommandError, run
from rlrun.cli.moments import Moment, play
from rlrun.cli.show import Clock, brightest, grouping, show
from rlrun.cli.window import Window, _headless

NAMES = ("NOOP", "FIRE", "RIGHT", "LEFT")


class FakePlayer:
    """Someone who holds Breakout's fire button, and takes the second action of any other world."""

    world, name, protocol, seed, step = "breakout", "Breakout", "nature", 0, 7
    config = Config(evaluation_epsilon=0.0)
    action_names = NAMES
    frames_per_step = 4

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def q_values(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        return np.array([[0.0, 1.0, 0.5, -0.5]], np.float32)


class FakeScreen:
    """A world whose episodes last three steps of two pictures, worth one point each."""

    frames_per_step, fps, name, protocol = 2, 60.0, "Fake", "none"

    def __init__(self) -> None:
        self.steps = 0
        self.actions: list[int] = []
        self.frames: list[NDArray[np.uint8]] = []

    def reset(self) -> NDArray[Any]:
        self.steps = 0
        self.frames = [np.full((4, 4, 3), 9, np.uint8)]
        return np.zeros((1, 2))

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.steps == 3:
            return self.reset(), 0.0, False, False, {"reset": True}
        self.steps += 1
        self.actions.append(action)
        self.frames = [np.full((4, 4, 3), 100 - 10 * self.steps + half, np.uint8) for half in (0, 1)]
        return np.zeros((1, 2)), 1.0, self.steps == 3, False, {"reset": False}


class FakeView:
    def __init__(self, fps: float, most: int = 10**9) -> None:
        self.fps, self.paced, self.most = fps, False, most
        self.shown: list[tuple[int, Moment]] = []

    def show(self, frame: NDArray[np.uint8], moment: Moment) -> bool:
        self.shown.append((int(frame[0, 0, 0]), moment))
        return len(self.shown) < self.most

    def __enter__(self) -> object:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def played(episodes: int = 1, epsilon: float = 0.0, seed: int = 0, folder: Path = Path()) -> Iterator[Moment]:
    screen: Any = FakeScreen()
    yield from play(FakePlayer(folder), screen, episodes, epsilon, seed)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every run be the fake player's, in tmp_path."""

    def load(name: str, **_: object) -> FakePlayer:
        return FakePlayer(tmp_path)

    monkeypatch.setattr(player, "load_player", load)
    return tmp_path


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return [np.frombuffer(picture, np.uint8).reshape(height, width, 3) for picture in reader]


def test_a_game_is_played_in_moments() -> None:
    moments = list(played(episodes=2))
    assert [(m.episode, m.step, m.score, m.action, m.over) for m in moments] == [
        (1, 0, 0.0, None, False), (1, 1, 1.0, 1, False), (1, 2, 2.0, 1, False), (1, 3, 3.0, 1, True),
        (2, 0, 0.0, None, False), (2, 1, 1.0, 1, False), (2, 2, 2.0, 1, False), (2, 3, 3.0, 1, True),
    ]  # fmt: skip


def test_random_actions_are_marked_and_follow_the_seed() -> None:
    def actions(seed: int) -> list[int | None]:
        return [m.action for m in played(episodes=20, epsilon=1.0, seed=seed)]

    assert actions(1) == actions(1)
    assert actions(1) != actions(2)
    assert {action for action in actions(1) if action is not None} == {0, 1, 2, 3}
    assert all(m.explored == (m.action is not None) for m in played(episodes=3, epsilon=1.0))
    assert not any(m.explored for m in played(episodes=3, epsilon=0.0))


def test_every_picture_is_shown_and_the_last_one_stays_for_a_second() -> None:
    view = FakeView(60)
    assert show(played(), view, 60.0, False, None, lambda: False) == ["episode 1: score 3 in 3 steps"]
    assert [value for value, _ in view.shown] == [9, 90, 91, 80, 81, 70, 71] + [71] * 60


def test_half_as_many_pictures_lose_none_of_the_games() -> None:
    pooled, left_out = FakeView(30), FakeView(30)
    show(played(), pooled, 60.0, True, None, lambda: False)
    show(played(), left_out, 60.0, False, None, lambda: False)
    assert [value for value, _ in pooled.shown][:4] == [90, 91, 81, 71]  # the brighter of 9 and 90, of 91 and 80, ...
    assert [value for value, _ in left_out.shown][:4] == [90, 80, 70, 71]
    assert len(pooled.shown) == len(left_out.shown) == 4 + 30


def test_showing_ends_with_the_time_the_window_or_a_signal() -> None:
    view = FakeView(60)
    report = show(played(), view, 60.0, False, 0.05, lambda: False)
    assert len(view.shown) == 3
    assert report == ["episode 1, not over: score 1 in 1 steps, cut after 0.05 s (--max-seconds)"]
    assert "closed" in show(played(), FakeView(60, most=2), 60.0, False, None, lambda: False)[-1]
    view = FakeView(60)
    assert "stopped" in show(played(), view, 60.0, False, None, lambda: len(view.shown) == 2)[-1]
    assert len(view.shown) == 2


def test_what_blinks_is_seen_in_its_own_color() -> None:
    empty = np.zeros((2, 2, 3), np.uint8)
    ghost, wall = empty.copy(), empty.copy()
    ghost[0, 0], ghost[1, 1] = (200, 72, 72), (0, 28, 136)
    wall[1, 1] = (228, 111, 111)
    for frames in ([ghost, wall], [wall, ghost]):
        seen = brightest(frames)
        assert seen.dtype == np.uint8
        assert seen[0, 0].tolist() == [200, 72, 72]
        assert seen[1, 1].tolist() == [228, 111, 111]  # one of the two, not a mixture
    assert brightest([ghost]) is ghost


def test_a_game_is_shown_at_a_speed_that_the_view_can_follow() -> None:
    assert grouping(60, 30) == (2, 30)
    assert grouping(60, 20) == (3, 20)
    assert grouping(50, 30) == (2, 25)
    assert grouping(15, 30) == (1, 15)
    assert grouping(600, 30) == (20, 30)


def test_the_clock_keeps_the_speed_and_leaves_out_what_comes_late() -> None:
    clock = Clock(100)
    start = time.monotonic()
    assert all(clock.wait() for _ in range(10))
    assert time.monotonic() - start == pytest.approx(0.1, abs=0.08)
    time.sleep(0.1)
    drawn = [clock.wait() for _ in range(6)]
    assert drawn[:4] == [False, False, False, True]
    clock = Clock(100)
    time.sleep(0.6)  # after a pause it goes on, instead of rushing
    assert clock.wait()
    start = time.monotonic()
    assert all(clock.wait() for _ in range(5))
    assert time.monotonic() - start > 0.03


def test_a_video_shows_breakout_in_its_colors(loaded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = loaded / "new" / "game.mp4"
    assert run(watch.command, ["any", "--video", str(out), "--max-seconds", "2"]) == 0
    frames = decoded(out)
    assert len(frames) == 60
    assert frames[0].shape == (630, 880, 3)
    red, blue, wall = frames[-1][180, 60], frames[-1][270, 60], frames[-1][300, 12]
    for seen, right in ((red, (200, 72, 72)), (blue, (66, 72, 200)), (wall, (142, 142, 142))):
        assert np.abs(seen.astype(int) - right).max() <= 8
    text = capsys.readouterr().out
    assert re.search(r"episode 1, not over: score \d+ in 30 steps", text)
    assert f"video: {out} (2.0 s, " in text


def test_where_there_is_no_terminal_a_video_goes_into_the_runs_folder(
    loaded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(watch.command, ["any", "--max-seconds", "0.2"]) == 0
    assert sorted(path.name for path in (loaded / "videos").iterdir()) == ["step-7-2.mp4", "step-7.mp4"]
    assert str(loaded / "videos" / "step-7.mp4") in capsys.readouterr().out


def test_the_same_seed_plays_the_same_game(loaded: Path) -> None:
    videos = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        arguments = ["any", "--video", str(loaded / f"{name}.mp4"), "--max-seconds", "1", "--epsilon", "1"]
        assert run(watch.command, [*arguments, "--seed", str(seed)]) == 0
        videos.append(decoded(loaded / f"{name}.mp4"))
    np.testing.assert_array_equal(videos[0], videos[1])
    assert np.any(videos[0][-1] != videos[2][-1])


def test_a_pipe_gets_the_last_picture_of_an_episode(loaded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(watch.command, ["any", "--terminal", "--speed", "100"]) == 0
    text = capsys.readouterr().out
    assert text.count("E[R | a]") == 1
    assert "episode over" in text
    assert re.search(r"episode 1: score \d+ in \d+ steps\n$", text)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--video", "a.mp4", "--window"], 2, "exclude each other"),
        (["--video", "a.avi"], 2, "ends in .mp4 or .gif"),
        (["--episodes", "0"], 2, "'--episodes'"),
        (["--max-seconds", "-1"], 2, "'--max-seconds'"),
        (["--protocol", "nonsense", "--terminal"], 3, "unknown protocol 'nonsense'"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    loaded: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    assert run(watch.command, ["any", *arguments]) == code
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert sentence in told
    assert told.count("\n") == 1


def test_a_window_without_pygame_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    stage: Any = SimpleNamespace(size=(2, 2))
    with pytest.raises(CommandError, match=r"pip install 'rlrun\[window\]'"):
        Window(stage, "Breakout")


def test_a_missing_display_is_known_before_sdl_complains() -> None:
    assert _headless({}, "linux")
    assert not _headless({"DISPLAY": ":0"}, "linux")
    assert not _headless({"SDL_VIDEODRIVER": "dummy"}, "linux")
    assert not _headless({}, "darwin")


def test_a_window_closes_with_q_and_pauses_with_space(monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    from rlrun.cli.stage import Stage

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    moment = next(played())
    stage = Stage("Breakout", NAMES, (4, 4))

    def press(key: int) -> None:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))

    with Window(stage, "Breakout") as window:
        assert window.show(moment.frames[0], moment)
        for _ in range(2):
            press(pygame.K_SPACE)  # paused, and on again
        assert window.show(moment.frames[0], moment)
        press(pygame.K_q)
        assert not window.show(moment.frames[0], moment)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_video(tmp_path: Path, number: signal.Signals, code: int) -> None:
    out = tmp_path / "game.mp4"
    script = f"""
import sys
from pathlib import Path
import numpy as np
from rlrun.agents.config import Config
from rlrun.cli.watch import watch

class Player:
    world, name, protocol, seed, step = "breakout", "Breakout", "nature", 0, 7
    config, action_names, folder = Config(), {NAMES!r}, Path({str(tmp_path)!r})
    decisions = 0
    def q_values(self, obs):
        self.decisions += 1
        if self.decisions == 20:  # by then more than five frames are on their way, however slow the machine
            print("begun", flush=True)
        return np.array([[0.0, 1.0, 0.5, -0.5]])

sys.exit(watch(Player(), Path({str(out)!r}), episodes=1000, max_seconds=1000))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"video: {out}" in text
    frames = decoded(out)
    assert len(frames) > 5
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["game.mp4"]'

"""AtariWorld against the traps of the emulator underneath: each would teach an agent something false."""

import subprocess
import sys
import textwrap
import threading
from typing import Any

import numpy as np
import pytest

from rlrun.envs import World, WorldError, make
from rlrun.envs import atari as atari_module
from rlrun.envs.courier import Courier


def script(body: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, at most 60 s."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body)], capture_output=True, text=True, timeout=60, check=False
    )


def random_steps(world: World, steps: int, seed: int = 0) -> Any:
    actions = np.random.default_rng(seed)
    for _ in range(steps):
        yield world.step(actions.integers(len(world.action_names), size=world.num_envs))


def test_a_lost_life_neither_ends_nor_restarts_the_game() -> None:
    world = make("breakout", 2, seed=1, protocol="nature")
    _, info = world.reset()
    lives, frames, score = info["lives"], info["episode_frame_number"], np.zeros(2)
    losses = games = 0
    for _, reward, terminated, _, info in random_steps(world, 350):
        going = ~info["reset"]
        lost = info["life_lost"]
        # Breakout has five lives; each is lost singly, the game runs on, and only the fifth loss ends it.
        assert (info["lives"] == np.where(going, lives - lost, 5)).all()
        assert (terminated == (info["lives"] == 0)).all()
        assert (info["episode_frame_number"][going] > frames[going]).all()
        assert not (lost & info["reset"]).any()
        lives, frames = info["lives"], info["episode_frame_number"]
        losses += int(lost.sum())
        games += int(terminated.sum())
        score += reward
    assert games >= 2
    assert losses >= 5 * games
    assert score.sum() > 0
    world.close()


def test_bonus_lives_that_a_new_game_does_not_have_are_not_lost() -> None:
    world = make("breakout", max_episode_steps=1)
    assert isinstance(world, atari_module.AtariWorld)
    world.reset()
    world.step([0])
    world._lives = world._lives + 2  # as if won in the episode that the cap has just cut
    *_, info = world.step([0])
    assert info["reset"].all()
    assert not info["life_lost"].any()
    world.close()


def test_a_game_without_lives_never_loses_one() -> None:
    world = make("pong")
    world.reset()
    assert not any(info["life_lost"].any() for *_, info in random_steps(world, 60))
    world.close()


def test_attributes_name_the_game_and_the_reward_is_raw() -> None:
    world = make("ms pacman", protocol="nature")
    names = (world.name, world.id, world.protocol, world.frames_per_step)
    assert names == ("MsPacman", "ALE/MsPacman-v5", "nature", 4)
    assert world.action_names[:5] == ("NOOP", "UP", "RIGHT", "LEFT", "DOWN")
    assert (world.single_observation_space.shape, world.single_observation_space.dtype) == ((4, 84, 84), np.uint8)
    world.reset()
    rewards = np.stack([reward for _, reward, *_ in random_steps(world, 120)])
    assert set(np.unique(rewards)) >= {0.0, 10.0}  # a pill is worth 10
    world.close()


def test_no_terminal_frame_is_lost_and_the_new_stack_is_black_but_for_its_newest_frame() -> None:
    world = make("breakout", max_episode_steps=6)
    before, _ = world.reset()
    assert not before[:, :3].any()
    assert before[:, 3].any()
    ends = 0
    for obs, _, terminated, truncated, info in random_steps(world, 40):
        going = ~info["reset"]
        # Also a terminal frame simply joins the stack of its own episode.
        assert np.array_equal(obs[going, :3], before[going, 1:])
        assert not obs[~going, :3].any()
        ends += int((terminated | truncated).sum())
        before = obs
    assert ends >= 5
    world.close()


def test_a_cap_on_the_step_that_loses_a_life_is_a_truncation_and_a_lost_life() -> None:
    world = make("breakout", 2, seed=2, protocol="nature")
    world.reset()
    lost = [info["life_lost"].copy() for *_, info in random_steps(world, 60)]
    step, copy = np.argwhere(np.stack(lost))[0]
    world.close()
    world = make("breakout", 2, seed=2, protocol="nature", max_episode_steps=int(step) + 1)
    world.reset()
    *_, (_, _, terminated, truncated, info) = random_steps(world, int(step) + 1)
    assert info["life_lost"][copy]
    assert truncated[copy]
    assert not terminated[copy]
    world.close()


def test_fire_is_never_pressed_for_the_agent() -> None:
    world = make("breakout", protocol="nature")
    world.reset()
    for _ in range(150):
        _, reward, terminated, truncated, info = world.step([0])
        # The ball is served by FIRE only: without it nothing can be won or lost.
        assert not np.stack([reward, terminated, truncated, info["life_lost"]]).any()
    world.close()


def test_nature_starts_with_0_to_29_no_ops_anew_at_every_reset_and_machado_with_none() -> None:
    world = make("pong", 2, protocol="nature")
    drawn = np.stack([world.reset()[1]["episode_frame_number"] for _ in range(60)])
    assert (drawn.min(), drawn.max()) == (0, 29)
    assert len(set(drawn.flat)) > 25
    assert not np.array_equal(drawn[0], drawn[1])
    world.close()
    world = make("pong", protocol="machado")
    assert not world.reset()[1]["episode_frame_number"].any()
    world.close()


def test_a_reset_within_play_draws_new_no_ops() -> None:
    world = make("pong", protocol="nature", max_episode_steps=1)
    world.reset()
    starts = [int(info["episode_frame_number"][0]) for *_, info in random_steps(world, 20) if info["reset"]]
    assert len(starts) == 10
    assert len(set(starts)) > 5
    assert max(starts) <= 29
    world.close()


def test_the_number_of_threads_changes_nothing() -> None:
    def shown(num_threads: int) -> bytes:
        world = make("breakout", 2, seed=3, num_threads=num_threads)
        world.reset()
        found = b"".join(obs.tobytes() + reward.tobytes() for obs, reward, *_ in random_steps(world, 60))
        world.close()
        return found

    assert shown(1) == shown(2)


class Told(Exception):
    """Stops a world before it starts its emulators."""


@pytest.mark.parametrize(("protocol", "sticky", "noop_max"), [("machado", 0.25, 0), ("nature", 0.0, 30)])
def test_the_emulator_is_told_everything_whose_default_would_bite(
    monkeypatch: pytest.MonkeyPatch, protocol: str, sticky: float, noop_max: int
) -> None:
    told: dict[str, Any] = {}

    def spy(*args: Any, **kwargs: Any) -> None:
        told.update(kwargs)
        raise Told

    monkeypatch.setattr(atari_module, "AtariVectorEnv", spy)
    with pytest.raises(Told):
        make("pong", protocol=protocol)
    assert told["repeat_action_probability"] == sticky
    assert told["noop_max"] == noop_max
    assert told["max_num_frames_per_episode"] == 108_000
    assert not any(told[key] for key in ("episodic_life", "reward_clipping", "use_fire_reset"))


def test_the_cap_counts_emulator_frames_without_the_no_ops() -> None:
    world = make("pong", protocol="nature", max_episode_steps=10)
    noops = world.reset()[1]["episode_frame_number"]
    *_, (_, _, _, truncated, info) = random_steps(world, 10)
    assert truncated.all()
    assert (info["episode_frame_number"] - noops == 40).all()
    world.close()


def test_send_never_waits_and_emulators_that_hang_raise_hear_ctrl_c_and_can_still_be_closed() -> None:
    result = script(
        """
        import os, signal, threading, time, numpy as np
        from rlrun.envs import WorldError, make
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
        world = make("breakout")
        world.reset()
        world.timeout_s = 0.3
        world._checked = lambda actions: np.array([99])  # past the check, ale-py never answers
        started = time.perf_counter()
        world.send([0])
        for call in (world.recv, world.recv, world.reset):
            try:
                call()
            except WorldError as error:
                print(error)
        world.timeout_s = 30
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            world.recv()
        except KeyboardInterrupt:
            print("interrupted")
        world.close()
        print(time.perf_counter() - started < 5)
        """
    )
    sentence = "Breakout: the emulators did not answer for 0.3 seconds.\n"
    assert result.stdout == 3 * sentence + "interrupted\nTrue\n"
    assert result.returncode == 0


def test_a_wait_that_was_given_up_is_taken_up_again_and_not_begun_twice() -> None:
    answers = threading.Semaphore(0)
    found = iter(["first"])

    def wait() -> str:
        answers.acquire()
        return next(found)

    courier = Courier(wait)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            courier.fetch(0.02)
    answers.release()
    assert courier.fetch(10) == "first"
    answers.release()
    with pytest.raises(StopIteration):  # what wait raises comes through
        courier.fetch(10)
    assert courier.dismiss()  # a wait begun too often would still be waiting


def test_a_forked_child_gets_an_error_instead_of_waiting_for_ever() -> None:
    result = script(
        """
        import os
        from rlrun.envs import WorldError, make
        world = make("pong")
        world.reset()
        child = os.fork()
        if child == 0:
            for call in (world.reset, lambda: world.step([0])):
                try:
                    call()
                except WorldError as error:
                    print(error, flush=True)
            world.close()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        world.step([0])
        world.close()
        """
    )
    sentence = "Pong: emulator threads do not survive a fork: make the world in this process.\n"
    assert result.stdout == 2 * sentence + "7\n"
    assert result.returncode == 0


def test_nothing_is_printed_and_a_world_left_open_with_a_step_under_way_does_not_disturb_the_exit() -> None:
    result = script(
        """
        from rlrun.envs import make, make_screen
        screen = make_screen("pong")
        screen.reset()
        world = make("breakout", 2)
        world.reset()
        world.send([0, 0])
        """
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_unknown_protocol_is_answered_with_the_nearest() -> None:
    with pytest.raises(WorldError, match=r"unknown protocol 'natur'; did you mean nature\?"):
        make("pong", protocol="natur")
    with pytest.raises(WorldError, match="unknown protocol '': use machado or nature"):
        make("pong", protocol="")
    with pytest.raises(WorldError, match="num_threads must be at least 0"):
        make("pong", num_threads=-1)

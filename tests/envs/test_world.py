"""What every world promises, whatever plays inside: its arrays, its order of calls, its seeds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rlrun.envs import World, WorldError, make
from rlrun.envs.world import sub_seeds

KINDS = ("CartPole-v1", "Breakout")


# To load a cartridge takes longer than to play it: tests that leave a world usable share one.
@pytest.fixture(params=KINDS, scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = make(request.param, 2, seed=7)
    yield made
    made.close()


def test_a_step_returns_arrays_of_the_promised_shapes_and_types(world: World) -> None:
    obs, info = world.reset()
    assert obs.shape == (2, *(world.single_observation_space.shape or ()))
    assert obs.dtype == world.single_observation_space.dtype
    assert world.observation_space.contains(obs)
    assert info["reset"].tolist() == [True] * 2
    obs, reward, terminated, truncated, info = world.step([0, 1])
    assert world.observation_space.contains(obs)
    for array, dtype in ((reward, np.float32), (terminated, np.bool_), (truncated, np.bool_)):
        assert array.shape == (2,)
        assert array.dtype == dtype
    for key in ("life_lost", "reset"):
        assert info[key].shape == (2,)
        assert info[key].dtype == np.bool_
        assert not info[key].any()


def test_the_autoreset_mode_is_next_step(world: World) -> None:
    assert world.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_the_step_after_an_end_is_a_reset_with_reward_zero_and_no_end() -> None:
    world = make("CartPole-v1", 4, max_episode_steps=13)
    obs, _ = world.reset()
    ended = np.zeros(4, np.bool_)
    seen = 0
    for _ in range(60):
        obs, reward, terminated, truncated, info = world.step([1, 1, 0, 0])
        assert info["reset"].tolist() == ended.tolist()
        assert (reward == np.where(ended, 0, 1)).all()
        assert not (ended & (terminated | truncated)).any()
        assert (np.abs(obs[ended]) <= 0.05).all()  # CartPole starts every episode within 0.05 of zero
        seen += int(ended.sum())
        ended = terminated | truncated
    assert seen > 10


@pytest.mark.parametrize("env", KINDS)
def test_the_cap_truncates_and_does_not_terminate(env: str) -> None:
    capped = make(env, max_episode_steps=5)
    capped.reset()
    for step in range(1, 13):
        _, _, terminated, truncated, info = capped.step([step % 2])
        assert truncated[0] == (step in (5, 11))
        assert info["reset"][0] == (step in (6, 12))
        assert not terminated.any()
    capped.close()


MISFITS: list[tuple[Any, str]] = [
    ([0], r"shape \(2,\)"),
    ([[0, 1]], r"shape \(2,\)"),
    (1, r"shape \(2,\)"),
    ([0, 99], "action 99 is out of range"),
    ([0, -1], "action -1 is out of range"),
    (np.array([0, 2**63], np.uint64), "out of range"),
    ([0.0, 1.0], "integers, not float64"),
    ([True, False], "integers, not bool"),
    (["a", "b"], "integers, not"),
    ([[0], [1, 2]], "array of 2 integers"),
    (None, "integers, not object"),
]


def test_actions_that_do_not_fit_raise_one_clear_error_and_leave_the_world_usable(world: World) -> None:
    world.reset()
    for actions, message in MISFITS:
        with pytest.raises(WorldError, match=message):
            world.send(actions)
        world.step([0, 1])


def test_every_integer_type_is_taken(world: World) -> None:
    world.reset()
    for dtype in (np.uint8, np.int16, np.int32, np.int64, np.uint64):
        world.step(np.array([1, 0], dtype))


def test_calls_in_the_wrong_order_raise_clear_errors() -> None:
    world = make("CartPole-v1", 2)
    with pytest.raises(WorldError, match="before the first reset"):
        world.send([0, 0])
    world.reset()
    with pytest.raises(WorldError, match="without a send"):
        world.recv()
    world.send([0, 0])
    with pytest.raises(WorldError, match="send\\(\\) came twice"):
        world.send([0, 0])
    with pytest.raises(WorldError, match="between send"):
        world.state_dict()
    world.recv()
    with pytest.raises(WorldError, match="without a send"):
        world.recv()


def test_reset_in_the_middle_of_a_step_finishes_it_first(world: World) -> None:
    world.reset()
    world.send([0, 0])
    world.reset()
    world.step([0, 0])


@pytest.mark.parametrize("env", KINDS)
def test_close_may_come_twice_and_then_nothing_else(env: str) -> None:
    world = make(env, 1)
    world.reset()
    world.send([0])
    world.close()
    world.close()
    for call in (world.reset, world.recv, world.state_dict, lambda: world.send([0])):
        with pytest.raises(WorldError, match="closed"):
            call()


def test_an_observation_is_not_overwritten_by_later_steps(world: World) -> None:
    obs, _ = world.reset()
    kept = [obs]
    copies = [obs.copy()]
    for _ in range(8):
        kept.append(world.step([1, 0])[0])
        copies.append(kept[-1].copy())
    assert all(np.array_equal(a, b) for a, b in zip(kept, copies, strict=True))


@pytest.mark.parametrize("env", KINDS)
def test_a_seed_repeats_itself_its_copies_differ_and_its_neighbour_shares_none(env: str) -> None:
    # Equal actions for all: in Breakout only machado's sticky actions tell one copy from another.
    def rows(seed: int, copies: int) -> list[bytes]:
        world = make(env, copies, seed)
        shown = [world.reset()[0]]
        shown += [world.step([t % len(world.action_names)] * copies)[0] for t in range(60)]
        world.close()
        return [np.stack(shown, 1)[i].tobytes() for i in range(copies)]

    shown = rows(0, 2)
    assert rows(0, 1) == shown[:1]  # however many copies there are
    assert len({*shown, *rows(1, 2)}) == 4


def test_seeds_are_in_range_distinct_and_do_not_depend_on_the_number_of_copies() -> None:
    drawn = np.concatenate([sub_seeds(seed, 64, attempt) for seed in range(50) for attempt in range(3)])
    assert len(set(drawn.tolist())) == len(drawn)
    assert drawn.min() >= 1
    assert drawn.max() < 2**31
    assert sub_seeds(5, 64)[:8].tolist() == sub_seeds(5, 8).tolist()


@pytest.mark.parametrize("env", KINDS)
def test_only_the_first_reset_seeds_and_a_seed_given_to_reset_starts_over(env: str) -> None:
    def opening(world: World, **options: Any) -> bytes:
        obs = [world.reset(**options)[0]]
        obs += [world.step(np.full(1, t % len(world.action_names)))[0] for t in range(30)]
        return np.stack(obs).tobytes()

    one, other = make(env, 1, seed=5), make(env, 1, seed=6)
    first, second = opening(one), opening(one)
    assert first != second
    assert opening(other) != first
    assert opening(other, seed=5) == first
    assert opening(other) == second
    one.close()
    other.close()


def test_sampled_actions_repeat_with_the_seed() -> None:
    one, other, third = (make("CartPole-v1", 16, seed) for seed in (1, 1, 2))
    drawn = one.action_space.sample()
    assert np.array_equal(drawn, other.action_space.sample())
    assert not np.array_equal(drawn, third.action_space.sample())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1, not 0"),
        ({"num_envs": 2.0}, "num_envs must be a whole number"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1"),
    ],
)
@pytest.mark.parametrize("env", KINDS)
def test_arguments_that_do_not_fit_are_named(env: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(WorldError, match=message):
        make(env, **options)

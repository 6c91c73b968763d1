import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rlrun.agents.priorities import Priorities
from rlrun.agents.replay import Batch, Replay

GAMMA = 0.9
FRAME = (2, 1)


@dataclass
class Row:
    """What one world showed on one row, what it did and what came of it, and how the row came about."""

    frame: list[Any]
    action: int
    reward: float
    terminated: bool
    truncated: bool
    life_lost: bool
    dead: bool  # nothing was done here: a final frame
    episode: int  # the row its episode began on

    @property
    def done(self) -> bool:
        return self.terminated or self.truncated


@dataclass
class Naive:
    """A replay as one would write it without a thought for speed: lists that keep everything."""

    capacity_rows: int
    num_envs: int
    stack: int
    n_step: int
    rows: list[list[Row]] = field(default_factory=list)

    def add(
        self, frames: Tensor, action: Tensor, reward: Tensor, terminated: Tensor, truncated: Tensor, lost: Tensor
    ) -> None:
        row = []
        for env in range(self.num_envs):
            last = self.rows[-1][env] if self.rows else None
            dead = last is not None and last.done and not last.dead
            episode = len(self.rows) if last is None or last.dead else last.episode
            flags = (bool(terminated[env]), bool(truncated[env]), bool(lost[env]))
            row.append(Row(frames[env].tolist(), int(action[env]), float(reward[env]), *flags, dead, episode))
        self.rows.append(row)

    def close(self, frames: Tensor) -> None:
        row = []
        for env in range(self.num_envs):
            last = self.rows[-1][env]
            if not last.dead and not last.done:
                last.truncated = True
            episode = len(self.rows) if last.dead else last.episode
            row.append(Row(frames[env].tolist(), 0, 0.0, False, False, False, True, episode))
        self.rows.append(row)

    def observation(self, row: int, env: int) -> list[Any]:
        frames = []
        for past in range(row - self.stack + 1, row + 1):
            inside = past >= self.rows[row][env].episode
            frames.append(self.rows[past][env].frame if inside else [[0.0], [0.0]])
        return frames if self.stack > 1 else frames[0]

    def transitions(self) -> dict[int, tuple[list[Any], int, float, float, list[Any]]]:
        """Return slot -> (obs, action, reward, discount, next_obs) of everything that may be sampled."""
        found = {}
        count = len(self.rows)
        oldest = 0 if count <= self.capacity_rows else count - self.capacity_rows + self.stack - 1
        for start in range(oldest, count):
            for env in range(self.num_envs):
                if self.rows[start][env].dead:
                    continue
                total, terminal, length = 0.0, False, 0
                for row in range(start, min(start + self.n_step, count)):
                    step = self.rows[row][env]
                    total += GAMMA**length * step.reward
                    length += 1
                    terminal = step.terminated or step.life_lost
                    if step.done or step.life_lost:
                        break
                else:
                    if length < self.n_step:
                        continue  # the window is not whole yet
                if start + length >= count:
                    continue  # nor has anyone seen where it leads
                slot = start % self.capacity_rows * self.num_envs + env
                discount = 0.0 if terminal else GAMMA**length
                found[slot] = (
                    self.observation(start, env),
                    self.rows[start][env].action,
                    total,
                    discount,
                    self.observation(start + length, env),
                )
        return found


@dataclass
class Worlds:
    """Worlds that reset on the step after an end, and whose every frame is another number."""

    num_envs: int
    stack: int
    ends: str
    rng: np.random.Generator
    frame: int = 0
    ended: Any = None
    stacks: Any = None

    def __post_init__(self) -> None:
        self.ended = np.zeros(self.num_envs, bool)
        self.begin()

    def frames(self) -> Tensor:
        self.frame += 1
        numbers = 1000 * self.frame + 10 * torch.arange(self.num_envs)
        return (numbers[:, None] + torch.arange(2)).float().view(-1, *FRAME)

    def begin(self) -> None:
        self.stacks = torch.zeros(self.num_envs, self.stack, *FRAME)
        self.stacks[:, -1] = self.frames()
        self.ended[:] = False

    def step(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return one row as `Replay.add` takes it, and move on."""
        acts = ~self.ended
        ends = {
            kind: (self.rng.random(self.num_envs) < 0.22) & acts & (self.ends in (kind, "mixed"))
            for kind in ("terminated", "truncated", "life_lost")
        }
        reward = self.rng.normal(size=self.num_envs).round(2)
        reward[self.ended] = 99.0  # a trap: no return may contain it
        action = self.rng.integers(1, 9, self.num_envs)
        obs = self.stacks if self.stack > 1 else self.stacks[:, 0]
        row = (obs.clone(), torch.tensor(action), torch.tensor(reward, dtype=torch.float32))
        begins = self.ended
        self.ended = ends["terminated"] | ends["truncated"]
        newest = self.frames()
        self.stacks = torch.cat([self.stacks[:, 1:], newest[:, None]], 1)
        self.stacks[begins] = 0
        self.stacks[begins, -1] = newest[begins]
        return *row, *(torch.tensor(flags) for flags in ends.values())


def build(rows: int, num_envs: int, stack: int, n_step: int, **settings: Any) -> Replay:
    shape = (stack, *FRAME) if stack > 1 else FRAME
    return Replay(
        rows * num_envs,
        num_envs,
        shape,
        obs_dtype=torch.float32,
        stack=stack,
        n_step=n_step,
        discount=GAMMA,
        **settings,
    )


def everything(replay: Replay) -> Batch:
    """Return each startable transition once: what stratified draws from equal weights are."""
    batch = replay.sample(int(replay.startable.sum()))
    order = batch.index.argsort()
    return Batch(*(column[order] for column in batch))


def assert_same(replay: Replay, naive: Naive) -> None:
    expected = naive.transitions()
    slots = replay.startable.view(-1).nonzero()[:, 0].tolist()
    assert slots == sorted(expected)
    assert replay.ready() == bool(expected)
    if not expected:
        return
    batch = everything(replay)
    assert batch.index.tolist() == slots
    columns = list(zip(*(expected[slot] for slot in slots), strict=True))
    assert batch.obs.tolist() == list(columns[0])
    assert batch.action.tolist() == list(columns[1])
    torch.testing.assert_close(batch.reward, torch.tensor(columns[2]), atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.discount, torch.tensor(columns[3]))
    assert batch.next_obs.tolist() == list(columns[4])
    assert batch.weight.tolist() == [1.0] * len(slots)


@pytest.mark.parametrize("ends", ["never", "terminated", "truncated", "life_lost", "mixed"])
@pytest.mark.parametrize("n_step", [1, 2, 3, 5])
@pytest.mark.parametrize("stack", [1, 4])
@pytest.mark.parametrize(("num_envs", "spare_rows"), [(1, 0), (3, 0), (3, 5), (2, 100)])
def test_what_can_be_sampled_is_what_a_naive_replay_holds(
    ends: str, n_step: int, stack: int, num_envs: int, spare_rows: int
) -> None:
    rows = n_step + stack + 1 + spare_rows
    worlds = Worlds(num_envs, stack, ends, np.random.default_rng([n_step, stack, num_envs, spare_rows]))
    replay, naive = build(rows, num_envs, stack, n_step), Naive(rows, num_envs, stack, n_step)
    for step in range(27):
        row = worlds.step()
        replay.add(*row)
        newest = row[0][:, -1] if stack > 1 else row[0]
        naive.add(newest, *row[1:])
        if step % (2 if spare_rows < 100 else 6) == 0:  # with rows to spare the ring never wraps around
            assert_same(replay, naive)


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("stack", [1, 4])
def test_closed_episodes_count_as_truncated_and_what_follows_begins_anew(n_step: int, stack: int) -> None:
    rows = n_step + stack + 6
    rng = np.random.default_rng([n_step, stack])
    worlds = Worlds(3, stack, "mixed", rng)
    replay, naive = build(rows, 3, stack, n_step), Naive(rows, 3, stack, n_step)
    for _ in range(60):
        row = worlds.step()
        replay.add(*row)
        naive.add(row[0][:, -1] if stack > 1 else row[0], *row[1:])
        assert_same(replay, naive)
        if rng.random() < 0.25:
            replay.close_episodes(worlds.stacks if stack > 1 else worlds.stacks[:, 0])
            naive.close(worlds.stacks[:, -1])
            assert_same(replay, naive)
            worlds.begin()


FALSE, TRUE = torch.tensor([False]), torch.tensor([True])


def add(replay: Replay, number: float, *, reward: float = 0.0, end: str = "") -> None:
    """Add a row of one world whose newest frame is `number`."""
    obs = torch.full((1, *replay.obs_shape), 99.0)  # older frames come from the ring, not from here
    obs[0, -1] = number
    flags = (TRUE if end == kind else FALSE for kind in ("terminated", "truncated", "life_lost"))
    replay.add(obs, torch.tensor([int(number)]), torch.tensor([reward]), *flags)


def small(n_step: int = 1, stack: int = 1, capacity: int = 20, **settings: Any) -> Replay:
    """Return a replay of one world with one number as its frame."""
    shape = (stack, 1)
    return Replay(capacity, 1, shape, obs_dtype=torch.float32, stack=stack, n_step=n_step, discount=0.5, **settings)


def starts(replay: Replay) -> list[int]:
    slots: list[int] = replay.startable.view(-1).nonzero()[:, 0].tolist()
    return slots


def test_a_row_is_not_sampled_before_its_window_is_whole() -> None:
    replay = small(n_step=3)
    counts = []
    for number in range(6):
        add(replay, number)
        counts.append(starts(replay))
    assert counts == [[], [], [], [0], [0, 1], [0, 1, 2]]


def test_the_last_starts_of_an_episode_keep_their_shortened_windows() -> None:
    replay = small(n_step=3)
    for number, reward in enumerate([1.0, 2.0, 4.0]):
        add(replay, number, reward=reward)
    add(replay, 3, reward=8.0, end="truncated")
    assert starts(replay) == [0]
    add(replay, 4, reward=99.0)  # the final frame
    assert starts(replay) == [0, 1, 2, 3]
    batch = everything(replay)
    assert batch.reward.tolist() == [1 + 2 / 2 + 4 / 4, 2 + 4 / 2 + 8 / 4, 4 + 8 / 2, 8]
    assert batch.discount.tolist() == [1 / 8, 1 / 8, 1 / 4, 1 / 2]
    assert batch.next_obs.view(-1).tolist() == [3, 4, 4, 4]


def test_a_truncated_episode_bootstraps_from_its_final_observation_and_a_terminated_one_does_not() -> None:
    for end, discount in (("truncated", 0.5), ("terminated", 0.0)):
        replay = small()
        add(replay, 1, reward=3.0, end=end)
        add(replay, 2, reward=99.0)
        add(replay, 50)
        add(replay, 51)
        batch = everything(replay)
        assert batch.index.tolist() == [0, 2]
        assert batch.obs.view(-1).tolist() == [1, 50]
        assert batch.next_obs.view(-1).tolist() == [2, 51]
        assert batch.reward.tolist() == [3, 0]
        assert batch.discount.tolist() == [discount, 0.5]


def test_a_lost_life_ends_the_bootstrap_but_not_the_stack() -> None:
    replay = small(n_step=2, stack=3)
    for number, end in ((1, ""), (2, "life_lost"), (3, ""), (4, ""), (5, "")):
        add(replay, number, reward=float(number), end=end)
    batch = everything(replay)
    assert batch.index.tolist() == [0, 1, 2]
    assert batch.reward.tolist() == [1 + 2 / 2, 2, 3 + 4 / 2]
    assert batch.discount.tolist() == [0, 0, 1 / 4]
    assert batch.obs.view(-1, 3).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3]]
    assert batch.next_obs.view(-1, 3)[2].tolist() == [3, 4, 5]


def test_a_stack_shows_zeros_before_an_episode_and_never_another_episode() -> None:
    replay = small(stack=4)
    for number, end in ((1, ""), (2, "terminated"), (3, ""), (4, ""), (5, ""), (6, "")):
        add(replay, number, end=end)
    batch = everything(replay)
    assert batch.obs.view(-1, 4).tolist() == [[0, 0, 0, 1], [0, 0, 1, 2], [0, 0, 0, 4], [0, 0, 4, 5]]
    assert batch.next_obs.view(-1, 4).tolist() == [[0, 0, 1, 2], [0, 1, 2, 3], [0, 0, 4, 5], [0, 4, 5, 6]]


def test_a_stack_goes_on_through_an_episode_longer_than_any_counter() -> None:
    replay = small(stack=4, capacity=30)
    for number in range(1, 700):
        add(replay, number)
        if number % 90 == 0:
            obs = everything(replay).obs.view(-1, 4)
            assert (obs[:, 1:] - obs[:, :-1] == 1).all()


def test_the_ring_holds_exactly_its_capacity_in_whole_rows() -> None:
    replay = build(4, 3, 1, 1)
    assert len(replay) == 0
    worlds = Worlds(3, 1, "never", np.random.default_rng(0))
    lengths = []
    for _ in range(9):
        replay.add(*worlds.step())
        lengths.append(len(replay))
    assert lengths == [3, 6, 9, 12, 12, 12, 12, 12, 12]
    assert int(replay.startable.sum()) == 3 * 3  # all but the newest row, which leads nowhere yet
    assert len(Replay(14, 3, (1,))) == 0
    assert Replay(14, 3, (1,)).rows == 4


def test_a_replay_too_small_says_how_large_it_must_be() -> None:
    with pytest.raises(ValueError, match=r"has 7 rows, but 3-step returns on stacks of 4 need at least 8: use 16 or"):
        Replay(15, 2, (4, 1), stack=4, n_step=3)
    assert Replay(16, 2, (4, 1), stack=4, n_step=3).rows == 8


def test_an_observation_that_is_no_stack_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 84, 84\) are no stacks of 4"):
        Replay(100, 1, (3, 84, 84), stack=4)


def test_pictures_stay_bytes_and_everything_else_has_its_type() -> None:
    replay = Replay(20, 2, (4, 3, 3), stack=4)
    none = torch.zeros(2, dtype=torch.bool)
    for value in range(250, 256):
        obs = torch.full((2, 4, 3, 3), value, dtype=torch.uint8)
        replay.add(obs, torch.tensor([1, 2]), torch.ones(2), none, none, none)
    batch = replay.sample(5)
    assert batch.obs.shape == batch.next_obs.shape == (5, 4, 3, 3)
    assert batch.obs.dtype == batch.next_obs.dtype == torch.uint8
    assert int(batch.next_obs.max()) > 250
    assert batch.action.dtype == batch.index.dtype == torch.int64
    assert batch.reward.dtype == batch.discount.dtype == batch.weight.dtype == torch.float32


def test_when_every_row_is_dead_there_is_nothing_to_sample_until_something_happens() -> None:
    replay = small(capacity=3)
    end = torch.zeros(1, 1, 1)
    replay.close_episodes(end)  # nothing runs yet: nothing to close
    assert len(replay) == 0
    assert not replay.ready()
    for number in range(5):
        add(replay, number)
    assert replay.ready()
    for _ in range(3):
        replay.close_episodes(end)
    assert starts(replay) == []
    assert not replay.ready()
    add(replay, 7)
    assert not replay.ready()
    add(replay, 8, end="terminated")
    assert everything(replay).obs.view(-1).tolist() == [7]
    add(replay, 9)
    assert sorted(everything(replay).obs.view(-1).tolist()) == [7, 8]


def test_worlds_that_all_end_at_once_leave_no_start_on_their_final_frames() -> None:
    replay = small(n_step=3)
    for number in range(0, 16, 2):  # episodes of one step
        add(replay, number, reward=1.0, end="terminated")
        add(replay, number + 1, reward=99.0)
    batch = everything(replay)
    assert batch.obs.view(-1).tolist() == list(range(0, 16, 2))
    assert set(batch.reward.tolist()) == {1.0}
    assert set(batch.discount.tolist()) == {0.0}


def filled(count: int = 13, **settings: Any) -> Replay:
    replay = small(capacity=20, **settings)
    for number in range(count):
        add(replay, number)
    return replay


def shares(replay: Replay, draws: int = 4_000) -> list[float]:
    counts = np.bincount(replay.sample(draws).index.numpy(), minlength=20)
    return [float(share) for share in counts / draws]


def test_without_an_exponent_all_transitions_are_equally_likely_whatever_their_errors() -> None:
    replay = filled(priority_exponent=0.0)
    replay.update(torch.arange(6), torch.tensor([1e3, 0.0, 5.0, 1.0, 1e-9, 7.0]))
    expected = [1 / 12] * 12 + [0.0] * 8
    assert shares(replay) == pytest.approx(expected, abs=1e-3)
    assert replay.sample(10, importance_exponent=1.0).weight.tolist() == [1.0] * 10


def test_transitions_are_drawn_in_proportion_to_their_priority_to_the_exponent() -> None:
    replay = filled(priority_exponent=0.5)
    replay.update(torch.arange(12), torch.tensor([16.0, 4.0, 1.0, 0.25, *[0.0] * 8]))
    total = 4 + 2 + 1 + 0.5 + 8 * 1e-3  # no error at all is still drawn now and then
    expected = [4 / total, 2 / total, 1 / total, 0.5 / total, *[1e-3 / total] * 8, *[0.0] * 8]
    assert shares(replay) == pytest.approx(expected, abs=2e-3)
    assert replay.startable.view(-1)[:12].all()


def test_new_transitions_are_as_likely_as_the_largest_priority_so_far() -> None:
    replay = filled(count=4, priority_exponent=0.5)
    replay.update(torch.tensor([0, 1]), torch.tensor([9.0, 0.01]))
    replay.update(torch.tensor([0]), torch.tensor([0.25]))
    add(replay, 4)  # completes row 3
    assert shares(replay)[:4] == pytest.approx([0.5 / 4.6, 0.1 / 4.6, 1 / 4.6, 3 / 4.6], abs=2e-3)


@pytest.mark.parametrize("error", [float("nan"), float("inf"), -float("inf")])
def test_an_error_that_is_no_number_counts_as_the_largest_and_spoils_no_other_priority(error: float) -> None:
    replay = filled(priority_exponent=1.0)
    replay.update(torch.arange(12), torch.tensor([error, *[2.0] * 11]))
    assert shares(replay)[:12] == pytest.approx([1 / 23, *[2 / 23] * 11], abs=0.02)
    replay.update(torch.arange(12), torch.ones(12))
    assert shares(replay)[:12] == pytest.approx([1 / 12] * 12, abs=0.02)


def test_the_first_transitions_have_priority_one() -> None:
    replay = filled(count=3, priority_exponent=0.5)
    replay.update(torch.tensor([0]), torch.tensor([0.25]))
    assert shares(replay)[:2] == pytest.approx([1 / 3, 2 / 3], abs=1e-3)


def test_a_learned_priority_stays_until_its_row_is_written_over() -> None:
    replay = small(n_step=3, capacity=20, priority_exponent=1.0)
    known: dict[int, float] = {}
    for number in range(60):
        add(replay, number, end="terminated" if number % 7 == 3 else "")
        known.pop(number % 20, None)
        weights = replay.sample(500).index.bincount(minlength=20) if replay.ready() else torch.zeros(20)
        for slot in starts(replay):
            if slot not in known:
                known[slot] = 0.5 + number % 5
                replay.update(torch.tensor([slot]), torch.tensor([known[slot]]))
        assert set(known) == set(starts(replay))
        assert set(weights.nonzero()[:, 0].tolist()) == set(starts(replay))
        if known:
            expected = np.array([known.get(slot, 0.0) for slot in range(20)]) / sum(known.values())
            assert shares(replay, 500) == pytest.approx(expected.tolist(), abs=0.01)


def test_importance_weights_are_those_worked_out_by_hand() -> None:
    replay = filled(count=4, priority_exponent=0.5)
    replay.update(torch.tensor([0, 1, 2]), torch.tensor([16.0, 4.0, 1.0]) - 1e-6)
    # P = 4/7, 2/7, 1/7; (3 P)^-beta over the largest, that of the least likely: (P / (1/7))^-beta
    for beta, expected in ((1.0, [1 / 4, 1 / 2, 1]), (0.5, [1 / 2, 1 / math.sqrt(2), 1]), (0.0, [1, 1, 1])):
        batch = replay.sample(300, importance_exponent=beta)
        assert set(batch.index.tolist()) == {0, 1, 2}
        torch.testing.assert_close(batch.weight, torch.tensor(expected, dtype=torch.float32)[batch.index])


def test_the_largest_importance_weight_of_a_batch_is_one() -> None:
    replay = filled(count=4, priority_exponent=1.0)
    replay.update(torch.tensor([0, 1, 2]), torch.tensor([1e6, 1e6, 1e-6]))
    batch = replay.sample(8, importance_exponent=0.4)
    assert 2 not in batch.index
    assert batch.weight.tolist() == [1.0] * 8


def test_a_replay_that_must_hold_something_says_so_without_asking_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def total(self: Priorities) -> Tensor:
        asked.append(replay.added)
        every: Tensor = self.leaves
        return every.sum()

    monkeypatch.setattr(Priorities, "total", property(total))
    replay = small(n_step=3, stack=2, capacity=6)
    for number in range(30):
        if number == 20:
            replay.close_episodes(torch.full((1, 2, 1), 99.0))
        add(replay, number, end="terminated" if number % 2 else "")
        replay.ready()
    assert asked == [1, 2, 3, 4, 22, 23, 24, 25]


def runs(seed: int) -> Iterator[Tensor]:
    replay = filled(seed=seed)
    for _ in range(3):
        yield replay.sample(16).index


def test_the_same_seed_samples_the_same_transitions() -> None:
    first, second, other = (torch.cat(list(runs(seed))) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not any(torch.equal(a, b) for a, b in pairwise(runs(1)))


def test_the_caller_may_reuse_what_it_added() -> None:
    replay = small()
    obs, flags = torch.zeros(1, 1, 1), torch.zeros(1, dtype=torch.bool)
    action, reward = torch.tensor([1]), torch.tensor([1.0])
    for number in range(3):
        for column in (obs, action, reward):
            column.fill_(number)
        replay.add(obs, action, reward, flags, flags, flags)
    for column in (obs, action, reward):
        column.fill_(99)
    batch = everything(replay)
    assert batch.obs.view(-1).tolist() == batch.action.tolist() == batch.reward.tolist() == [0, 1]


@pytest.mark.parametrize("steps", [0, 5, 40])
def test_a_replay_put_back_together_from_its_state_and_frames_goes_on_the_same(steps: int) -> None:
    rows, stack, n_step = 12, 4, 3
    settings: dict[str, Any] = {"priority_exponent": 0.5}
    worlds = Worlds(3, stack, "mixed", np.random.default_rng(0))
    replay, copy = (build(rows, 3, stack, n_step, seed=seed, **settings) for seed in (1, 2))

    def live(replays: list[Replay], count: int) -> list[Batch]:
        batches = []
        for _ in range(count):
            row = worlds.step()
            for one in replays:
                one.add(*row)
                if one.ready():
                    batch = one.sample(8, 0.5)
                    batches.append(batch)
                    one.update(batch.index, batch.reward.abs())
        return batches

    live([replay], steps)
    live([copy], 7 if steps else 0)  # what it held before must not matter
    copy.load({name: tensor.clone() for name, tensor in replay.state().items()})
    oldest = max(0, replay.added - rows)
    if steps:
        copy.load_frames(oldest, replay.frames(oldest, replay.added).contiguous().view(torch.uint8))
    batches = live([replay, copy], 20)
    assert batches
    for mine, theirs in zip(batches[::2], batches[1::2], strict=True):
        for column, other in zip(mine, theirs, strict=True):
            assert torch.equal(column, other)

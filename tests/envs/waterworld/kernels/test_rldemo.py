"""RLDemo's kernels and their twin, the same core in torch, from the same states."""

import math
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rlrun.envs.waterworld.batch import Batch
from rlrun.envs.waterworld.episodes import Episodes
from rlrun.envs.waterworld.explicit import read_state
from rlrun.envs.waterworld.layout import RLDEMO
from rlrun.envs.waterworld.rays import Sight
from rlrun.envs.waterworld.state import State
from rlrun.envs.waterworld.variants import RLDemo, core_of

Watch = Callable[[], AbstractContextManager[None]]

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # NumPy's, of the side not chosen


def batch(device: str, worlds: int, limit: int | None = None, *, plain: bool = False) -> Batch:
    """Return seeded worlds computed by the kernels, or by their twin."""
    from rlrun.envs.waterworld.kernels.rldemo import FusedRLDemo

    made = Batch("rldemo", worlds, max_episode_steps=limit, device=device)
    made.core = (RLDemo if plain else FusedRLDemo)(RLDEMO, made.episodes.keys)
    made.reset(np.arange(worlds) * 7 + 3)
    return made


def follow(twin: Batch, worlds: Batch) -> None:
    """Put `twin` where `worlds` are."""
    twin.core.keys = worlds.core.keys.clone()
    twin.core.state = State(**{name: tensor.clone() for name, tensor in worlds.core.state.tensors().items()})
    twin.core.sight = Sight(*(tensor.clone() for tensor in worlds.core.sight))
    twin.episodes = Episodes(**{name: tensor.clone() for name, tensor in worlds.episodes.tensors().items()})


class Scrambler:
    """Puts worlds where much happens on the next tick."""

    def __init__(self, seed: int) -> None:
        self.source = torch.Generator().manual_seed(seed)

    def between(self, least: float, most: float, *shape: int) -> Tensor:
        return least + torch.rand(*shape, generator=self.source) * (most - least)

    def __call__(self, worlds: Batch) -> None:
        state, device = worlds.core.state, worlds.core.device
        count, slots = state.item_kind.shape
        x, y = self.between(0, 700, count), self.between(0, 500, count)
        third = count // 3
        walls = torch.tensor(RLDEMO.walls)[torch.randint(len(RLDEMO.walls), (third,), generator=self.source)]
        along = self.between(-0.05, 1.05, third)
        x[:third] = walls[:, 0] + along * (walls[:, 2] - walls[:, 0]) + self.between(-9, 9, third)
        y[:third] = walls[:, 1] + along * (walls[:, 3] - walls[:, 1]) + self.between(-9, 9, third)
        state.x, state.y = x.clamp(0, 700).to(device), y.clamp(0, 500).to(device)
        state.angle = self.between(0, 2 * math.pi, count).to(device)
        near = torch.randint(4, (count, 1), generator=self.source) * 2  # as many items close by, on every side
        beside = torch.arange(slots) < near
        item_x = torch.where(beside, x[:, None] + self.between(-40, 40, count, slots), state.item_x.cpu())
        item_y = torch.where(beside, y[:, None] + self.between(-40, 40, count, slots), state.item_y.cpu())
        state.item_x, state.item_y = item_x.to(device), item_y.to(device)
        # In a third of the worlds no slot is empty; those of the others may be.
        crowded = torch.arange(count)[:, None] % 3 == 0
        kind = torch.randint(3, (count, slots), generator=self.source)
        kind = torch.where(crowded, kind.clamp(min=1), kind)
        state.item_kind = kind.to(torch.int8).to(device)
        # Most worlds are before an ageing tick, before a spawning tick or at one.
        clock = 100 * torch.randint(100, (count,), generator=self.source)
        clock += torch.tensor([-1, 9, 29, 0, 99])[torch.randint(5, (count,), generator=self.source)]
        clock = clock.clamp(min=0)
        state.clock = clock.to(device)
        age = torch.tensor([0, 4_998, 4_999, 5_000, 5_001, 20_000])
        chosen = torch.randint(len(age), (count, slots), generator=self.source)
        state.item_born = (clock[:, None] - age[chosen]).to(device)
        worlds.core.sight = worlds.core.looked()


def compare(worlds: Batch, twin: Batch, actions: Tensor) -> Counter[str]:
    """Let both make a step from where `worlds` are; return how often what came to pass, and how many eyes differ."""
    follow(twin, worlds)
    before = worlds.core.state.item_kind.clone()
    mine, theirs = worlds.step(actions), twin.step(actions)
    for name in ("apples", "poisons", "collided"):
        assert torch.equal(getattr(mine.brought, name), getattr(theirs.brought, name)), name
    for name in ("proximity", "forward", "digestion"):
        torch.testing.assert_close(getattr(mine.brought, name), getattr(theirs.brought, name), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mine.reward, theirs.reward, rtol=1e-4, atol=1e-5)
    assert torch.equal(mine.truncated, theirs.truncated)
    assert torch.equal(mine.opened, theirs.opened)
    assert torch.equal(worlds.core.keys, twin.core.keys)
    for name, expected in twin.episodes.tensors().items():
        assert torch.equal(getattr(worlds.episodes, name), expected), name
    for name, expected in twin.core.state.tensors().items():
        if name in ("x", "y", "angle"):
            torch.testing.assert_close(getattr(worlds.core.state, name), expected, rtol=1e-5, atol=1e-4)
        else:  # what chance brings, to the bit
            got = getattr(worlds.core.state, name)
            assert got.dtype == expected.dtype
            assert torch.equal(got, expected), name
    mine_seen, theirs_seen = worlds.core.sight, twin.core.sight
    same = (mine_seen.kind == theirs_seen.kind) & (mine_seen.place == theirs_seen.place)
    same &= torch.isclose(mine_seen.distance, theirs_seen.distance, rtol=1e-4, atol=1e-4)
    told, expected = (obs.view(*same.shape, 3)[same] for obs in (mine.obs, theirs.obs))
    torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(mine.obs, worlds.core.observe())
    after, lived = worlds.core.state.item_kind, ~mine.opened[:, None]
    return Counter(
        eyes=same.numel(),
        differing=int((~same).sum()),
        walls_seen=int((worlds.core.sight.kind == 0).sum()),
        items_seen=int((worlds.core.sight.kind > 0).sum()),
        apples=int(mine.brought.apples.sum()),
        poisons=int(mine.brought.poisons.sum()),
        collided=int(mine.brought.collided.sum()),
        forward=int((mine.brought.forward > 0).sum()),
        opened=int(mine.opened.sum()),
        truncated=int(mine.truncated.sum()),
        gone=int(((before > 0) & (after == 0) & lived).sum() - mine.brought.apples.sum() - mine.brought.poisons.sum()),
        spawned=int(((before == 0) & (after > 0) & lived).sum()),
    )


def test_every_tick_brings_what_the_twins_brings_from_the_same_state(device: str) -> None:
    ticks, count = (30, 33) if device == "cpu" else (400, 100)  # neither fills all programs
    limit = 7
    worlds, twin = batch(device, count, limit), batch(device, count, limit, plain=True)
    worlds.episodes.steps = torch.arange(count, device=device) % limit  # they end at different times
    scramble = Scrambler(seed=1)
    total: Counter[str] = Counter()
    for _ in range(ticks):
        scramble(worlds)
        actions = torch.randint(5, (count,), generator=scramble.source).to(device)
        total += compare(worlds, twin, actions)
    for name in total.keys() - {"differing"}:
        assert total[name] > 20, f"too little of this happened: {name}"
    # Rounding moves what an eye sees by some 1e-5 px. That decides whether a ray that grazes an item or a wall's end
    # meets it, and counts for more where a ray all but follows a wall. Both are rare, and not there at all on the CPU.
    assert total["differing"] <= (0 if device == "cpu" else total["eyes"] / 5_000)


def test_undisturbed_worlds_live_through_the_same_for_a_while(device: str) -> None:
    worlds, twin = batch(device, 32), batch(device, 32, plain=True)
    source = torch.Generator().manual_seed(0)
    for _ in range(25):
        actions = torch.randint(5, (32,), generator=source).to(device)
        mine, theirs = worlds.step(actions), twin.step(actions)
        torch.testing.assert_close(mine.obs, theirs.obs, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(mine.reward, theirs.reward, rtol=1e-4, atol=1e-4)
        assert torch.equal(worlds.core.state.item_kind, twin.core.state.item_kind)
        assert torch.equal(worlds.core.state.item_x, twin.core.state.item_x)


def test_a_world_is_the_same_alone_and_among_others(device: str) -> None:
    many, alone = batch(device, 40, 3), batch(device, 1, 3)
    alone.reset(np.array([35 * 7 + 3]))
    for worlds in (many, alone):
        worlds.core.state.clock += 5_995  # items are old, and the 6,000th tick is near
    source = torch.Generator().manual_seed(2)
    for _ in range(9):
        actions = torch.randint(5, (40,), generator=source).to(device)
        mine, theirs = many.step(actions), alone.step(actions[35:36])
        assert torch.equal(mine.obs[35:36], theirs.obs)
        assert torch.equal(mine.reward[35:36], theirs.reward)
        for name, tensor in many.core.state.tensors().items():
            assert torch.equal(tensor[35:36], getattr(alone.core.state, name)), name


def test_what_a_step_returned_stays_as_it_was(device: str) -> None:
    worlds = batch(device, 5, 2)
    actions = torch.zeros(5, dtype=torch.int64, device=device)
    told = worlds.step(actions)
    kept = [told.obs, told.reward, told.truncated, told.opened, *vars(told.brought).values()]
    copies = [tensor.clone() for tensor in kept]
    for _ in range(3):
        worlds.step(actions)
    assert all(map(torch.equal, kept, copies))


def test_a_saved_state_goes_on_to_the_bit_and_an_explicit_one_is_taken(device: str) -> None:
    worlds, other = batch(device, 3, 4), batch(device, 3, 4)
    actions = torch.tensor([0, 1, 4], device=device)
    for _ in range(4):
        worlds.step(actions)
    other.load_state_dict(worlds.state_dict())
    for _ in range(3):
        mine, theirs = worlds.step(actions), other.step(actions)
        assert torch.equal(mine.obs, theirs.obs)
        assert torch.equal(mine.reward, theirs.reward)
    plain = {"x": 350.0, "y": 250.0, "angle": 0.0, "clock": 0, "items": [[350.0, 270.0, 1, 0], [350.0, 280.0, 2, 0]]}
    state = read_state(RLDEMO, plain, dtype=torch.float32, device=worlds.core.device)
    worlds.core.put(torch.tensor([1], device=device), worlds.core.keys[1:2].clone(), state)
    brought = worlds.step(torch.zeros(3, dtype=torch.int64, device=device)).brought
    assert (int(brought.apples[1]), int(brought.poisons[1])) == (1, 0)


def test_an_action_that_does_not_exist_leaves_its_agent_where_it_is(device: str) -> None:
    worlds = batch(device, 3)
    before = worlds.core.state.x.clone(), worlds.core.state.y.clone()
    worlds.step(torch.tensor([5, -1, 1 << 40], device=device))
    after = worlds.core.state.x, worlds.core.state.y
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=1e-4)


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Takes down the names of torch's operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func._schema.name)
        return func(*args, **(kwargs or {}))


def needs_gpu() -> Any:
    return pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.mark.cuda
@needs_gpu()
@pytest.mark.parametrize("limit", [None, 5])
def test_a_step_never_waits_for_the_gpu_and_is_two_kernels_alone(limit: int | None, no_waiting: Watch) -> None:
    worlds = Batch("rldemo", 96, max_episode_steps=limit, device="cuda")
    worlds.reset(np.arange(96))
    actions = torch.zeros(96, dtype=torch.int64, device="cuda")
    for _ in range(3):
        worlds.step(actions)
    with no_waiting():
        for _ in range(120):
            worlds.step(actions)
    with Operations() as operations:
        worlds.step(actions)
    assert operations.names <= {"aten::empty", "aten::empty_like", "aten::unbind"}, "an operation of torch is launched"


@pytest.mark.cuda
@needs_gpu()
def test_on_a_gpu_rldemo_in_float32_is_what_kernels_compute() -> None:
    from rlrun.envs.waterworld.kernels.rldemo import FusedRLDemo

    keys = torch.arange(3, device="cuda")
    assert type(core_of("rldemo", keys)) is FusedRLDemo
    assert type(core_of("rldemo", keys, dtype=torch.float64)) is RLDemo

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rlrun.agents.priorities import BLOCK, Priorities


def pair(device: str, weights: Tensor) -> tuple[Any, Priorities]:
    """Return the kernels' priorities and their twin with the same weights."""
    from rlrun.agents.kernels.priorities import RadixPriorities

    both = RadixPriorities(len(weights), device), Priorities(len(weights), device)
    for priorities in both:
        priorities.load(weights.to(device))
    return both


def seeded(device: str, seed: int) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)


CAPACITIES = [10, BLOCK, 3 * BLOCK + 7, 1500 * BLOCK + 1]  # the last has more blocks than one look at the sums sees


def binary(capacity: int, seed: int = 0) -> Tensor:
    """Return weights whose sums are exact in any order: eighths, a third of them zero, and a whole block of zeros."""
    source = torch.Generator().manual_seed(seed)
    weights = torch.randint(-8, 16, (capacity,), generator=source).clamp(min=0) / 8
    weights[BLOCK : 2 * BLOCK] = 0
    weights[0] = 1.0
    return weights


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_the_same_random_numbers_draw_the_same_slots(device: str, capacity: int) -> None:
    kernels, twin = pair(device, binary(capacity))
    assert torch.equal(kernels.total, twin.total)
    for seed in range(3):
        assert torch.equal(kernels.sample(40, seeded(device, seed)), twin.sample(40, seeded(device, seed)))


def test_weights_of_any_magnitude_draw_the_same_slots_but_for_points_at_a_border(device: str) -> None:
    rng = np.random.default_rng(1)
    weights = torch.tensor(10.0 ** rng.uniform(-12, 3, 4 * BLOCK + 100), dtype=torch.float32)
    kernels, twin = pair(device, weights)
    torch.testing.assert_close(kernels.total, twin.total, rtol=1e-14, atol=0)
    same = [kernels.sample(60, seeded(device, seed)) == twin.sample(60, seeded(device, seed)) for seed in range(5)]
    assert float(torch.cat(same).float().mean()) > 0.99


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_slot_of_weight_zero_is_never_drawn_whatever_the_magnitudes(device: str, scale: float) -> None:
    rng = np.random.default_rng(2)
    weights = torch.tensor(10.0 ** rng.uniform(-7, 7, 4 * BLOCK + 100), dtype=torch.float32) * scale
    weights[torch.tensor(rng.random(len(weights)) < 0.5)] = 0
    weights[BLOCK : 2 * BLOCK] = 0
    weights[-50:] = 0
    kernels, _ = pair(device, weights)
    drawn = kernels.sample(150, seeded(device, 0)).cpu()
    assert (weights[drawn] > 0).all()


@pytest.mark.parametrize("capacity", [3 * BLOCK, 1030 * BLOCK])
@pytest.mark.parametrize("offset", [0.0, 1 / 3, float(np.nextafter(1.0, 0.0)), 1.0])
def test_a_draw_at_the_very_edge_of_the_mass_meets_a_slot_with_weight(
    device: str, monkeypatch: pytest.MonkeyPatch, capacity: int, offset: float
) -> None:
    weights = torch.zeros(capacity)
    weights[torch.tensor([5, BLOCK + 1, 2 * BLOCK - 2, -BLOCK + 3])] = 0.1  # a third, or most, of the blocks are empty
    kernels, _ = pair(device, weights)

    def edge(count: int, **_: Any) -> Tensor:
        return torch.full((count,), offset, dtype=torch.float64, device=device)

    monkeypatch.setattr(torch, "rand", edge)
    drawn = kernels.sample(7).cpu()
    assert (weights[drawn] > 0).all()


def test_equal_weights_in_as_many_draws_as_slots_give_each_slot_once(device: str) -> None:
    live = torch.arange(300) % 3 != 1
    kernels, _ = pair(device, live.float() * 0.25)
    drawn = kernels.sample(int(live.sum()), seeded(device, 0)).cpu()
    assert drawn.sort().values.tolist() == live.nonzero()[:, 0].tolist()


@pytest.mark.parametrize("count", [1, 7, 128, 300])
def test_setting_and_filling_leave_the_weights_and_sums_of_the_twin(device: str, count: int) -> None:
    capacity = 3 * BLOCK + 7
    both = pair(device, binary(capacity))
    source = torch.Generator().manual_seed(count)
    for _ in range(3):
        index = torch.randperm(capacity, generator=source)[:count]
        weight = torch.randint(0, 64, (count,), generator=source) / 8
        first = int(torch.randint(capacity - count, (), generator=source))
        for priorities in both:
            priorities.set(index.to(device), weight.to(device))
            priorities.set(index[:1].to(device), 2.5)
            priorities.fill(first, weight.to(device))
        assert torch.equal(both[0].leaves, both[1].leaves)
        assert torch.equal(both[0].total, both[1].total)
        assert torch.equal(both[0].total, both[0].leaves.double().sum())
        assert torch.equal(both[0].sample(20, seeded(device, 0)), both[1].sample(20, seeded(device, 0)))


def test_of_weights_for_the_same_slot_the_last_one_stands(device: str) -> None:
    kernels, _ = pair(device, torch.zeros(2 * BLOCK))
    source = torch.Generator().manual_seed(0)
    index = torch.randint(40, (500,), generator=source)  # each slot a dozen times, over several programs
    weight = torch.rand(500, generator=source)
    kernels.set(index.to(device), weight.to(device))
    expected = {int(slot): float(value) for slot, value in zip(index, weight, strict=True)}  # a dict keeps the last
    assert kernels.leaves[:40].tolist() == [expected.get(slot, 0.0) for slot in range(40)]
    assert float(kernels.total) == pytest.approx(sum(expected.values()))


def test_a_running_sum_that_is_not_monotone_draws_no_slot_of_weight_zero(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = torch.zeros(6 * BLOCK)
    weights[BLOCK : 2 * BLOCK : 2] = 1.0
    weights[3 * BLOCK : 4 * BLOCK : 2] = 1.0
    kernels, _ = pair(device, weights)
    if device == "cpu":  # a GPU sums in parallel, where rounding may push a sum above its successor; numpy in order
        exact = np.cumsum

        def pushed(values: Any, axis: int = 0) -> Any:
            return exact(values, axis=axis) + np.where(np.asarray(values) == 0, 0.4 * np.max(values), 0.0)

        monkeypatch.setattr(np, "cumsum", pushed)
    drawn = torch.cat([kernels.sample(100, seeded(device, seed)) for seed in range(3)]).cpu()
    assert (weights[drawn] > 0).all()

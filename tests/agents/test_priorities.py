import numpy as np
import pytest
import torch
from torch import Tensor

from rlrun.agents.host_priorities import EvenPriorities, HostPriorities
from rlrun.agents.priorities import BLOCK, Priorities

Kind = type[Priorities]


@pytest.fixture(params=[Priorities, HostPriorities])
def kind(request: pytest.FixtureRequest) -> Kind:
    """The plain code, and a CPU's own."""
    return request.param  # type: ignore[no-any-return]


def loaded(kind: Kind, weights: Tensor) -> Priorities:
    priorities = kind(len(weights))
    priorities.load(weights)
    return priorities


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("capacity", [10, BLOCK, 5 * BLOCK + 7])
def test_slots_are_drawn_in_proportion_to_their_weights(kind: Kind, capacity: int) -> None:
    rng = np.random.default_rng(capacity)
    weights = rng.exponential(size=capacity) ** 2 * (rng.random(capacity) < 0.7)
    share = weights / weights.sum()
    draws, size = 150, 512
    priorities, source = loaded(kind, torch.tensor(weights, dtype=torch.float32)), generator()
    counts = np.zeros(capacity)
    for _ in range(draws):
        counts += np.bincount(priorities.sample(size, source).numpy(), minlength=capacity)
    # Stratified draws vary less than independent ones, whose standard deviation bounds theirs.
    deviation = (counts - draws * size * share) / np.sqrt(draws * size * share * (1 - share) + 1)
    assert np.abs(deviation).max() < 5
    naive = rng.choice(capacity, draws * size, p=share)  # what numpy makes of the same weights
    halves = np.array_split(np.arange(capacity), 2)
    assert counts[halves[0]].sum() == pytest.approx(np.isin(naive, halves[0]).sum(), rel=0.05)


def test_equal_weights_in_as_many_draws_as_slots_give_each_slot_once(kind: Kind) -> None:
    live = torch.arange(2500) % 3 != 1
    drawn = loaded(kind, live.float() * 0.25).sample(int(live.sum()), generator())
    assert drawn.sort().values.tolist() == live.nonzero()[:, 0].tolist()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_slot_of_weight_zero_is_never_drawn_whatever_the_magnitudes(kind: Kind, scale: float) -> None:
    rng = np.random.default_rng(1)
    weights = torch.tensor(10.0 ** rng.uniform(-7, 7, 4 * BLOCK + 100), dtype=torch.float32) * scale
    weights[torch.tensor(rng.random(len(weights)) < 0.5)] = 0
    weights[BLOCK : 2 * BLOCK] = 0  # a whole block
    weights[-50:] = 0  # and the last ones, where rounding would fall off the end
    priorities, source = loaded(kind, weights), generator()
    for _ in range(6):
        drawn = priorities.sample(3000, source)
        assert (weights[drawn] > 0).all()


@pytest.mark.parametrize("offset", [0.0, float(np.nextafter(1.0, 0.0))])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("weight", [0.1, 1 / 3, 1e-30, 1e30])
def test_a_draw_at_the_very_edge_of_the_mass_meets_a_slot_with_weight(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, offset: float, size: int, weight: float
) -> None:
    weights = torch.zeros(6 * BLOCK)
    weights[torch.tensor([BLOCK + 1, 2 * BLOCK - 2, 3 * BLOCK + 1, -BLOCK - 2])] = weight  # some blocks are empty
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.full((count,), offset, dtype=torch.float64))
    drawn = loaded(kind, weights).sample(size)
    assert (weights[drawn] > 0).all()


def test_a_draw_at_the_border_of_two_blocks_meets_a_slot_with_weight_however_sums_are_rounded(
    kind: Kind,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = torch.zeros(8, BLOCK)
        weights[:, 500:510] = torch.tensor(10.0 ** rng.uniform(-20, 20, (8, 10)), dtype=torch.float32)
        weights = weights.view(-1)
        borders = np.cumsum(weights.double().view(8, BLOCK).cumsum(1)[:, -1].numpy())
        near = [borders / borders[-1]]
        for towards in (0.0, 1.0):
            near += [np.nextafter(near[0], towards), np.nextafter(np.nextafter(near[0], towards), towards)]
        for offset in np.concatenate(near).clip(0, np.nextafter(1.0, 0.0)):
            monkeypatch.setattr(
                torch, "rand", lambda count, x=offset, **_: torch.full((count,), x, dtype=torch.float64)
            )
            assert float(weights[loaded(kind, weights).sample(1)]) > 0


def test_one_slot_with_weight_is_all_that_is_drawn(kind: Kind) -> None:
    weights = torch.zeros(2 * BLOCK)
    weights[BLOCK + 5] = 1e-20
    assert loaded(kind, weights).sample(100, generator()).tolist() == [BLOCK + 5] * 100


def test_slots_beyond_the_capacity_do_not_exist(kind: Kind) -> None:
    priorities = loaded(kind, torch.ones(10))
    assert priorities.leaves.shape == (10,)
    assert int(priorities.sample(10_000, generator()).max()) == 9


def test_set_fill_and_load_agree_to_the_bit(kind: Kind) -> None:
    weights = torch.rand(2 * BLOCK + 300, generator=generator()) ** 8
    by_load = loaded(kind, weights)
    by_set = kind(len(weights))
    order = torch.randperm(len(weights), generator=generator())
    for part in torch.split(order, 700):
        by_set.set(part, weights[part])
    by_fill = kind(len(weights))
    for first in range(0, len(weights), 900):  # parts that begin and end inside blocks
        by_fill.fill(first, weights[first : first + 900])
    for other in (by_set, by_fill):
        assert torch.equal(other.leaves, by_load.leaves)
        assert torch.equal(other.total, by_load.total)
        assert torch.equal(other.sample(500, generator(3)), by_load.sample(500, generator(3)))


def test_the_total_does_not_drift_over_many_changes(kind: Kind) -> None:
    priorities, source = kind(BLOCK + 1), generator()
    for _ in range(300):
        index = torch.randint(BLOCK + 1, (64,), generator=source)
        priorities.set(index, 10 ** (8 * torch.rand(64, generator=source) - 4))
    assert torch.equal(priorities.total, loaded(kind, priorities.leaves).total)
    priorities.set(torch.arange(BLOCK + 1), 0.0)
    assert float(priorities.total) == 0.0


def test_weights_are_given_back_as_they_were_set(kind: Kind) -> None:
    priorities = kind(3000)
    priorities.set(torch.tensor([2999, 5]), torch.tensor([0.5, 2.0]))
    priorities.set(torch.tensor([7, 1500]), 3.0)
    assert priorities.weight(torch.tensor([5, 6, 7, 1500, 2999])).tolist() == [2.0, 0.0, 3.0, 3.0, 0.5]
    assert float(priorities.total) == 8.5


def test_the_same_seed_draws_the_same_slots(kind: Kind) -> None:
    priorities = loaded(kind, torch.rand(3000, generator=generator()))
    assert torch.equal(priorities.sample(64, generator(5)), priorities.sample(64, generator(5)))
    assert not torch.equal(priorities.sample(64, generator(5)), priorities.sample(64, generator(6)))


def test_no_slots_are_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match="capacity of at least 1, not 0"):
        kind(0)


# Weights of zero and one


def evenly(live: Tensor) -> EvenPriorities:
    priorities = EvenPriorities(len(live))
    priorities.load(live.float())
    return priorities


def test_even_slots_are_drawn_equally_often_wherever_the_others_are() -> None:
    live = torch.ones(3000, dtype=torch.bool)
    live[700:1500] = False  # a long gap, and every third of what is left of the first part
    live[:700:3] = False
    priorities, source, draws = evenly(live), generator(), 2000
    counts = torch.zeros(3000)
    for _ in range(draws):
        counts += priorities.sample(64, source).bincount(minlength=3000)
    assert not counts[~live].any()
    expected = draws * 64 / int(live.sum())
    assert bool(((counts[live] - expected).abs() < 6 * expected**0.5).all())
    for part in (live.nonzero()[:100, 0], live.nonzero()[-1000:, 0]):  # beside a gap, and far from one
        assert float(counts[part].mean()) == pytest.approx(expected, rel=0.04)


def test_an_even_draw_of_as_many_as_there_are_slots_gives_each_once() -> None:
    assert evenly(torch.ones(50)).sample(50, generator()).sort().values.tolist() == list(range(50))


def test_even_slots_beyond_the_last_one_used_cost_no_draws() -> None:
    priorities = EvenPriorities(10**6)
    priorities.fill(3, torch.tensor([1.0, 0.0, 1.0]))
    priorities.set(torch.tensor([7]), 1.0)
    assert set(priorities.sample(200, generator()).tolist()) == {3, 5, 7}
    assert float(priorities.total) == 3
    assert priorities.weight(torch.tensor([3, 4])).tolist() == [1, 0]

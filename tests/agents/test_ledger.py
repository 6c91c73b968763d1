from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from rlrun.agents.host_ledger import HostLedger
from rlrun.agents.host_priorities import EvenPriorities, HostPriorities
from rlrun.agents.ledger import COLUMNS, Ledger
from rlrun.agents.priorities import BLOCK, Priorities

Life = Callable[..., Iterator[tuple[Tensor, ...]]]


@pytest.fixture(params=["numpy", "interpreted", pytest.param("cuda", marks=pytest.mark.cuda)])
def place(request: pytest.FixtureRequest, kernels_on: Callable[[str], str]) -> tuple[str, str]:
    """Return what is compared with the plain ledger, and on which device: NumPy, or a kernel where it can run."""
    return request.param, "cpu" if request.param == "numpy" else kernels_on(request.param)


def pair(place: tuple[str, str], rows: int, num_envs: int, **settings: Any) -> tuple[Any, Ledger]:
    """Return a ledger of that kind and its twin."""
    settings = {"stack": 4, "n_step": 3, "discount": 0.9, "priority_exponent": 0.5, **settings}
    kind, settings["device"] = place[0], torch.device(place[1])
    twin = Ledger(rows, num_envs, priorities=Priorities, **settings)
    if kind == "numpy":
        return HostLedger(rows, num_envs, priorities=Priorities, **settings), twin
    from rlrun.agents.kernels.ledger import FusedLedger
    from rlrun.agents.kernels.priorities import RadixPriorities

    return FusedLedger(rows, num_envs, priorities=RadixPriorities, **settings), twin


def assert_same(kernel: Any, twin: Ledger) -> None:
    assert kernel.added == twin.added
    for name in COLUMNS:
        assert torch.equal(getattr(kernel, name), getattr(twin, name)), name
    mine, theirs = kernel.following.ring, twin.following.ring
    torch.testing.assert_close(mine.reward, theirs.reward, rtol=1e-6, atol=1e-6)  # multiplied and added in one go
    torch.testing.assert_close(mine.discount, theirs.discount, rtol=1e-6, atol=0)
    assert torch.equal(mine.slots, theirs.slots)
    assert torch.equal(kernel.priorities.leaves, twin.priorities.leaves)
    blocks = twin.priorities._sums.shape[0]
    torch.testing.assert_close(kernel.priorities._sums[:blocks], twin.priorities._sums, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("rows", "num_envs", "stack", "n_step"),
    [(10, 1, 4, 5), (7, 3, 1, 5), (9, 3, 4, 1), (12, 70, 4, 3), (8, BLOCK + 3, 4, 3)],
)
def test_rows_leave_what_the_plain_ledger_holds(
    place: tuple[str, str], rows: int, num_envs: int, stack: int, n_step: int, life: Life
) -> None:
    kernel, twin = pair(place, rows, num_envs, stack=stack, n_step=n_step)
    told = life(place[1], num_envs)
    for _ in range(2 * rows + 2):
        row = next(told)
        kernel.add(*row)
        twin.add(*row)
        assert_same(kernel, twin)


def test_learned_priorities_stay_and_new_steps_start_with_the_largest(place: tuple[str, str], life: Life) -> None:
    kernel, twin = pair(place, 12, 5)
    told = life(place[1], 5, seed=1, often=0.05)
    for number in range(30):
        row = next(told)
        for ledger in (kernel, twin):
            ledger.add(*row)
        index = twin.priorities.leaves.nonzero()[:2, 0]
        error = torch.tensor([2.0 + number, 0.5], device=place[1])
        for ledger in (kernel, twin):
            if len(index) == 2:
                ledger.update(index, error)
        assert_same(kernel, twin)
    assert float(twin.priorities.leaves.max()) > 5.0


def test_episodes_are_closed_and_a_state_is_taken_over_as_by_the_plain_ledger(
    place: tuple[str, str], life: Life
) -> None:
    kernel, twin = pair(place, 12, 5)
    told = life(place[1], 5, seed=2)
    for _ in range(17):
        row = next(told)
        kernel.add(*row)
        twin.add(*row)
    kernel.close_episodes()
    twin.close_episodes()
    assert_same(kernel, twin)
    other, _ = pair(place, 12, 5)
    other.load(kernel.state())
    for _ in range(9):
        row = next(told)
        other.add(*row)
        twin.add(*row)
        assert_same(other, twin)


@pytest.mark.parametrize(("first", "count"), [(0, 1), (BLOCK - 1, 2), (3 * BLOCK + 5, 40), (2 * BLOCK, 2 * BLOCK)])
def test_the_sums_of_slots_around_the_ring_are_taken_anew(place: tuple[str, str], first: int, count: int) -> None:
    kernel, _ = pair(place, 3 * BLOCK + 20, 1)
    priorities = kernel.priorities
    slots = (torch.arange(first, first + count) % priorities.capacity).to(place[1])
    priorities.leaves[slots] = 1.0
    priorities.sum_slots(first, count)
    assert float(priorities.total) == count


def test_no_slots_are_summed_where_none_changed(place: tuple[str, str]) -> None:
    kernel, _ = pair(place, 12, 5)
    kernel.priorities.sum_slots(0, 0)
    assert float(kernel.priorities.total) == 0.0


@pytest.mark.parametrize("often", [0.15, 0.01])  # cut windows everywhere, and long stretches without any
def test_in_numpy_a_row_is_the_plain_codes_to_the_bit_and_even_priorities_know_their_slots(
    life: Life, often: float
) -> None:
    settings = {"stack": 4, "n_step": 5, "discount": 0.99, "priority_exponent": 0.0, "device": torch.device("cpu")}
    kinds = (HostLedger, Ledger, Ledger)
    numpy, plain, other = (kind(12, 7, priorities=EvenPriorities, **settings) for kind in kinds)
    told = life("cpu", 7, often=often)
    for row in islice(life("cpu", 7, seed=1, often=0.5), 20):
        other.add(*row)
    for number in range(100):
        if number in (40, 70):
            numpy.close_episodes()
            plain.close_episodes()
        if number == 60:
            for ledger in (numpy, plain):
                ledger.load(other.state())
        row = next(told)
        numpy.add(*row)
        plain.add(*row)
        assert all(map(torch.equal, numpy.following.ring, plain.following.ring))
        assert all(torch.equal(getattr(numpy, name), getattr(plain, name)) for name in COLUMNS)
        assert torch.equal(numpy.priorities.leaves, plain.priorities.leaves)
        if plain.added > 6:
            drawn = [ledger.priorities.sample(50, torch.Generator().manual_seed(0)) for ledger in (numpy, plain)]
            assert torch.equal(*drawn)


def test_in_loops_nothing_is_written_or_read_beyond_a_ledgers_memory(life: Life) -> None:
    settings = {"stack": 1, "n_step": 2, "discount": 0.9, "priority_exponent": 0.5, "device": torch.device("cpu")}
    ledger = HostLedger(12, 5, priorities=HostPriorities, **settings)
    with pytest.raises(ValueError, match="a number for each of its worlds"):
        ledger.add(*next(life("cpu", 4)))
    for row in islice(life("cpu", 5), 12):
        ledger.add(*row)
    for slot in (-1, 60):
        with pytest.raises(IndexError, match="no such slot in the replay"):
            ledger.at(torch.tensor([3, slot]))
    with pytest.raises(IndexError, match="no such slot among the priorities"):
        ledger.update(torch.tensor([3, 1000]), torch.ones(2))

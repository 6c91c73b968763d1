"""host_priorities: what draws slots on a CPU, compiled: by their weights, or evenly."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..native import native
from .priorities import Priorities

Reals = NDArray[np.float64]
Leaves = NDArray[np.float32]
Slots = NDArray[np.int64]


class HostPriorities(Priorities):
    """Priorities on a CPU, by loops over the same memory.

    Fewer leaves under one sum: a batch adds up one block for each of its transitions, and on a CPU, which does that one
    number after the other, 32 of 1,024 would take longer than all else that a sample is.
    """

    block = 128

    def __init__(self, capacity: int, device: torch.device | str = "cpu") -> None:
        """Make `capacity` slots of weight zero."""
        super().__init__(capacity, device)
        self._memory = self._leaves.numpy(), self._sums.numpy()

    def set(self, index: Tensor, weight: Tensor | float) -> None:
        """Give the slots `index` (M,) int64 the weights `weight` (M,) or one number."""
        _set(index.numpy(), np.full(len(index), weight, np.float32), *self._memory)

    def sum_slots(self, first: int, count: int) -> None:
        """Sum anew what the `count` slots from `first` on, counted on around the ring, are a part of."""
        _sum_slots(first, count, self.capacity, *self._memory)

    def sample(self, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `size` slots, (size,) int64, each with probability weight / total, stratified over `size` equal parts.

        The weights must not all be zero: whoever owns the slots knows when there is something to draw.
        """
        return torch.from_numpy(_drawn(_uniform(size, generator), *self._memory))


class EvenPriorities(Priorities):
    """Slots of weight zero or one, for a CPU: what uniform replay needs, without sums.

    A slot is drawn, looked at, and drawn again where its weight is zero, which few slots' is.
    """

    def __init__(self, capacity: int, device: torch.device | str = "cpu") -> None:
        """Make `capacity` slots of weight zero."""
        super().__init__(capacity, device)
        self._memory = self._leaves.numpy()
        self._used = 0  # slots from the first on that may have a weight

    @property
    def total(self) -> Tensor:
        """The sum of all weights: a float64 scalar."""
        return self._leaves.sum(dtype=torch.float64)

    def set(self, index: Tensor, weight: Tensor | float) -> None:
        """Give the slots `index` (M,) int64 the weights `weight` (M,) or one number, each 0 or 1."""
        self._leaves.view(-1)[index] = weight
        self._used = max(self._used, int(index.max()) + 1)

    def sum_slots(self, first: int, count: int) -> None:
        """Know that the `count` slots from `first` on, counted on around the ring, may have a weight."""
        self._used = max(self._used, min(first + count, self.capacity))

    def load(self, leaves: Tensor) -> None:
        """Replace all weights by `leaves` (M,), each 0 or 1; the slots behind them have never had one."""
        self._leaves.view(-1)[: len(leaves)] = leaves
        self._leaves.view(-1)[len(leaves) :] = 0
        self._used = len(leaves)

    def sample(self, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `size` slots of weight one, (size,) int64, stratified over `size` equal parts of all that may be.

        They must not all be zero. Each is as likely as the others: a part gives each of its slots the same chance, the
        same in all parts, and what falls on a zero is drawn again from all.
        """
        slots, missing = np.empty(size, np.int64), np.arange(size)
        part, parts = self._used / size, 1
        while len(missing):
            numbers = _uniform(len(missing), generator)
            left = _land(numbers, part, parts, self._used, self._memory, slots, missing)
            missing, part, parts = missing[:left], float(self._used), 0
        return torch.from_numpy(slots)


def _uniform(count: int, generator: torch.Generator | None) -> Reals:
    """Return `count` numbers from 0 to 1."""
    numbers: Reals = torch.rand(count, dtype=torch.float64, generator=generator).numpy()
    return numbers


@native
def _set(slots: Slots, weights: Leaves, leaves: Leaves, sums: Reals) -> None:
    """Give `slots` (M,) their weights (M,) among the leaves (blocks, block), and sum their blocks anew."""
    block = leaves.shape[1]
    for number, slot in enumerate(slots):
        if not 0 <= slot < leaves.size:
            raise IndexError("there is no such slot among the priorities")
        leaves[slot // block, slot % block] = weights[number]
    for slot in slots:
        sums[slot // block] = _total(leaves[slot // block])


@native
def _sum_slots(first: int, count: int, capacity: int, leaves: Leaves, sums: Reals) -> None:
    """Sum anew the blocks of `count` of `capacity` slots, from `first` on and around the ring."""
    block = leaves.shape[1]
    over = first + count - capacity  # slots around the ring's end
    if count > 0:
        for changed in range(first // block, (min(first + count, capacity) - 1) // block + 1):
            sums[changed] = _total(leaves[changed])
    if over > 0:
        for changed in range((over - 1) // block + 1):
            sums[changed] = _total(leaves[changed])


@native
def _drawn(numbers: Reals, leaves: Leaves, sums: Reals) -> Slots:
    """Return a slot for each of `numbers` (M,), from 0 to 1, as `Priorities.sample` draws it."""
    size, block = len(numbers), leaves.shape[1]
    edges = np.cumsum(sums)
    part, most = edges[-1] / size, np.nextafter(edges[-1], 0.0)
    slots = np.empty(size, np.int64)
    for number in range(size):
        point = min((number + numbers[number]) * part, most)
        at = np.searchsorted(edges, point, side="right")
        rest = min(max(point - (edges[at] - sums[at]), 0.0), np.nextafter(sums[at], 0.0))
        inside, leaf = np.float64(leaves[at, 0]), 0
        while inside <= rest and leaf < block - 1:
            leaf += 1
            inside += np.float64(leaves[at, leaf])
        slots[number] = at * block + leaf
    return slots


@native
def _total(leaves: Leaves) -> np.float64:
    """Return the sum of a block's leaves, one after the other: the last of the numbers that `_drawn` compares."""
    total = np.float64(0)
    for leaf in leaves:
        total += np.float64(leaf)
    return total


@native
def _land(numbers: Reals, part: float, parts: int, used: int, leaves: Leaves, slots: Slots, missing: Slots) -> int:
    """Draw those of `slots` (B,) that are `missing` (M,), by `numbers` (M,) from 0 to 1; return how many still are.

    Number k is drawn from part k, each of length `part`, or from the first where there are no `parts`. Those that fall
    on a leaf of weight zero stand first in `missing` then.
    """
    block, left = leaves.shape[1], 0
    for number, place in enumerate(missing):
        slot = min(int((numbers[number] + parts * place) * part), used - 1)
        slots[place] = slot
        if leaves[slot // block, slot % block] == 0:
            missing[left] = place
            left += 1
    return left

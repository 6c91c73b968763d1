"""Priorities: proportional sampling in two levels, blocks of 1,024 leaves under one row of block sums."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 1024
HOST_BLOCK = 128


class Priorities:
    """Non-negative sampling weights for `capacity` slots (Schaul et al. 2016, proportional variant).

    A binary sum-tree takes twenty dependent levels for a million slots; two levels of radix 1,024 take two
    vectorised passes, on any device. Block sums are re-computed from their leaves, never adjusted by differences,
    so rounding errors cannot pile up and a slot of weight zero is never drawn.

    Attributes:
        block: leaves under one sum.

    """

    block = BLOCK

    def __init__(self, capacity: int, device: torch.device | str = "cpu") -> None:
        """Make `capacity` slots of weight zero on `device`."""
        if capacity < 1:
            raise ValueError(f"priorities need a capacity of at least 1, not {capacity}")
        blocks = -(-capacity // self.block)
        self.capacity = capacity
        self._leaves = torch.zeros(blocks, self.block, device=device)
        self._sums = torch.zeros(blocks, dtype=torch.float64, device=device)

    @property
    def total(self) -> Tensor:
        """The sum of all weights: a float64 scalar on the device."""
        return self._sums.sum()

    @property
    def leaves(self) -> Tensor:
        """All weights, (capacity,) float32: a view, to read; who writes to it calls `sum_slots`."""
        return self._leaves.view(-1)[: self.capacity]

    def set(self, index: Tensor, weight: Tensor | float) -> None:
        """Give the slots `index` (M,) int64 the weights `weight` (M,) or one number."""
        self._leaves.view(-1)[index] = weight
        # The last entry of the same cumulative sum that `sample` searches: equal to the bit.
        blocks = index // self.block
        self._sums[blocks] = self._leaves[blocks].cumsum(1, dtype=torch.float64)[:, -1]

    def fill(self, first: int, weights: Tensor) -> None:
        """Give the slots from `first` on the weights `weights` (M,), without a gather: for rows of a ring."""
        self._leaves.view(-1)[first : first + weights.shape[0]] = weights
        self.sum_slots(first, weights.shape[0])

    def sum_slots(self, first: int, count: int) -> None:
        """Sum anew what the `count` slots from `first` on, counted on around the ring, are a part of.

        For who has changed some of them in `leaves`.
        """
        for begin, end in ((first, min(first + count, self.capacity)), (0, first + count - self.capacity)):
            if end > begin:
                blocks = slice(begin // self.block, (end - 1) // self.block + 1)
                self._sums[blocks] = self._leaves[blocks].cumsum(1, dtype=torch.float64)[:, -1]

    def load(self, leaves: Tensor) -> None:
        """Replace all weights by `leaves` (M,), and those of the slots behind them, if there are any, by zero."""
        self._leaves.view(-1)[: len(leaves)] = leaves
        self._leaves.view(-1)[len(leaves) :] = 0
        self._sums[:] = self._leaves.cumsum(1, dtype=torch.float64)[:, -1]

    def weight(self, index: Tensor) -> Tensor:
        """Return the weights (M,) float32 of the slots `index` (M,)."""
        return self._leaves.view(-1)[index]

    def sample(self, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `size` slots, (size,) int64, each with probability weight / total, stratified over `size` equal parts.

        The weights must not all be zero: whoever owns the slots knows when there is something to draw.
        """
        device = self._sums.device
        edges = self._sums.cumsum(0)
        offsets = torch.rand(size, dtype=torch.float64, device=device, generator=generator)
        point = (torch.arange(size, device=device) + offsets) * (edges[-1] / size)
        point = torch.minimum(point, _below(edges[-1]))
        block = torch.searchsorted(edges, point, right=True)
        inside = self._leaves[block].cumsum(1, dtype=torch.float64)  # (size, block)
        rest = point - (edges[block] - self._sums[block])
        rest = torch.minimum(rest.clamp(min=0), _below(inside[:, -1]))
        return block * self.block + torch.searchsorted(inside, rest[:, None], right=True)[:, 0]


class HostPriorities(Priorities):
    """Priorities on a CPU, in NumPy on the same memory.

    Fewer leaves under one sum: a batch adds up one block for each of its transitions, and on a CPU, which does that one
    number after the other, 32 of 1,024 would take longer than all else that a sample is.
    """

    block = HOST_BLOCK

    def set(self, index: Tensor, weight: Tensor | float) -> None:
        """Give the slots `index` (M,) int64 the weights `weight` (M,) or one number."""
        slots, leaves, sums = index.numpy(), self._leaves.numpy(), self._sums.numpy()
        leaves.reshape(-1)[slots] = weight
        blocks = slots // self.block
        sums[blocks] = np.cumsum(leaves[blocks], 1, np.float64)[:, -1]

    def sample(self, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `size` slots, (size,) int64, each with probability weight / total, stratified over `size` equal parts.

        The weights must not all be zero: whoever owns the slots knows when there is something to draw.
        """
        leaves, sums = self._leaves.numpy(), self._sums.numpy()
        edges = np.cumsum(sums)
        point = (np.arange(size) + _uniform(size, generator)) * (edges[-1] / size)
        point = np.minimum(point, np.nextafter(edges[-1], 0))
        block = edges.searchsorted(point, "right")
        inside = np.cumsum(leaves[block], 1, np.float64)  # (size, block)
        rest = point - (edges[block] - sums[block])
        rest = np.minimum(np.maximum(rest, 0), np.nextafter(inside[:, -1], 0))
        return torch.from_numpy(block * self.block + (inside <= rest[:, None]).sum(1))


class EvenPriorities(Priorities):
    """Slots of weight zero or one, for a CPU: what uniform replay needs, without sums.

    A slot is drawn, looked at, and drawn again where its weight is zero, which few slots' is.
    """

    def __init__(self, capacity: int, device: torch.device | str = "cpu") -> None:
        """Make `capacity` slots of weight zero."""
        super().__init__(capacity, device)
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
        # In NumPy, which begins sooner than torch: on a batch the arithmetic itself is nothing.
        slots = self._scaled(_uniform(size, generator) + np.arange(size), self._used / size)
        leaves = self._leaves.numpy().reshape(-1)
        while len(empty := np.flatnonzero(leaves[slots] == 0)):
            slots[empty] = self._scaled(_uniform(len(empty), generator), self._used)
        return torch.from_numpy(slots)

    def _scaled(self, point: NDArray[np.float64], scale: float) -> NDArray[np.int64]:
        """Return the slots that `point` falls on when it is scaled, none behind the last one that may have a weight."""
        return np.minimum((point * scale).astype(np.int64), self._used - 1)


def _uniform(count: int, generator: torch.Generator | None) -> NDArray[np.float64]:
    """Return `count` numbers from 0 to 1."""
    numbers: NDArray[np.float64] = torch.rand(count, dtype=torch.float64, generator=generator).numpy()
    return numbers


def _below(value: Tensor) -> Tensor:
    """Return the next smaller float64: a point strictly inside the mass, so the search ends on a positive weight."""
    return torch.nextafter(value, torch.zeros_like(value))

"""Priorities: proportional sampling in two levels, blocks of 1,024 leaves under one row of block sums."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1024


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


def _below(value: Tensor) -> Tensor:
    """Return the next smaller float64: a point strictly inside the mass, so the search ends on a positive weight."""
    return torch.nextafter(value, torch.zeros_like(value))

"""Priorities on a GPU: two levels of radix 1,024, one kernel to draw slots and two to change weights."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..priorities import BLOCK, Priorities

CHUNK = 32  # writes that one program compares with as many later ones at once; 128 do not fit its registers
WARPS = 4


@triton.jit
def _write(leaves, index, weight, count, CHUNK: tl.constexpr):
    """Write weight[i] to leaves[index[i]] for CHUNK of the i; where slots repeat, the last one stands."""
    mine = tl.program_id(0) * CHUNK + tl.arange(0, CHUNK)
    slot = tl.load(index + mine, mask=mine < count, other=-1)
    repeated = tl.zeros((CHUNK,), tl.int32)
    for first in range(tl.program_id(0) * CHUNK, count, CHUNK):
        other = first + tl.arange(0, CHUNK)
        theirs = tl.load(index + other, mask=other < count, other=-2)
        later = (slot[:, None] == theirs[None, :]) & (other[None, :] > mine[:, None])
        repeated |= tl.max(later.to(tl.int32), 1)
    new = tl.load(weight + mine, mask=mine < count, other=0.0)
    tl.store(leaves + slot, new, mask=(mine < count) & (repeated == 0))


@triton.jit
def _sum(leaves, sums, block, BLOCK: tl.constexpr):
    """Sum one block anew."""
    weights = tl.load(leaves + block * BLOCK + tl.arange(0, BLOCK))
    tl.store(sums + block, tl.sum(weights.to(tl.float64), 0))


@triton.jit
def _sum_blocks_of(leaves, sums, index, BLOCK: tl.constexpr):
    """Sum the block in which the slot of this program lies, anew; programs of the same block write the same number."""
    _sum(leaves, sums, tl.load(index + tl.program_id(0)) // BLOCK, BLOCK)


@triton.jit(do_not_specialize=["first"])
def _sum_blocks(leaves, sums, first, blocks, BLOCK: tl.constexpr):
    """Sum one of the blocks from `first` on anew; after the last of `blocks` comes the first."""
    _sum(leaves, sums, (first + tl.program_id(0)) % blocks, BLOCK)


@triton.jit
def _draw(leaves, sums, offsets, drawn, blocks, BLOCK: tl.constexpr):
    """Find the slot at one point of the mass: first its block, of `blocks`, a multiple of BLOCK, then its place in it.

    Of the places where the running sum lies beyond the point only those with weight count, and where rounding leaves
    none, the last with weight: so no order of summation can make a slot of weight zero come out.
    """
    part = tl.program_id(0)
    lane = tl.arange(0, BLOCK)
    total = tl.sum(tl.load(sums + lane), 0)
    for first in range(BLOCK, blocks, BLOCK):
        total += tl.sum(tl.load(sums + first + lane), 0)
    point = (part + tl.load(offsets + part)) * (total / tl.num_programs(0))

    passed = total * 0.0  # the mass before the blocks in view
    rest = point  # the mass between the block's beginning and the point
    found = blocks
    heaviest = 0  # the last block with weight
    for first in range(0, blocks, BLOCK):
        mass = tl.load(sums + first + lane)
        edge = passed + tl.cumsum(mass, 0)
        hit = tl.min(tl.where((edge > point) & (mass > 0), first + lane, blocks), 0)
        before = tl.sum(tl.where(first + lane == hit, edge - mass, 0.0), 0)
        rest = tl.where(hit < found, point - before, rest)
        found = tl.minimum(found, hit)
        heaviest = tl.maximum(heaviest, tl.max(tl.where(mass > 0, first + lane, 0), 0))
        passed += tl.sum(mass, 0)
    block = tl.where(found < blocks, found, heaviest).to(tl.int64)

    weights = tl.load(leaves + block * BLOCK + lane).to(tl.float64)
    beyond = (tl.cumsum(weights, 0) > rest) & (weights > 0)
    place = tl.min(tl.where(beyond, lane, BLOCK), 0)
    last = tl.max(tl.where(weights > 0, lane, 0), 0)
    tl.store(drawn + part, block * BLOCK + tl.where(place < BLOCK, place, last))


class RadixPriorities(Priorities):
    """Priorities whose slots are drawn and changed by kernels.

    What is drawn is what `Priorities` draws from the same random numbers, but for a point that lies within rounding of
    the border between two slots: sums are taken in another order here.
    """

    def __init__(self, capacity: int, device: torch.device | str) -> None:
        """Make `capacity` slots of weight zero on `device`."""
        super().__init__(capacity, device)
        # As many sums as whole looks at them see, so that they can be read in vectors.
        self._sums = self._sums.new_zeros(triton.cdiv(self._sums.shape[0], BLOCK) * BLOCK)

    def set(self, index: Tensor, weight: Tensor | float) -> None:
        """Give the slots `index` (M,) int64 the weights `weight` (M,) or one number; of repeated slots the last."""
        if not isinstance(weight, Tensor):
            weight = torch.full(index.shape, weight, dtype=self._leaves.dtype, device=index.device)
        count = index.shape[0]
        _write[(triton.cdiv(count, CHUNK),)](
            self._leaves, index, weight.to(self._leaves.dtype), count, CHUNK=CHUNK, num_warps=WARPS
        )
        _sum_blocks_of[(count,)](self._leaves, self._sums, index, BLOCK=BLOCK, num_warps=WARPS)

    def load(self, leaves: Tensor) -> None:
        """Replace all weights by `leaves` (M,), and those of the slots behind them, if there are any, by zero."""
        self._leaves.view(-1)[: len(leaves)] = leaves
        self._leaves.view(-1)[len(leaves) :] = 0
        self.sum_slots(0, self.capacity)

    def sum_slots(self, first: int, count: int) -> None:
        """Sum anew what the `count` slots from `first` on, counted on around the ring, are a part of."""
        if not count:
            return
        blocks, begin = self._leaves.shape[0], first // BLOCK
        last = (first + count - 1) % self.capacity // BLOCK
        touched = last - begin + 1
        if first + count > self.capacity:
            touched = min(touched + blocks, blocks)
        _sum_blocks[(touched,)](self._leaves, self._sums, begin, blocks, BLOCK=BLOCK, num_warps=WARPS)

    def sample(self, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `size` slots, (size,) int64, each with probability weight / total, stratified over `size` equal parts.

        The weights must not all be zero: whoever owns the slots knows when there is something to draw.
        """
        device = self._sums.device
        offsets = torch.rand(size, dtype=torch.float64, device=device, generator=generator)
        drawn = torch.empty(size, dtype=torch.int64, device=device)
        _draw[(size,)](self._leaves, self._sums, offsets, drawn, self._sums.shape[0], BLOCK=BLOCK, num_warps=WARPS)
        return drawn

"""A row of the ledger in two kernels, where the plain code takes some sixty small operations."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..ledger import MAX_AGE, Ledger
from .priorities import RadixPriorities

LANES = 64  # worlds of one program
WARPS = 2


# Rows change with every launch: compiled anew for those that divide by 16, the kernel would cost more than it spares.
@triton.jit(do_not_specialize=["row", "added"])
def _write(
    new_action, new_reward, terminated, truncated, life_lost,
    action, reward, terminal, cut, done, age, live,
    following_reward, following_discount, following_slots, leaves, fresh,
    row, added, rows, num_envs, discount,
    STACK: tl.constexpr, STEPS: tl.constexpr, MAX_AGE: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Write `row` for LANES worlds, forget what was there and release what its STEPS forerunners wait for."""
    world = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = world < num_envs
    here = row * num_envs + world
    before = ((row + rows - 1) % rows) * num_envs + world
    written = tl.zeros((LANES,), tl.int32) + added
    follows = inside & (written > 0)

    over = tl.load(terminated + world, mask=inside, other=0) != 0
    lost = tl.load(life_lost + world, mask=inside, other=0) != 0
    ends = over | (tl.load(truncated + world, mask=inside, other=0) != 0)
    final = tl.load(done + before, mask=follows, other=0) != 0
    grows = tl.load(live + before, mask=follows, other=0) != 0
    older = tl.load(age + before, mask=follows, other=0).to(tl.int32)
    ended = tl.load(cut + before, mask=follows, other=0) != 0
    tl.store(action + here, tl.load(new_action + world, mask=inside, other=0), mask=inside)
    tl.store(reward + here, tl.load(new_reward + world, mask=inside, other=0.0), mask=inside)
    tl.store(terminal + here, (over | lost).to(tl.uint8), mask=inside)
    tl.store(cut + here, (ends | lost).to(tl.uint8), mask=inside)
    tl.store(done + here, (ends & (final == 0)).to(tl.uint8), mask=inside)
    tl.store(live + here, (final == 0).to(tl.uint8), mask=inside)
    tl.store(age + here, tl.where(grows, tl.minimum(older + 1, MAX_AGE), 0).to(tl.uint8), mask=inside)

    for further in tl.static_range(STACK):
        gone = ((row + further) % rows) * num_envs + world
        tl.store(leaves + gone, tl.zeros((LANES,), tl.float32), mask=inside & (written >= rows))

    start_weight = tl.load(fresh)
    whole = inside
    total = tl.zeros((LANES,), tl.float32)
    factor = total + 1.0
    slots = tl.zeros((LANES,), tl.int32)
    for k in tl.static_range(1, STEPS + 1):
        start = ((row + rows - k) % rows) * num_envs + world
        valid = inside & (written >= k)
        stops = tl.load(cut + start, mask=valid, other=0) != 0
        nothing = tl.load(terminal + start, mask=valid, other=0) != 0
        acted = tl.load(live + start, mask=valid, other=0) != 0
        total = tl.load(reward + start, mask=valid, other=0.0) + tl.where(stops, 0.0, discount * total)
        factor = tl.where(nothing, 0.0, discount * tl.where(stops, 1.0, factor))
        slots = num_envs + tl.where(stops, 0, slots)
        tl.store(following_reward + start, total, mask=valid)
        tl.store(following_discount + start, factor, mask=valid)
        tl.store(following_slots + start, slots, mask=valid)
        if k > 1:
            whole = whole & (stops == 0)
        ready = valid & whole & acted
        if k < STEPS:
            ready = ready & ended
        tl.store(leaves + start, start_weight, mask=ready)


class FusedLedger(Ledger):
    """A ledger on a GPU whose rows are written by a kernel; its priorities are `RadixPriorities`.

    They hold what the plain code writes, but that sums of rewards are rounded once less.
    """

    priorities: RadixPriorities

    def _write(
        self, row: int, action: Tensor, reward: Tensor, terminated: Tensor, truncated: Tensor, life_lost: Tensor
    ) -> None:
        """Write `row`, forget what was there, and let start what may start from now on."""
        following = self.following.ring
        _write[(triton.cdiv(self.num_envs, LANES),)](
            action, reward, _bytes(terminated), _bytes(truncated), _bytes(life_lost),
            self.action, self.reward, _bytes(self.terminal), _bytes(self.cut), _bytes(self.done), self.age,
            _bytes(self.live), following.reward, following.discount, following.slots, self.priorities.leaves,
            self._fresh, row, self.added, self.rows, self.num_envs, self.discount,
            STACK=self.stack, STEPS=self.n_step, MAX_AGE=MAX_AGE, LANES=LANES, num_warps=WARPS,
        )  # fmt: skip
        self._sum_changed(row)


def _bytes(flags: Tensor) -> Tensor:
    """Return flags as bytes, of the same memory."""
    return flags.view(torch.uint8)

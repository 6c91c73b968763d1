"""Observations from a frame ring in one kernel: gather, stack, mask what is another episode's, normalise, lay out."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..frame_ring import FrameRing

TILE = 1024  # pixels of one program
WARPS = 4


@triton.jit
def _observe(
    frames, age, slots, out, rows, num_envs,
    PIXELS: tl.constexpr, STACK: tl.constexpr, WIDTH: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Make TILE pixels of one observation: WIDTH, a power of two, is STACK or more."""
    sample = tl.program_id(0).to(tl.int64)
    newest = tl.load(slots + sample)
    own = tl.load(age + newest).to(tl.int64)  # frames of the same episode before the newest
    frame = tl.arange(0, WIDTH)
    back = STACK - 1 - frame  # 3, 2, 1, 0
    slot = newest - back * num_envs
    slot = tl.where(slot < 0, slot + rows * num_envs, slot)  # around the ring
    shown = (frame < STACK) & (back <= own)  # what came before the episode is not even read
    pixel = tl.program_id(1) * TILE + tl.arange(0, TILE)
    source = frames + slot[:, None] * PIXELS + pixel[None, :]
    stacked = tl.load(source, mask=shown[:, None] & (pixel < PIXELS)[None, :], other=0)  # (WIDTH, TILE)
    stacked = (stacked.to(tl.float32) * (1 / 255)).to(out.dtype.element_ty)
    # Read along the pixels, written along the channels: each side touches memory in long runs.
    target = out + sample * (PIXELS * STACK) + pixel[:, None] * STACK + frame[None, :]
    tl.store(target, tl.trans(stacked), mask=(pixel < PIXELS)[:, None] & (frame < STACK)[None, :])


def observe(ring: FrameRing, age: Tensor, slot: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return `normalised(ring.observe(age, slot), dtype)`, (B, C, H, W) with the channels last, to the bit.

    The frames, bytes, may lie on the GPU or locked in the host's memory, which it then reads over the bus; all other
    arguments are on the GPU. One observation's shape is (stack, H, W).
    """
    batch, pixels = slot.shape[0], ring.frames.shape[1]
    out = torch.empty((batch, *ring.obs_shape), dtype=dtype, device=slot.device, memory_format=torch.channels_last)
    _observe[(batch, triton.cdiv(pixels, TILE))](
        ring.frames, age, slot, out, ring.rows, ring.num_envs,
        PIXELS=pixels, STACK=ring.stack, WIDTH=triton.next_power_of_2(ring.stack), TILE=TILE, num_warps=WARPS,
    )  # fmt: skip
    return out

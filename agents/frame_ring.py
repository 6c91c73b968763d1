"""FrameRing: one frame for each step of each world, from which observations are stacked when sampling."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor


class FrameRing:
    """`rows` rows of `num_envs` frames in one block of memory, (rows * num_envs + 1, elements of a frame).

    Args:
        rows: steps of each world kept.
        num_envs: worlds, N.
        obs_shape: one observation's shape; with `stack` > 1 its first axis is the stack.
        dtype: of the frames, torch.uint8 for pictures.
        stack: frames an observation stacks, newest last; the older ones are zeros at an episode's start.
        device: where observations are wanted.
        pinned: keep the frames in the host's memory, locked there so that a GPU can read them: for a replay larger
            than the GPU's memory. Only a kernel can gather from it (`agents/kernels`), not `observe` below.

    """

    def __init__(
        self,
        rows: int,
        num_envs: int,
        obs_shape: Sequence[int],
        *,
        dtype: torch.dtype,
        stack: int,
        device: torch.device,
        pinned: bool = False,
    ) -> None:
        """Reserve the memory; on a CPU the system hands it out only as it fills."""
        if stack > 1 and obs_shape[0] != stack:
            raise ValueError(f"observations of shape {tuple(obs_shape)} are no stacks of {stack}")
        self.rows, self.num_envs, self.stack = rows, num_envs, stack
        self.obs_shape = tuple(obs_shape)
        self.frame_shape = self.obs_shape[1:] if stack > 1 else self.obs_shape
        # One slot more than there are steps: it stays zero, and is what stands before an episode's first frame.
        shape = (rows * num_envs + 1, int(torch.Size(self.frame_shape).numel()))
        self.frames = _lock(_zeros(shape, dtype)) if pinned else _zeros(shape, dtype, device)
        self._pinned = pinned
        self._back = torch.arange(stack - 1, -1, -1, device=device)  # 3, 2, 1, 0
        self._back_slots = self._back * num_envs

    @property
    def slots(self) -> int:
        """How many slots hold steps; the one after them holds the frame that stays zero."""
        return self.rows * self.num_envs

    def write(self, row: int, obs: Tensor) -> None:
        """Keep the newest frame of each of the observations (N, *obs_shape) as row `row`."""
        newest = obs[:, -1] if self.stack > 1 else obs
        first = row * self.num_envs
        # Nobody waits for it, from a GPU to the host's memory either: what reads it comes later in the same stream.
        self.frames[first : first + self.num_envs].view(newest.shape).copy_(newest, non_blocking=True)

    def observe(self, age: Tensor, slot: Tensor) -> Tensor:
        """Return the observations (B, *obs_shape) of some steps, with zeros before an episode's first frame.

        Args:
            age: (rows, N) uint8, how many frames of its own episode stand before each one.
            slot: (B,) int64, of each step's own, newest frame: row * N + world.

        """
        if self.stack > 1:
            own = age.view(-1)[slot]
            before = (slot[:, None] - self._back_slots) % self.slots  # (B, stack)
            slot = torch.where(self._back <= own[:, None], before, self.slots).view(-1)
        return self.frames.index_select(0, slot).view(-1, *self.obs_shape)

    def read(self, first: int, last: int) -> Tensor:
        """Return the frames of the rows `first` to `last`, counted on around the ring, (rows, N * frame)."""
        self._settle()
        rows = torch.arange(first, last, device=self.frames.device) % self.rows
        return self.frames[:-1].view(self.rows, -1).index_select(0, rows)

    def load(self, first: int, frames: Tensor) -> None:
        """Put frames back as rows from `first` on: raw bytes, uint8 (rows, bytes of a row)."""
        self._settle()
        rows = torch.arange(first, first + frames.shape[0], device=self.frames.device) % self.rows
        self.frames[:-1].view(self.rows, -1)[rows] = frames.view(self.frames.dtype).to(self.frames.device)

    def _settle(self) -> None:
        """Wait until what the GPU was told to write or read is done, before the host touches the same memory."""
        if self._pinned:
            torch.cuda.synchronize(self._back.device)


Observe = Callable[[FrameRing, Tensor, Tensor], Tensor]
"""What makes observations: `FrameRing.observe`, or a kernel that does the same and more."""

ObservePairs = Callable[[FrameRing, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""What makes the observations of transitions: `observe_pairs`, or another way to the same."""


def observe_pairs(
    ring: FrameRing, age: Tensor, start: Tensor, end: Tensor, observe: Observe = FrameRing.observe
) -> tuple[Tensor, Tensor]:
    """Return the observations (B, *obs_shape) that transitions start from, and those that they end with.

    Args:
        ring: where the frames are.
        age: (rows, N) uint8, as `FrameRing.observe` takes it.
        start: (B,) int64, the slots of the steps that they start from.
        end: (B,) int64, the slots of the steps that they end with.
        observe: what makes observations.

    """
    # Both sides of all transitions in one go: half as many operations.
    seen = observe(ring, age, torch.cat([start, end]))
    return seen[: len(start)], seen[len(start) :]


def normalised(obs: Tensor, dtype: torch.dtype) -> Tensor:
    """Return pictures (B, C, H, W) of bytes as numbers from 0 to 1 in `dtype`, with the channels last in memory."""
    return obs.contiguous(memory_format=torch.channels_last).float().mul(1 / 255).to(dtype)


def _zeros(shape: tuple[int, int], dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
    """Return zeros; on a CPU the system hands out the memory only as it is written to."""
    if device is not None and device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.zeros(shape, torch.empty(0, dtype=dtype).numpy().dtype))


def _lock(frames: Tensor) -> Tensor:
    """Return `frames`, locked in the host's memory for the GPU to read, until nobody holds them any more."""
    # Not torch's pinned allocator: it rounds up to the next power of two, which may be twice a replay.
    runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    error = int(runtime.cudaHostRegister(frames.data_ptr(), frames.nbytes, 0))
    if error:
        raise MemoryError(f"{frames.nbytes / 1e9:.1f} GB of memory could not be locked for the GPU: CUDA error {error}")
    weakref.finalize(frames, runtime.cudaHostUnregister, frames.data_ptr())
    return frames

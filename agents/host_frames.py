"""host_frames: a frame ring on a CPU, which begins writing sooner, and gathers no frame of a sample twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..native import native
from .frame_ring import FrameRing

Slots = NDArray[np.int64]


class HostFrameRing(FrameRing):
    """A frame ring that NumPy writes, which begins sooner than torch: a row of numbers in a quarter of the time."""

    def __init__(self, rows: int, num_envs: int, obs_shape: Sequence[int], **settings: Any) -> None:
        """Reserve the memory, as FrameRing does."""
        super().__init__(rows, num_envs, obs_shape, **settings)
        self._rows = self.frames[:-1].view(rows, num_envs, *self.frame_shape).numpy()

    def write(self, row: int, obs: Tensor) -> None:
        """Keep the newest frame of each of the observations (N, *obs_shape) as row `row`."""
        self._rows[row] = obs.numpy()[:, -1] if self.stack > 1 else obs.numpy()


def observe_pairs(ring: FrameRing, age: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `frame_ring.observe_pairs` returns, to the bit.

    Where each transition ends one step after its start, both its observations are views of one stack that is a frame
    longer: a sample is memory traffic for the most part, and this spares it three frames of eight.
    """
    shared, slots = _frames(start.numpy(), end.numpy(), age.numpy(), ring.stack)
    frames = ring.frames.index_select(0, torch.from_numpy(slots))
    if shared:
        stacks = frames.view(-1, ring.stack + 1, *ring.obs_shape[1:])
        return stacks[:, :-1], stacks[:, 1:]
    seen = frames.view(-1, *ring.obs_shape)
    return seen[: len(start)], seen[len(start) :]


@native
def _frames(start: Slots, end: Slots, age: NDArray[np.uint8], stack: int) -> tuple[bool, Slots]:
    """Return whether both sides of transitions (B,) share their frames, and the slots of all frames, side by side.

    These are those of B stacks that are a frame longer where they share, else of 2 B stacks, first the starts'. age:
    (rows, N).
    """
    rows, num_envs = age.shape
    slots = rows * num_envs
    shared = stack > 1
    for number in range(len(start)):
        shared = shared and end[number] == (start[number] + num_envs) % slots
    length = stack + 1 if shared else stack
    found = np.empty((len(start) if shared else len(start) + len(end), length), np.int64)
    for number in range(len(found)):
        slot = start[number] if number < len(start) else end[number - len(start)]
        own = age[slot // num_envs, slot % num_envs]
        for place in range(length):
            back = stack - 1 - place  # steps before the one in `slot`
            found[number, place] = (slot - back * num_envs) % slots if back <= own else slots
    return shared, found.reshape(-1)

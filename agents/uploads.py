"""Uploads: arrays on their way from the host to where the learner computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Uploads = Callable[..., list[Tensor]]
"""Takes arrays and returns them as tensors on a device."""

SLOTS = 2  # uploads that may be under way at once before the host waits for the oldest
ALIGNMENT = 16  # bytes, so that every array can be read in vectors


def on_host(*arrays: NDArray[Any]) -> list[Tensor]:
    """Return `arrays` as tensors that share their memory: for a CPU, which has nothing to bring anywhere."""
    return [torch.as_tensor(array) for array in arrays]


class PinnedUploads:
    """Brings arrays to a GPU together, in one copy that the host does not wait for.

    A copy from ordinary memory waits until all that the GPU was told before is done; one from locked memory does not,
    as long as that memory is left alone until it was read: so there are `SLOTS` pieces of it, used in turn.
    """

    def __init__(self, device: torch.device) -> None:
        """Bring arrays to `device`, a GPU; the locked memory is reserved as it is needed."""
        self._device = device
        self._slots = [_Slot() for _ in range(SLOTS)]

    def __call__(self, *arrays: NDArray[Any]) -> list[Tensor]:
        """Return `arrays` as tensors on the device, there as soon as the current stream comes to them."""
        slot = self._slots.pop(0)
        self._slots.append(slot)
        begins, end = [], 0
        for array in arrays:
            begins.append(end)
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        block = slot.filled(arrays, begins, end).to(self._device, non_blocking=True)
        slot.copied.record()
        return [
            block[begin : begin + array.nbytes].view(_DTYPES[array.dtype.name]).view(array.shape)
            for array, begin in zip(arrays, begins, strict=True)
        ]


class _Slot:
    """A piece of locked memory, and when it was read last."""

    def __init__(self) -> None:
        """Reserve nothing yet."""
        self.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._memory = torch.empty(0, dtype=torch.uint8)

    def filled(self, arrays: tuple[NDArray[Any], ...], begins: list[int], end: int) -> Tensor:
        """Return the memory's first `end` bytes with `arrays` in it from `begins` on, as soon as it may be changed."""
        self.copied.synchronize()  # of an event that was never recorded: returns at once
        if len(self._memory) < end:
            self._memory = torch.empty(end, dtype=torch.uint8, pin_memory=True)
        there = self._memory.numpy()
        for array, begin in zip(arrays, begins, strict=True):
            part = there[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
            np.copyto(part, array)
        return self._memory[:end]


_DTYPES = {"uint8": torch.uint8, "bool": torch.bool, "int64": torch.int64, "float32": torch.float32}

"""Tuning of the process itself: what makes the same arithmetic faster without changing a result that matters."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

import torch

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # mallopt's names for them


@contextlib.contextmanager
def on_one_thread(where: bool) -> Iterator[None]:
    """Have torch compute on one thread inside of this, if `where`; then on as many as before."""
    threads = torch.get_num_threads()
    try:
        if where:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


def tune_process(threads: int = 0) -> None:
    """Prepare this process for training; `threads` for torch, 0 for all cores.

    Numbers below float32's normal range become zero: Adam's second moments of a quiet weight end there, and a CPU
    computes with them a hundred times slower. New threads inherit that, so it comes before torch makes its own.
    And glibc keeps what an update frees, instead of giving it back to the system and asking for it again.
    """
    torch.set_flush_denormal(True)
    torch.backends.cudnn.deterministic = True  # on a GPU, a seed makes a run: no algorithm that adds up in any order
    with contextlib.suppress(OSError, AttributeError):  # another C library: its own habits
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(TRIM_THRESHOLD, 1 << 30)
        libc.mallopt(MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(TOP_PAD, 64 << 20)
    if threads:
        torch.set_num_threads(threads)

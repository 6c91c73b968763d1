"""Memory: what a training run will need, what the machine has, and a refusal before it is too late."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..agents.config import Config
from .errors import RESOURCES, CommandError

PROCESS_BYTES = 1_050 << 20  # torch, its compiler, the emulators, a batch's activations, what a checkpoint compresses
LOCKABLE = 0.8  # of the host's free memory: what is locked for the GPU cannot be swapped out for anything else
ROW_BYTES = 8 + 4 + 4 + 5 + 12  # of a step beside its frame: action, reward, priority, five flags, what follows


def replay_bytes(config: Config, obs_shape: Sequence[int], itemsize: int) -> int:
    """Return the bytes of a full replay: a single frame a step, however many an observation stacks."""
    stacked = len(obs_shape) == 3 or config.window > 1
    frame = int(np.prod(obs_shape[1:] if stacked else obs_shape)) * itemsize
    return config.replay_capacity * (frame + ROW_BYTES)


def available_bytes() -> int:
    """Return what this process may still take: the machine's free memory, or its container's if that is less."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) << 10
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def check(config: Config, obs_shape: Sequence[int], itemsize: int, available: int) -> int:
    """Return the bytes that training will need; raise CommandError if `available` is less, naming what would fit."""
    replay = replay_bytes(config, obs_shape, itemsize)
    needed = replay + PROCESS_BYTES
    if needed > available:
        fits = fitting_capacity(config, obs_shape, itemsize, available)
        way = (
            f"use --shrink-replay or --set replay_capacity={fits}"
            if fits > config.learning_starts
            else "free some memory first"
        )
        raise CommandError(
            f"this run needs {needed / 1e9:.1f} GB ({replay / 1e9:.1f} GB of them for the replay of "
            f"{config.replay_capacity:,} steps), but only {available / 1e9:.1f} GB are free: {way}",
            RESOURCES,
        )
    return needed


def fitting_capacity(config: Config, obs_shape: Sequence[int], itemsize: int, available: int) -> int:
    """Return the largest replay that fits in `available` bytes, steps, in whole thousands."""
    a_step = replay_bytes(config, obs_shape, itemsize) / config.replay_capacity
    return max(0, int((available - PROCESS_BYTES) / a_step) // 1000 * 1000)


def lockable_bytes(available: int) -> int:
    """Return how much of the host's `available` bytes may be locked for a GPU to read."""
    return int(available * LOCKABLE)


def overflows(config: Config, obs_shape: Sequence[int], itemsize: int, device_free: int, host_free: int) -> bool:
    """Return whether the replay's frames go to the host's memory: they fit there, and not on the device."""
    needed = replay_bytes(config, obs_shape, itemsize) + PROCESS_BYTES
    return device_free < needed <= host_free


def pinned_note(config: Config, obs_shape: Sequence[int], itemsize: int, device_free: int) -> str:
    """Return the sentence that says where the replay went, and why."""
    replay = replay_bytes(config, obs_shape, itemsize)
    return (
        f"the replay of {config.replay_capacity:,} steps ({replay / 1e9:.1f} GB) does not fit on the GPU, where "
        f"{device_free / 1e9:.1f} GB are free: it is kept in pinned host memory, which the GPU reads over the bus"
    )

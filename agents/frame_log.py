"""FrameLog: a replay's frames on disk, compressed, appended to at each checkpoint, never written twice, sampled."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .checkpoint import Checkpoint, write_shared
from .replay import Replay

CHUNK_BYTES = 64 << 20  # of raw frames in a file
SAMPLED_FILES = 8  # at most, for some observations: none is read whole for the sake of a few


class FrameLog:
    """The frames of the rows that a replay holds, in files of consecutive rows that checkpoints share."""

    def __init__(self, folder: Path, entries: list[dict[str, Any]] | None = None) -> None:
        """Go on from the `entries` that the last checkpoint lists; none for a new run."""
        self._folder = folder
        self._entries = list(entries or [])

    def append(self, replay: Replay) -> list[dict[str, Any]]:
        """Write the rows added since the last time; return the entries of all files that the replay's rows need.

        Raises:
            OSError: no space; what the last checkpoint needs is untouched.

        """
        oldest = max(0, replay.added - replay.rows)
        kept = [entry for entry in self._entries if entry["last"] > oldest]
        first = max([oldest, *(entry["last"] for entry in kept)])
        row_bytes = replay.frames(0, 1).nbytes
        step = max(1, CHUNK_BYTES // row_bytes)
        ranges = [(start, min(start + step, replay.added)) for start in range(first, replay.added, step)]

        def compress(rows: tuple[int, int]) -> bytes:
            return zlib.compress(replay.frames(*rows).cpu().numpy().data, 1)

        with ThreadPoolExecutor(2) as pool:  # zlib lets go of the interpreter's lock
            for (start, last), data in zip(ranges, pool.map(compress, ranges), strict=True):
                entry = write_shared(self._folder / f"rows_{start:012d}_{last:012d}.zlib", data)
                kept.append({**entry, "first": start, "last": last})
        self._entries = kept
        return kept


def restore_frames(checkpoint: Checkpoint, replay: Replay) -> None:
    """Put the frames that `checkpoint` lists back into `replay`, whose counters are already restored."""
    oldest = max(0, replay.added - replay.rows)
    for entry in checkpoint.manifest["shared"]:
        first, last = int(entry["first"]), int(entry["last"])
        data = np.frombuffer(bytearray(zlib.decompress(checkpoint.shared(entry))), np.uint8)
        rows = torch.from_numpy(data).view(last - first, -1)
        start = max(first, oldest)
        replay.load_frames(start, rows[start - first :])


def replayed(checkpoint: Checkpoint, stack: int, count: int, seed: int = 0) -> Tensor | None:
    """Return `count` observations, (n, *obs_shape), that `checkpoint`'s replay holds, or as many as can be drawn.

    They come from at most SAMPLED_FILES files of frames, drawn by their rows and opened one after the other, so that
    no more than a chunk of a large replay is in memory; in each, observations are drawn uniformly among those that an
    action was chosen in and whose stack lies in the file. In order of their age, the oldest first.

    Args:
        checkpoint: of a run.
        stack: frames that an observation stacks, 1 for none: the replay's.
        count: how many.
        seed: of the draw.

    Returns:
        The observations, or None if the checkpoint holds no frames.

    Raises:
        CheckpointError: a file that is missing or damaged.

    """
    entries = checkpoint.manifest["shared"]
    if not entries or "replay.safetensors" not in checkpoint.manifest["files"]:
        return None
    rng = np.random.default_rng(seed)
    state = checkpoint.tensors("replay")
    live, age, like = state["live"].numpy(), state["age"].numpy().astype(np.int64), state["obs"]
    added, (used, worlds) = int(state["added"]), live.shape
    frame = like.shape[2:] if stack > 1 else like.shape[1:]
    rows = np.array([entry["last"] - max(entry["first"], added - used) for entry in entries])
    files = rng.choice(len(entries), min(SAMPLED_FILES, len(entries)), replace=False, p=rows / rows.sum())
    files.sort()
    shares = np.diff(np.round(count * np.r_[0, rows[files].cumsum()] / rows[files].sum()).astype(int))
    found = []
    for entry, share in zip((entries[file] for file in files), shares, strict=True):
        first, last = int(entry["first"]), int(entry["last"])
        row = np.arange(max(first, added - used), last)
        older = np.minimum(age[row % used], stack - 1)  # (R, N): frames of the episode that the stack reaches back for
        able = np.argwhere(live[row % used] & (row[:, None] - older >= row[0]))
        chosen = able[np.sort(rng.choice(len(able), min(share, len(able)), replace=False))]
        data = bytearray(zlib.decompress(checkpoint.shared(entry)))
        frames = torch.frombuffer(data, dtype=like.dtype).view(last - first, worlds, *frame)
        for at, world in chosen.tolist():
            obs = torch.zeros(like.shape[1:], dtype=like.dtype)
            end, reach = int(row[at]) - first + 1, int(older[at, world]) + 1
            if stack > 1:
                obs[-reach:] = frames[end - reach : end, world]
            else:
                obs[:] = frames[end - 1, world]
            found.append(obs)
    return torch.stack(found) if found else None

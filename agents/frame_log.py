"""FrameLog: a replay's frames on disk, compressed, appended to at each checkpoint and never written twice."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .checkpoint import Checkpoint, write_shared
from .replay import Replay

CHUNK_BYTES = 64 << 20  # of raw frames in a file


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

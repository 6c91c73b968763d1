"""Recorder: writes the watched game into a video, with the stage's panel beside it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType

from .moments import Frame, Moment, told
from .show import grouping
from .stage import Stage
from .video import GIF, GIF_FPS, VideoWriter

FPS = 30.0


class Recorder:
    """Writes what is played into a video, as a view."""

    paced = False

    def __init__(self, path: Path, stage: Stage, fps: float) -> None:
        """Start the encoder for a game of `fps` pictures a second."""
        self.fps = GIF_FPS if path.suffix.lower() == GIF else FPS
        self._stage = stage
        self._writer = VideoWriter(path, stage.size, grouping(fps, self.fps)[1])
        self._told = 0.0

    def __enter__(self) -> Recorder:
        """Return itself."""
        return self

    def show(self, frame: Frame, moment: Moment) -> bool:
        """Append one picture; on a terminal, tell once a second how far it is."""
        self._writer.write(self._stage.compose(frame, moment))
        if sys.stderr.isatty() and time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            seconds = self._writer.count / self._writer.fps
            print(f"\r{self._writer.path}: {seconds:.0f} s, score {told(moment.score)}\x1b[K", end="", file=sys.stderr)
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        if self._told:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        self._writer.__exit__(kind, error, trace)

    def report(self) -> str:
        """Return where the video is."""
        writer = self._writer
        if not writer.count:
            return "no video was written: there was nothing to show yet"
        size = writer.path.stat().st_size
        return f"video: {writer.path} ({writer.count / writer.fps:.1f} s, {size / 1e6:.1f} MB)"

"""show: plays the moments of a game to a view, at the right speed and with no picture lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol

import numpy as np

from .moments import Frame, Moment, told

HOLD_SECONDS = 1.0  # how long the last picture of an episode stays
LATE_SECONDS = 0.5  # a game that lags this much goes on from here instead of rushing after


class View(Protocol):
    """Somewhere to show a game; a context manager around all of it."""

    fps: float  # pictures a second that it would like at most
    paced: bool  # shown as it is played, and not as fast as can be

    def show(self, frame: Frame, moment: Moment) -> bool:
        """Show one picture; return False when the person wants no more."""

    def __enter__(self) -> object:
        """Open it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, whatever happened."""


def show(
    moments: Iterator[Moment], view: View, fps: float, pool: bool, limit: float | None, stopped: Callable[[], bool]
) -> list[str]:
    """Show the moments until they, the time or the person's patience end; return a sentence an episode.

    Args:
        moments: what is played.
        view: an open view.
        fps: the game's pictures a second, at the speed that is wanted.
        pool: whether pictures that the view has no time for are laid over the others, instead of left out.
        limit: seconds to show at most.
        stopped: tells whether to stop now.

    """
    count, fps = grouping(fps, view.fps)
    clock = Clock(fps) if view.paced else None
    most = None if limit is None else max(1, int(limit * fps))
    shown = 0
    report: list[str] = []
    frames: list[Frame] = []
    for moment in moments:
        pictures = []
        for index, frame in enumerate(moment.frames, 1):
            frames.append(frame)
            if len(frames) == count or (moment.over and index == len(moment.frames)):
                pictures.append(brightest(frames) if pool else frames[-1])
                frames = []
        if moment.over:
            report.append(f"episode {moment.episode}: score {told(moment.score)} in {moment.step:,} steps")
            pictures += pictures[-1:] * round(HOLD_SECONDS * fps)
        for picture in pictures:
            if (clock is None or clock.wait()) and not view.show(picture, moment):
                return [*report, *_unfinished(moment, "closed")]
            shown += 1
            if stopped():
                return [*report, *_unfinished(moment, "stopped")]
            if most is not None and shown >= most:
                return [*report, *_unfinished(moment, f"cut after {limit:g} s (--max-seconds)")]
    return report


def _unfinished(moment: Moment, why: str) -> list[str]:
    if moment.over:
        return []
    return [f"episode {moment.episode}, not over: score {told(moment.score)} in {moment.step:,} steps, {why}"]


def brightest(frames: list[Frame]) -> Frame:
    """Return, of some pictures that follow each other, each pixel where it was brightest.

    Atari games draw many things in every second frame only, and a video that leaves frames out would lose them.
    """
    shown = frames[0]
    light = np.array([2, 5, 1], np.uint16)
    for frame in frames[1:]:
        shown = np.where((frame @ light > shown @ light)[..., None], frame, shown)
    return shown


def grouping(fps: float, most: float) -> tuple[int, float]:
    """Return how many of a game's pictures make one that is shown, and how many are shown a second then."""
    count = max(1, round(fps / most))
    return count, fps / count


class Clock:
    """Holds a game to its speed; pictures that come too late are left out, but never many in a row."""

    def __init__(self, fps: float) -> None:
        """Start now."""
        self._period = 1 / fps
        self._due = time.monotonic()
        self._skipped = 0

    def wait(self) -> bool:
        """Sleep until the next picture is due; return whether there is time to draw it."""
        self._due += self._period
        early = self._due - time.monotonic()
        if early > 0:
            time.sleep(early)
        elif early < -LATE_SECONDS:
            self._due -= early
        elif early < -self._period and self._skipped < 3:
            self._skipped += 1
            return False
        self._skipped = 0
        return True

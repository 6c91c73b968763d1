"""Stopper: turns Ctrl-C and SIGTERM into a wish that the training loop grants between two steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Stopper:
    """While entered, the first SIGINT or SIGTERM is only noted in `signal`; the second ends the process at once."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM, 0 if nobody asked to stop."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self) -> Stopper:
        """Take the signals over; outside the main thread nothing can be, and nothing is."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number

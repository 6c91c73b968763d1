"""Background: threads that give way to the one that feeds them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

NICENESS = 10  # a tenth of an ordinary thread's share of a core that both want


def in_background(make: Callable[[], T]) -> T:
    """Return what `make` makes; the threads that it starts on Linux run at a lower priority than the caller.

    A thread starts with the priority of the one that started it, so `make` is called in one that has lowered its own.
    """

    def lowered() -> T:
        if sys.platform == "linux":  # elsewhere a priority belongs to the process
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        return make()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lowered).result()

"""Courier: a thread that waits in the caller's place, so that waiting can time out and Ctrl-C gets through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Courier(Generic[T]):
    """Runs a blocking `wait` in one daemon thread, once for every fetch.

    ale-py's recv waits inside C++ without the GIL and without a timeout, and neither a signal handler nor another
    thread can end that wait. Here the main thread waits on a queue instead, for about 25 us a step. The thread is
    woken by `fetch`, not already when a step starts: there it would take the learner's place on a busy machine.
    A new thread for every step would cost more, and an alarm signal would not be heard inside C++.
    """

    def __init__(self, wait: Callable[[], T]) -> None:
        """Start the thread; wait is called there."""
        self._owed = False
        self._late = False
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._parcels: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        self._thread = threading.Thread(target=_run, args=(wait, self._orders, self._parcels), daemon=True)
        self._thread.start()

    def fetch(self, timeout_s: float) -> T:
        """Return what wait returns or raise what it raises; raise TimeoutError after timeout_s seconds.

        After a timeout or Ctrl-C the next fetch goes on with the same wait.
        """
        if not self._owed:
            self._owed = True
            self._orders.put(True)
        try:
            value, error = self._parcels.get(timeout=timeout_s)
        except Empty:
            self._late = True
            raise TimeoutError from None
        self._owed = self._late = False
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def dismiss(self, timeout_s: float = 2.0) -> bool:
        """End the thread after the wait it is in; return whether it ended within timeout_s seconds.

        A thread that was too late at the last fetch is not waited for at all.
        """
        self._orders.put(False)
        self._thread.join(0.0 if self._late else timeout_s)
        return not self._thread.is_alive()


def _run(
    wait: Callable[[], T],
    orders: SimpleQueue[bool],
    parcels: SimpleQueue[tuple[T | None, BaseException | None]],
) -> None:
    # A plain function, not a method: the thread must not keep the Courier (and so the world) alive.
    while orders.get():
        try:
            parcels.put((wait(), None))
        except BaseException as error:  # it is raised again where the caller waits
            parcels.put((None, error))

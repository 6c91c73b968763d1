"""Courier: a thread that waits in the caller's place, so that waiting can time out and Ctrl-C gets through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Courier(Generic[T]):
    """Runs a blocking `fetch` in one daemon thread, a fetch per order.

    ale-py's recv waits inside C++ without the GIL and without a timeout, and neither a signal handler nor another
    thread can end that wait. Here the main thread waits on a queue instead. The thread starts to wait at `order`,
    while the learner works: that costs about 12 us a step, or 25 us where nothing overlaps. A new thread for every
    step would cost more, and an alarm signal would not be heard inside C++.
    """

    def __init__(self, fetch: Callable[[], T]) -> None:
        """Start the thread; fetch is called there, once for every order."""
        self._late = False
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._parcels: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        self._thread = threading.Thread(target=_run, args=(fetch, self._orders, self._parcels), daemon=True)
        self._thread.start()

    def order(self) -> None:
        """Begin one fetch."""
        self._orders.put(True)

    def collect(self, timeout_s: float) -> T:
        """Return the next fetched value; raise TimeoutError after timeout_s seconds, or what the fetch raised."""
        try:
            value, error = self._parcels.get(timeout=timeout_s)
        except Empty:
            self._late = True
            raise TimeoutError from None
        self._late = False
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def dismiss(self, timeout_s: float = 5.0) -> bool:
        """End the thread after the orders it has; return whether it ended within timeout_s seconds.

        A thread that was too late at the last collect is not waited for at all.
        """
        self._orders.put(False)
        self._thread.join(0.0 if self._late else timeout_s)
        return not self._thread.is_alive()


def _run(
    fetch: Callable[[], T],
    orders: SimpleQueue[bool],
    parcels: SimpleQueue[tuple[T | None, BaseException | None]],
) -> None:
    # A plain function, not a method: the thread must not keep the Courier (and so the world) alive.
    while orders.get():
        try:
            parcels.put((fetch(), None))
        except BaseException as error:  # it is raised again where the caller waits
            parcels.put((None, error))

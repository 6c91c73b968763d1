import os
import sys
import threading
from pathlib import Path

import pytest

from rlrun.envs import make
from rlrun.envs.background import NICENESS, in_background


def niceness_of_threads() -> dict[str, int]:
    """Return how nice each thread of this process is, by its number."""
    told = {task.name: (task / "stat").read_text() for task in Path("/proc/self/task").iterdir()}
    return {name: int(line.rsplit(")", 1)[1].split()[16]) for name, line in told.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="a priority belongs to the process")
def test_what_is_started_in_the_background_gives_way_and_the_caller_does_not() -> None:
    stop = threading.Event()

    def start() -> threading.Thread:
        thread = threading.Thread(target=stop.wait)
        thread.start()
        return thread

    before = os.getpriority(os.PRIO_PROCESS, 0)
    thread = in_background(start)
    try:
        assert thread.native_id is not None
        assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == before + NICENESS
        assert os.getpriority(os.PRIO_PROCESS, 0) == before
    finally:
        stop.set()
        thread.join()


def test_what_goes_wrong_in_the_background_is_raised_to_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0)


@pytest.mark.skipif(sys.platform != "linux", reason="a priority belongs to the process")
def test_emulators_that_feed_a_gpu_run_in_the_background() -> None:
    before = niceness_of_threads()
    worlds = make("breakout", 4, num_threads=2, device="cuda")
    try:
        started = [nice for name, nice in niceness_of_threads().items() if name not in before]
        assert started.count(NICENESS) >= 4  # two for each half
        assert 0 in started  # who waits for them
    finally:
        worlds.close()

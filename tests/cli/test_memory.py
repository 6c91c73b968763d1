import pytest

from rlrun.agents.config import Config
from rlrun.cli import memory
from rlrun.cli.errors import CommandError

SHAPE = (4, 84, 84)
CONFIG = Config(replay_capacity=1_000_000)
NEEDED = 1_000_000 * (84 * 84 + memory.ROW_BYTES) + memory.PROCESS_BYTES


@pytest.mark.parametrize(
    ("device_free", "host_free", "host"),
    [
        (NEEDED, 10 * NEEDED, False),  # it fits on the device: it stays there, however much the host has
        (NEEDED - 1, NEEDED, True),
        (NEEDED - 1, NEEDED - 1, False),  # it fits nowhere: `check` says so
        (NEEDED - 1, 0, False),  # nothing may be locked: no kernel reads it there
        (0, 10 * NEEDED, True),
    ],
)
def test_frames_go_to_the_hosts_memory_where_they_fit_there_and_not_on_the_device(
    device_free: int, host_free: int, host: bool
) -> None:
    assert memory.overflows(CONFIG, SHAPE, 1, device_free, host_free) == host


@pytest.mark.parametrize(("device_free", "host_free"), [(NEEDED, 0), (0, NEEDED), (NEEDED - 1, NEEDED - 1)])
def test_what_fits_on_either_side_is_not_refused(device_free: int, host_free: int) -> None:
    fits = max(device_free, host_free)
    if fits >= NEEDED:
        assert memory.check(CONFIG, SHAPE, 1, fits) == NEEDED
    else:
        with pytest.raises(CommandError, match=r"this run needs 8\.2 GB"):
            memory.check(CONFIG, SHAPE, 1, fits)


def test_the_note_says_how_much_of_what_went_where() -> None:
    note = memory.pinned_note(CONFIG, SHAPE, 1, 5_100_000_000)
    assert note == (
        "the replay of 1,000,000 steps (7.1 GB) does not fit on the GPU, where 5.1 GB are free: "
        "it is kept in pinned host memory, which the GPU reads over the bus"
    )


def test_a_part_of_the_hosts_memory_is_never_locked() -> None:
    assert 0 < memory.lockable_bytes(10**10) < 10**10

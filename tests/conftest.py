"""One thread for every test, and for the processes it starts: small networks only lose time on a second one."""

import os
from collections.abc import Iterator

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported anywhere


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Give torch two threads, and afterwards what it had."""
    import torch  # not above: the number of threads stands in the environment by now

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)

"""Tuning of the process: what it changes it changes back where it was asked for a while only."""

import pytest
import torch

from rlrun.cli.tuning import on_one_thread


def _fail_on_one_thread() -> None:
    with on_one_thread(True):
        raise KeyError(torch.get_num_threads())


def test_one_thread_computes_where_asked_and_as_many_as_before_afterwards() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with on_one_thread(False):
            assert torch.get_num_threads() == 2
        with pytest.raises(KeyError, match=r"^1$"):
            _fail_on_one_thread()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)

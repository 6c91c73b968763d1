"""ThreadedDQN: a DQN whose batches are shared out by rows, each part learned from on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from .config import Config
from .dqn import DQN
from .replay import Batch

Result = TypeVar("Result")

FEWEST = 16
"""Rows that a part should have at least: with fewer, reading the weights takes the time."""


def parts_of(batch_size: int, threads: int) -> int:
    """Return into how many equal parts a batch is best cut for `threads` threads: 1 where cutting does not pay."""
    most = min(threads, batch_size // FEWEST)
    return max((parts for parts in range(1, most + 1) if batch_size % parts == 0), default=1)


class ThreadedDQN(DQN):
    """A DQN that learns on several cores by giving each a part of the batch.

    torch shares out every single operation, and at the end of each its threads wait for each other, or for whatever
    else the system runs on one of the cores. Here a thread takes its own rows through all operations, forward and back,
    and only the gradients are put together at the end. They are the same but for the order in which they are added.

    Args:
        parts: threads, each for as many rows; `parts_of` says how many pay. The batch must be a multiple of it.

    The other arguments are a DQN's.
    """

    def __init__(self, config: Config, obs_shape: Sequence[int], actions: int, *, seed: int = 0, parts: int) -> None:
        """Build the agent, on the CPU; the threads come with the first batch."""
        super().__init__(config, obs_shape, actions, seed=seed)
        # Asked for here, this thread's number stays what it is: torch has one for the process, which a thread takes
        # over when it is first asked for, and keeps.
        each = max(1, torch.get_num_threads() // parts)

        def settle() -> None:
            torch.set_num_threads(each)
            torch.get_num_threads()

        self._parts = parts
        self._threads = ThreadPoolExecutor(parts, "learner", initializer=settle)

    def look_ahead(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Do what DQN's does, a part of the rows on each thread."""
        look_ahead = super().look_ahead
        found = self._each(lambda *fields: look_ahead(Batch(*fields)), batch)
        reward = torch.cat([part.reward for part, _ in found])  # all of a batch that it may change
        return batch._replace(reward=reward), torch.cat([ahead for _, ahead in found])

    def slopes(self, *tensors: Tensor) -> list[Tensor]:
        """Do what DQN's does, a part of the rows on each thread."""
        slopes = super().slopes

        def in_float32(*rows: Tensor) -> list[Tensor]:
            return [tensor.float() for tensor in slopes(*rows)]  # before they are put together, for precision

        (priority, *mean), *others = self._each(in_float32, tensors)
        for number, (_, *tensors_too) in enumerate(others, 2):
            torch._foreach_lerp_(mean, tensors_too, 1 / number)
        return [torch.cat([priority, *(other[0] for other in others)]), *mean]

    def _each(self, function: Callable[..., Result], tensors: Sequence[Tensor]) -> list[Result]:
        """Return what `function` makes of each part of the rows of `tensors`, in order."""
        parts = zip(*(tensor.chunk(self._parts) for tensor in tensors), strict=True)
        return list(self._threads.map(lambda part: function(*part), parts))

"""Counterpart: a world in which the same would have happened, but would have been seen and rewarded otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # as worlds are listed without it
    from torch import Tensor


@dataclass(frozen=True)
class Counterpart:
    """What a world's experience would have been in another one, where the same actions do the same.

    Attributes:
        columns: (D,), which number of an observation stands at each place of the counterpart's.
        reward: from rewards of single steps, of any shape, to the counterpart's.

    """

    columns: tuple[int, ...]
    reward: Callable[[Tensor], Tensor]

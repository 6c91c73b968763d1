"""Exchange: Waterworld with apples for poison and poison for apples, which are alike in all but their reward."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ..counterpart import Counterpart
from .layout import Layout
from .rays import APPLE, POISON
from .spaces import observation_space


def exchanged(layout: Layout) -> Counterpart:
    """Return the world of `layout` in which each apple is poison and each poison an apple."""
    columns = list(range(observation_space(layout).shape[0]))
    for eye in range(layout.eyes):
        apple, poison = (layout.eye_width * eye + kind for kind in (APPLE, POISON))
        columns[apple], columns[poison] = poison, apple
    walking = 1.1 if layout.turns else 0.0  # brings that at most
    reward = partial(_exchanged_reward, apple=layout.apple, poison=layout.poison, walking=walking)
    return Counterpart(tuple(columns), reward)


def _exchanged_reward(reward: Tensor, apple: float, poison: float, walking: float) -> Tensor:
    """Return what the rewards of single steps would have been, where walking brings from 0 to `walking` of them.

    A reward tells by itself what was eaten, and as many of both kinds in one step bring the same either way. Only two
    apples and one poison eaten in the very same step would be misread, or the other way round.
    """
    apples = torch.floor(reward / apple).clamp(min=0)
    poisons = torch.ceil((reward + walking) / poison).clamp(min=0)
    return reward + (apples - poisons) * (poison - apple)

"""What an agent of Waterworld observes and does, as gymnasium's spaces."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Discrete

from .layout import Layout

FARTHEST = 1.26  # of a sensed distance over an eye's range: the original senses some things beyond it


def observation_space(layout: Layout) -> Box:
    """Return the space of one observation: eye after eye, then the agent's own velocity where it has one.

    An eye's numbers are 1, but for the kind of thing that it sees (wall, apple, poison) the distance over the eye's
    range; and, where items move, the velocity of the item seen, px a tick.
    """
    if layout.turns:
        return Box(0.0, FARTHEST, (3 * layout.eyes,), np.float32)
    eye = [FARTHEST] * 3 + [layout.item_speed] * 2
    own = [layout.speed] * 2
    high = np.array(eye * layout.eyes + own, np.float32)
    low = np.array(([0.0] * 3 + [-layout.item_speed] * 2) * layout.eyes + [-speed for speed in own], np.float32)
    return Box(low, high, dtype=np.float32)


def action_space(layout: Layout) -> Discrete:
    """Return the space of one action."""
    return Discrete(len(layout.actions))

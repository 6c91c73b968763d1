"""FusedRLDemo: the worlds of RLDemo, a step of which is two kernels."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from ..episodes import Episodes, Outcome
from ..layout import Layout
from ..rays import Sight
from ..state import Brought
from ..variants import RLDemo
from .live import live
from .look import look

WORLDS = 32  # of one program
WARPS = 4
NEVER = 1 << 62  # steps: without a limit


def numbers(layout: Layout) -> dict[str, float]:
    """Return what the kernel `live` knows of a layout when it is compiled."""
    return {
        "ACTIONS": len(layout.actions),
        "WALLS": len(layout.walls),
        "ITEMS": layout.items,
        "EYES": layout.eyes,
        "REACH": layout.reach,
        "ACROSS": layout.width,
        "DOWN": layout.height,
        "START_X": layout.start[0],
        "START_Y": layout.start[1],
        "APPLE_REWARD": layout.apple,
        "POISON_REWARD": layout.poison,
        "WIDTH": triton.next_power_of_2(layout.items),
    }


class FusedRLDemo(RLDemo):
    """RLDemo in float32 on a GPU, stepped and looked around in by kernels; RLDemo's own `step` is their twin.

    The host never waits for a step. From the same state it brings what the twin's brings: chance to the bit, and floats
    within rounding, as sines and quotients are taken otherwise (products and sums are not fused). So rounding may
    decide what is seen where a ray grazes an item or a wall's end, and whether an item is eaten that all but touches.
    Which items were eaten is not told, only how many. An action that does not exist is not found out: it leaves its
    agent where it is. Actions, (N,) int64, lie on the worlds' device.
    """

    def __init__(self, layout: Layout, keys: Tensor, *, dtype: torch.dtype = torch.float32) -> None:
        """Make a world for each of `keys`, as Core does."""
        super().__init__(layout, keys, dtype=dtype)
        self._numbers = numbers(layout)

    def looked(self) -> Sight:
        """Return what all eyes see from where the agents stand now; each is asked about all items."""
        return look(self._eyes, self.state)[0]

    def step(self, actions: Tensor, episodes: Episodes, limit: int | None) -> Outcome:
        """Let every world take a step or open its next episode, as Core does."""
        state, sight = self.state, self.sight
        opened, count = episodes.ended, len(actions)
        reals = torch.empty(7, count, device=self.device)
        wholes = torch.empty(6, count, dtype=torch.int64, device=self.device)
        flags = torch.empty(2, count, dtype=torch.bool, device=self.device)
        kinds = torch.empty_like(state.item_kind)
        live[(triton.cdiv(count, WORLDS),)](
            actions.contiguous(), state.x, state.y, state.angle, state.clock, state.item_x, state.item_y,
            state.item_kind, state.item_born, self.keys, episodes.seeds, episodes.episodes, episodes.steps, opened,
            sight.distance, sight.kind, self._wheels, self._walls, reals, wholes, flags, kinds,
            count, NEVER if limit is None else limit,
            **self._numbers, WORLDS=WORLDS, num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip
        state.item_kind = kinds
        state.x, state.y, state.angle, proximity, forward, digestion, reward = reals.unbind()
        state.clock, self.keys, episodes.episodes, episodes.steps, apples, poisons = wholes.unbind()
        collided, episodes.ended = flags.unbind()
        self.sight, obs = look(self._eyes, state)
        brought = Brought(proximity, forward, digestion, apples, poisons, collided)
        return Outcome(obs, reward, episodes.ended, opened, brought)

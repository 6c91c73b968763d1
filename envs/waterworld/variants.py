"""The variants: how their agents move, eat and see, and what they are rewarded for."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from ...devices import has_kernels
from .core import Core
from .layout import DRAG, RADIUS, RLDEMO, THRUSTS, TURN, WHEELS, Layout, layout_of
from .rays import WALL, Sight, meeting


def core_of(variant: str, keys: Tensor, *, dtype: torch.dtype = torch.float32) -> Core:
    """Return a world of `variant` for each of `keys` (N,) int64; raise WorldError for an unknown one.

    On a GPU that has kernels for it, in its dtype, they compute it, on a CPU compiled loops.
    """
    layout = layout_of(variant)
    if keys.device.type == "cpu":
        from .host import HostReinforceJS, HostRLDemo  # here: they are made of what stands below

        return (HostRLDemo if layout is RLDEMO else HostReinforceJS)(layout, keys, dtype=dtype)
    if layout is RLDEMO and dtype == torch.float32 and has_kernels(keys.device):
        from .kernels.rldemo import FusedRLDemo  # here: without a GPU nobody needs Triton

        return FusedRLDemo(layout, keys, dtype=dtype)
    return (RLDemo if layout is RLDEMO else ReinforceJS)(layout, keys, dtype=dtype)


class RLDemo(Core):
    """An agent on two wheels among walls, after ConvNetJS' `rldemo`: items lie still."""

    def __init__(self, layout: Layout, keys: Tensor, *, dtype: torch.dtype = torch.float32) -> None:
        """Make a world for each of `keys`, as Core does."""
        super().__init__(layout, keys, dtype=dtype)
        wheels = self._floats(WHEELS)
        turns = torch.stack([wheels[:, 0], wheels[:, 1], wheels[:, 0].cos(), wheels[:, 0].sin()])
        self._wheels = torch.cat([turns, wheels[:, 1].cos()[None], wheels[:, 1].sin()[None]])  # (6, actions)

    def observe(self) -> Tensor:
        """Return (N, 27): of each eye the distances of wall, apple and poison over its range, 1 where not seen."""
        return self._nearness().flatten(1)

    def _move(self, actions: Tensor) -> Tensor:
        state, layout = self.state, self.layout
        left, right, left_cosine, left_sine, right_cosine, right_sine = self._wheels.index_select(1, actions)
        # From the agent to one wheel. It turns about each of its wheels and ends in the middle of both: a chord of
        # length 5 sin((left + right) / 2), but computed in the original's own order, so that a replay in float64 does
        # not drift away from it.
        facing = state.angle + pi / 2
        arm_x, arm_y = facing.sin() * (RADIUS / 2), facing.cos() * (RADIUS / 2)
        one_x, one_y, two_x, two_y = state.x + arm_x, state.y + arm_y, state.x - arm_x, state.y - arm_y
        x, y = state.x - two_x, state.y - two_y
        x, y = x * left_cosine - y * left_sine, x * left_sine + y * left_cosine
        left_x, left_y = (two_x + x) * 0.5, (two_y + y) * 0.5
        x, y = state.x - one_x, state.y - one_y
        x, y = x * right_cosine + y * right_sine, y * right_cosine - x * right_sine
        x, y = left_x + (one_x + x) * 0.5, left_y + (one_y + y) * 0.5
        collided = meeting(state.x, state.y, x - state.x, y - state.y, self._walls)[1].any(1)
        state.x = torch.where(collided, state.x, x).clamp(0, layout.width)
        state.y = torch.where(collided, state.y, y).clamp(0, layout.height)
        angle = state.angle - left
        angle = torch.where(angle < 0, angle + TURN, angle) + right
        state.angle = torch.where(angle > TURN, angle - TURN, angle)
        return collided

    def _meals(self) -> Tensor:
        state = self.state
        _, walled = meeting(state.x[:, None], state.y[:, None], *self._offsets(), self._walls)
        return self._touched() & ~walled.any(2)

    def _move_items(self) -> None:
        pass

    def _walking_reward(self, actions: Tensor, before: Sight) -> tuple[Tensor, Tensor]:
        free = before.distance / self.layout.reach
        free[before.kind > WALL] = 1.0
        # Added up one by one: a sum over the axis may round otherwise in a batch of another size.
        total = free[:, 0]
        for eye in range(1, self.layout.eyes):
            total = total + free[:, eye]
        proximity = (2 * total / self.layout.eyes).clamp(max=1.0)
        return proximity, torch.where((actions == 0) & (proximity > 0.75), 0.1 * proximity, 0.0)


class ReinforceJS(Core):
    """An agent that drifts among moving items, after REINFORCEjs' WaterWorld: walls are the world's edge."""

    def __init__(self, layout: Layout, keys: Tensor, *, dtype: torch.dtype = torch.float32) -> None:
        """Make a world for each of `keys`, as Core does."""
        super().__init__(layout, keys, dtype=dtype)
        self._thrusts = self._floats(THRUSTS).T.contiguous()  # (2, actions)

    def observe(self) -> Tensor:
        """Return (N, 152): of each eye three distances as in RLDemo and the velocity of the item seen; then its own."""
        state, sight = self.state, self.sight
        nothing, place = sight.place < 0, sight.place.clamp(min=0)
        velocity_x = state.item_velocity_x.view(-1)[place].masked_fill(nothing, 0.0)
        velocity_y = state.item_velocity_y.view(-1)[place].masked_fill(nothing, 0.0)
        eyes = torch.cat([self._nearness(), velocity_x[..., None], velocity_y[..., None]], 2)
        return torch.cat([eyes.flatten(1), state.velocity_x[:, None], state.velocity_y[:, None]], 1)

    def _move(self, actions: Tensor) -> Tensor:
        state, layout = self.state, self.layout
        thrust_x, thrust_y = self._thrusts[:, actions]
        state.velocity_x = (state.velocity_x + thrust_x) * DRAG
        state.velocity_y = (state.velocity_y + thrust_y) * DRAG
        x, y = state.x + state.velocity_x, state.y + state.velocity_y
        state.x, state.y = x.clamp(1, layout.width - 1), y.clamp(1, layout.height - 1)
        collided = (state.x != x) | (state.y != y)
        state.velocity_x = state.velocity_x.masked_fill(collided, 0.0)
        state.velocity_y = state.velocity_y.masked_fill(collided, 0.0)
        return collided

    def _meals(self) -> Tensor:
        return self._touched()

    def _move_items(self) -> None:
        state, layout = self.state, self.layout
        x, y = state.item_x + state.item_velocity_x, state.item_y + state.item_velocity_y
        state.item_x, state.item_y = x.clamp(1, layout.width - 1), y.clamp(1, layout.height - 1)
        state.item_velocity_x = torch.where(state.item_x == x, state.item_velocity_x, -state.item_velocity_x)
        state.item_velocity_y = torch.where(state.item_y == y, state.item_velocity_y, -state.item_velocity_y)

    def _walking_reward(self, actions: Tensor, before: Sight) -> tuple[Tensor, Tensor]:
        nothing = torch.zeros_like(self.state.x)
        return nothing, nothing

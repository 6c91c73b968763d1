"""Filling: replays full of random frames, which no system can compress or share, put there as training does it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rlrun.agents.replay import Replay

POOL = 16  # different random observations, taken in turn: each `add` copies its frames
ENDS = 1e-3  # share of the steps that end an episode


def random_pictures(num_envs: int, shape: Sequence[int], device: torch.device | str = "cpu") -> list[Tensor]:
    """Return POOL observations of all worlds, (N, *shape) uint8."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(0, 256, (num_envs, *shape), dtype=torch.uint8, generator=generator).to(device)
        for _ in range(POOL)
    ]


def fill(replay: Replay, pictures: Sequence[Tensor], actions: int = 4) -> Replay:
    """Add to `replay` until it is full, and return it; `actions`: how many there are to choose from."""
    n, device = replay.num_envs, replay.device
    generator = torch.Generator().manual_seed(0)
    ended = (torch.rand(replay.rows, n, generator=generator) < ENDS).to(device)
    chosen = torch.randint(actions, (replay.rows, n), generator=generator).to(device)
    rewards, no = torch.zeros(n, device=device), torch.zeros(n, dtype=torch.bool, device=device)
    for row in range(replay.rows):
        replay.add(pictures[row % len(pictures)], chosen[row], rewards, ended[row], no, no)
    return replay

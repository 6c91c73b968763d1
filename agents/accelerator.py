"""What a device computes with: on a CPU the plain torch code, on a GPU the kernels and graphs that do the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from ..devices import has_kernels
from .config import Config
from .dqn import DQN
from .graph import GraphedUpdates
from .priorities import EvenPriorities
from .replay import Replay
from .updates import Updates, eager_updates


def can_pin(device: torch.device, obs_shape: Sequence[int], obs_dtype: torch.dtype) -> bool:
    """Return whether frames may stay in the host's memory: whether a kernel gathers them, which are pictures' bytes."""
    return has_kernels(device) and len(obs_shape) == 3 and obs_dtype == torch.uint8


def build_replay(
    config: Config,
    obs_shape: Sequence[int],
    obs_dtype: torch.dtype,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    pinned: bool = False,
) -> Replay:
    """Return the replay that `config` describes for observations of `obs_shape`, made for `device`.

    Pictures are stacks along their first axis. `pinned` keeps their frames in the host's memory: see `can_pin`.
    """
    device = torch.device(device)
    pictures = len(obs_shape) == 3
    parts: dict[str, Any] = {}  # other than the plain code's
    if has_kernels(device):
        from .kernels.priorities import RadixPriorities  # here: without a GPU nobody needs Triton

        parts["priorities"] = RadixPriorities
        if pictures and obs_dtype == torch.uint8:
            from .kernels.observe import observe

            parts["observe"] = partial(observe, dtype=getattr(torch, config.precision))
    elif device.type == "cpu" and config.priority_exponent == 0.0:
        parts["priorities"] = EvenPriorities
    return Replay(
        config.replay_capacity,
        config.num_envs,
        obs_shape,
        obs_dtype=obs_dtype,
        stack=obs_shape[0] if pictures else config.window,
        n_step=config.n_step,
        discount=config.discount,
        priority_exponent=config.priority_exponent,
        seed=seed,
        device=device,
        pinned=pinned,
        **parts,
    )


def build_updates(agent: DQN, replay: Replay, config: Config) -> Updates:
    """Return who makes the updates on the agent's device: captured graphs on a GPU."""
    return (GraphedUpdates if agent.device.type == "cuda" else eager_updates)(agent, replay, config)

"""What a device computes with: on a CPU the plain torch code, on a GPU the kernels and graphs that do the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from ..devices import has_kernels
from . import host_frames
from .acting import Acting, GraphedActing, PlainActing
from .config import Config, ConfigError
from .dqn import DQN
from .frame_ring import observe_pairs
from .graph import GraphedUpdates
from .host_ledger import HostLedger
from .host_priorities import EvenPriorities, HostPriorities
from .relabel import Averse, Counterpart, RelabellingReplay
from .replay import Replay
from .updates import Updates, eager_updates
from .uploads import PinnedUploads, Uploads, on_host


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
    counterpart: Counterpart | None = None,
) -> Replay:
    """Return the replay that `config` describes for observations of `obs_shape`, made for `device`.

    Pictures are stacks along their first axis. `pinned` keeps their frames in the host's memory: see `can_pin`.
    Raises ConfigError if a share of it is to be relabelled and the world has no `counterpart`.
    """
    device = torch.device(device)
    pictures = len(obs_shape) == 3
    parts: dict[str, Any] = {}  # other than the plain code's
    kind: Callable[..., Replay] = Replay
    if config.relabel_share:
        if counterpart is None:
            share = f"relabel_share = {config.relabel_share}"
            raise ConfigError(f"{share} is not possible: it must be 0 for a world without a counterpart")
        if config.penalty_scale != 1.0:
            counterpart = Averse(counterpart, config.penalty_scale)
        kind = partial(RelabellingReplay, counterpart=counterpart, share=config.relabel_share)
    if has_kernels(device):
        from .kernels.ledger import FusedLedger  # here: without a GPU nobody needs Triton
        from .kernels.priorities import RadixPriorities

        parts |= {"ledger": FusedLedger, "priorities": RadixPriorities}
        if pictures and obs_dtype == torch.uint8:
            from .kernels.observe import observe

            parts["observe"] = partial(observe_pairs, observe=partial(observe, dtype=getattr(torch, config.precision)))
    elif device.type == "cpu":
        parts |= {"ledger": HostLedger, "ring": host_frames.HostFrameRing, "observe": host_frames.observe_pairs}
        parts["priorities"] = HostPriorities if config.priority_exponent else EvenPriorities
    return kind(
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


def build_acting(agent: DQN, seed: int) -> Acting:
    """Return who answers for worlds by a snapshot of the agent's policy, with chance made of its seed and `seed`."""
    policy = agent.policy.snapshot(agent.generator.initial_seed() + seed)
    if agent.config.compile:
        from .compiling import compile_network

        compile_network(policy.network)
    return (GraphedActing if agent.device.type == "cuda" else PlainActing)(policy, agent.exploration)


def build_uploads(device: torch.device) -> Uploads:
    """Return what brings arrays to `device`."""
    return PinnedUploads(device) if device.type == "cuda" else on_host


def build_agent(
    config: Config, obs_shape: Sequence[int], actions: int, *, seed: int = 0, device: torch.device | str = "cpu"
) -> DQN:
    """Return the agent that `config` describes, made for `device`; arguments as DQN's.

    Raises ConfigError if its networks are to be compiled and cannot be here.
    """
    device = torch.device(device)
    parts: dict[str, Any] = {}  # other than the plain code's
    if config.compile:
        from .compiling import compile_network, require_compiler  # here: torch's compiler takes seconds to import

        require_compiler(device)
    if has_kernels(device) and config.optimizer == "adam":
        from .kernels.adam import FusedAdam

        parts["optimiser"] = FusedAdam
    agent = DQN(config, obs_shape, actions, seed=seed, device=device, **parts)
    if config.compile:
        for network in (agent.online, agent.target):
            compile_network(network)
    return agent


def build_updates(agent: DQN, replay: Replay, config: Config) -> Updates:
    """Return who makes the updates on the agent's device: captured graphs on a GPU."""
    return (GraphedUpdates if agent.device.type == "cuda" else eager_updates)(agent, replay, config)

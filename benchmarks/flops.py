"""Floating-point operations of networks and updates, counted from their layers' shapes.

A multiplication and an addition are two operations. Only convolutions and dense layers are counted: the rest is a few
thousandths of a Q-network's work. It is the work that the method asks for, whatever kernels do it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlrun.agents.architecture import build_network
from rlrun.agents.config import Config
from rlrun.networks import NoisyLinear


def layer_flops(network: nn.Module, obs: Tensor) -> list[int]:
    """Return each layer's operations in a forward pass of `obs` (1, ...), in the order in which the layers run."""
    counts: list[int] = []

    def count(layer: Any, _: Any, output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):  # each number of the output is a product over one patch
            counts.append(2 * output.numel() * (layer.in_channels // layer.groups) * math.prod(layer.kernel_size))
        else:
            counts.append(2 * output.numel() * layer.in_features)

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear | NoisyLinear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            network(obs)
    finally:
        for hook in hooks:
            hook.remove()
    return counts


def forward_flops(config: Config, obs_shape: Sequence[int], actions: int) -> int:
    """Return the operations that a state's forward pass takes in the network that `config` describes."""
    return sum(_layers(config, obs_shape, actions))


def update_flops(config: Config, obs_shape: Sequence[int], actions: int) -> int:
    """Return the operations of one update: the target, the forward pass and the backward pass of a whole batch.

    The backward pass is two forward passes, one for the weights' gradients and one for the inputs'; only the first
    layer's input is the observation, which needs none. Double Q-learning has the online network see both states.
    """
    layers = _layers(config, obs_shape, actions)
    forward = sum(layers)
    passes = 1 + int(config.double) + 1 + 2  # target, online on the next state, online, backward
    return config.batch_size * (passes * forward - layers[0])


def _layers(config: Config, obs_shape: Sequence[int], actions: int) -> list[int]:
    dtype = torch.uint8 if len(obs_shape) == 3 else torch.float32
    return layer_flops(build_network(config, obs_shape, actions), torch.zeros(1, *obs_shape, dtype=dtype))

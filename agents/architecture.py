"""Architecture: the Q-network and the losses that a config describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from ..networks import (
    CNN,
    MLP,
    ActionHead,
    CategoricalHead,
    EnsembleHead,
    ExpectationHead,
    Impala,
    NoisyLinear,
    QNetwork,
    QuantileHead,
    nature_layers,
)
from .config import Config
from .losses import Losses, categorical, ensemble, expectation, huber, quantile, squared


def build_network(config: Config, obs_shape: Sequence[int], actions: int) -> QNetwork:
    """Return the Q-network that `config` describes for observations of `obs_shape` and `actions` actions."""
    body: MLP | CNN | Impala
    if len(obs_shape) != 3 or config.body == "mlp":
        numbers = int(torch.Size(obs_shape).numel())
        body = MLP(numbers, config.mlp_hidden, layer_norm=config.layer_norm, knots=config.knots)
    elif config.body == "nature":
        image = (obs_shape[0], obs_shape[1], obs_shape[2])
        body = CNN(image, nature_layers(config.width), layer_norm=config.layer_norm)
    else:
        image = (obs_shape[0], obs_shape[1], obs_shape[2])
        body = Impala(image, width=config.width, layer_norm=config.layer_norm)
    head = _build_head(config, body.out_features, actions)
    for layer in head.modules():
        if isinstance(layer, NoisyLinear):
            nn.init.constant_(layer.weight_sigma, config.noisy_sigma / layer.in_features**0.5)
            nn.init.constant_(layer.bias_sigma, config.noisy_sigma / layer.in_features**0.5)
    if config.initial_value:
        head.raise_by(config.initial_value)
    return QNetwork(body, head)


def _build_head(config: Config, features: int, actions: int) -> ActionHead:
    """Return the head that `config` describes, on `features` features."""
    kinds: dict[str, Callable[..., ActionHead]] = {
        "expectation": ExpectationHead,
        "categorical": partial(CategoricalHead, atoms=config.atoms, v_min=config.value_min, v_max=config.value_max),
        "quantile": partial(QuantileHead, atoms=config.atoms),
        "ensemble": partial(EnsembleHead, members=config.members),
    }
    return kinds[config.distribution](
        features,
        actions,
        hidden=config.hidden,
        dueling=config.dueling,
        noisy=config.noisy,
        layer_norm=config.layer_norm,
    )


def build_losses(config: Config, head: ActionHead) -> Losses:
    """Return what tells each transition's loss and priority for the outputs of `head`, which `config` describes."""
    td_loss = huber if config.loss == "huber" else squared
    if isinstance(head, CategoricalHead):
        return partial(categorical, support=head.support)
    if isinstance(head, QuantileHead):
        return partial(quantile, levels=head.levels)
    return partial(ensemble if isinstance(head, EnsembleHead) else expectation, td_loss=td_loss)

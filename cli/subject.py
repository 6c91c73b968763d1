"""Subject: a network to look inside, a classifier's or an agent's, with the inputs to show it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.digits import load_data
from ..networks.idx import DataError
from ..networks.probe import layer_named, layer_names
from ..networks.saliency import unit_range
from .errors import ENVIRONMENT, CommandError
from .model import FOLDER, Model, find_model, open_model
from .player import Player, load_player
from .run import Run

STATES = 500  # seen by an agent while it plays
EPSILON = 0.05  # of its actions are random, so that it sees more than one game


@dataclass(frozen=True)
class Subject:
    """What is looked at."""

    title: str
    network: nn.Module  # a Classifier or a QNetwork, float32, in `eval()`
    body: nn.Module
    outputs: tuple[str, ...]  # the classes, or the actions
    x: Tensor  # (n, ...) the test data, or states visited; images are floats in 0..1
    y: Tensor | None  # (n,) the classes; None for an agent
    folder: Path

    @property
    def sees_images(self) -> bool:
        """Whether its inputs are (C, H, W)."""
        return self.x.dim() == 4

    @property
    def default_layer(self) -> str:
        """The body's last layer that is no pool, or the network's where the body has none."""
        pools = (nn.MaxPool2d, nn.AdaptiveMaxPool2d)
        names = [n for n in layer_names(self.network) if not isinstance(layer_named(self.network, n), pools)]
        return ([name for name in names if name.startswith("body.")] or names)[-1]


def subject_of(name: str | Path, directory: Path, data_dir: str | Path | None, seed: int, states: int) -> Subject:
    """Return the network of a classifier or run, or of the `latest` of both; raise CommandError if there is none."""
    if str(name) == "latest":
        known = [path.parents[1] for path in directory.glob(f"*/{FOLDER}/manifest.json")]
        known += [path.parent for path in directory.glob("*/config.toml")]
        if known:
            name = max(known, key=_last_use)
    folder = find_model(name, directory)
    if folder is not None:
        return _of_model(open_model(folder), data_dir)
    return _of_player(load_player(Run.find(name, directory)), seed, states)


def _last_use(folder: Path) -> float:
    metrics = folder / "metrics.jsonl"
    return (metrics if metrics.exists() else folder).stat().st_mtime


def _of_model(model: Model, data_dir: str | Path | None) -> Subject:
    about = model.description
    try:
        data = load_data(about["source"], data_dir or about["data_dir"])
    except DataError as error:
        raise CommandError(f"the test data of {model.folder} are not where they were: {error}", ENVIRONMENT) from None
    title = f"{about['network']} on {about['data']}"
    x = unit_range(data.test.x)
    return Subject(title, model.network, model.network.body, model.classes, x, data.test.y, model.folder)


def _of_player(player: Player, seed: int, states: int) -> Subject:
    network = copy.deepcopy(player.agent.online).float().eval()
    x = unit_range(visited(player, states, seed))
    title = f"{player.name} agent after {player.step:,} steps"
    return Subject(title, network, network.body, player.action_names, x, None, player.folder)


def visited(player: Player, count: int, seed: int) -> Tensor:
    """Return `count` states, (count, *obs_shape), that the agent sees while it plays four games, one step in four."""
    from ..envs import make

    envs = make(player.world, 4, seed, player.protocol if player.protocol != "none" else "machado")
    try:
        obs, _ = envs.reset()
        seen = []
        for step in range(count):  # four at a time, every fourth step: `count` states far enough apart
            if step % 4 == 0:
                seen.append(np.array(obs))
            obs, *_ = envs.step(player.act(obs, EPSILON))
    finally:
        envs.close()
    return torch.as_tensor(np.concatenate(seen)[:count])

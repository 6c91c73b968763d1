"""Subject: a network to look inside, a classifier's or an agent's, the inputs to show it, and what can be asked."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..agents import checkpoint as checkpoints
from ..agents.frame_log import replayed
from ..envs.catalogue import find
from ..envs.waterworld.layout import LAYOUTS
from ..networks.digits import load_data
from ..networks.idx import DataError
from ..networks.probe import layer_named, layer_names
from ..networks.saliency import unit_range
from .errors import ENVIRONMENT, CommandError
from .model import FOLDER, Model, find_model, open_model
from .parts import Parts, parts_of
from .player import Player, load_player
from .run import Run

EPSILON = 0.05  # of its actions are random, so that it sees more than one game


@dataclass(frozen=True)
class Subject:
    """What is looked at."""

    title: str
    network: nn.Module  # a Classifier or a QNetwork, float32, in `eval()`
    body: nn.Module
    outputs: tuple[str, ...]  # the classes, or the actions
    x: Tensor  # (n, ...) the test data, or states; images are floats in 0..1
    origin: str  # where `x` comes from, as "500 states of its replay"
    y: Tensor | None  # (n,) the classes; None for an agent
    parts: Parts | None  # of inputs that are no images
    folder: Path
    player: Player | None = None  # None for a classifier

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


@dataclass(frozen=True, kw_only=True)
class Request:
    """What exactly is asked."""

    layer: str | None
    index: int
    output: int | None
    steps: int | None
    seed: int


Answer = tuple[dict[str, NDArray[Any]], list[str]]  # arrays by name, and sentences


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
    run = Run.find(name, directory)
    return _of_player(load_player(run), run, seed, states)


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
    parts = None if x.dim() == 4 else parts_of(tuple(x.shape[1:]))
    origin = f"{len(x):,} test data"
    network = model.network
    return Subject(title, network, network.body, model.classes, x, origin, data.test.y, parts, model.folder)


def _of_player(player: Player, run: Run, seed: int, states: int) -> Subject:
    network = copy.deepcopy(player.agent.online).float().eval()
    found, origin = remembered(run, states, seed), "of its replay"
    if found is None:
        found, origin = visited(player, states, seed), "freshly played"
    x, actions = unit_range(found), player.action_names
    parts = None
    if x.dim() != 4:
        world = find(player.world)
        layouts = {layout.name: layout for layout in LAYOUTS.values()}
        parts = parts_of(tuple(x.shape[1:]), len(actions), layouts.get(world.id))
    title = f"{player.name} agent after {player.step:,} steps"
    return Subject(
        title, network, network.body, actions, x, f"{len(x):,} states {origin}", None, parts, player.folder, player
    )  # fmt: skip


def remembered(run: Run, count: int, seed: int) -> Tensor | None:
    """Return `count` states, (count, *obs_shape), of the replay in the run's newest checkpoint; None without one."""
    config, shape = run.config, run.world["obs_shape"]
    for folder in checkpoints.candidates(run.checkpoints):
        try:
            stack = shape[0] if len(shape) == 3 else config.window
            return replayed(checkpoints.read(folder), stack, count, seed)
        except checkpoints.CheckpointError:  # damaged, or thinned out while the run goes on: the one before it
            continue
    return None


def visited(player: Player, count: int, seed: int) -> Tensor:
    """Return `count` states, (count, *obs_shape), that the agent sees while it plays four games, one step in four."""
    from ..envs import make

    worlds = make(player.world, 4, seed, player.protocol if player.protocol != "none" else "machado")
    envs = player.seeing(worlds)
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

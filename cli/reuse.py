"""Reuse: the trained body of an agent or of a classifier, for something else to stand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ..agents.dqn import DQN
from .errors import CommandError
from .model import find_model, open_model
from .player import load_player
from .run import Run


def body_of(name: str | Path, directory: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the trained body of a run or of a saved classifier, the module itself, and what builds it again.

    An agent's body is in float32, whatever it computed in. Raises CommandError if there is no such run or model.
    """
    folder = find_model(name, directory)
    if folder is not None:
        model = open_model(folder)
        keys = ("network", "in_shape", "classes", "hidden", "dropout", "body", "frozen")
        return model.network.body, {key: model.description[key] for key in keys}
    player = load_player(Run.find(name, directory))
    body = player.agent.online.body.float()
    return body, {"config": player.config.as_dict(), "obs_shape": list(player.agent.obs_shape)}


def start_from(agent: DQN, name: str | Path, directory: Path) -> None:
    """Give a new agent the trained body of a run or of a classifier; raise CommandError if it has another shape."""
    try:
        agent.take_body(body_of(name, directory)[0])
    except ValueError as error:
        raise CommandError(f"--body-from {name} does not fit: {error}") from None

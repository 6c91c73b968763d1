"""Player: a trained agent taken from its run, that says what it expects of each action and what it would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..agents import checkpoint as checkpoints
from ..agents.config import Config
from ..agents.dqn import DQN
from ..agents.window import Window, windowed
from ..envs import World
from .errors import ENVIRONMENT, CommandError
from .model import Model, find_model, open_model
from .run import Run
from .session import BEST


class Player:
    """A loaded agent, noise silenced.

    Attributes:
        agent: the DQN itself.
        world: the id that `make` and `make_screen` accept.
        name: the world's name, for people.
        protocol: the protocol that it was trained under.
        config: its settings.
        folder: its run's folder.
        action_names: one for each action.
        step: the agent step of its checkpoint.
        checkpoint: the checkpoint's name.

    """

    def __init__(self, run: Run, weights: dict[str, torch.Tensor], step: int, checkpoint: str) -> None:
        """Rebuild the agent of `run` around `weights`."""
        world = run.world
        self.world: str = run.settings.env
        self.name: str = world["name"]
        self.protocol: str = run.settings.protocol
        self.config: Config = run.config
        self.folder: Path = run.folder
        self.seed: int = run.settings.seed
        self.action_names: tuple[str, ...] = tuple(world["action_names"])
        self.frames_per_step: int = world["frames_per_step"]
        self.step, self.checkpoint = step, checkpoint
        self.agent = DQN(run.config, world["obs_shape"], world["actions"])
        self.agent.online.load_state_dict(weights)
        self.agent.silence()

    def seeing(self, envs: World) -> World | Window:
        """Return worlds of `rlrun.make` as this agent sees them: with its window, where its settings have one."""
        return windowed(envs, self.config)

    def q_values(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        """Return E[R | a], (N, A), in the states `obs` (N, *obs_shape); without N for one state."""
        q: NDArray[np.float32] = self.agent.q_values(self._batched(obs)).cpu().numpy()
        return q if np.ndim(obs) > len(self.agent.obs_shape) else q[0]

    def act(self, obs: NDArray[Any], epsilon: float | None = None) -> NDArray[np.int64]:
        """Return actions (N,) for `obs` (N, *obs_shape); `epsilon` of them random, the evaluation's share if None."""
        if epsilon is None:
            epsilon = self.config.evaluation_epsilon
        actions: NDArray[np.int64] = self.agent.act_silently(self._batched(obs), epsilon).cpu().numpy()
        return actions if np.ndim(obs) > len(self.agent.obs_shape) else actions[0]

    def _batched(self, obs: NDArray[Any]) -> torch.Tensor:
        shape = self.agent.obs_shape
        batch = np.asarray(obs)
        batch = batch[None] if batch.ndim == len(shape) else batch
        if batch.shape[1:] != shape:
            raise ValueError(f"observations have shape {batch.shape[1:]}, the agent of {self.name} sees {shape}")
        return torch.as_tensor(np.ascontiguousarray(batch))


def load(run: str | Path | Run, *, checkpoint: str = BEST, directory: str | Path = "runs") -> Player | Model:
    """Return the trained agent of a run, or the classifier that `rlrun classify` saved.

    Args:
        run: a Run, its folder, its name under `directory`, or "latest"; or a classifier's folder or name.
        checkpoint: "best" (by the running training score; the newest if there is none yet) or "latest"; agents only.
        directory: the folder of runs.

    Raises:
        CommandError: nothing of that name, or nothing in it that can be trusted.

    """
    if not isinstance(run, Run):
        folder = find_model(run, Path(directory))
        if folder is not None:
            return open_model(folder)
    return load_player(run, checkpoint=checkpoint, directory=directory)


def load_player(run: str | Path | Run, *, checkpoint: str = BEST, directory: str | Path = "runs") -> Player:
    """Return the trained agent of a run; arguments and errors are `load`'s."""
    if not isinstance(run, Run):
        run = Run.find(run, Path(directory))
    refused: list[str] = []
    if checkpoint == BEST and (run.checkpoints / BEST).is_dir():
        try:
            best = checkpoints.read(run.checkpoints / BEST)
            return Player(run, best.tensors("weights"), best.step, BEST)
        except checkpoints.CheckpointError as error:
            refused.append(str(error))
    for folder in checkpoints.candidates(run.checkpoints):
        try:
            found = checkpoints.read(folder)
            return Player(run, found.tensors("weights"), found.step, folder.name)
        except checkpoints.CheckpointError as error:
            refused.append(str(error))
    reason = f": {refused[0]}" if refused else " yet; it appears at the run's end, or every checkpoint_steps steps"
    raise CommandError(f"{run.folder} has no usable checkpoint{reason}", ENVIRONMENT)

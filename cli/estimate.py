"""How long training will take on this machine, from a few updates and actions of a spare agent."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from ..agents.dqn import DQN
from ..agents.progress import Progress
from ..agents.replay import Batch

STEP_SECONDS = 1e-4  # what a step costs beside acting and learning: the emulator's part that nothing hides, storing
TRIALS = 3


def seconds_for(steps: int, agent: DQN, obs_dtype: torch.dtype, progress: Progress) -> float:
    """Return about how many seconds `agent`'s training takes from `progress` to `steps` agent steps in all."""
    config, device = agent.config, agent.device
    spare = DQN(config, agent.obs_shape, agent.actions, device=device)
    obs = torch.zeros(config.batch_size, *agent.obs_shape, dtype=obs_dtype, device=device)
    ones = torch.ones(config.batch_size, device=device)
    batch = Batch(obs, ones.long() * 0, ones, ones, obs, ones, ones.long())
    few = torch.as_tensor(progress.obs).to(device)
    inner = obs.repeat_interleave(config.n_step - 1, 0), batch.action.repeat_interleave(config.n_step - 1)

    def make_update() -> None:
        if spare.departs is not None:
            spare.departs(*inner)  # as sampling asks
        spare.learn(batch)

    update = _median_seconds(make_update, device)
    act = _median_seconds(lambda: spare.act(few, 0.5), device) / config.num_envs
    left = max(0, steps - progress.step)
    learned = max(0, steps - max(progress.step, config.learning_starts))
    return left * (act + STEP_SECONDS) + learned / config.steps_per_update * update


def _median_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the median time of `work`, after one call that warms it up."""
    work()
    times = []
    for _ in range(TRIALS):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return sorted(times)[TRIALS // 2]

import subprocess
import sys
from typing import Any

import pytest
import torch

from rlrun.agents import accelerator, host_frames
from rlrun.agents.config import Config
from rlrun.agents.host_priorities import HostPriorities
from rlrun.agents.optimiser import Optimiser
from rlrun.agents.updates import EagerUpdates

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def config(**settings: Any) -> Config:
    return Config(replay_capacity=100, num_envs=2, learning_starts=10, mlp_hidden=(4,), hidden=(4,)).with_settings(
        settings
    )


def test_on_a_cpu_what_finds_a_sample_is_numpy_and_the_rest_plain_torch_code() -> None:
    settings = config(n_step=3, priority_exponent=0.5, discount=0.9)
    replay = accelerator.build_replay(settings, (4, 8, 8), torch.uint8, seed=5)
    assert replay._observe is host_frames.observe_pairs
    assert type(replay.ledger.priorities) is HostPriorities
    assert (replay.stack, replay.n_step, replay.discount, replay.priority_exponent) == (4, 3, 0.9, 0.5)
    assert (replay.rows, replay.num_envs, replay.generator.initial_seed()) == (50, 2, 5)
    assert replay.obs_dtype == torch.uint8
    agent = accelerator.build_agent(settings, (3,), 2)
    assert type(agent.optimiser) is Optimiser
    assert isinstance(accelerator.build_updates(agent, replay, settings), EagerUpdates)


@pytest.mark.parametrize(("shape", "window", "stack"), [((3,), 1, 1), ((5, 3), 5, 5), ((4, 8, 8), 1, 4)])
def test_an_observation_is_a_stack_of_pictures_or_a_window_or_neither(
    shape: tuple[int, ...], window: int, stack: int
) -> None:
    assert accelerator.build_replay(config(window=window), shape, torch.float32).stack == stack


def test_kernels_are_for_a_gpu_with_triton_and_pinned_frames_for_kernels_that_gather(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for found, device, expected in ((True, GPU, True), (True, CPU, False), (False, GPU, False)):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, found=found: object() if found else None)
        assert accelerator.has_kernels(device) == expected
        assert accelerator.can_pin(device, (4, 84, 84), torch.uint8) == expected
        assert not accelerator.can_pin(device, (4, 84, 84), torch.float32)
        assert not accelerator.can_pin(device, (7,), torch.uint8)


def test_training_on_a_cpu_never_loads_a_kernel() -> None:
    code = (
        "import sys, torch; from rlrun.agents.accelerator import *; from rlrun.agents.config import Config; "
        "build_replay(Config(), (4, 84, 84), torch.uint8); build_agent(Config(), (4, 84, 84), 3); "
        "import rlrun.cli.session; "
        "print([name for name in sys.modules if 'kernels' in name and name.startswith('rlrun')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"

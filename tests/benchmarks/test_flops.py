"""Floating-point operations: numbers worked out by hand, and torch's own count of what an update executes."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rlrun.agents.dqn import DQN
from rlrun.agents.presets import preset


@pytest.fixture
def flops(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("flops")


@pytest.fixture
def update(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("update")


def test_the_nature_network_takes_the_operations_that_one_counts_on_paper(flops: ModuleType) -> None:
    config = preset("dqn")
    convolutions = [  # 2 * outputs * inputs of each
        2 * (20 * 20 * 32) * (8 * 8 * 4),
        2 * (9 * 9 * 64) * (4 * 4 * 32),
        2 * (7 * 7 * 64) * (3 * 3 * 64),
    ]
    dense = [2 * 3136 * 512, 2 * 512 * 4]
    assert convolutions == [6_553_600, 5_308_416, 3_612_672]
    forward = sum(convolutions + dense)
    assert flops.forward_flops(config, (4, 84, 84), 4) == forward == 18_690_048  # "18.7 M"
    # The target's forward pass, the online one, a backward pass of two, less the gradient of the pixels.
    assert flops.update_flops(config, (4, 84, 84), 4) == 32 * (4 * forward - convolutions[0]) == 2_182_610_944


def test_double_q_learning_costs_one_forward_pass_more(flops: ModuleType) -> None:
    plain, double = (flops.update_flops(preset(name), (4, 84, 84), 4) for name in ("dqn", "double"))
    assert double - plain == 32 * 18_690_048


@pytest.mark.parametrize("network", ["nature", "nature-half", "fast", "impala", "mlp"])
def test_the_count_from_shapes_is_what_torch_counts_while_an_update_runs(
    flops: ModuleType, update: ModuleType, network: str
) -> None:
    name, settings, shape = update.NETWORKS[network]
    config = preset(name).with_settings({**settings, "batch_size": 3, "precision": "float32"})
    agent = DQN(config, shape, 4, seed=0)
    batch = update.random_batch(config, shape, torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        agent.learn(batch)
    assert flops.update_flops(config, shape, 4) == counter.get_total_flops()


def test_the_parts_of_an_update_add_up_to_all_of_it(update: ModuleType) -> None:
    measured: dict[str, Any] = update.Update("mlp", 8, "fp32", torch.device("cpu")).measure(0.01)
    parts = [measured[part] for part in update.PARTS]
    assert min(parts[:4]) > 0
    assert measured["rest"] >= 0

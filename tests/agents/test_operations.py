"""A regression check that counts operations, not seconds: an update and a sample dispatch no more of them than before.

Every operation costs microseconds of dispatch whatever it computes, and on a GPU a kernel launch. Seconds depend on the
machine; this count does not. What NumPy does of a sample on a CPU is not among them: it begins much sooner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rlrun.agents import accelerator
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.presets import preset
from rlrun.agents.replay import Replay

RECORDED_WITH = "2.13"  # the version of torch; another one may cut the same call into other operations
RECORDED = {
    ("dqn", "update"): 133,
    ("dqn", "sample"): 18,
    ("fast", "update"): 220,
    ("fast", "sample"): 18,
    ("control", "update"): 156,
    ("control", "sample"): 17,
    ("rainbow", "update"): 433,
    ("rainbow", "sample"): 25,
}
OTHER_VERSIONS = 1.1  # how much more they may take
SHAPES = {"control": (4,)}
ROWS, ENVS = 40, 4


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that torch dispatches while it is entered, views and copies included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


def counted(call: Callable[[], object]) -> Counter[str]:
    """Return the operations of one call, made once before: a first call may build what later ones use."""
    call()
    mode = Operations()
    with mode:
        call()
    return mode.counts


def learner(name: str) -> tuple[Config, DQN, Replay]:
    """Return an agent of the preset and a replay with something to learn from; batches of 4 take as many operations."""
    config = replace(preset(name), batch_size=4, replay_capacity=ROWS * ENVS, num_envs=ENVS, learning_starts=0)
    shape = SHAPES.get(name, (4, 84, 84))
    agent = accelerator.build_agent(config, shape, 4)
    replay = accelerator.build_replay(config, shape, torch.uint8 if len(shape) == 3 else torch.float32)
    no = torch.zeros(ENVS, dtype=torch.bool)
    for _ in range(ROWS):
        obs = torch.randint(0, 256, (ENVS, *shape)).to(replay.obs_dtype)
        replay.add(obs, torch.zeros(ENVS, dtype=torch.int64), torch.ones(ENVS), no, no, no)
    return config, agent, replay


def operations(name: str, work: str) -> Counter[str]:
    """Return the operations of one update, priorities written back, or of one sample."""
    config, agent, replay = learner(name)
    beta = config.importance_exponent(0)
    if work == "sample":
        return counted(lambda: replay.sample(config.batch_size, beta))
    batch = replay.sample(config.batch_size, beta)
    return counted(lambda: replay.update(batch.index, agent.learn(batch)))


@pytest.mark.parametrize(("name", "work"), RECORDED)
def test_no_more_operations_than_recorded(name: str, work: str) -> None:
    counts = operations(name, work)
    total, recorded = counts.total(), RECORDED[name, work]
    allowed = recorded if torch.__version__.startswith(RECORDED_WITH + ".") else int(recorded * OTHER_VERSIONS)
    most = ", ".join(f"{count} {operation}" for operation, count in counts.most_common(12))
    assert total <= allowed, (
        f"one {work} of {name} now dispatches {total} operations instead of {recorded} (most often {most}). Each costs "
        f"microseconds at every update for ever, so first see whether the new ones can go. If they pay for themselves "
        f"(measure with benchmarks/update.py or loop.py, and tell docs/log.md), set RECORDED[{name!r}, {work!r}] in "
        f"tests/agents/test_operations.py to {total}."
    )


def test_an_operation_more_is_noticed() -> None:
    def call() -> None:
        torch.ones(3).add(1)

    def longer() -> None:
        torch.ones(3).add(1).mul(2)

    assert counted(longer).total() == counted(call).total() + 1
    assert counted(longer)["aten.mul.Tensor"] == 1

"""GraphedUpdates rehearsed on a CPU: its own code, with a stand-in for CUDA's graphs that records calls and makes them.

What a real graph does is tested in test_cuda.py, on a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from rlrun.agents import graph as graphs
from rlrun.agents.config import Config
from rlrun.agents.dqn import DQN
from rlrun.agents.graph import WARM_UP, GraphedUpdates
from rlrun.agents.progress import Progress
from rlrun.agents.replay import Replay
from rlrun.agents.updates import EagerUpdates, update

STATES = 4


class Recorded:
    """Stands in for a CUDAGraph: keeps the updates called while it is captured, and makes them when replayed."""

    capturing: "Recorded | None" = None
    replays: ClassVar[list[int]] = []  # how many updates each replay made, over all graphs

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.generators: list[torch.Generator] = []

    def register_generator_state(self, generator: torch.Generator) -> None:
        self.generators.append(generator)

    def pool(self) -> str:
        return "pool"

    def replay(self) -> None:
        Recorded.replays.append(len(self.calls))
        for call in self.calls:
            update(*call)


@contextmanager
def capture(graph: Recorded, pool: Any, stream: Any) -> Iterator[None]:
    assert len(graph.generators) == 2, "generators have to be registered before the capture"
    assert stream is not None
    Recorded.capturing = graph
    yield
    Recorded.capturing = None


def record(*call: Any) -> None:
    assert Recorded.capturing is not None
    Recorded.capturing.calls.append(call)


@pytest.fixture
def on_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(graphs, "update", record)
    monkeypatch.setattr(Recorded, "replays", [])


def config(**settings: Any) -> Config:
    base = Config(
        body="mlp", mlp_hidden=(8,), hidden=(), batch_size=8, num_envs=4, steps_per_update=1.0, noisy=True,
        learning_rate=1e-2, learning_rate_end=1e-3, anneal_steps=1000, priority_exponent=0.5, target_period_updates=7,
        importance_start=0.3, importance_end=0.9,
    )  # fmt: skip
    return base.with_settings(settings)


def built(settings: Config) -> tuple[DQN, Replay, Progress]:
    agent = DQN(settings, (STATES,), 3, seed=1)
    replay = Replay(200, 4, (STATES,), obs_dtype=torch.float32, priority_exponent=settings.priority_exponent, seed=2)
    source = torch.Generator().manual_seed(3)
    none = torch.zeros(4, dtype=torch.bool)
    for _ in range(30):
        obs, reward = torch.randn(4, STATES, generator=source), torch.randn(4, generator=source)
        replay.add(obs, torch.randint(3, (4,), generator=source), reward, none, none, none)
    return agent, replay, Progress.begin(obs.numpy())


def numbers(agent: DQN, replay: Replay) -> list[Tensor]:
    return [*agent.online.parameters(), *agent.target.parameters(), replay.ledger.priorities.leaves]


@pytest.mark.usefixtures("on_a_stand_in")
def test_replayed_updates_are_those_made_one_by_one() -> None:
    settings = config()
    one_by_one, replayed = built(settings), built(settings)
    eager = EagerUpdates(*one_by_one[:2], settings)
    graphed = GraphedUpdates(*replayed[:2], settings)
    for count in (1, 1, 4, 4, 4, 9, 2, 4, 40):
        for make, progress in ((eager, one_by_one[2]), (graphed, replayed[2])):
            progress.step += 7
            make(count, progress)
        assert replayed[2].updates == one_by_one[2].updates
        # The learning rate and beta are float32 in the graph's scalars.
        for mine, theirs in zip(numbers(*replayed[:2]), numbers(*one_by_one[:2]), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    assert sum(Recorded.replays) == replayed[2].updates - WARM_UP
    assert set(Recorded.replays) == {1, 4}
    assert replayed[2].seconds["learn"] > 0
    drained, expected = replayed[0].drain(), one_by_one[0].drain()
    assert drained == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("on_a_stand_in")
def test_nothing_is_captured_before_the_warm_up_nor_twice() -> None:
    settings = config()
    agent, replay, progress = built(settings)
    graphed = GraphedUpdates(agent, replay, settings)
    graphed(WARM_UP - 1, progress)
    assert not graphed._graphs
    graphed(2, progress)
    captured = dict(graphed._graphs)
    assert sorted(captured) == [1, 4]
    graphed(5, progress)
    assert graphed._graphs == captured
    assert progress.updates == WARM_UP + 6


@pytest.mark.usefixtures("on_a_stand_in")
def test_one_graph_is_enough_where_a_step_makes_one_update_due() -> None:
    settings = config(steps_per_update=4.0)
    agent, replay, progress = built(settings)
    GraphedUpdates(agent, replay, settings)(WARM_UP + 3, progress)
    assert Recorded.replays == [1, 1, 1]

"""GraphedUpdates: whole updates captured as CUDA graphs, which a GPU replays without being told each operation."""

from __future__ import annotations

from time import perf_counter

import torch

from .config import Config
from .dqn import DQN
from .progress import Progress
from .replay import Replay
from .updates import EagerUpdates, pieces, update

WARM_UP = 3  # updates before the capture, in which libraries choose their algorithms and kernels are compiled
LARGEST = 32  # updates in one graph; a larger one only takes longer to capture


def graph_size(config: Config) -> int:
    """Return how many updates to capture in one graph: as many as one step of all worlds makes due."""
    return min(LARGEST, max(1, int(config.num_envs / config.steps_per_update)))


class GraphedUpdates:
    """Makes updates by replaying two graphs: one of `graph_size` updates, and one of a single update for the rest.

    An update of 32 is a chain of some hundred small kernels, and launching them takes a CPU longer than running them
    takes a GPU. The first updates are made one by one (they count: nothing is done twice); then the graphs are
    captured, which changes no number. The learning rate and beta stand in scalars on the device that the graphs read,
    and the generators of agent and replay are registered, so a graph draws the numbers that it would have drawn
    without one. Copies to the target network stay outside.

    Agent and replay may be saved at any time, but loading is for before the first update: it is what a session does.
    """

    def __init__(self, agent: DQN, replay: Replay, config: Config) -> None:
        """Make the updates of `agent` from `replay`, both on the same GPU."""
        self._agent, self._replay, self._config = agent, replay, config
        self._eager = EagerUpdates(agent, replay, config)
        self._stream = torch.cuda.Stream(agent.device)  # type: ignore[no-untyped-call]
        self._importance_exponent = torch.zeros((), device=agent.device)
        self._learning_rate = torch.zeros((), device=agent.device)
        self._warm = 0
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def __call__(self, count: int, progress: Progress) -> None:
        """Make `count` updates at the step of `progress`, and count them and their seconds there.

        The seconds are the CPU's, which does not wait for the GPU; they are all booked as learning.
        """
        first = min(count, WARM_UP - self._warm)
        if first:
            self._warm_up(first, progress)
            count -= first
        if not count:
            return
        before = perf_counter()
        if not self._graphs:
            self._capture()
        config = self._config
        self._importance_exponent.fill_(config.importance_exponent(progress.step))
        self._learning_rate.fill_(config.learning_rate_at(progress.step))
        for copied, length in pieces(progress.updates, count, graph_size(config), config):
            if copied:
                self._agent.copy_to_target()
            self._graphs[length].replay()
            progress.updates += length
        progress.seconds["learn"] += perf_counter() - before

    def _warm_up(self, count: int, progress: Progress) -> None:
        """Make `count` updates one by one on the stream of the capture."""
        # torch's rule: work that is to be captured has to have run on a stream beside the default one.
        current = torch.cuda.current_stream(self._agent.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            self._eager(count, progress)
        current.wait_stream(self._stream)
        self._warm += count

    def _capture(self) -> None:
        """Capture the graphs; they share one pool of memory, for never two of them run at once."""
        pool = None
        for size in sorted({1, graph_size(self._config)}, reverse=True):
            graph = torch.cuda.CUDAGraph()
            for generator in (self._agent.generator, self._replay.generator):
                graph.register_generator_state(generator)
            with torch.cuda.graph(graph, pool=pool, stream=self._stream):
                for _ in range(size):
                    update(
                        self._agent,
                        self._replay,
                        self._config.batch_size,
                        self._importance_exponent,
                        self._learning_rate,
                    )
            pool = graph.pool()
            self._graphs[size] = graph

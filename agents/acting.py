"""Acting: who answers for worlds that wait for actions, while the learner learns."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .exploration import Exploration
from .policy import Snapshot
from .uploads import PinnedUploads

WARM_UP = 3  # answers of each size before the capture, in which libraries choose their algorithms


class Acting(Protocol):
    """Whoever answers, by a policy as it was when it was refreshed last; one question is answered after the other."""

    def refresh(self) -> None:
        """Act by what was learned until now."""

    def ask(self, obs: NDArray[Any] | Tensor, epsilon: float, first: int) -> Tensor:
        """Begin to answer for `obs` (N, *obs_shape) of the worlds from `first` on; return them on the policy's device.

        A tensor has to have been there, on the current stream, at the last `refresh`.
        """

    def answer(self) -> NDArray[np.int64]:
        """Return the actions (N,) that were asked for: waits for nothing else."""


class PlainActing:
    """Answers at once: on a CPU."""

    def __init__(self, policy: Snapshot, exploration: Exploration) -> None:
        """Answer by `policy` for worlds explored by `exploration`."""
        self._policy, self._exploration = policy, exploration
        self._chosen: Tensor | None = None

    def refresh(self) -> None:
        """Act by what was learned until now."""
        self._policy.refresh()

    def ask(self, obs: NDArray[Any] | Tensor, epsilon: float, first: int) -> Tensor:
        """Answer for `obs` (N, *obs_shape) of the worlds from `first` on; return them as a tensor."""
        seen = torch.as_tensor(obs)
        self._chosen = self._policy.act(seen, epsilon, self._exploration.rows(first, first + len(seen)))
        return seen

    def answer(self) -> NDArray[np.int64]:
        """Return the actions (N,) that were asked for."""
        assert self._chosen is not None, "nothing was asked"
        actions: NDArray[np.int64] = self._chosen.numpy()
        return actions


class GraphedActing:
    """Answers on a stream of its own that goes before the learner's, by replaying a graph of all that it takes.

    The learner's updates keep a GPU busy for some milliseconds; an answer that stood behind them in the same queue
    would keep the emulators waiting for as long.
    """

    def __init__(self, policy: Snapshot, exploration: Exploration) -> None:
        """Answer by `policy`, whose network lies on a GPU, for worlds explored by `exploration`."""
        self._policy, self._exploration = policy, exploration
        self._device = policy.generator.device
        self._stream = torch.cuda.Stream(self._device, priority=-1)  # type: ignore[no-untyped-call]
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._uploads = PinnedUploads(self._device)
        self._epsilon = torch.zeros((), device=self._device)
        self._graphs: dict[tuple[int, int], _Graph] = {}  # by the first world and the number of worlds
        self._asked = 0, 0

    def refresh(self) -> None:
        """Act by what was learned until now, on the current stream."""
        # The last answer was fetched, so nobody reads the copy while it is changed.
        self._policy.refresh()
        # And what was freed since, of what the acting's stream had reserved, has been read by then.
        self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def ask(self, obs: NDArray[Any] | Tensor, epsilon: float, first: int) -> Tensor:
        """Begin to answer for `obs` (N, *obs_shape) of the worlds from `first` on; return them on the GPU.

        A tensor has to have been there, on the current stream, at the last `refresh`. An array's copy may be read by
        any stream once the answer was fetched.
        """
        with torch.cuda.stream(self._stream):
            seen = obs if isinstance(obs, Tensor) else self._uploads(obs)[0]
            self._epsilon.fill_(epsilon)
            self._asked = first, len(seen)
            if self._asked not in self._graphs:
                rows = self._exploration.rows(first, first + len(seen))
                self._graphs[self._asked] = _Graph(self._policy, rows, self._epsilon, seen)
            self._graphs[self._asked](seen)
            self._done.record()
        return seen

    def answer(self) -> NDArray[np.int64]:
        """Return the actions (N,) that were asked for, as soon as they are there."""
        self._done.synchronize()
        actions: NDArray[np.int64] = self._graphs[self._asked].chosen.numpy().copy()
        return actions


class _Graph:
    """The answer for some of the worlds: made step by step a few times, from then on a graph."""

    def __init__(self, policy: Snapshot, exploration: Exploration, epsilon: Tensor, obs: Tensor) -> None:
        """Answer for observations like `obs`."""
        self._policy, self._exploration, self._epsilon = policy, exploration, epsilon
        self._obs = torch.empty_like(obs)
        self.chosen = torch.empty(len(obs), dtype=torch.int64, pin_memory=True)  # on the host
        self._made = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, obs: Tensor) -> None:
        """Choose, on the current stream."""
        self._obs.copy_(obs)
        if self._graph is None and self._made == WARM_UP:
            self._capture()
        if self._graph is None:
            self._choose()
            self._made += 1
        else:
            self._graph.replay()

    def _choose(self) -> None:
        self.chosen.copy_(self._policy.act(self._obs, self._epsilon, self._exploration), non_blocking=True)

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._policy.generator)
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream(self._obs.device)):
            self._choose()
        self._graph = graph

"""Policy: what to do in a state: mostly what the network thinks best, sometimes anything."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..networks import QNetwork, resample_noise
from .config import Config
from .exploration import Exploration
from .losses import behind
from .script import Scripted, scripted_after

SCRIPTED_AFTER = 5_000
"""Answers after which they are scripted on a CPU: each takes .1 to .3 ms less then, those of `fast` .8."""

ONE_BY_ONE = Exploration()  # it remembers nothing, so one is enough for all


class Policy:
    """Acts epsilon-greedily by a Q-network.

    Args:
        network: whose opinion it acts by.
        config: the settings.
        actions: how many there are.
        generator: of the exploration and of a noisy network's noise, on the network's device.

    """

    def __init__(self, network: QNetwork, config: Config, actions: int, generator: torch.Generator) -> None:
        """Act by `network`, as it is at the time."""
        self.network, self.actions, self.generator = network, actions, generator
        self._config = config
        after = scripted_after(config, generator.device, SCRIPTED_AFTER)
        self._expect = Scripted(lambda obs: [self.q_values(obs)], after)

    @torch.no_grad()
    def q_values(self, obs: Tensor) -> Tensor:
        """Return the expected return of each action, (N, A) float32, in the states `obs` (N, *obs_shape)."""
        q: Tensor = self.network(obs)
        if self._config.gap_increase:  # what the network has learned are wider gaps
            q = q + self._config.gap_increase * behind(q)
        return q

    def act(self, obs: Tensor, epsilon: float | Tensor, exploration: Exploration = ONE_BY_ONE) -> Tensor:
        """Return actions (N,) int64: random ones with probability `epsilon`, else the best in `obs` (N, *obs_shape).

        An `epsilon` that is a scalar on the device may change while the acting is a captured graph. `exploration` knows
        which random actions last in these worlds; without one none does.
        """
        if self._config.noisy:
            resample_noise(self.network, self.generator)
        return self._choose(self._expect(obs)[0], epsilon, exploration)

    def act_silently(self, obs: Tensor, epsilon: float | Tensor, exploration: Exploration = ONE_BY_ONE) -> Tensor:
        """Return actions as `act` does, with the noise as it stands: after it was silenced, without any."""
        return self._choose(self.q_values(obs), epsilon, exploration)

    def _choose(self, q: Tensor, epsilon: float | Tensor, exploration: Exploration) -> Tensor:
        """Return the actions that `act` takes where it expects `q` (N, A) of them."""
        greedy = q.argmax(1)
        if not isinstance(epsilon, Tensor) and epsilon == 0.0:
            return greedy
        return exploration(greedy, epsilon, self.actions, self.generator)

    def snapshot(self, seed: int) -> Snapshot:
        """Return a copy that acts on while this network learns, with chance of its own, made of `seed`."""
        generator = torch.Generator(device=self.generator.device).manual_seed(seed)
        return Snapshot(self, generator)


class Snapshot(Policy):
    """Acts by a copy of another policy's network, as that was when the copy was refreshed last.

    So acting and learning can go on at the same time and a run is still the same under the same seed
    (Daley & Amato 2021).
    """

    def __init__(self, source: Policy, generator: torch.Generator) -> None:
        """Copy the network of `source`."""
        network = copy.deepcopy(source.network).requires_grad_(False)
        super().__init__(network, source._config, source.actions, generator)
        self._numbers = list(zip(_numbers(network), _numbers(source.network), strict=True))  # mine and theirs

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the network as it is now."""
        for mine, theirs in self._numbers:
            torch._foreach_copy_(mine, theirs)


def _numbers(network: QNetwork) -> list[list[Tensor]]:
    """Return all weights and buffers of `network`, which change in place alone, in one list for each dtype."""
    found = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
    dtypes = dict.fromkeys(tensor.dtype for tensor in found)
    return [[tensor for tensor in found if tensor.dtype == dtype] for dtype in dtypes]  # one launch copies a list

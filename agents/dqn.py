"""DQN: one agent for the whole value-based family; its variants are settings."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..networks import cast_hidden, resample_noise, silence_noise
from .architecture import build_losses, build_network
from .config import Config
from .exploration import build_exploration
from .losses import behind, choose, munchausen, soft_value
from .optimiser import Optimiser
from .policy import Policy
from .replay import Batch, Departs


def _outline(body: nn.Module) -> str:
    """Return a body's kind and the shapes of its weights, for an error."""
    shapes = ", ".join("x".join(map(str, weight.shape)) for weight in body.parameters() if weight.dim() > 1)
    return f"{type(body).__name__}({shapes})"


class DQN:
    """Q-learning with a target network (Mnih et al. 2015), and all of its variants: they are settings.

    Args:
        config: the settings.
        obs_shape: of one observation.
        actions: how many.
        seed: of the initial weights, the exploration and the noise.
        device: where it computes.
        optimiser: makes what moves the weights of a network by the settings; `accelerator.build_agent` knows the best.

    """

    def __init__(
        self,
        config: Config,
        obs_shape: Sequence[int],
        actions: int,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        optimiser: Callable[[nn.Module, Config], Optimiser] = Optimiser,
    ) -> None:
        """Build both networks, equal at first, and the optimiser."""
        self.config, self.obs_shape, self.actions = config, tuple(obs_shape), actions
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            torch.default_generator.manual_seed(seed)
            self.online = build_network(config, obs_shape, actions).to(self.device)
        if config.precision == "bfloat16":
            cast_hidden(self.online, torch.bfloat16)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self._build_optimiser = optimiser
        self.optimiser = optimiser(self.online, config)
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self.policy = Policy(self.online, config, actions, self.generator)
        self.exploration = build_exploration(config, self.device)
        self._losses = build_losses(config, self.online.head)
        # Of the updates since the last drain: of mean losses, of means of max_a Q, and of ones.
        self._sums = [torch.zeros((), device=self.device) for _ in range(3)]
        self._sizes: dict[int, Tensor] = {}  # each batch's size that was seen, as a scalar on the device

    def q_values(self, obs: Tensor) -> Tensor:
        """Return the expected return of each action, (N, A) float32, in the states `obs` (N, *obs_shape)."""
        return self.policy.q_values(obs)

    def act(self, obs: Tensor, epsilon: float) -> Tensor:
        """Return actions (N,) int64: random ones with probability `epsilon`, else the best in `obs` (N, *obs_shape).

        For the worlds that are learned from: where random actions last, `exploration` remembers what each one is at.
        """
        return self.policy.act(obs, epsilon, self.exploration)

    def act_silently(self, obs: Tensor, epsilon: float) -> Tensor:
        """Return actions as `act` does, with the noise as it stands: after `silence`, without any."""
        return self.policy.act_silently(obs, epsilon)

    @property
    def departs(self) -> Departs | None:
        """Whether the agent would not have done what was done, for `Replay.sample`; None where returns go on anyway.

        Soft Watkins' Q(lambda) (Kapturowski et al. 2022), with an absolute tolerance: what a return of several steps
        tells of its first action is true for this agent only as far as it would go on likewise. It would not where an
        action is held to be further behind the best than `watkins_tolerance`; within that it may be a matter of taste.
        """
        return self._departs if self.config.watkins_tolerance else None

    def _departs(self, obs: Tensor, action: Tensor) -> Tensor:
        """Return whether actions (M,) are none that the agent would take in `obs` (M, *obs_shape), (M,) bool."""
        return choose(behind(self.q_values(obs)), action) > self.config.watkins_tolerance

    def learn(self, batch: Batch) -> Tensor:
        """Take one gradient step on `batch`; return its new priorities (B,): |TD error|, or the cross entropy."""
        self.draw_noise()
        batch, ahead = self.look_ahead(batch)
        priority, *downhill = self.slopes(*batch, ahead)
        self.move(downhill)
        return priority

    def draw_noise(self) -> None:
        """Draw new noise for both networks, if they are noisy, as each update does."""
        if self.config.noisy:
            resample_noise(self.online, self.generator)
            resample_noise(self.target, self.generator)

    @torch.no_grad()
    def look_ahead(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return what the target network has to say of `batch`, for `slopes`.

        The batch with its rewards as they are to be learned from, and what its next observations are worth, (B,) or
        (B, Z); where the online network has a say in that (double Q-learning), the target's outputs for them, (B, A)
        or (B, A, Z). Both are the same until the next copy, if the network is not noisy, so several updates' batches
        may be asked for in one pass.
        """
        batch, outputs = self._target_outputs(batch)
        return batch, outputs if self.config.double else self._value(outputs, self.target.expectation(outputs))

    def _target_outputs(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return the batch with its rewards as they are to be learned from, and the target's outputs after it."""
        if not self.config.gap_increase:
            return batch, self.target.outputs(batch.next_obs)
        # Advantage learning (Bellemare et al. 2016): what an action is behind the best is taken from its reward too.
        here, ahead = self.target.outputs(torch.cat([batch.obs, batch.next_obs])).chunk(2)
        gap = choose(behind(self.target.expectation(here)), batch.action)
        return batch._replace(reward=batch.reward - self.config.gap_increase * gap), ahead

    def slopes(self, *tensors: Tensor) -> list[Tensor]:
        """Return what `move` needs for a gradient step, and change nothing: what can be scripted of an update.

        Args:
            tensors: the fields of a batch, and at last what `look_ahead` says of it.

        Returns:
            The priorities (B,), then what `move` takes: what the drain sums up, and what the optimiser's `gradients`
            returns.

        """
        batch = Batch(*tensors[:-1])
        total, priority, q = self._loss(batch, tensors[-1])
        size = batch.action.shape[0]
        if size not in self._sizes:
            self._sizes[size] = torch.full((), float(size), device=self.device)
        # Sums, not means: each mean is two operations, and a small network's update feels every one.
        return [priority, total.detach(), q, self._sizes[size], *self.optimiser.gradients(total / size)]

    def move(self, found: Sequence[Tensor]) -> None:
        """Take the gradient step that `slopes` found, its priorities left out."""
        loss, q, size, *downhill = found
        self.optimiser.move(downhill)
        torch._foreach_addcdiv_(self._sums, [loss, q, size], [size] * 3)

    def _loss(self, batch: Batch, ahead: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sum of the losses, the priorities (B,), and the sum of max_a Q."""
        outputs = self.online.outputs(batch.obs)
        with torch.no_grad():
            # Double Q-learning (van Hasselt et al. 2016): the online network chooses, the target network values.
            next_value = self._value(ahead, self.online(batch.next_obs)) if self.config.double else ahead
            if self.config.munchausen:
                batch = batch._replace(reward=batch.reward + self._munchausen(outputs, batch.action))
        losses, priority = self._losses(choose(outputs, batch.action), next_value, batch.reward, batch.discount)
        with torch.no_grad():
            q = self.online.expectation(outputs).amax(1).sum()
        return (batch.weight * losses).sum(), priority, q

    def _value(self, outputs: Tensor, q: Tensor) -> Tensor:
        """Return what states are worth, (B,) or (B, Z), by `outputs` (B, A[, Z]) if one acts by `q` (B, A)."""
        if self.config.munchausen:
            return soft_value(outputs, q, self.config.temperature)
        return choose(outputs, q.argmax(1))

    def _munchausen(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Return what the policy's own opinion of `action` adds to the rewards, (B,)."""
        # The online network's policy, where the paper takes the target's: its outputs are there already, and another
        # forward pass would make an update a quarter longer (so does the code of Clark et al. 2024).
        config = self.config
        q = self.online.expectation(outputs)
        return munchausen(q, action, config.temperature, config.munchausen, config.log_policy_floor)

    def copy_to_target(self) -> None:
        """Make the target network equal to the online network, noise included."""
        self.target.load_state_dict(self.online.state_dict())

    def take_body(self, body: nn.Module) -> None:
        """Start both networks from the weights of `body`, such as a classifier's, before anything was learned.

        Raises ValueError if it is not a body of the same shape.
        """
        mine, theirs = self.online.body.state_dict(), body.state_dict()
        shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in (mine, theirs)]
        if type(body) is not type(self.online.body) or shapes[0] != shapes[1]:
            raise ValueError(f"the agent's body is {_outline(self.online.body)}, which {_outline(body)} cannot start")
        self.online.body.load_state_dict(theirs)
        # The old one's float32 masters were copies of the old weights.
        self.optimiser = self._build_optimiser(self.online, self.config)
        self.copy_to_target()

    def drain(self) -> tuple[float, float] | None:
        """Return the means of loss and of max_a Q since the last call, or None: waits for the device."""
        loss, q, updates = torch.stack(self._sums).tolist()
        if not updates:
            return None
        torch._foreach_zero_(self._sums)
        return loss / updates, q / updates

    def silence(self) -> None:
        """Take the noise out of the online network: how it is evaluated and watched."""
        silence_noise(self.online)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return everything that the agent is, in three parts, for a checkpoint: weights, target, optimiser."""
        return {
            "weights": dict(self.online.state_dict()),
            "target": dict(self.target.state_dict()),
            "optimiser": {
                **self.optimiser.state(),
                "generator": self.generator.get_state(),
                **{f"exploration.{name}": value for name, value in self.exploration.state().items()},
            },
        }

    def load(self, parts: dict[str, dict[str, Tensor]]) -> None:
        """Take over what `state` returned, from an agent of the same settings."""
        self.online.load_state_dict(parts["weights"])
        self.target.load_state_dict(parts["target"])
        optimiser = dict(parts["optimiser"])
        self.generator.set_state(optimiser.pop("generator"))
        self.exploration.load({name: optimiser.pop(f"exploration.{name}") for name in self.exploration.state()})
        self.optimiser.load(optimiser)

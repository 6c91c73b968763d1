"""Replay: a ring of steps, from which transitions are drawn: frames stacked, n-step returns looked up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .frame_ring import FrameRing, ObservePairs, observe_pairs
from .ledger import Ledger, Transitions
from .priorities import Priorities

Departs = Callable[[Tensor, Tensor], Tensor]
"""Whether an agent would not have done what was done: (M,) bool of observations (M, *obs_shape) and actions (M,)."""


class Batch(NamedTuple):
    """B transitions as the learner sees them, all on one device."""

    obs: Tensor  # (B, *obs_shape) uint8 or float32
    action: Tensor  # (B,) int64
    reward: Tensor  # (B,) float32, the n-step sum of discounted rewards
    discount: Tensor  # (B,) float32, gamma^k for the k rewards summed, or 0 at a terminal
    next_obs: Tensor  # (B, *obs_shape), k steps later
    weight: Tensor  # (B,) float32, importance weights, the largest is 1
    index: Tensor  # type: ignore[assignment]  # (B,) int64, for `Replay.update`

    def split(self, size: int) -> list[Batch]:
        """Return the batches of `size` that stand in it one after the other, as views."""
        return [Batch(*parts) for parts in zip(*(torch.split(field, size) for field in self), strict=True)]


class Lens(Protocol):
    """How what happened in B transitions is seen."""

    def obs(self, obs: Tensor, /) -> Tensor:
        """Return observations, (B, ..., *obs_shape)."""

    def reward(self, reward: Tensor, /) -> Tensor:
        """Return the rewards of single steps, (B, n)."""


class AsItWas:
    """A lens that changes nothing."""

    def obs(self, obs: Tensor) -> Tensor:
        """Return `obs`."""
        return obs

    def reward(self, reward: Tensor) -> Tensor:
        """Return `reward`."""
        return reward


AS_IT_WAS = AsItWas()


class Replay:
    """The last `capacity` agent steps of `num_envs` worlds, one frame a step, (T, N, *frame).

    It expects worlds that reset on the step after an episode's end (gymnasium's NEXT_STEP): the final observation
    is then simply the next row, from which a truncated episode bootstraps, and that row never starts a transition.
    A row starts a transition as soon as its n-step window is whole or its episode has ended, never before.

    Args:
        capacity: agent steps kept, over all worlds; rounded down to whole rows of `num_envs`.
        num_envs: worlds, N.
        obs_shape: one observation's shape; with `stack` > 1 its first axis is the stack.
        obs_dtype: what the frames are kept in, torch.uint8 for pictures.
        stack: frames an observation stacks, newest last; the older ones are zeros at an episode's start.
        n_step: rewards summed in a transition (fewer at an episode's end).
        discount: gamma, per agent step.
        priority_exponent: alpha of Schaul et al. 2016; 0 samples uniformly.
        seed: of the sampling.
        device: where frames and batches live.
        pinned: keep the frames in the host's locked memory instead, see `FrameRing`.
        ring: what keeps the frames; on a CPU NumPy may write them.
        observe: what makes the observations of transitions; on a GPU a kernel may, and then they come normalised.
        ledger: what keeps all but the frames; on a GPU a kernel may.
        priorities: what draws the slots; on a GPU its kernels may.

    Attributes:
        ledger: what it knows of each step beside its frame.

    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        obs_shape: Sequence[int],
        *,
        obs_dtype: torch.dtype = torch.uint8,
        stack: int = 1,
        n_step: int = 1,
        discount: float = 0.99,
        priority_exponent: float = 0.0,
        seed: int = 0,
        device: torch.device | str = "cpu",
        pinned: bool = False,
        ring: type[FrameRing] = FrameRing,
        observe: ObservePairs = observe_pairs,
        ledger: type[Ledger] = Ledger,
        priorities: type[Priorities] = Priorities,
    ) -> None:
        """Reserve the ring (the system hands out its memory only as it fills)."""
        rows = capacity // num_envs
        if rows < n_step + stack + 1:
            raise ValueError(
                f"a replay of {capacity} steps over {num_envs} worlds has {rows} rows, but {n_step}-step returns on "
                f"stacks of {stack} need at least {n_step + stack + 1}: use {(n_step + stack + 1) * num_envs} or more"
            )
        self.rows, self.num_envs = rows, num_envs
        self.obs_shape = tuple(obs_shape)
        self.stack, self.n_step, self.discount = stack, n_step, discount
        self.priority_exponent = priority_exponent
        self.device = torch.device(device)
        self.obs_dtype = obs_dtype
        self._ring = ring(rows, num_envs, obs_shape, dtype=obs_dtype, stack=stack, device=self.device, pinned=pinned)
        self._observe = observe
        self._ahead = torch.arange(n_step, device=self.device) * num_envs  # slots from a window's first step
        self._powers = discount ** torch.arange(n_step + 1, device=self.device)
        self.ledger = ledger(
            rows,
            num_envs,
            stack=stack,
            n_step=n_step,
            discount=discount,
            priority_exponent=priority_exponent,
            device=self.device,
            priorities=priorities,
        )
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self._unbroken = 0  # rows written since the first or since episodes were closed, of this process

    @property
    def added(self) -> int:
        """How many rows were ever written."""
        return self.ledger.added

    def __len__(self) -> int:
        """Return how many agent steps are kept."""
        return min(self.added, self.rows) * self.num_envs

    @property
    def startable(self) -> Tensor:
        """Which slots a sample may start from, (rows, N) bool."""
        return self.ledger.priorities.leaves.view(self.rows, self.num_envs) > 0

    def ready(self) -> bool:
        """Return whether there is anything to sample."""
        # A world has no two final frames in a row, so of two rows with a whole window one starts a transition: after
        # n + 2 rows, which even the smallest ring holds, the device need not be asked, nor waited for.
        if self._unbroken >= self.n_step + 2:
            return True
        return bool(self.ledger.priorities.total > 0)

    def add(
        self, obs: Tensor, action: Tensor, reward: Tensor, terminated: Tensor, truncated: Tensor, life_lost: Tensor
    ) -> None:
        """Write one row: what each of the N worlds showed, what was done there, and what came of it.

        Args:
            obs: (N, *obs_shape), before the action.
            action: (N,); ignored on a final frame, where the world reset instead of acting.
            reward: (N,) float32, as it is to be learned from.
            terminated: (N,) bool, the episode ended: no bootstrap, and the next row is its final frame.
            truncated: (N,) bool, the episode was cut: bootstrap from the next row, its final frame.
            life_lost: (N,) bool, no bootstrap although the episode goes on.

        """
        self._ring.write(self.added % self.rows, obs)
        self.ledger.add(action, reward, terminated, truncated, life_lost)
        self._unbroken += 1

    def sample(
        self,
        size: int,
        importance_exponent: float | Tensor = 0.0,
        count: int = 1,
        departs: Departs | None = None,
    ) -> Batch:
        """Return `size` transitions drawn by priority, with replacement; or `count` such batches, one after the other.

        Args:
            size: B.
            importance_exponent: beta of Schaul et al. 2016; 0 leaves all weights at 1. A scalar on the device may
                change while the sampling is a captured graph.
            count: of batches. Each alone is stratified as a single one would be, and its weights are too.
            departs: where a return ends before its n steps are through: at the first action, after the transition's
                own, which it holds to be none of the agent's (soft Watkins, see `DQN.departs`). None goes on.

        """
        total = size * count
        index = self.ledger.priorities.sample(total, self.generator)
        if count > 1:
            index = index.view(size, count).t().reshape(total)  # all of the strata to each of the batches
        # A return of one step has no later action to ask about.
        obs, transitions, next_obs = self._tell(index, departs if self.n_step > 1 else None)
        return Batch(
            obs=obs,
            action=transitions.action,
            reward=transitions.reward,
            discount=transitions.discount,
            next_obs=next_obs,
            weight=self._weight(index, importance_exponent, size),
            index=index,
        )

    def _tell(self, index: Tensor, departs: Departs | None) -> tuple[Tensor, Transitions, Tensor]:
        """Return the transitions that start in the slots `index` (B,), between what is seen first and last."""
        if departs is None:
            transitions = self.ledger.at(index)
            obs, next_obs = self._observe(self._ring, self.ledger.age, index, transitions.end)
            return obs, transitions, next_obs
        return self._retell(index, departs)

    def _retell(self, index: Tensor, departs: Departs | None) -> tuple[Tensor, Transitions, Tensor]:
        """Return the same, step by step: returns are summed anew, as they are seen now and as far as they go now."""
        ledger, ring, age = self.ledger, self._ring, self.ledger.age
        action, _, discount, end = ledger.at(index)
        slots = (index[:, None] + self._ahead) % ring.slots  # (B, n), of all steps that a window may have
        length = (end - index) % ring.slots // self.num_envs
        inner = slots[:, 1:] if departs is not None else slots[:, :0]
        obs, then = self._observe(ring, age, index, inner.reshape(-1))
        lens = self._lens(obs)
        steps = length
        if departs is not None:
            then = lens.obs(then.view(*inner.shape, *self.obs_shape)).flatten(0, 1)
            stays = ~departs(then, ledger.action.view(-1)[inner.reshape(-1)]).view(inner.shape)
            steps = torch.minimum(length, 1 + stays.int().cumprod(1).sum(1))
            # A terminal's discount is 0, and nothing else in a window's is.
            discount = torch.where(steps < length, self._powers[steps], discount)
            end = (index + steps * self.num_envs) % ring.slots
        inside = self._ahead < (steps * self.num_envs)[:, None]
        reward = (lens.reward(ledger.reward.view(-1)[slots]) * self._powers[:-1] * inside).sum(1)
        next_obs, _ = self._observe(ring, age, end, end[:0])
        return lens.obs(obs), Transitions(action, reward, discount, end), lens.obs(next_obs)

    def _lens(self, obs: Tensor) -> Lens:
        """Return how transitions that start from `obs` (B, *obs_shape) are seen: as they were."""
        return AS_IT_WAS

    def _weight(self, index: Tensor, importance_exponent: float | Tensor, size: int) -> Tensor:
        """Return the importance weights of slots in batches of `size`: (N p)^-beta over its largest in the batch."""
        if self.priority_exponent == 0.0:
            return torch.ones_like(index, dtype=torch.float32)
        priority = self.ledger.priorities.weight(index).view(-1, size)
        return ((priority / priority.amin(1, keepdim=True)) ** -importance_exponent).view(-1)

    def update(self, index: Tensor, priority: Tensor) -> None:
        """Give the sampled slots `index` (B,) their new priorities |TD error| (B,), before the exponent.

        What is no finite number counts as the largest priority: a learner that diverges does not take the replay along.
        """
        if self.priority_exponent == 0.0:
            return
        self.ledger.update(index, priority)

    def close_episodes(self, obs: Tensor) -> None:
        """Book all running episodes as truncated, `obs` (N, *obs_shape) their end, for worlds that start afresh."""
        if self.added == 0:
            return
        self._ring.write(self.added % self.rows, obs)
        self.ledger.close_episodes()
        self._unbroken = 0

    def frames(self, first: int, last: int) -> Tensor:
        """Return the frames of the rows `first` to `last` (counted from the first ever added), (rows, N * frame)."""
        return self._ring.read(first, last)

    def load_frames(self, first: int, frames: Tensor) -> None:
        """Put frames back as rows from `first` on: raw bytes, uint8 (rows, bytes of a row)."""
        self._ring.load(first, frames)

    def state(self) -> dict[str, Tensor]:
        """Return all but the frames, as tensors, for a checkpoint."""
        return {**self.ledger.state(), "generator": self.generator.get_state()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned, from a replay of the same shape; the frames come by `load_frames`."""
        self.ledger.load(state)
        self.generator.set_state(state["generator"])
        self._unbroken = 0

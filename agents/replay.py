"""Replay: a ring of steps, from which transitions are drawn: frames stacked, n-step returns looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .frame_ring import FrameRing, Observe
from .n_step import NStep
from .priorities import Priorities

MAX_AGE = 255
COLUMNS = ("action", "reward", "terminal", "cut", "done", "age", "live")  # what a row holds beside its frame


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
        observe: what makes the observations of a batch; on a GPU a kernel may, and then they come normalised.
        priorities: what draws the slots; on a GPU its kernels may.

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
        observe: Observe = FrameRing.observe,
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
        self._ring = FrameRing(
            rows, num_envs, obs_shape, dtype=obs_dtype, stack=stack, device=self.device, pinned=pinned
        )
        self._observe = observe
        self._action = torch.zeros(rows, num_envs, dtype=torch.int64, device=device)
        self._reward = torch.zeros(rows, num_envs, device=device)
        self._terminal = torch.zeros(rows, num_envs, dtype=torch.bool, device=device)  # nothing follows: discount 0
        self._cut = torch.zeros(rows, num_envs, dtype=torch.bool, device=device)  # a return's window ends here
        self._done = torch.zeros(rows, num_envs, dtype=torch.bool, device=device)  # the next row is a final frame
        self._age = torch.zeros(rows, num_envs, dtype=torch.uint8, device=device)  # frames of the episode before it
        self._live = torch.zeros(rows, num_envs, dtype=torch.bool, device=device)  # an action was taken here
        self._following = NStep(rows, num_envs, length=n_step, discount=discount, device=self.device)
        self._priorities = priorities(rows * num_envs, device)
        self._max_priority = torch.ones((), device=device)
        self._nothing = torch.zeros(num_envs, device=device)
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self.added = 0  # rows ever written
        self._unbroken = 0  # rows written since the first or since episodes were closed, of this process

    def __len__(self) -> int:
        """Return how many agent steps are kept."""
        return min(self.added, self.rows) * self.num_envs

    @property
    def startable(self) -> Tensor:
        """Which slots a sample may start from, (rows, N) bool."""
        return self._priorities.leaves.view(self.rows, self.num_envs) > 0

    def ready(self) -> bool:
        """Return whether there is anything to sample."""
        # A world has no two final frames in a row, so of two rows with a whole window one starts a transition: after
        # n + 2 rows, which even the smallest ring holds, the device need not be asked, nor waited for.
        if self._unbroken >= self.n_step + 2:
            return True
        return bool(self._priorities.total > 0)

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
        row = self.added % self.rows
        last = (row - 1) % self.rows
        self._ring.write(row, obs)
        self._action[row] = action
        self._reward[row] = reward
        done = terminated | truncated
        self._terminal[row] = terminated | life_lost
        self._cut[row] = done | life_lost
        if self.added == 0:
            self._live[row] = True
            self._done[row] = done
        else:
            final = self._done[last]  # this row shows the last episode's end
            begins = ~self._live[last]  # the row after a final frame is an episode's first
            self._live[row] = ~final
            self._done[row] = done & ~final
            self._age[row] = torch.where(begins, 0, (self._age[last].int() + 1).clamp(max=MAX_AGE)).to(torch.uint8)
        if self.added >= self.rows:
            # What is written over starts nothing now, nor do the rows whose older frames went with it.
            for gone in range(row, row + self.stack):
                self._priorities.fill((gone % self.rows) * self.num_envs, self._nothing)
        self.added += 1
        self._unbroken += 1
        self._release(row)

    def _release(self, row: int) -> None:
        """Let the rows whose window ends with `row` as their next observation start transitions from now on."""
        ended = self._cut[(row - 1) % self.rows]
        whole = torch.ones_like(ended)
        fresh = self._max_priority**self.priority_exponent
        following = self._following.end
        for k in range(1, min(self.n_step, self.added - 1, self.rows - self.stack) + 1):
            start = (row - k) % self.rows
            # Where the window is not whole yet, a later release writes it again.
            following = self._following.write(
                start, self._reward[start], self._cut[start], self._terminal[start], following
            )
            if k > 1:
                whole = whole & ~self._cut[start]  # windows that were cut earlier were released then
            ready = self._live[start] & whole
            if k < self.n_step:
                ready &= ended
            slots = slice(start * self.num_envs, (start + 1) * self.num_envs)
            self._priorities.fill(slots.start, torch.where(ready, fresh, self._priorities.leaves[slots]))

    def sample(self, size: int, importance_exponent: float | Tensor = 0.0, count: int = 1) -> Batch:
        """Return `size` transitions drawn by priority, with replacement; or `count` such batches, one after the other.

        Args:
            size: B.
            importance_exponent: beta of Schaul et al. 2016; 0 leaves all weights at 1. A scalar on the device may
                change while the sampling is a captured graph.
            count: of batches. Each alone is stratified as a single one would be, and its weights are too.

        """
        total = size * count
        index = self._priorities.sample(total, self.generator)
        if count > 1:
            index = index.view(size, count).t().reshape(total)  # all of the strata to each of the batches
        reward, discount, slots = self._following.at(index)
        following = (index + slots) % (self.rows * self.num_envs)
        # Both sides of all transitions in one go: half as many operations.
        seen = self._observe(self._ring, self._age, torch.cat([index, following]))
        return Batch(
            obs=seen[:total],
            action=self._action.view(-1)[index],
            reward=reward,
            discount=discount,
            next_obs=seen[total:],
            weight=self._weight(index, importance_exponent, size),
            index=index,
        )

    def _weight(self, index: Tensor, importance_exponent: float | Tensor, size: int) -> Tensor:
        """Return the importance weights of slots in batches of `size`: (N p)^-beta over its largest in the batch."""
        if self.priority_exponent == 0.0:
            return torch.ones_like(index, dtype=torch.float32)
        priority = self._priorities.weight(index).view(-1, size)
        return ((priority / priority.amin(1, keepdim=True)) ** -importance_exponent).view(-1)

    def update(self, index: Tensor, priority: Tensor) -> None:
        """Give the sampled slots `index` (B,) their new priorities |TD error| (B,), before the exponent.

        What is no finite number counts as the largest priority: a learner that diverges does not take the replay along.
        """
        if self.priority_exponent == 0.0:
            return
        priority = torch.where(priority.isfinite(), priority + 1e-6, self._max_priority)
        self._max_priority.copy_(torch.maximum(self._max_priority, priority.max()))  # in place: a graph may hold it
        self._priorities.set(index, priority**self.priority_exponent)

    def close_episodes(self, obs: Tensor) -> None:
        """Book all running episodes as truncated, `obs` (N, *obs_shape) their end, for worlds that start afresh."""
        if self.added == 0:
            return
        last = (self.added - 1) % self.rows
        cut = self._live[last] & ~self._done[last]
        self._cut[last] |= cut
        self._done[last] |= cut
        none = torch.zeros_like(cut)
        self.add(obs, torch.zeros_like(self._action[0]), torch.zeros_like(self._reward[0]), none, none, none)
        self._live[(self.added - 1) % self.rows] = False
        self._unbroken = 0

    def frames(self, first: int, last: int) -> Tensor:
        """Return the frames of the rows `first` to `last` (counted from the first ever added), (rows, N * frame)."""
        return self._ring.read(first, last)

    def load_frames(self, first: int, frames: Tensor) -> None:
        """Put frames back as rows from `first` on: raw bytes, uint8 (rows, bytes of a row)."""
        self._ring.load(first, frames)

    def state(self) -> dict[str, Tensor]:
        """Return all but the frames, as tensors, for a checkpoint."""
        used = min(self.added, self.rows)
        return {
            **{name: getattr(self, f"_{name}")[:used] for name in COLUMNS},
            "priorities": self._priorities.leaves[: used * self.num_envs],
            "max_priority": self._max_priority,
            "added": torch.tensor(self.added),
            "generator": self.generator.get_state(),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned, from a replay of the same shape; the frames come by `load_frames`."""
        self.added = int(state["added"])
        self._unbroken = 0
        used = min(self.added, self.rows)
        for name in COLUMNS:
            getattr(self, f"_{name}")[:used] = state[name]
        self._following.find(self._reward, self._cut, self._terminal)
        released = min(max(self.added - 1, 0), self.rows)  # no window ends with the newest row
        self._priorities.load(state["priorities"][: released * self.num_envs])
        self._max_priority.copy_(state["max_priority"])
        self.generator.set_state(state["generator"])

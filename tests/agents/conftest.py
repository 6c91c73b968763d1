from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from rlrun.agents.optimiser import Optimiser


@pytest.fixture
def kept_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what each step finds in the weights' `grad`, as `backward` would, for the test to read."""
    gradients = Optimiser.gradients

    def kept(self: Optimiser, loss: Tensor) -> list[Tensor]:
        found: list[Tensor] = gradients(self, loss)
        for number, gradient in zip(self._moved, found[1:], strict=True):
            self._weights[number].grad = gradient.to(self._weights[number].dtype)
        return found

    monkeypatch.setattr(Optimiser, "gradients", kept)


@pytest.fixture
def life() -> Callable[..., Iterator[tuple[Tensor, ...]]]:
    """Return what tells of rows for a ledger: `life(device, num_envs, seed, often)`."""
    return _life


def _life(device: str, num_envs: int, seed: int = 0, often: float = 0.15) -> Iterator[tuple[Tensor, ...]]:
    """Yield what a ledger is told of random rows, of worlds that end `often` and reset on the step after."""
    source = torch.Generator().manual_seed(seed)
    ended = torch.zeros(num_envs, dtype=torch.bool)
    while True:
        chance = torch.rand(3, num_envs, generator=source) < often
        terminated = chance[0] & ~ended
        truncated = chance[1] & ~ended
        row = (
            torch.randint(18, (num_envs,), generator=source), torch.randn(num_envs, generator=source), terminated,
            truncated, chance[2] & ~ended,
        )  # fmt: skip
        ended = terminated | truncated
        yield tuple(part.to(device) for part in row)

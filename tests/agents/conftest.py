import pytest
from torch import Tensor

from rlrun.agents.optimiser import Optimiser


@pytest.fixture
def kept_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what each step finds in the weights' `grad`, as `backward` would, for the test to read."""
    gradients = Optimiser.gradients

    def kept(self: Optimiser, loss: Tensor) -> list[Tensor]:
        found: list[Tensor] = gradients(self, loss)
        for number, gradient in zip(self._moved, found, strict=True):
            self._weights[number].grad = gradient
        return found

    monkeypatch.setattr(Optimiser, "gradients", kept)

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rlrun.agents import optimiser as optimiser_module
from rlrun.agents.config import Config
from rlrun.agents.optimiser import Optimiser


class Weights(nn.Module):
    """Numbers to move, in one dtype or two."""

    def __init__(self, *values: list[float], dtypes: tuple[torch.dtype, ...] = (torch.float32,)) -> None:
        super().__init__()
        dtypes = dtypes * len(values) if len(dtypes) == 1 else dtypes
        self.parts = nn.ParameterList(torch.tensor(v, dtype=d) for v, d in zip(values, dtypes, strict=True))

    def loss(self, *slopes: list[float]) -> Tensor:
        """Return a loss whose gradient is `slopes`."""
        return sum(
            (
                (part * torch.tensor(slope, dtype=part.dtype)).sum().float()
                for part, slope in zip(self.parts, slopes, strict=True)
            ),
            start=torch.zeros(()),
        )

    def values(self) -> list[list[float]]:
        return [part.tolist() for part in self.parts]


def config(**settings: Any) -> Config:
    return Config(learning_rate=0.1, learning_rate_end=0.1).with_settings(settings)


def step(optimiser: Optimiser, loss: Tensor) -> None:
    """Take one step down the gradient of `loss`."""
    optimiser.move(optimiser.gradients(loss))


def test_adam_takes_the_steps_worked_out_by_hand() -> None:
    weights = Weights([1.0, 2.0, 3.0])
    optimiser = Optimiser(weights, config(optimizer="adam", optimizer_eps=0.5))
    mean, square, expected = np.zeros(3), np.zeros(3), np.array([1.0, 2.0, 3.0])
    for number, slope in enumerate(([4.0, -0.5, 0.0], [1.0, 1.0, -3.0], [0.0, 2.0, 2.0]), start=1):
        gradient = np.array(slope)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        expected -= 0.1 * (mean / (1 - 0.9**number)) / (np.sqrt(square / (1 - 0.999**number)) + 0.5)
        step(optimiser, weights.loss(slope))
        assert weights.values()[0] == pytest.approx(expected.tolist(), abs=1e-5)


def test_rmsprop_is_centred_and_forgets_at_the_rate_of_the_nature_paper() -> None:
    weights = Weights([1.0, 2.0, 3.0])
    optimiser = Optimiser(weights, config(optimizer="rmsprop", optimizer_eps=0.01))
    mean, square, expected = np.zeros(3), np.zeros(3), np.array([1.0, 2.0, 3.0])
    for slope in ([4.0, -0.5, 0.0], [1.0, 1.0, -3.0], [0.0, 2.0, 2.0]):
        gradient = np.array(slope)
        mean = 0.95 * mean + 0.05 * gradient
        square = 0.95 * square + 0.05 * gradient**2
        expected -= 0.1 * gradient / (np.sqrt(square - mean**2) + 0.01)
        step(optimiser, weights.loss(slope))
        assert weights.values()[0] == pytest.approx(expected.tolist(), abs=1e-5)


def gradients_after(max_grad_norm: float, dtypes: tuple[torch.dtype, ...]) -> list[list[float]]:
    """Return the gradients that RMSProp saw on its first step, from how far it moved: lr g / eps for a huge eps."""
    weights = Weights([0.0, 0.0], [0.0], dtypes=dtypes)
    settings = {"optimizer": "rmsprop", "optimizer_eps": 1e6, "learning_rate": 1e6, "max_grad_norm": max_grad_norm}
    step(Optimiser(weights, config(**settings)), weights.loss([3.0, 0.0], [4.0]))
    return [[-value for value in part] for part in weights.values()]


LOW = (torch.bfloat16, torch.float32)


@pytest.fixture(params=[0, optimiser_module.FEW], ids=["many", "few"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the norm found as for many weights and as for few."""
    monkeypatch.setattr(optimiser_module, "FEW", request.param)


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("dtypes", [(torch.float32,), LOW])
def test_gradients_are_clipped_by_their_common_norm(dtypes: tuple[torch.dtype, ...]) -> None:
    large, small = gradients_after(2.5, dtypes)  # the norm is 5
    assert large == pytest.approx([1.5, 0.0], rel=1e-2)
    assert small == pytest.approx([2.0], rel=1e-2)


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("max_grad_norm", [0.0, 5.1])
@pytest.mark.parametrize("dtypes", [(torch.float32,), LOW])
def test_gradients_within_the_norm_or_without_one_stay(max_grad_norm: float, dtypes: tuple[torch.dtype, ...]) -> None:
    large, small = gradients_after(max_grad_norm, dtypes)
    assert large == pytest.approx([3.0, 0.0], rel=1e-2)
    assert small == pytest.approx([4.0], rel=1e-2)


def test_gradients_of_one_step_do_not_pile_up_in_the_next() -> None:
    weights = Weights([0.0], [0.0], dtypes=LOW)
    settings = {"optimizer": "rmsprop", "optimizer_eps": 1e6, "learning_rate": 1e6}
    optimiser = Optimiser(weights, config(**settings))
    for _ in range(3):
        step(optimiser, weights.loss([1.0], [1.0]))
    assert np.concatenate(weights.values()) == pytest.approx([-3.0, -3.0], rel=1e-2)


def test_the_learning_rate_holds_from_the_next_step_on() -> None:
    weights = Weights([0.0])
    optimiser = Optimiser(weights, config(optimizer_eps=1e-8))
    step(optimiser, weights.loss([1.0]))
    assert weights.values()[0] == pytest.approx([-0.1])
    optimiser.set_learning_rate(0.01)
    step(optimiser, weights.loss([1.0]))
    assert weights.values()[0] == pytest.approx([-0.11])


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_updates_below_the_resolution_of_bfloat16_are_not_lost(name: str) -> None:
    weights = Weights([1.0], dtypes=(torch.bfloat16,))
    optimiser = Optimiser(weights, config(optimizer=name, learning_rate=1e-4, optimizer_eps=10.0))
    seen = []
    for _ in range(300):
        step(optimiser, weights.loss([5.0]))  # moves by less than 1e-4; one step of bfloat16 below 1 is 2^-8
        seen.append(weights.values()[0][0])
    assert seen[:20] == [1.0] * 20
    assert seen[-1] < 1.0 - 2**-8
    assert weights.parts[0].dtype == torch.bfloat16


def test_frozen_weights_stay() -> None:
    weights = Weights([1.0], [2.0])
    weights.parts[1].requires_grad_(False)
    step(Optimiser(weights, config()), weights.loss([1.0], [1.0]))
    assert weights.values()[1] == [2.0]
    assert weights.values()[0] != [1.0]


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
@pytest.mark.parametrize("dtypes", [(torch.float32,), LOW])
@pytest.mark.parametrize("steps", [0, 3])
def test_an_optimiser_put_back_together_from_its_state_goes_on_the_same(
    name: str, dtypes: tuple[torch.dtype, ...], steps: int
) -> None:
    source = np.random.default_rng(0)
    values = source.normal(size=5).tolist(), source.normal(size=3).tolist()

    def learn(pairs: list[tuple[Weights, Optimiser]], count: int) -> None:
        for _ in range(count):
            slopes = source.normal(size=5).tolist(), source.normal(size=3).tolist()
            for weights, optimiser in pairs:
                step(optimiser, weights.loss(*slopes))

    pairs = []
    for _ in range(2):
        weights = Weights(*values, dtypes=dtypes)
        pairs.append((weights, Optimiser(weights, config(optimizer=name, max_grad_norm=1.0, learning_rate=0.01))))
    learn(pairs[:1], steps)
    learn(pairs[1:], 2 if steps else 0)  # what it did before must not matter
    pairs[1][0].load_state_dict(pairs[0][0].state_dict())
    state = pairs[0][1].state()
    assert all(isinstance(tensor, Tensor) for tensor in state.values())
    pairs[1][1].load(state)
    for _ in range(5):
        learn(pairs, 1)
        assert pairs[0][0].values() == pairs[1][0].values()
        for key, tensor in pairs[0][1].state().items():
            assert torch.equal(tensor, pairs[1][1].state()[key]), key
    assert pairs[0][0].values() != list(values)


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_state_from_a_file_that_knows_no_memory_order_fits_weights_with_the_channels_last(
    name: str, dtype: torch.dtype
) -> None:
    source = torch.Generator().manual_seed(0)
    slopes = [torch.randn(3, 2, 4, 4, generator=source) for _ in range(8)]
    begin = torch.randn(3, 2, 4, 4, generator=source).to(dtype)

    def build() -> tuple[nn.Module, Optimiser]:
        conv = nn.Conv2d(2, 3, 4, bias=False, dtype=dtype)
        conv.weight.data = begin.clone().contiguous(memory_format=torch.channels_last)
        return conv, Optimiser(conv, config(optimizer=name, learning_rate=0.01))

    def learn(conv: nn.Module, optimiser: Optimiser, slope: Tensor) -> None:
        step(optimiser, (conv.get_parameter("weight").float() * slope).sum())

    (conv, optimiser), (other, restored) = build(), build()
    for slope in slopes[:4]:
        learn(conv, optimiser, slope)
    other.load_state_dict(conv.state_dict())
    restored.load({key: tensor.contiguous().clone() for key, tensor in optimiser.state().items()})
    for slope in slopes[4:]:
        learn(conv, optimiser, slope)
        learn(other, restored, slope)
        assert torch.equal(conv.get_parameter("weight"), other.get_parameter("weight"))


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_how_weights_lie_in_memory_makes_no_difference(name: str, dtype: torch.dtype) -> None:
    begin, *slopes = torch.randn(7, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    weights = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        conv = nn.Conv2d(2, 3, 4, bias=False, dtype=dtype)
        conv.weight.data = begin.to(dtype).clone(memory_format=memory_format)
        optimiser = Optimiser(conv, config(optimizer=name, learning_rate=0.01))
        for slope in slopes:
            step(optimiser, (conv.weight.float() * slope).sum())
        weights.append(conv.weight)
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], begin.to(dtype))

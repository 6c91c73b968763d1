from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlrun.agents.config import Config
from rlrun.agents.optimiser import Optimiser

SHAPES = [(2, 3, 4, 4), (1,), (1024,), (17, 61), (3, 1024), (6, 512), (5,)]  # whole blocks, ragged ones, single numbers
KINDS = {"float32": (torch.float32,), "mixed": (torch.bfloat16, torch.float32), "bfloat16": (torch.bfloat16,)}


class Weights(nn.Module):
    """Random tensors of all shapes, in turns of the dtypes, with the channels last where there are any."""

    def __init__(self, device: str, dtypes: tuple[torch.dtype, ...], shapes: list[tuple[int, ...]] = SHAPES) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(0)
        self.parts = nn.ParameterList()
        for i, shape in enumerate(shapes):
            part = torch.randn(shape, generator=source).to(device, dtypes[i % len(dtypes)])
            laid = part.contiguous(memory_format=torch.channels_last) if part.dim() == 4 else part
            self.parts.append(nn.Parameter(laid))


def pair(device: str, dtypes: tuple[torch.dtype, ...], **settings: Any) -> list[tuple[Weights, Optimiser]]:
    """Return the kernel's optimiser and its twin, each with the same weights of its own."""
    from rlrun.agents.kernels.adam import FusedAdam

    config = Config(learning_rate=0.01, learning_rate_end=0.01).with_settings(settings)
    both = Weights(device, dtypes), Weights(device, dtypes)
    return [(both[0], FusedAdam(both[0], config)), (both[1], Optimiser(both[1], config))]


def slopes(weights: Weights, seed: int, scale: float = 1.0) -> list[Tensor]:
    """Return random gradients of many magnitudes, none of them in the memory order of the channels last."""
    source = torch.Generator().manual_seed(seed)
    shapes = [(part.shape, part) for part in weights.parts]
    return [
        (scale * torch.randn(shape, generator=source) * 10 ** torch.randn(shape, generator=source)).to(part)
        for shape, part in shapes
    ]


def step(weights: Weights, optimiser: Optimiser, wanted: list[Tensor | None]) -> None:
    """Take a step down the gradients `wanted`; a weight without one is not part of the loss."""
    pairs = [(part, slope) for part, slope in zip(weights.parts, wanted, strict=True) if slope is not None]
    optimiser.move(optimiser.gradients(torch.stack([(part * slope).sum().float() for part, slope in pairs]).sum()))


def assert_equal(both: list[tuple[Weights, Optimiser]]) -> None:
    """Compare all that the two remember, and the weights: within the rounding of the numbers that they are sums of."""
    mine, theirs = (optimiser.state() for _, optimiser in both)
    assert mine.keys() == theirs.keys()
    for name, expected in theirs.items():
        near = 2e-6 * float(expected.abs().max())
        torch.testing.assert_close(mine[name], expected, rtol=2e-5, atol=near, msg=name)
    for part, expected in zip(both[0][0].parts, both[1][0].parts, strict=True):
        coarse = part.dtype == torch.bfloat16
        torch.testing.assert_close(part, expected, rtol=2**-7 if coarse else 2e-5, atol=1e-5)
        assert part.stride() == expected.stride()


@pytest.mark.parametrize("dtypes", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("max_grad_norm", [0.0, 2.5, 1e9])
def test_the_kernel_takes_the_steps_of_its_twin(
    device: str, dtypes: tuple[torch.dtype, ...], max_grad_norm: float
) -> None:
    both = pair(device, dtypes, max_grad_norm=max_grad_norm)
    for number in range(4):
        for weights, optimiser in both:
            step(weights, optimiser, [*slopes(weights, number)])
        assert_equal(both)
    assert both[0][1].state()["moment.0.step"] == 4


def test_the_weights_that_compute_are_the_masters_rounded(device: str) -> None:
    weights, optimiser = pair(device, KINDS["bfloat16"])[0]
    step(weights, optimiser, [*slopes(weights, 0)])
    for i, part in enumerate(weights.parts):
        master = optimiser.state()[f"master.{i}"]
        if device == "cpu":  # Triton's interpreter cuts the lower bits off; a GPU rounds to the nearest
            master = (master.view(torch.int32) & -(1 << 16)).view(torch.float32)
        assert torch.equal(part, master.to(torch.bfloat16))


def test_a_late_step_and_a_tiny_epsilon_make_no_difference(device: str) -> None:
    both = pair(device, KINDS["mixed"], optimizer_eps=1e-8)
    for late in (9.0, 999.0, 3e6):
        for weights, optimiser in both:
            optimiser._step.fill_(late)
            step(weights, optimiser, [*slopes(weights, int(late))])
        assert_equal(both)


def test_weights_without_a_gradient_stay_and_those_with_one_do_not(device: str) -> None:
    both = pair(device, KINDS["mixed"])
    before = [part.detach().clone() for part in both[0][0].parts]
    for weights, optimiser in both:
        step(weights, optimiser, [None if i in (0, 3) else slope for i, slope in enumerate(slopes(weights, 1))])
    assert_equal(both)
    stayed = [torch.equal(was, part) for was, part in zip(before, both[0][0].parts, strict=True)]
    assert stayed == [i in (0, 3) for i in range(len(SHAPES))]


def test_nothing_is_written_behind_a_weight(device: str) -> None:
    weights, optimiser = pair(device, KINDS["float32"])[0]
    longer = torch.full((1_100,), 7.0, device=device)
    weights.parts[2].data = optimiser._masters[2] = longer[:1_050]
    optimiser._moments = {name: [torch.zeros_like(m) for m in optimiser._masters] for name in optimiser._moments}
    step(weights, optimiser, [*slopes(weights, 0)])
    assert bool((longer[1_050:] == 7.0).all())
    assert bool((longer[:1_050] != 7.0).all())


def test_more_weights_than_one_launch_takes_are_all_moved(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from rlrun.agents.kernels import adam

    monkeypatch.setattr(adam, "TENSORS", 3)
    both = pair(device, KINDS["float32"])
    for weights, optimiser in both:
        step(weights, optimiser, [*slopes(weights, 1)])
    assert_equal(both)


def test_the_learning_rate_is_a_number_or_a_scalar_on_the_device_that_may_change(device: str) -> None:
    both = pair(device, KINDS["mixed"])
    rate = torch.full((), 0.5, device=device)
    turns: list[list[float | Tensor]] = [[0.1, 0.1], [rate, 0.5], [rate, 0.5], [0.2, 0.2]]
    for number, rates in enumerate(turns):
        for (weights, optimiser), given in zip(both, rates, strict=True):
            optimiser.set_learning_rate(given)
            step(weights, optimiser, [*slopes(weights, number)])
        assert_equal(both)
    assert float(rate) == 0.5  # a number afterwards is not written into somebody else's scalar


def test_either_goes_on_from_the_state_of_the_other(device: str) -> None:
    kernel, twin = pair(device, KINDS["mixed"])
    for number in range(2):
        step(*twin, [*slopes(twin[0], number)])
    kernel[0].load_state_dict(twin[0].state_dict())
    kernel[1].load({name: tensor.contiguous().clone() for name, tensor in twin[1].state().items()})
    for each in (kernel, twin):
        step(*each, [*slopes(each[0], 3)])
    assert_equal([kernel, twin])

"""The linear layer on hat functions: what it shortens changes nothing but the last digits."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rlrun.networks import HatFunctions, HatLinear

KNOTS = (0.0, 0.12, 0.5, 1.0, 1.26)


def plainly(layer: HatLinear, x: Tensor) -> Tensor:
    return F.linear(HatFunctions(KNOTS).to(x.dtype)(x), layer.weight, layer.bias)


def numbers(rows: int, usual: float, seed: int = 0) -> Tensor:
    """Return numbers (rows, 9) of which a share is the same in all rows; some lie on knots, some beyond all."""
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 9, generator=source)
    x[torch.rand(rows, 9, generator=source) < 0.2] = 0.5
    return torch.where(torch.rand(rows, 9, generator=source) < usual, torch.linspace(0, 1.3, 9), x)


@pytest.mark.parametrize("usual", [0.0, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("rows", [1, 2, 3, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_and_slopes_are_those_of_the_matrices_product(rows: int, usual: float, dtype: torch.dtype) -> None:
    layer = HatLinear(9, 7, KNOTS).to(dtype)
    x, slope = numbers(rows, usual).to(dtype), torch.randn(rows, 7, dtype=dtype)
    y, expected = layer(x), plainly(layer, x)
    torch.testing.assert_close(y, expected)
    found = torch.autograd.grad(y, layer.parameters(), slope)
    wanted = torch.autograd.grad(expected, layer.parameters(), slope)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_slope_of_a_number_is_that_of_the_matrices_product() -> None:
    layer, x = HatLinear(9, 7, KNOTS), numbers(5, 0.5).requires_grad_()
    (found,), (wanted,) = (torch.autograd.grad(y.square().sum(), x) for y in (layer(x), plainly(layer, x)))
    torch.testing.assert_close(found, wanted)


def test_rows_with_gaps_between_them_are_seen_as_they_are() -> None:
    layer, x = HatLinear(9, 7, KNOTS), numbers(40, 0.9)
    assert torch.equal(layer(x[::2]), layer(x[::2].clone()))


def test_what_is_no_number_is_told() -> None:
    layer, x = HatLinear(9, 7, KNOTS), numbers(40, 0.9)
    x[3, 4] = torch.nan
    wrong = layer(x).isnan().any(1).nonzero()
    assert wrong.tolist() == [[3]]


def test_a_copy_and_what_is_saved_say_the_same() -> None:
    layer, x = HatLinear(9, 7, KNOTS), numbers(20, 0.9)
    other = HatLinear(9, 7, (0.0, 1.0, 2.0, 3.0, 4.0))
    other.load_state_dict({name: value.contiguous() for name, value in layer.state_dict().items()})
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    assert torch.equal(other(x), layer(x))


def test_no_rows_come_to_no_rows() -> None:
    layer = HatLinear(9, 7, KNOTS)
    y = layer(torch.empty(0, 9))
    assert y.shape == (0, 7)
    assert not any(grad.any() for grad in torch.autograd.grad(y.sum(), layer.parameters()))


def test_another_count_of_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="a layer on 9 numbers was given 8"):
        HatLinear(9, 7, KNOTS)(torch.rand(4, 8))

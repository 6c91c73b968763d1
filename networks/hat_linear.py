"""The linear layer on hat functions, which on a CPU never writes them down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..native import native
from .hats import HatFunctions

Reals = NDArray[Any]  # of one dtype
Wholes = NDArray[np.int64]

VOTES = 32
"""Rows that are asked what is usual: in Waterworld they find nearly all of it, and three rows but a half."""

FEW = 0.4
"""The share of others up to which this is the faster way: on one core, for outputs up to .6, for slopes up to .45."""


class HatLinear(nn.Linear):
    """A linear layer that sees each of D numbers as HatFunctions of K knots: (B, D) -> (B, out_features).

    `weight` is (out_features, D * K), a number's K hats side by side. At most two of them are not 0, and many a number
    is the same in most of a batch, such as what an eye says that sees nothing. So on a CPU what all usual numbers come
    to is summed up once, and for each row only what its others differ by: a third of the time of the matrices' product,
    for Waterworld's observations. There the weight lies in memory with its hats one after the other.

    Args:
        in_features: D.
        out_features: neurons.
        knots: as HatFunctions takes them.

    """

    def __init__(self, in_features: int, out_features: int, knots: Sequence[float]) -> None:
        """Start with the weights that a linear layer of D * K inputs starts with."""
        super().__init__(in_features * len(knots), out_features)
        self.hats = HatFunctions(knots)
        self.weight.data = self.weight.data.t().contiguous().t()

    def forward(self, x: Tensor) -> Tensor:
        """Return W hats(x) + b."""
        if self.hats.fits_loop(x) and x.dtype == self.weight.dtype:
            hats = self.hats
            y: Tensor = _Product.apply(x, self.weight, self.bias, hats.knots, hats.rise, hats.fall)  # type: ignore[no-untyped-call]
            return y
        return F.linear(self.hats(x), self.weight, self.bias)


class _Product(torch.autograd.Function):
    """W hats(x) + b, where x has no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, knots: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
        ctx.save_for_backward(x, knots, rise, fall)
        y: Tensor = torch.ops.rlrun.hat_product(x, weight, bias, knots, rise, fall)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return None, torch.ops.rlrun.hat_slope(slope, *ctx.saved_tensors), slope.sum(0), None, None, None


def _hat_product(x: Tensor, weight: Tensor, bias: Tensor, knots: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """Return W hats(x) + b, (B, O)."""
    if x.shape[1] * len(knots) != weight.shape[1]:
        raise ValueError(f"a layer on {weight.shape[1] // len(knots)} numbers was given {x.shape[1]}")
    x = x.contiguous()
    usual = _found_usual(x)
    if usual is None:
        return F.linear(torch.ops.rlrun.hats(x, knots, rise, fall), weight, bias)
    y = torch.zeros(len(x), len(bias), dtype=x.dtype)
    hats = weight.t().contiguous().numpy()
    _multiply(x.numpy(), usual, knots.numpy(), fall.numpy(), hats, bias.contiguous().numpy(), y.numpy())
    return y


def _hat_slope(slope: Tensor, x: Tensor, knots: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """Return the slope of W, (O, D * K), given that of W hats(x) + b, (B, O)."""
    x = x.contiguous()
    usual = _found_usual(x)
    if usual is None:
        product: Tensor = torch.ops.rlrun.hats(x, knots, rise, fall).t().mm(slope)
        return product.t()
    found = torch.zeros(x.shape[1] * len(knots), slope.shape[1], dtype=x.dtype)
    _gather(x.numpy(), usual, knots.numpy(), fall.numpy(), slope.contiguous().numpy(), found.numpy())
    return found.t()


def _found_usual(x: Tensor) -> Reals | None:
    """Return what each of the numbers of `x` (B, D) usually is; None where few enough are so."""
    if not len(x):
        return None
    usual, others = _usual(x.numpy())
    return None if others > FEW * x.numel() else usual


@native
def _usual(x: Reals) -> tuple[Reals, int]:
    """Return what each of D numbers is in most of some rows of (B, D), and how many numbers are others in all rows."""
    rows, numbers = x.shape
    usual, lead = x[0].copy(), np.zeros(numbers, np.int64)
    # The vote of Boyer and Moore (1991): others take away the lead of the one that they are to replace.
    for row in range(0, rows, max(rows // VOTES, 1)):
        for number in range(numbers):
            usual[number] = x[row, number] if lead[number] == 0 else usual[number]
            lead[number] += 1 if x[row, number] == usual[number] else -1
    others = 0
    for row in range(rows):
        for number in range(numbers):
            others += x[row, number] != usual[number]
    return usual, others


@native
def _multiply(x: Reals, usual: Reals, knots: Reals, fall: Reals, hats: Reals, bias: Reals, y: Reals) -> None:
    """Add to `y` (B, O) the sum of the `hats`, (D * K, O), under which the numbers `x` (B, D) stand, and the bias."""
    one, count = x.dtype.type(1), len(knots)
    base, usually, row, left, share = bias.copy(), np.empty_like(bias), *_room(x)
    for number in range(len(usual)):
        others = _look(x, usual, number, knots, fall, row, left, share)
        first = number * count + left[others]
        up, down = share[others], one - share[others]
        lower, upper = hats[first], hats[first + 1]
        for neuron in range(len(base)):
            usually[neuron] = down * lower[neuron] + up * upper[neuron]
            base[neuron] += usually[neuron]
        for other in range(others):
            first = number * count + left[other]
            up, down = share[other], one - share[other]
            lower, upper, told = hats[first], hats[first + 1], y[row[other]]
            for neuron in range(len(base)):
                told[neuron] += down * lower[neuron] + up * upper[neuron] - usually[neuron]
    for n in range(len(y)):
        for neuron in range(len(base)):
            y[n, neuron] += base[neuron]


@native
def _gather(x: Reals, usual: Reals, knots: Reals, fall: Reals, slope: Reals, found: Reals) -> None:
    """Add to `found` (D * K, O) what `slope` (B, O) says of the hats under which the numbers `x` (B, D) stand."""
    one, count = x.dtype.type(1), len(knots)
    row, left, share = _room(x)
    total = np.zeros(slope.shape[1], x.dtype)
    for n in range(len(slope)):
        for neuron in range(len(total)):
            total[neuron] += slope[n, neuron]
    rest = np.empty_like(total)
    for number in range(len(usual)):
        others = _look(x, usual, number, knots, fall, row, left, share)
        rest[:] = total
        for other in range(others):
            first = number * count + left[other]
            up, down = share[other], one - share[other]
            lower, upper, told = found[first], found[first + 1], slope[row[other]]
            for neuron in range(len(total)):
                lower[neuron] += down * told[neuron]
                upper[neuron] += up * told[neuron]
                rest[neuron] -= told[neuron]
        first = number * count + left[others]
        up, down = share[others], one - share[others]
        lower, upper = found[first], found[first + 1]
        for neuron in range(len(total)):
            lower[neuron] += down * rest[neuron]
            upper[neuron] += up * rest[neuron]


@native
def _room(x: Reals) -> tuple[Wholes, Wholes, Reals]:
    """Return room for what `_look` finds in a column of `x`."""
    return np.empty(len(x) + 1, np.int64), np.empty(len(x) + 1, np.int64), np.empty(len(x) + 1, x.dtype)


@native
def _look(
    x: Reals, usual: Reals, number: int, knots: Reals, fall: Reals, row: Wholes, left: Wholes, share: Reals
) -> int:  # fmt: skip
    """Find the rows in which `number` is another than usual; return how many.

    Written of each is which `row` it is, the knot to its `left`, and its `share` of the hat of the next one; and behind
    them, of what is usual, both of these.
    """
    zero, one = x.dtype.type(0), x.dtype.type(1)
    others = 0
    for n in range(len(x)):  # without a branch, which nobody could foresee
        row[others] = n
        others += x[n, number] != usual[number]
    for other in range(others + 1):
        value = x[row[other], number] if other < others else usual[number]
        knot = 0
        for inner in range(1, len(knots) - 1):
            knot += value >= knots[inner]
        left[other] = knot
        up = (value - knots[knot]) * fall[knot]
        share[other] = zero if up < zero else one if up > one else up  # what is no number stays none
    return others


_OPERATIONS = torch.library.Library("rlrun", "FRAGMENT")  # type: ignore[no-untyped-call]
_KNOTS = "Tensor knots, Tensor rise, Tensor fall) -> Tensor"
_OPERATIONS.define(f"hat_product(Tensor x, Tensor weight, Tensor bias, {_KNOTS}")  # type: ignore[no-untyped-call]
_OPERATIONS.define(f"hat_slope(Tensor slope, Tensor x, {_KNOTS}")  # type: ignore[no-untyped-call]
_OPERATIONS.impl("hat_product", _hat_product, "CPU")  # type: ignore[no-untyped-call]
_OPERATIONS.impl("hat_slope", _hat_slope, "CPU")  # type: ignore[no-untyped-call]

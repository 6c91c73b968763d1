"""Hat functions: a number as the heights of overlapping hats, so that a layer can learn of each range by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..native import native

Reals = NDArray[Any]  # of one dtype


class HatFunctions(nn.Module):
    """Each number as linear B-splines between knots: (B, D) -> (B, D * K), a number's K hats side by side.

    The hat of a knot is 1 there, falls to 0 in a straight line towards both neighbours and is 0 beyond them, so a
    number has at most two hats that are not 0, and all of its hats sum to 1. What lies outside the knots counts as the
    nearest one. A linear layer on top is any piecewise linear function of each number that bends at the knots, and what
    is learned of one range leaves the others alone, as in coarse coding (Sutton and Barto 2018, section 9.5): a network
    on the bare numbers learns smooth functions first, sharp edges last. Gorishniy et al. (2022) code the numbers of
    tables likewise, by sums of these hats.
    """

    knots: Tensor
    rise: Tensor
    fall: Tensor

    def __init__(self, knots: Sequence[float]) -> None:
        """Put a hat on each of K knots; raise ValueError if there are less than two, or if they do not increase."""
        super().__init__()
        at = torch.tensor(knots, dtype=torch.float32)
        if len(at) < 2 or not bool((at.diff() > 0).all()):
            raise ValueError(f"knots must be two numbers or more, each above the last, but are {list(knots)}")
        nothing = torch.zeros(1)  # the outermost hats are flat on their outer side
        self.register_buffer("knots", at)
        self.register_buffer("rise", torch.cat([nothing, 1 / at.diff()]))
        self.register_buffer("fall", torch.cat([1 / at.diff(), nothing]))

    def forward(self, x: Tensor) -> Tensor:
        """Return the hats, (B, D * K), of numbers (B, D)."""
        if self.fits_loop(x):
            hats: Tensor = torch.ops.rlrun.hats(x, self.knots, self.rise, self.fall)
            return hats
        beyond = x[..., None] - self.knots
        return torch.minimum(1 + beyond * self.rise, 1 - beyond * self.fall).clamp(0, 1).flatten(1)

    def fits_loop(self, x: Tensor) -> bool:
        """Return whether a loop may tell of `x`: on a CPU, where nobody asks for the slope of its hats."""
        # 65,536 numbers and 8 knots, one core: .2 ms for the 4.2 of the five operations below, which go through rows
        # no longer than there are knots.
        same = x.dtype == self.knots.dtype and x.dtype in (torch.float32, torch.float64)
        return x.is_cpu and same and not x.requires_grad and not torch.compiler.is_compiling()

    def extra_repr(self) -> str:
        """Return the knots, for print."""
        return ", ".join(f"{knot:g}" for knot in self.knots.tolist())


def _hats(x: Tensor, knots: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """Return the hats, (B, D * K), of numbers (B, D), to the bit as the operations on tensors have them."""
    hats = np.empty((x.numel(), len(knots)), x.numpy().dtype)
    _rise_and_fall(x.reshape(-1).numpy(), knots.numpy(), rise.numpy(), fall.numpy(), hats)
    return torch.from_numpy(hats).view(len(x), x.shape[1:].numel() * len(knots))


@native
def _rise_and_fall(x: Reals, knots: Reals, rise: Reals, fall: Reals, hats: Reals) -> None:
    """Write the hats of M numbers, (M, K)."""
    one = x.dtype.type(1)
    for number in range(len(x)):
        for knot in range(len(knots)):
            beyond = x[number] - knots[knot]
            hats[number, knot] = min(max(min(one + beyond * rise[knot], one - beyond * fall[knot]), 0), one)


# An operation by itself, because TorchScript, as which updates run on a CPU, knows no loops but its own.
_OPERATIONS = torch.library.Library("rlrun", "FRAGMENT")  # type: ignore[no-untyped-call]
_OPERATIONS.define("hats(Tensor x, Tensor knots, Tensor rise, Tensor fall) -> Tensor")  # type: ignore[no-untyped-call]
_OPERATIONS.impl("hats", _hats, "CPU")  # type: ignore[no-untyped-call]

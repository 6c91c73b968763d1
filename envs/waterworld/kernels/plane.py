"""The plane inside of a kernel: directions, and lines that cross walls."""

from __future__ import annotations

from math import pi

import triton
import triton.language as tl

TURN = tl.constexpr(2 * pi)
QUARTER = tl.constexpr(pi / 2)
# A quarter of a turn as a sum whose first parts have few bits: a small multiple of them is exact.
QUARTER_HIGH = tl.constexpr(201 / 128)
QUARTER_LOW = tl.constexpr(pi / 2 - 201 / 128)


@triton.jit
def direction(angle):
    """Return the sine and cosine of float32 `angle`, a few turns at most, to 2e-7.

    Triton's own take local memory for the sake of huge angles, and how exact they are has depended on its version.
    """
    quarters = tl.floor(angle * (1 / QUARTER) + 0.5)
    rest = (angle - quarters * QUARTER_HIGH) - quarters * QUARTER_LOW  # at most an eighth of a turn
    square = rest * rest
    sine = square * (1 / 362880) - 1 / 5040
    sine = (sine * square + 1 / 120) * square - 1 / 6
    sine = rest + rest * square * sine
    cosine = 1 / 40320 - square * (1 / 3628800)
    cosine = (cosine * square - 1 / 720) * square + 1 / 24
    cosine = 1 - square * (0.5 - square * cosine)
    quarter = quarters.to(tl.int32) & 3
    odd = (quarter & 1) == 1
    first, second = tl.where(odd, cosine, sine), tl.where(odd, sine, cosine)
    return tl.where(quarter >= 2, -first, first), tl.where((quarter == 1) | (quarter == 2), -second, second)


@triton.jit
def within(part, whole):
    """Return whether part / whole lies inside (0, 1): exactly when the rounded quotient does."""
    return (part * whole > 0) & (tl.abs(part) < tl.abs(whole))


@triton.jit
def meeting(x, y, step_x, step_y, walls, wall):
    """Return whether lines from (x, y) along (step_x, step_y) meet a wall, and their shares before it as fractions.

    walls: float32 (W, 4), x1, y1, x2, y2. wall: which. The shapes of the others go together.
    """
    x1, y1 = tl.load(walls + 4 * wall), tl.load(walls + 4 * wall + 1)
    along_x, along_y = tl.load(walls + 4 * wall + 2) - x1, tl.load(walls + 4 * wall + 3) - y1
    from_x, from_y = x - x1, y - y1
    spread = along_y * step_x - along_x * step_y
    before = along_x * from_y - along_y * from_x
    return within(before, spread) & within(step_x * from_y - step_y * from_x, spread), before, spread


@triton.jit
def crossed(x, y, step_x, step_y, walls, WALLS: tl.constexpr):
    """Return whether lines from (x, y) along (step_x, step_y) cross any of the walls: int32, of the steps' shape."""
    found = tl.zeros(step_x.shape, tl.int32)
    for wall in range(WALLS):
        met, _, _ = meeting(x, y, step_x, step_y, walls, wall)
        found |= met.to(tl.int32)
    return found

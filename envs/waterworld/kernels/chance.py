"""Chance inside of a kernel: the numbers of `chance.uniform` to the bit, as whole numbers below 2**53."""

from __future__ import annotations

import triton
import triton.language as tl

from .. import chance

GOLDEN = tl.constexpr(chance.GOLDEN)
FIRST = tl.constexpr(chance.FIRST)
SECOND = tl.constexpr(chance.SECOND)


@triton.jit
def shifted(value, BITS: tl.constexpr):
    """Return int64 `value` shifted right by BITS as if it were unsigned."""
    return (value >> BITS) & ((1 << (64 - BITS)) - 1)


@triton.jit
def mixed(value):
    """Return SplitMix64's finaliser of int64 `value`."""
    value = (value ^ shifted(value, 30)) * FIRST
    value = (value ^ shifted(value, 27)) * SECOND
    return value ^ shifted(value, 31)


@triton.jit
def episode_key(seed, episode):
    """Return what `chance.keys` makes of int64 `seed` and `episode`."""
    return mixed(mixed(seed + GOLDEN) + episode * GOLDEN)


@triton.jit
def source(key, clock, PURPOSE: tl.constexpr):
    """Return what all numbers are made of that int64 `key` has at tick `clock` for a purpose."""
    return mixed(mixed(key + clock * GOLDEN) + PURPOSE)


@triton.jit
def drawn(origin, slot):
    """Return number `slot` of those made of int64 `origin`, times 2**53."""
    return shifted(mixed(origin + (slot.to(tl.int64) + 1) * GOLDEN), 11)


@triton.jit
def between(bits, LEAST: tl.constexpr, SPAN: tl.constexpr):
    """Return LEAST + u SPAN as float32 of the number u that `bits` are, worked out in float64 as torch does."""
    return (bits.to(tl.float64) * (1 / (1 << 53)) * SPAN + LEAST).to(tl.float32)

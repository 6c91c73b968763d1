"""Chance without a generator: numbers that depend on who asks for what and when, and on nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

# The constants of SplitMix64 (Steele, Lea & Flood 2014), as the signed 64-bit numbers that torch computes with.
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
SECOND = 0x94D049BB133111EB - (1 << 64)


def uniform(key: Tensor, clock: Tensor, purpose: int, slots: int) -> Tensor:
    """Return numbers in [0, 1), (N, slots) float64, for worlds with `key` (N,) int64 at tick `clock` (N,) int64.

    A world's numbers are the same alone and beside 4,095 others, on every device, whatever was drawn before; two
    purposes, ticks or slots have nothing to do with each other.
    """
    slot = torch.arange(slots, device=key.device)
    place = _mixed(_mixed(key + clock * GOLDEN) + purpose)
    bits = _mixed(place[:, None] + (slot + 1) * GOLDEN)
    return _shifted(bits, 11).double() * 2.0**-53


def keys(seeds: Tensor, episodes: Tensor) -> Tensor:
    """Return what the chance of worlds is made of, (N,) int64, given their seeds and episodes, both (N,) int64."""
    return _mixed(_mixed(seeds + GOLDEN) + episodes * GOLDEN)


def _mixed(value: Tensor) -> Tensor:
    """Return SplitMix64's finaliser of int64 `value`: every bit of it moves half of the bits that come out."""
    value = (value ^ _shifted(value, 30)) * FIRST
    value = (value ^ _shifted(value, 27)) * SECOND
    return value ^ _shifted(value, 31)


def _shifted(value: Tensor, bits: int) -> Tensor:
    """Return `value` shifted right by `bits` as if it were unsigned: torch's own shift drags the sign along."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)

"""Adam on a GPU: one kernel a step for all weights of a kind, from their gradients to the weights that compute."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from ..config import Config
from ..optimiser import BETAS, Optimiser

BLOCK = 1024  # numbers of one program: a million weights are a thousand programs, enough for every multiprocessor
WARPS = 4
TENSORS = 64  # weights of one launch at most: five pointers each, and a kernel's arguments end at 4 KB
LOG2_BETAS = tuple(math.log2(beta) for beta in BETAS)


@triton.jit
def _step_block(
    grad, weight, mean, square, low, at, shown, step, rate, excess,
    BETA1: tl.constexpr, BETA2: tl.constexpr, LOG2_BETA1: tl.constexpr, LOG2_BETA2: tl.constexpr, EPS: tl.constexpr,
    LOW: tl.constexpr,
):  # fmt: skip
    """Move the numbers `at` where `shown`, or all of them where that is None."""
    slope = tl.load(grad + at, mask=shown).to(tl.float32) * (1 / tl.load(excess))
    first = BETA1 * tl.load(mean + at, mask=shown) + (1 - BETA1) * slope
    second = BETA2 * tl.load(square + at, mask=shown) + (1 - BETA2) * slope * slope
    # In float64, as torch does: float32 keeps but four digits of 1 - .999. These are three numbers a program.
    number = tl.load(step).to(tl.float64)
    reach = (tl.load(rate).to(tl.float64) / (1 - tl.exp2(number * LOG2_BETA1))).to(tl.float32)
    growth = tl.sqrt(1 - tl.exp2(number * LOG2_BETA2)).to(tl.float32)
    moved = tl.load(weight + at, mask=shown) - reach * first / (tl.sqrt(second) / growth + EPS)
    tl.store(mean + at, first, mask=shown)
    tl.store(square + at, second, mask=shown)
    tl.store(weight + at, moved, mask=shown)
    if LOW:
        tl.store(low + at, moved.to(low.dtype.element_ty), mask=shown)


@triton.jit
def _adam(
    grads, weights, means, squares, lows, step, rate, excess,
    FIRSTS: tl.constexpr, COUNTS: tl.constexpr, TENSORS: tl.constexpr, BETA1: tl.constexpr, BETA2: tl.constexpr,
    LOG2_BETA1: tl.constexpr, LOG2_BETA2: tl.constexpr, EPS: tl.constexpr, LOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Move BLOCK numbers of one of TENSORS tensors, COUNTS[i] numbers each, the first by program FIRSTS[i]."""
    program = tl.program_id(0)
    grad, weight, mean, square, low = grads[0], weights[0], means[0], squares[0], lows[0]
    begin = program * BLOCK
    count = begin * 0 + COUNTS[0]
    for i in tl.static_range(1, TENSORS):
        mine = program >= FIRSTS[i]
        grad = tl.where(mine, grads[i], grad)
        weight = tl.where(mine, weights[i], weight)
        mean = tl.where(mine, means[i], mean)
        square = tl.where(mine, squares[i], square)
        low = tl.where(mine, lows[i], low)
        begin = tl.where(mine, (program - FIRSTS[i]) * BLOCK, begin)
        count = tl.where(mine, COUNTS[i], count)
    at = begin + tl.arange(0, BLOCK)
    # Apart, because a mask that may end anywhere would have all numbers moved one by one, not in vectors.
    if begin + BLOCK <= count:
        _step_block(
            grad, weight, mean, square, low, at, None, step, rate, excess,
            BETA1, BETA2, LOG2_BETA1, LOG2_BETA2, EPS, LOW,
        )  # fmt: skip
    else:
        _step_block(
            grad, weight, mean, square, low, at, at < count, step, rate, excess,
            BETA1, BETA2, LOG2_BETA1, LOG2_BETA2, EPS, LOW,
        )  # fmt: skip


class FusedAdam(Optimiser):
    """Adam whose steps are one kernel for the weights with float32 masters and one for those without.

    It moves what its twin `Optimiser` moves, up to float32 rounding, and has the same state; but the gradients are
    read once, in whatever precision they came, and the new weights are written with the masters. Nothing waits for the
    device: learning rate, step and what clips are read there.
    """

    def __init__(self, network: nn.Module, config: Config) -> None:
        """Make the master weights and the moments; `config.optimizer` is "adam"."""
        super().__init__(network, config)
        self._like = [*self._weights]  # the kernel converts gradients on its way
        self._learning_rate = self._own_rate = torch.full_like(self._step, config.learning_rate)

    def set_learning_rate(self, learning_rate: float | Tensor) -> None:
        """Use `learning_rate` from the next step on: a number, or a float32 scalar on the network's GPU."""
        given = isinstance(learning_rate, Tensor)
        self._learning_rate = learning_rate if given else self._own_rate.fill_(learning_rate)

    @torch.no_grad()
    def move(self, found: list[Tensor]) -> None:
        """Move the weights one step down the gradients that `gradients` found."""
        excess, *grads = found
        given = dict(zip(self._moved, grads, strict=True))
        low = [i for i in given if i in self._low]
        full = [i for i in given if i not in self._low]
        self._step += 1
        for kind in (low, full):
            for first in range(0, len(kind), TENSORS):
                self._launch(kind[first : first + TENSORS], given, excess)

    def _launch(self, indices: list[int], grads: dict[int, Tensor], excess: Tensor) -> None:
        """Move the weights `indices`, which have the same dtype."""
        counts = tuple(self._masters[i].numel() for i in indices)
        ends = [0]
        for count in counts:
            ends.append(ends[-1] + triton.cdiv(count, BLOCK))
        first, second = self._moments.values()
        _adam[(ends[-1],)](
            *(tuple(source[i] for i in indices) for source in (grads, self._masters, first, second, self._weights)),
            self._step, self._learning_rate, excess,
            FIRSTS=tuple(ends[:-1]), COUNTS=counts, TENSORS=len(indices), BETA1=BETAS[0], BETA2=BETAS[1],
            LOG2_BETA1=LOG2_BETAS[0], LOG2_BETA2=LOG2_BETAS[1], EPS=self._eps, LOW=indices[0] in self._low,
            BLOCK=BLOCK, num_warps=WARPS,
        )  # fmt: skip

"""Connections: which neurons speak to which, what each of them says, and how much it counts."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .lenet import WiredConv
from .probe import evaluating, layer_names


class Step(NamedTuple):
    """One layer at work on one input."""

    name: str  # of the module; "input" and "output" for what goes in and comes out
    module: nn.Module | None  # None for those two
    taken: Tensor  # (1, ...) what the layer was given
    computed: Tensor  # (1, ...) what it made of that, with the graph back to the steps that it heard
    given: Tensor  # (1, ...) the same numbers as a leaf of their own: what the later steps hear


class Connection(NamedTuple):
    """What one neuron says to another one."""

    step: int  # who says it: the number of the step ...
    unit: int  # ... and the position in its output, flattened
    value: float
    weight: float


class Incoming(NamedTuple):
    """How the value of a neuron comes about: the sum of value x weight, and the rest."""

    value: float
    rest: float  # the bias, where the layer is affine; elsewhere what the slopes leave to explain
    affine: bool  # whether that is all: the weights are the layer's own and the rest is its bias
    before: float | None  # what an activation function was given
    connections: list[Connection]  # those that count, the strongest |value x weight| first


def trace(network: nn.Module, x: Tensor) -> list[Step]:
    """Return what every layer does with one input `x` (1, ...), float32, in the order in which they do it.

    A module that is used twice is two steps. The graph is cut after every layer: the gradient of `computed` with
    respect to the others' `given` leads to those that speak to the layer directly, through sums, stacks and means.
    """
    leaf = x.detach().clone().requires_grad_()
    steps = [Step("input", None, leaf, leaf, leaf)]
    handles = []
    for name in layer_names(network):

        def cut(module: nn.Module, taken: tuple[Tensor, ...], computed: Tensor, name: str = name) -> Tensor:
            if computed.shape[:1] != x.shape[:1]:  # it computes a weight, as a spectral norm does
                return computed
            given = computed.detach().requires_grad_()
            steps.append(Step(name, module, taken[0], computed, given))
            return given

        handles.append(network.get_submodule(name).register_forward_hook(cut))
    try:
        with evaluating(network), torch.enable_grad():
            output = network(leaf)
    finally:
        for handle in handles:
            handle.remove()
    return [*steps, Step("output", None, steps[-1].given, output, output.detach())]


def incoming(steps: list[Step], number: int, unit: int) -> Incoming:
    """Return what comes into neuron `unit` of step `number`, a position in its flattened output.

    The weight of a connection is the derivative of the neuron's value: a layer's weight where it is affine, padding and
    stride considered; the winner's 1 in a max-pool; the slope elsewhere. Raises IndexError if there is no such neuron.
    """
    if not (0 <= number < len(steps) and 0 <= unit < steps[number].computed.numel()):
        raise IndexError(f"there is no neuron {unit} in step {number}")
    step = steps[number]
    neuron = step.computed.flatten()[unit]
    value = float(neuron.detach())
    if number == 0:
        return Incoming(value, 0.0, False, None, [])
    earlier = steps[:number]
    with torch.enable_grad():
        slopes = torch.autograd.grad(neuron, [one.given for one in earlier], retain_graph=True, allow_unused=True)
    connections = []
    for source, (one, slope) in enumerate(zip(earlier, slopes, strict=True)):
        if slope is None:
            continue
        heard, weights = one.given.detach().flatten(), slope.flatten()
        for index in weights.nonzero().flatten().tolist():
            connections.append(Connection(source, index, float(heard[index]), float(weights[index])))
    connections.sort(key=lambda each: -abs(each.value * each.weight))
    rest = value - sum(each.value * each.weight for each in connections)
    return Incoming(value, rest, _affine(step, unit, rest), _before(step, unit), connections)


def _affine(step: Step, unit: int, rest: float) -> bool:
    """Return whether `rest` is the layer's bias; it is not where neurons are multiplied on their way, as by a gate."""
    if not isinstance(step.module, nn.Linear | nn.Conv2d | WiredConv):
        return False
    if step.module.bias is None:
        return math.isclose(rest, 0, abs_tol=1e-3)
    bias = float(step.module.bias.detach()[unit // step.computed[0, 0].numel()])
    return math.isclose(rest, bias, rel_tol=1e-3, abs_tol=1e-3)


def _before(step: Step, unit: int) -> float | None:
    """Return what an activation function was given for `unit`; None for any other layer."""
    if step.module is None or step.taken.shape != step.computed.shape:
        return None
    elementwise = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.GELU, nn.SiLU, nn.LeakyReLU)
    return float(step.taken.detach().flatten()[unit]) if isinstance(step.module, elementwise) else None

"""Stimuli: which inputs a neuron likes best, among those there are and among all there could be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .probe import ProbeError, activations, evaluating, recording, scores, unit_values

BATCH = 500
Objective = Callable[[Tensor], Tensor]  # inputs (B, ...) -> (B,), to be maximised


class BestNeuron(NamedTuple):
    """The neuron that tells best whether an input is of a class, without any training."""

    unit: int
    threshold: float
    accuracy: float  # of "its activation is above the threshold", or below if `above` is False
    above: bool


def layer_values(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """Return how active each unit of `layer` is, (n, U), for inputs x (n, ...)."""
    parts = [activations(network, x[at : at + BATCH], [layer])[layer] for at in range(0, len(x), BATCH)]
    return torch.cat([unit_values(part) for part in parts])


def top_stimuli(values: Tensor, unit: int, count: int = 9) -> Tensor:
    """Return the indices of the inputs that excite `unit` most, best first, from `layer_values`, (n, U)."""
    _check_unit(unit, values.shape[1])
    return values[:, unit].topk(min(count, len(values))).indices


def best_neuron(values: Tensor, is_class: Tensor) -> BestNeuron:
    """Return the best single neuron for a class by threshold accuracy (Le et al. 2012, the cat neuron).

    values (n, U), of `layer_values`; is_class (n,) bool. Every threshold between two neighbouring values is tried, in
    both directions, so the accuracy is never below the share of the larger class.
    """
    n = len(values)
    ordered, order = values.sort(0)  # (n, U)
    positive = is_class[order].long()
    total = int(is_class.sum())
    below = torch.cat([torch.zeros_like(positive[:1]), positive.cumsum(0)])  # (n + 1, U): positives under each cut
    cut = torch.arange(n + 1)[:, None]
    right = (total - below) + (cut - below)  # positives above and negatives under
    equal = torch.cat([torch.zeros(1, values.shape[1], dtype=torch.bool), ordered[1:] == ordered[:-1],
                       torch.zeros(1, values.shape[1], dtype=torch.bool)])  # fmt: skip
    high = right.masked_fill(equal, -1)  # no cut fits between equal values
    low = (n - right).masked_fill(equal, -1)
    above = int(high.max()) >= int(low.max())
    table = high if above else low
    place, unit = divmod(int(table.argmax()), values.shape[1])
    column = ordered[:, unit].tolist()
    ends = [column[0] - 1, *column, column[-1] + 1]
    threshold = (ends[place] + ends[place + 1]) / 2
    return BestNeuron(unit, threshold, int(table.max()) / n, above)


def unit_objective(network: nn.Module, layer: str, unit: int) -> Objective:
    """Return how active `unit` of `layer` is, as a function of inputs: (B, ...) -> (B,)."""

    def objective(x: Tensor) -> Tensor:
        with recording(network, [layer]) as seen:
            network(x)
        values = unit_values(seen[layer])
        _check_unit(unit, values.shape[1])
        return values[:, unit]

    return objective


def output_objective(network: nn.Module, output: int, *, advantage: bool = False) -> Objective:
    """Return the logit of a class or the expected return of an action as a function of inputs: (B, ...) -> (B,).

    With `advantage`, less the mean over all classes or actions.
    """

    def objective(x: Tensor) -> Tensor:
        values = scores(network, x)
        _check_unit(output, values.shape[1])
        chosen = values[:, output]
        return chosen - values.mean(1) if advantage else chosen

    return objective


def optimum_at_norm(
    network: nn.Module, objective: Objective, shape: Sequence[int], *, norm: float = 1.0, steps: int = 300,
    start: Tensor | None = None, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Return the input, (*shape), that maximises `objective` among those of length `norm`.

    The lecture's optimal stimulus, by gradient ascent on the sphere: each step goes along the gradient's direction and
    back to the sphere, by a share of the norm that shrinks from 0.5 to 0.005; the best input on the way is returned.
    For a linear unit that is norm w/|w|. Starts at `start`, rescaled, or at random. Le et al. 2012.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, *shape, generator=generator) if start is None else start.detach().float()[None].clone()
    x = x * (norm / x.norm())
    best: Tensor = x[0]
    most = -math.inf
    with evaluating(network):
        for step in range(steps + 1):
            x.requires_grad_(True)
            value = objective(x)
            (gradient,) = torch.autograd.grad(value.sum(), x)
            if float(value.detach()) > most:
                best, most = x.detach()[0], float(value.detach())
            length = gradient.norm()
            if float(length) == 0:  # a silent unit: look elsewhere
                gradient, length = torch.randn(x.shape, generator=generator), torch.ones(())
            rate = 0.5 * 0.01 ** (step / max(steps, 1))
            x = x.detach() + rate * norm * gradient / length
            x = x * (norm / x.norm())
    return best


def optimum_in_box(
    network: nn.Module, objective: Objective, shape: tuple[int, int, int], *, steps: int = 512,
    learning_rate: float = 0.05, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Return an image, (C, H, W) in 0..1, that maximises `objective` the modern way: feature visualisation.

    The image is a sigmoid of a spectrum, in which Adam moves all frequencies alike; before every step it is shifted,
    turned and scaled a little, so that only what is robust against that remains. Shifts and turns are as large as the
    image allows: 4 pixels and 5 degrees at 224 pixels, in proportion but at least 1 pixel below. Olah et al. 2017.
    """
    channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    frequency = (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.rfftfreq(width)[None] ** 2).sqrt()
    scale = 1 / frequency.clamp(min=1 / max(height, width)) * math.sqrt(height * width) / 4
    spectrum = 0.01 * torch.randn(channels, *frequency.shape, 2, generator=generator)
    spectrum.requires_grad_(True)
    optimiser = torch.optim.Adam([spectrum], learning_rate)

    def image() -> Tensor:
        pixels = torch.fft.irfft2(torch.view_as_complex(spectrum) * scale, s=(height, width), norm="ortho")
        return torch.sigmoid(pixels)[None]

    reach = max(1.0, 4 * min(height, width) / 224)  # pixels
    with evaluating(network):
        for _ in range(steps):
            draw = 2 * torch.rand(4, generator=generator) - 1
            angle, zoom = draw[0] * math.radians(5), 1 + 0.05 * draw[1]
            cos, sin = angle.cos() * zoom, angle.sin() * zoom
            shift = 2 * reach * draw[2:] / torch.tensor([width, height])
            matrix = torch.stack([torch.stack([cos, -sin, shift[0]]), torch.stack([sin, cos, shift[1]])])[None]
            grid = F.affine_grid(matrix, [1, channels, height, width], align_corners=False)
            moved = F.grid_sample(image(), grid, padding_mode="reflection", align_corners=False)
            optimiser.zero_grad()
            (spectrum.grad,) = torch.autograd.grad(-objective(moved).sum(), spectrum)
            optimiser.step()
    return image().detach()[0]


def nearest_distance(x: Tensor, states: Tensor) -> tuple[float, int]:
    """Return how far `x` (...) is from the nearest of `states` (n, ...), as a root mean square, and which it is."""
    difference = (states.float() - x.float()).flatten(1)
    distance = difference.square().mean(1).sqrt()
    nearest = int(distance.argmin())
    return float(distance[nearest]), nearest


def _check_unit(unit: int, units: int) -> None:
    if not 0 <= unit < units:
        raise ProbeError(f"there is no unit {unit}: the layer has units 0 to {units - 1}")

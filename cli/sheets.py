"""Sheets: a picture for each question about the inside of a network, with the numbers that it shows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..networks.blocks import Inception
from ..networks.dream import Dream, deep_dream, style_transfer
from ..networks.probe import ProbeError, activations, layer_named, scores
from ..networks.stimulus import (
    best_neuron,
    layer_values,
    nearest_distance,
    optimum_at_norm,
    optimum_in_box,
    output_objective,
    top_stimuli,
)
from .calibration import draw_calibration
from .canvas import MAPS, figure_titled, show, side_by_side, write_label
from .evidence import draw_saliency
from .plot import COLORS, FAINT, _save

if TYPE_CHECKING:
    from .subject import Answer, Request, Subject

UNITS = 6
OUTPUTS = 6
BATCH = 200


def draw_activations(subject: Subject, request: Request, out: Path) -> Answer:
    """Draw what every layer makes of one input: feature maps as images, dense layers as bars."""
    x = subject.x[request.index]
    seen = activations(subject.network, x[None], None if request.layer is None else [request.layer])
    shown = {name: value[0] for name, value in seen.items()}
    rows = [name for name in shown if not name.endswith("flatten")]
    figure = figure_titled(
        13, 1.25 * (len(rows) + 1), f"{subject.title}: input {request.index} of {subject.origin}, layer by layer"
    )
    grid = figure.subplots(len(rows) + 1, 2, width_ratios=(1.7, MAPS))
    write_label(grid[0, 0], "input")
    show(grid[0, 1], x, subject)
    for (label, axes), name in zip(grid[1:], rows, strict=True):
        value = shown[name]
        kind = type(layer_named(subject.network, name)).__name__
        write_label(label, f"{name}\n{kind} {'x'.join(map(str, seen[name].shape[1:]))}")
        if value.dim() == 3:
            axes.imshow(side_by_side(value[:MAPS]), cmap="magma")
            axes.axis("off")
        else:
            axes.bar(np.arange(value.numel()), value.flatten().numpy(), width=1.0, color=COLORS[0])
            axes.tick_params(labelsize=7)
    _save(figure, out)
    return {name: value.numpy() for name, value in seen.items()}, []


def draw_top(subject: Subject, request: Request, out: Path) -> Answer:
    """Draw which inputs excite the units of a layer most; for a classifier, also each class's best single neuron."""
    layer = request.layer or subject.default_layer
    values = layer_values(subject.network, layer, subject.x)
    units = values.std(0).argsort(descending=True)[:UNITS].tolist()  # the units that tell inputs apart
    figure = figure_titled(
        13, 1.5 * len(units) + 0.6, f"{subject.title}: top stimuli for {layer} among {subject.origin}"
    )
    grid = figure.add_gridspec(len(units), 10)
    arrays: dict[str, NDArray[Any]] = {"values": values.numpy()}
    for row, unit in enumerate(units):
        best = top_stimuli(values, unit, 9)
        arrays[f"unit {unit}"] = best.numpy()
        write_label(figure.add_subplot(grid[row, 0]), f"unit {unit}")
        for column, index in enumerate(best.tolist(), start=1):
            axes = figure.add_subplot(grid[row, column])
            show(axes, subject.x[index], subject)
            name = "" if subject.y is None else f"{subject.outputs[int(subject.y[index])]}  "
            axes.set_title(f"{name}{float(values[index, unit]):.2f}", fontsize=8, color=FAINT)
    _save(figure, out)
    return arrays, [] if subject.y is None else _best_neurons(values, subject.y, subject.outputs)


def _best_neurons(values: Tensor, y: Tensor, names: tuple[str, ...]) -> list[str]:
    """Return a sentence about the best single neuron for each class (the cat neuron), from unit values (n, U)."""
    notes = []
    for label, name in enumerate(names):
        is_class = y == label
        found = best_neuron(values, is_class)
        share = float(is_class.float().mean())
        side = "above" if found.above else "below"
        notes.append(
            f"the best single neuron for {name} is unit {found.unit}: {found.accuracy:.2%} right if taken for one "
            f"{side} {found.threshold:.3g}, against {max(share, 1 - share):.2%} for always the same answer"
        )
    return notes


def draw_optimal(subject: Subject, request: Request, out: Path) -> Answer:
    """Draw, for each output, the best real input, the best one of its length, and for images the best one in 0..1."""
    outputs = [request.output] if request.output is not None else list(range(min(len(subject.outputs), OUTPUTS)))
    agent = subject.y is None
    columns = 3 if subject.sees_images else 2
    figure = figure_titled(
        2.6 * len(outputs) + 0.8,
        2.5 * columns + 0.7,
        f"{subject.title}: optimal stimuli, beside the best of {subject.origin}",
    )
    grid = figure.subplots(columns, len(outputs), squeeze=False)
    arrays: dict[str, NDArray[Any]] = {}
    notes: list[str] = []
    with torch.no_grad():
        parts = [scores(subject.network, subject.x[at : at + BATCH]) for at in range(0, len(subject.x), BATCH)]
        real = torch.cat(parts)
    for column, output in enumerate(outputs):
        name = subject.outputs[output]
        objective = output_objective(subject.network, output, advantage=agent)
        values = real[:, output] - real.mean(1) if agent else real[:, output]
        best = subject.x[int(values.argmax())]
        norm = float(best.norm())
        shape = tuple(subject.x.shape[1:])
        steps = request.steps or 200
        optimum = optimum_at_norm(subject.network, objective, shape, norm=norm, start=best, steps=steps)
        shown = [("best of the " + ("states" if agent else "test data"), best), ("optimum of the same length", optimum)]
        if len(shape) == 3:
            image = (shape[0], shape[1], shape[2])
            modern = optimum_in_box(subject.network, objective, image, steps=request.steps or 512, seed=request.seed)
            shown.append(("optimum within 0..1", modern))
        for axes, (title, x) in zip(grid[:, column], shown, strict=True):
            with torch.no_grad():
                value = float(objective(x[None]))
            distance, _ = nearest_distance(x, subject.x)
            show(axes, x, subject)
            axes.set_title(f"{name}: {value:.3g}\n{title}", fontsize=8)
            arrays[f"{name}: {title}"] = x.numpy()
            notes.append(f"{name}, {title}: {value:.4g}, {distance:.3g} (rms) from the nearest real input")
    _save(figure, out)
    return arrays, notes


def draw_dream(subject: Subject, request: Request, out: Path) -> Answer:
    """Draw an input and what a layer dreams into it, octave by octave."""
    layer = (request.layer or f"body.{_convolutions(subject)[-1]}").removeprefix("body.")
    x = subject.x[request.index]
    dream = _dreamt(subject, layer, x, request)
    figure = figure_titled(7, 4, f"{subject.title}: a dream of {layer}")
    left, right = figure.subplots(1, 2)
    show(left, x, subject)
    left.set_title(f"input {request.index}", fontsize=9)
    show(right, dream.image, subject)
    ratios = ", ".join(f"{ratio:.2f}" for ratio in dream.energy_ratios)
    right.set_title(f"energy times {ratios}", fontsize=9)
    _save(figure, out)
    return {"dream": dream.image.numpy(), "energy ratios": np.array(dream.energy_ratios)}, [
        f"the energy of {layer} grew by {ratios} at the octaves, the smallest first"
    ]


def _dreamt(subject: Subject, layer: str, x: Tensor, request: Request) -> Dream:
    """Return the dream in as many octaves as the layers can take, four at most; raise ProbeError if none works."""
    for octaves in (4, 3, 2):
        with contextlib.suppress(ProbeError):
            return deep_dream(subject.body, layer, x, octaves=octaves, steps=request.steps or 20, seed=request.seed)
    return deep_dream(subject.body, layer, x, octaves=1, steps=request.steps or 20, seed=request.seed)


def draw_style(subject: Subject, request: Request, out: Path) -> Answer:
    """Draw one input in the style of another, the one least like it, with both losses."""
    layers = _convolutions(subject)
    x = subject.x[request.index]
    style = subject.x[int((subject.x - x).flatten(1).norm(dim=1).argmax())]
    made = style_transfer(
        subject.body, x, style, content_layer=layers[(len(layers) - 1) // 2], style_layers=layers, style_weight=1.0,
        steps=request.steps or 200, seed=request.seed,
    )  # fmt: skip
    figure = figure_titled(13, 3.6, f"{subject.title}: the content of one, the style of another")
    grid = figure.subplots(1, 4)
    for axes, image, title in zip(grid, (x, style, made.image), ("content", "style", "both"), strict=False):
        show(axes, image, subject)
        axes.set_title(title, fontsize=9)
    grid[3].plot(made.content_losses, color=COLORS[0], label="content")
    grid[3].plot(made.style_losses, color=COLORS[1], label="style")
    grid[3].set_yscale("log")
    grid[3].legend(frameon=False)
    _save(figure, out)
    falls = [f"{name} {losses[0]:.3g} to {losses[-1]:.3g}" for name, losses in
             (("content", made.content_losses), ("style", made.style_losses))]  # fmt: skip
    return {"image": made.image.numpy(), "content losses": np.array(made.content_losses),
            "style losses": np.array(made.style_losses)}, [f"losses: {', '.join(falls)}"]  # fmt: skip


SHEETS: dict[str, Callable[[Subject, Request, Path], Answer]] = {
    "activations": draw_activations,
    "top": draw_top,
    "optimal": draw_optimal,
    "saliency": draw_saliency,
    "dream": draw_dream,
    "style": draw_style,
    "calibration": draw_calibration,
}


def _convolutions(subject: Subject) -> list[str]:
    """Return the body's convolutions by name, an Inception block as one; raise ProbeError if it has none."""
    names: list[str] = []
    blocks: list[str] = []
    for name, module in subject.body.named_modules():
        if isinstance(module, Inception):
            blocks.append(name)
            names.append(name)
        elif "Conv" in type(module).__name__ and not any(name.startswith(f"{block}.") for block in blocks):
            names.append(name)
    if not names or not subject.sees_images:
        raise ProbeError("this network has no convolutions to dream with")
    return names

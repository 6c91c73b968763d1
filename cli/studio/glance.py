"""Glance: what a classifier thinks of a drawing, layer by layer and neuron by neuron, as plain values for a page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...networks.connections import Step, incoming, trace
from ..model import Model
from .drawing import as_seen

STRONGEST = 24  # connections of a neuron that are told one by one
KINDS = {
    "PixelConv": "convolution", "Conv2d": "convolution", "WiredConv": "wired convolution", "Linear": "fully connected",
    "MaxPool2d": "max-pool", "AdaptiveMaxPool2d": "max-pool", "AdaptiveAvgPool2d": "mean", "GroupNorm": "layer norm",
    "LayerNorm": "layer norm", "Resize": "resized",
}  # fmt: skip


def picture(model: Model, ink: NDArray[Any]) -> Tensor:
    """Return a drawing (h, w), 0 paper to 1 ink, as `model` gets it: (1, C, H, W), float32, channels alike."""
    channels, height, width = model.in_shape
    return torch.from_numpy(as_seen(ink, height, width)).expand(1, channels, -1, -1).contiguous()


def glance(model: Model, ink: NDArray[Any]) -> dict[str, Any]:
    """Return the guesses, most probable first (None for an empty drawing), and every layer's numbers."""
    x = picture(model, ink)
    steps = trace(model.network, x)
    probabilities = steps[-1].given[0]
    order = probabilities.argsort(descending=True).tolist()
    return {
        "guesses": [{"name": model.classes[k], "p": float(probabilities[k])} for k in order] if x.any() else None,
        "layers": [_layer(step) for step in steps],
    }


def neuron(model: Model, ink: NDArray[Any], layer: int, unit: int) -> dict[str, Any]:
    """Return how a neuron's value comes about; raise IndexError if there is none at that place."""
    steps = trace(model.network, picture(model, ink))
    found = incoming(steps, layer, unit)
    told, others = found.connections[:STRONGEST], found.connections[STRONGEST:]
    return {
        "value": found.value, "rest": found.rest, "before": found.before,
        "affine": found.affine,
        "connections": [one._asdict() for one in told],
        "others": {"count": len(others), "sum": sum(one.value * one.weight for one in others)},
    }  # fmt: skip


def _layer(step: Step) -> dict[str, Any]:
    values = step.given.detach()[0].contiguous().numpy().astype("<f4")
    if step.module is None:
        kind = "what the network sees" if step.name == "input" else "probabilities"
    else:
        kind = KINDS.get(type(step.module).__name__, type(step.module).__name__)
        if isinstance(step.module, nn.Conv2d | nn.MaxPool2d):
            kind += f" {_square(step.module.kernel_size)}"
    return {
        "name": step.name, "kind": kind, "shape": list(values.shape),
        "values": base64.b64encode(np.ascontiguousarray(values).tobytes()).decode(),  # float32, little-endian
    }  # fmt: skip


def _square(size: int | tuple[int, ...]) -> str:
    return f"{size} × {size}" if isinstance(size, int) else " × ".join(map(str, size))  # noqa: RUF001

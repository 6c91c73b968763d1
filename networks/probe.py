"""Probing: the layers of any network of ours by name, and what they say to an input."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .classifier import Classifier


class ProbeError(ValueError):
    """A layer, unit or class that does not exist: one sentence with what does."""


def layer_names(network: nn.Module) -> list[str]:
    """Return the names of the layers that compute, in the order of the modules; dropout and wrappers are left out."""
    silent = (nn.Dropout, nn.Identity, nn.ModuleList, nn.Sequential)
    return [
        name for name, module in network.named_modules()
        if name and not any(True for _ in module.children()) and not isinstance(module, silent)
    ]  # fmt: skip


def layer_named(network: nn.Module, name: str) -> nn.Module:
    """Return the module called `name`; raise ProbeError with the nearest names if there is none."""
    known = dict(network.named_modules())
    if name in known and name:
        found: nn.Module = known[name]
        return found
    names = layer_names(network)
    close = difflib.get_close_matches(name, names, 3, cutoff=0.4) or names
    raise ProbeError(f"there is no layer {name!r}; {'nearest are' if len(close) < len(names) else 'there are'} "
                     f"{', '.join(close)}")  # fmt: skip


@contextmanager
def recording(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Give a dict that holds, after each forward pass inside, the output of every layer in `names`."""
    seen: dict[str, Tensor] = {}
    handles = []
    for name in names:

        def keep(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
            seen[name] = output

        handles.append(layer_named(network, name).register_forward_hook(keep))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def activations(network: nn.Module, x: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Return the output of each layer, (B, ...), for inputs `x` (B, ...): of all layers if `names` is None."""
    names = layer_names(network) if names is None else names
    with evaluating(network), recording(network, names) as seen:
        network(x)
    return {name: seen[name] for name in names if name in seen}  # auxiliary heads are silent in `eval()`


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put the network in `eval()` and its weights out of the gradient; as it was afterwards."""
    was, learning = network.training, [weight for weight in network.parameters() if weight.requires_grad]
    network.eval()
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
        network.train(was)


def scores(network: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs that are compared with each other: logits (B, K), or the expected returns (B, A)."""
    outputs: Tensor = network.logits(x) if isinstance(network, Classifier) else network(x)
    return outputs


def unit_values(output: Tensor) -> Tensor:
    """Return how active each unit is, (B, U): a feature map (B, U, H, W) counts as its largest value."""
    return output.flatten(2).amax(2) if output.dim() > 2 else output

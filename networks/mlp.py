"""The body made of fully connected layers."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .hat_linear import HatLinear
from .hats import HatFunctions
from .layers import cast_input


class MLP(nn.Module):
    """Fully connected layers, each followed by its activation: (B, ...) -> (B, out_features).

    Whatever shape one input has, it is flattened to `in_features` numbers. uint8 inputs are divided by 255, others
    taken as they are. With `layer_norm`, a LayerNorm stands before every activation (as in PQN, Gallici et al. 2024).
    With `knots`, the first layer sees each number as HatFunctions of these, and len(knots) times as many inputs.
    Without hidden layers the body is the identity; under a ProbabilityHead that is logistic regression.
    Weights start as PyTorch starts them, U(-1/sqrt(in), 1/sqrt(in)).
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        layer_norm: bool = False,
        knots: Sequence[float] = (),
    ) -> None:
        """Build one layer for each width in `hidden`; raise ValueError if a width is not positive."""
        super().__init__()
        widths = [in_features, *hidden]
        if min(widths) < 1:
            raise ValueError(f"every layer needs at least one neuron, but the widths are {widths}")
        layers: list[nn.Module] = []
        for before, width in pairwise(widths):
            coded = knots and not layers
            layers.append(HatLinear(before, width, knots) if coded else nn.Linear(before, width))
            if layer_norm:
                layers.append(nn.LayerNorm(width))
            layers.append(activation())
        self.layers = nn.Sequential(*layers)
        alone = knots and not hidden  # no layer is there to see them
        self.coding = HatFunctions(knots) if alone else nn.Identity()
        self.in_features = in_features
        self.out_features = in_features * len(knots) if alone else widths[-1]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Read what was saved, also while hats still stood before the layers."""
        for name in ("knots", "rise", "fall"):
            before, now = f"{prefix}coding.{name}", f"{prefix}layers.0.hats.{name}"
            if len(self.layers) and before in state_dict:
                state_dict[now] = state_dict.pop(before)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, (B, out_features), of inputs (B, ...)."""
        features = cast_input(self.layers, x.flatten(1))
        if x.dtype == torch.uint8:
            features = features / 255
        outputs: Tensor = self.layers(self.coding(features))
        return outputs

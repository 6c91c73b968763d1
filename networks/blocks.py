"""The blocks that deep bodies are stacked from: residual, squeeze-and-excite, inception, and dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


def dropping(activation: Callable[[], nn.Module], probability: float) -> Callable[[], nn.Module]:
    """Return an activation that, while training, also turns each neuron off with `probability`.

    The others are scaled by 1 / (1 - probability), so that nothing needs scaling in `eval()`, where all are on. It has
    no weights: a body trained with dropout and one without have the same weights under the same names.
    Srivastava et al. 2014.
    """
    return lambda: nn.Sequential(activation(), nn.Dropout(probability))


class SqueezeExcite(nn.Module):
    """Each channel times a gate in (0, 1) computed from all channels' means: (B, C, H, W) -> (B, C, H, W).

    gate = sigmoid(W2 relu(W1 mean)), through C/ratio units: 2 C^2 / ratio weights, C/ratio + C biases (Hu et al. 2018).
    """

    def __init__(self, channels: int, ratio: int = 16) -> None:
        """Build the two layers; raise ValueError if `ratio` does not divide the channels."""
        super().__init__()
        if ratio < 1 or channels % ratio:
            raise ValueError(f"squeeze-and-excite needs a ratio that divides its {channels} channels, not {ratio}")
        self.squeeze = nn.Linear(channels, channels // ratio)
        self.excite = nn.Linear(channels // ratio, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps, each times its gate."""
        mean = maps.mean((2, 3))  # (B, C)
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))
        return maps * gate[:, :, None, None]


class InceptionWidths(NamedTuple):
    """The channels of an Inception block's branches."""

    one: int  # 1 x 1
    reduce3: int  # 1 x 1 before ...
    three: int  # ... 3 x 3
    reduce5: int  # 1 x 1 before ...
    five: int  # ... 5 x 5
    pool: int  # 1 x 1 after a 3 x 3 max-pool

    @property
    def out_channels(self) -> int:
        """The channels of the block's output."""
        return self.one + self.three + self.five + self.pool


class Inception(nn.Module):
    """Four branches side by side, their maps stacked: (B, C, H, W) -> (B, widths.out_channels, H, W).

    1 x 1; 1 x 1 then 3 x 3; 1 x 1 then 5 x 5; max-pool then 1 x 1; a ReLU after each convolution (Szegedy et al. 2015,
    "Going Deeper with Convolutions", figure 2b).
    """

    def __init__(self, in_channels: int, widths: InceptionWidths) -> None:
        """Build the branches."""
        super().__init__()

        def conv(before: int, after: int, kernel: int) -> list[nn.Module]:
            return [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.ReLU()]

        self.one = nn.Sequential(*conv(in_channels, widths.one, 1))
        self.three = nn.Sequential(*conv(in_channels, widths.reduce3, 1), *conv(widths.reduce3, widths.three, 3))
        self.five = nn.Sequential(*conv(in_channels, widths.reduce5, 1), *conv(widths.reduce5, widths.five, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *conv(in_channels, widths.pool, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the four branches' maps, stacked along the channels."""
        return torch.cat([self.one(maps), self.three(maps), self.five(maps), self.pool(maps)], 1)


def _residual_conv(channels: int, spectral: bool) -> nn.Module:
    """Return a 3 x 3 convolution that keeps the shape, divided by its largest singular value if `spectral`."""
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    if not spectral:
        return conv
    # PyTorch starts the power iteration with 15 steps from random vectors, which leaves the norm wrong by percents.
    # The exact vectors of the first weights are cheap to have, and from then on one step a forward pass keeps up.
    # The weight is a matrix W, (out, in * 3 * 3), here as in Miyato et al. 2018.
    matrix = conv.weight.detach().flatten(1).double()
    left = torch.linalg.eigh(matrix @ matrix.T).eigenvectors[:, -1]  # W W^T u = sigma^2 u, the largest comes last
    right = nn.functional.normalize(matrix.T @ left, dim=0)  # v = W^T u / sigma
    normed: nn.Module = spectral_norm(conv)
    normed.get_buffer("parametrizations.weight.0._u").copy_(left)
    normed.get_buffer("parametrizations.weight.0._v").copy_(right)
    return normed


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), each ReLU after a layer norm if asked: (B, C, H, W) -> (B, C, H, W).

    He et al. 2016, "Identity Mappings". With `squeeze`, a SqueezeExcite of that ratio weighs what the branch adds.
    """

    def __init__(self, channels: int, spectral: bool = False, layer_norm: bool = False, squeeze: int = 0) -> None:
        """Build the two convolutions; raise ValueError if `squeeze` does not divide the channels."""
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            if layer_norm:
                layers.append(nn.GroupNorm(1, channels))
            layers += [nn.ReLU(), _residual_conv(channels, spectral)]
        if squeeze:
            layers.append(SqueezeExcite(channels, squeeze))
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps with what the branch adds."""
        added: Tensor = self.branch(x)
        return x + added

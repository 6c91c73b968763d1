"""The LeNet-like body of the digit demonstration: a convolution that is wired to some of the maps only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pixels import PixelConv

WIRING: tuple[tuple[int, ...], ...] = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip
"""Which of the 6 maps each of the 16 filters sees: 60 of 96 connections (LeCun et al. 1998, table I)."""


class WiredConv(nn.Module):
    """A k x k convolution whose filters see only the maps that `wiring` names: (B, C, H, W) -> (B, len(wiring), ...).

    `kernels`, (connections, k, k), holds a kernel for each connection and nothing for the others.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, in_channels: int, wiring: tuple[tuple[int, ...], ...], kernel: int) -> None:
        """Start as PyTorch starts a convolution, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), filter by filter."""
        super().__init__()
        self.shape = (len(wiring), in_channels, kernel, kernel)
        pairs = [(row, column) for row, seen in enumerate(wiring) for column in seen]
        self.register_buffer("rows", torch.tensor([row for row, _ in pairs]), persistent=False)
        self.register_buffer("columns", torch.tensor([column for _, column in pairs]), persistent=False)
        reach = torch.tensor([len(seen) * kernel * kernel for seen in wiring]).rsqrt()
        self.kernels = nn.Parameter(
            torch.empty(len(pairs), kernel, kernel).uniform_(-1, 1) * reach[self.rows, None, None]
        )
        self.bias = nn.Parameter(torch.empty(len(wiring)).uniform_(-1, 1) * reach)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the filters' maps, without padding."""
        weight = self.kernels.new_zeros(self.shape).index_put((self.rows, self.columns), self.kernels)
        return F.conv2d(maps, weight, self.bias)


class LeNet(nn.Module):
    """conv 6@5x5, pool, conv 16@5x5 on `WIRING`, pool, ReLU after each convolution: (B, 1, 32, 32) -> (B, 400).

    Under a ProbabilityHead with hidden layers of 120 and 100 units it is the network of Harley 2015, "An Interactive
    Node-Link Visualization of Convolutional Neural Networks": 62,902 parameters. Smaller images are padded with zeros
    to 32 x 32, evenly. uint8 inputs mean 0..255 and are scaled to 0..1; floats are taken as they are.
    """

    SIDE = 32  # pixels

    def __init__(self, in_shape: tuple[int, int, int]) -> None:
        """Build the body; raise ValueError unless the images have one channel and at most 32 x 32 pixels."""
        super().__init__()
        if in_shape[0] != 1 or max(in_shape[1:]) > self.SIDE:
            raise ValueError(f"LeNet sees grey images of at most 32 x 32 pixels, not {in_shape}")
        self.layers = nn.Sequential(
            PixelConv(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), WiredConv(6, WIRING, 5), nn.ReLU(), nn.MaxPool2d(2)
        )  # fmt: skip
        self.in_shape = in_shape
        self.out_shape = (16, 5, 5)
        self.out_features = 400

    def forward(self, obs: Tensor) -> Tensor:
        """Return the features, (B, 400), of images (B, 1, H, W); ValueError for another shape."""
        if tuple(obs.shape[1:]) != self.in_shape:
            raise ValueError(f"images of shape {self.in_shape} are expected, not {tuple(obs.shape[1:])}")
        return self.maps(obs).flatten(1)

    def maps(self, images: Tensor) -> Tensor:
        """Return the feature maps, (B, 16, 5, 5), of images of any size up to 32 x 32, padded."""
        rows, columns = self.SIDE - images.shape[2], self.SIDE - images.shape[3]
        padded = F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        maps: Tensor = self.layers(padded)
        return maps

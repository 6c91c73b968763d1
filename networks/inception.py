"""The body made of Inception blocks, with places where auxiliary heads can listen in."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .blocks import Inception, InceptionWidths
from .pixels import PixelConv, channels_last

SMALL: tuple[InceptionWidths, ...] = (
    InceptionWidths(16, 24, 32, 4, 8, 8),
    InceptionWidths(32, 32, 48, 8, 24, 16),
    InceptionWidths(48, 24, 52, 4, 12, 16),
)
"""Three blocks, a fourth of the channels of GoogLeNet's 3a, 3b and 4a: enough for digits."""


class InceptionBody(nn.Module):
    """A convolution, then Inception blocks with a max-pool after each but the last: (B, C, H, W) -> (B, out_features).

    GoogLeNet's plan (Szegedy et al. 2015), as deep as `blocks`, for small images: a 3 x 3 stem of `stem` channels, and
    a mean over positions at the end, so that the number of features does not depend on the size of the image. uint8
    inputs mean 0..255 and are scaled to 0..1; floats are taken as they are.

    Attributes:
        auxiliary_features: what `with_auxiliary` returns beside the features, a number for each block but the last.

    """

    def __init__(
        self, in_shape: tuple[int, int, int], blocks: Sequence[InceptionWidths] = SMALL, *, stem: int = 16
    ) -> None:
        """Build one block for each of `blocks`; raise ValueError without blocks or if the image is too small."""
        super().__init__()
        if not blocks:
            raise ValueError("an Inception body needs at least one block")
        if min(in_shape[1:]) < 2 ** (len(blocks) - 1):
            raise ValueError(f"images of {in_shape[1]} x {in_shape[2]} are too small for {len(blocks)} blocks")
        self.stem = nn.Sequential(PixelConv(in_shape[0], stem, 3, padding=1), nn.ReLU())
        channels = [stem, *(widths.out_channels for widths in blocks)]
        self.blocks = nn.ModuleList(Inception(before, w) for before, w in zip(channels[:-1], blocks, strict=True))
        self.pool = nn.MaxPool2d(2)
        channels_last(self)
        self.in_shape = in_shape
        self.auxiliary_features = tuple(channels[1:-1])
        self.out_features = channels[-1]

    def with_auxiliary(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features, (B, out_features), and each earlier block's, (B, auxiliary_features[i])."""
        if tuple(obs.shape[1:]) != self.in_shape:
            raise ValueError(f"images of shape {self.in_shape} are expected, not {tuple(obs.shape[1:])}")
        means = [maps.mean((2, 3)) for maps in self.maps(obs)]
        return means[-1], means[:-1]

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps after each block, (B, C, h, w), of images of any size that the pools can halve."""
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            maps.append(block(self.pool(maps[-1]) if number else self.stem(images)))
        return maps

    def forward(self, obs: Tensor) -> Tensor:
        """Return the features, (B, out_features), of images (B, C, H, W); ValueError for another shape."""
        return self.with_auxiliary(obs)[0]

"""The residual body of IMPALA, with the options that the best replay-buffer agents added to it."""

from collections.abc import Sequence

from torch import Tensor, nn

from .blocks import Residual
from .pixels import PixelConv, channels_last


class Impala(nn.Module):
    """Stages of convolution, max-pool and two residual blocks: (B, C, H, W) -> (B, out_features).

    The large network of Espeholt et al. 2018: stages of 16, 32 and 32 channels, times `width` (rounded, at least one),
    each halving height and width (upwards). `pool` = 6 adds the adaptive 6 x 6 max-pool of Clark et al. 2024, after
    which the number of features no longer depends on the size of the image; `spectral` puts spectral normalisation on
    the residual convolutions (Schmidt & Schmied 2021), whose power iteration takes one step at every forward pass in
    training mode and none in `eval()`; `layer_norm` normalises each image over channels and positions, with a scale and
    shift a channel, before every ReLU; `squeeze` ends every residual branch in a SqueezeExcite of that ratio, which
    makes the body an SE-ResNet (Hu et al. 2018). uint8 inputs mean 0..255 and are scaled to 0..1; floats are taken as
    they are. Weights start as PyTorch starts them, and lie in memory with the channels last.
    """

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        *,
        channels: Sequence[int] = (16, 32, 32),
        width: float = 1.0,
        pool: int | None = None,
        spectral: bool = False,
        layer_norm: bool = False,
        squeeze: int = 0,
    ) -> None:
        """Build one stage for each number in `channels`; raise ValueError without stages."""
        super().__init__()
        if not channels:
            raise ValueError("an Impala body needs at least one stage")
        before, height, columns = in_shape
        layers: list[nn.Module] = []
        for number, base in enumerate(channels):
            after = max(1, round(width * base))
            convolution = PixelConv if number == 0 else nn.Conv2d
            layers += [
                convolution(before, after, 3, padding=1),
                nn.MaxPool2d(3, stride=2, padding=1),
                Residual(after, spectral, layer_norm, squeeze),
                Residual(after, spectral, layer_norm, squeeze),
            ]
            before, height, columns = after, (height + 1) // 2, (columns + 1) // 2
        if layer_norm:
            layers.append(nn.GroupNorm(1, before))
        layers.append(nn.ReLU())
        if pool is not None:
            layers.append(nn.AdaptiveMaxPool2d(pool))
            height, columns = pool, pool
        self.layers = channels_last(nn.Sequential(*layers))
        self.in_shape = in_shape
        self.out_shape = (before, height, columns)
        self.out_features = before * height * columns

    def forward(self, obs: Tensor) -> Tensor:
        """Return the features, (B, out_features), of images (B, C, H, W); ValueError for another shape."""
        if tuple(obs.shape[1:]) != self.in_shape:
            raise ValueError(f"images of shape {self.in_shape} are expected, not {tuple(obs.shape[1:])}")
        return self.maps(obs).flatten(1)

    def maps(self, images: Tensor) -> Tensor:
        """Return the feature maps, (B, C, h, w), of images of any size that the layers can take."""
        maps: Tensor = self.layers(images)
        return maps

"""The body made of convolutions, with the layers of the Nature DQN as its best-known case."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from .pixels import PixelConv, channels_last


class ConvLayer(NamedTuple):
    """One convolution; kernel, stride and padding in pixels, the same along height and width.

    `pool` = 2 has a 2 x 2 max-pool follow the activation.
    """

    channels: int
    kernel: int
    stride: int
    padding: int = 0
    pool: int = 1


NATURE: tuple[ConvLayer, ...] = (ConvLayer(32, 8, 4), ConvLayer(64, 4, 2), ConvLayer(64, 3, 1))
"""The three convolutions of Mnih et al. 2015, made for 84 x 84 pixels."""


def nature_layers(width: float = 1.0) -> tuple[ConvLayer, ...]:
    """Return the NATURE layers with `width` times as many channels, rounded, at least one."""
    return tuple(layer._replace(channels=max(1, round(width * layer.channels))) for layer in NATURE)


class CNN(nn.Module):
    """Convolutions, each followed by its activation: (B, C, H, W) -> (B, out_features), in (C, H, W) order.

    uint8 inputs mean 0..255 and are scaled to 0..1; floats are taken as they are. With `layer_norm`, each image is
    normalised over channels and positions, with a scale and shift a channel, before every activation (as in PQN,
    Gallici et al. 2024). Weights start as PyTorch starts them, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), and lie in memory
    with the channels last, the layout CPU and GPU kernels are fastest on.
    """

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        layers: Sequence[ConvLayer] = NATURE,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        layer_norm: bool = False,
    ) -> None:
        """Build `layers` for images of `in_shape` (C, H, W); raise ValueError if a kernel does not fit."""
        super().__init__()
        if not layers:
            raise ValueError("a CNN needs at least one convolution")
        channels, height, width = in_shape
        modules: list[nn.Module] = []
        for number, layer in enumerate(layers, start=1):
            if min(height, width) + 2 * layer.padding < layer.kernel:
                raise ValueError(
                    f"convolution {number} has a kernel of {layer.kernel} x {layer.kernel} pixels, "
                    f"but its input is only {height} x {width} with padding {layer.padding}"
                )
            convolution = PixelConv if number == 1 else nn.Conv2d
            modules.append(convolution(channels, layer.channels, layer.kernel, layer.stride, layer.padding))
            if layer_norm:
                modules.append(nn.GroupNorm(1, layer.channels))  # one group: channels and positions together
            modules.append(activation())
            channels = layer.channels
            height = (height + 2 * layer.padding - layer.kernel) // layer.stride + 1
            width = (width + 2 * layer.padding - layer.kernel) // layer.stride + 1
            if layer.pool > 1:
                if min(height, width) < layer.pool:
                    raise ValueError(f"the pool after convolution {number} needs more than {height} x {width} pixels")
                modules.append(nn.MaxPool2d(layer.pool))
                height, width = height // layer.pool, width // layer.pool
        self.layers = channels_last(nn.Sequential(*modules))
        self.in_shape = in_shape
        self.out_shape = (channels, height, width)
        self.out_features = channels * height * width

    def forward(self, obs: Tensor) -> Tensor:
        """Return the features, (B, out_features), of images (B, C, H, W); ValueError for another shape."""
        if tuple(obs.shape[1:]) != self.in_shape:
            raise ValueError(f"images of shape {self.in_shape} are expected, not {tuple(obs.shape[1:])}")
        return self.maps(obs).flatten(1)  # (C, H, W) order in any memory format; the copy is small

    def maps(self, images: Tensor) -> Tensor:
        """Return the feature maps, (B, C, h, w), of images of any size that the layers can take."""
        maps: Tensor = self.layers(images)
        return maps

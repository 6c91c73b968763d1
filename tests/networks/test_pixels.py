import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlrun.networks.pixels import PixelConv, channels_last


def pixels(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def plain(conv: PixelConv, x: Tensor) -> Tensor:
    return F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding)


# kernel, stride, padding, height, width: the first three are cut into words, the others each miss one condition
SHAPES = [
    (8, 4, 0, 84, 84),
    (4, 4, 0, 8, 16),
    (12, 4, 0, 20, 12),
    (8, 4, 0, 82, 84),
    (8, 4, 0, 84, 81),
    (8, 2, 0, 84, 84),
    (6, 4, 0, 84, 84),
    (8, 4, 2, 84, 84),
    (3, 1, 1, 9, 7),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "height", "width"), SHAPES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_give_what_the_same_floats_over_255_give(
    kernel: int, stride: int, padding: int, height: int, width: int, channels: int
) -> None:
    conv = channels_last(PixelConv(channels, 5, kernel, stride, padding)).double()
    x = pixels(2, channels, height, width)
    torch.testing.assert_close(conv(x), plain(conv, x.double() / 255))
    torch.testing.assert_close(conv(x.double()), plain(conv, x.double()))


@pytest.mark.parametrize(("kernel", "stride", "padding", "height", "width"), SHAPES)
def test_bytes_give_the_gradient_that_the_same_floats_over_255_give(
    kernel: int, stride: int, padding: int, height: int, width: int
) -> None:
    conv = channels_last(PixelConv(4, 5, kernel, stride, padding)).double()
    x = pixels(2, 4, height, width)
    weights = list(conv.parameters())
    out = conv(x)
    scale = torch.randn_like(out)
    expected = torch.autograd.grad((plain(conv, x.double() / 255) * scale).sum(), weights)
    for gradient, other in zip(torch.autograd.grad((out * scale).sum(), weights), expected, strict=True):
        torch.testing.assert_close(gradient, other)


def test_it_does_not_matter_how_the_bytes_lie_in_memory() -> None:
    conv = PixelConv(4, 5, 8, 4).double()
    x = pixels(2, 4, 84, 84)
    shifted = torch.zeros(x.numel() + 3, dtype=torch.uint8)[3:].view(x.shape).copy_(x)  # not on a word's boundary
    wide = torch.zeros(2, 4, 84, 90, dtype=torch.uint8)[..., :84].copy_(x)
    for other in (x.contiguous(memory_format=torch.channels_last), shifted, wide, x.repeat(2, 1, 1, 1)[2:]):
        torch.testing.assert_close(conv(other), conv(x))


def test_every_byte_is_exact_in_bfloat16() -> None:
    conv = PixelConv(1, 1, 1, bias=False).bfloat16()
    with torch.no_grad():
        conv.weight.fill_(255.0)  # times 1/255 is 1 in any dtype
    x = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)
    assert torch.equal(conv(x).flatten().float(), torch.arange(256.0))


def test_the_maps_come_out_with_the_channels_last() -> None:
    conv = channels_last(PixelConv(4, 8, 8, 4))
    for x in (pixels(2, 4, 84, 84), pixels(2, 4, 82, 82), torch.rand(2, 4, 84, 84)):
        assert conv(x).is_contiguous(memory_format=torch.channels_last)


def test_laying_out_the_channels_changes_no_value_and_no_shape() -> None:
    conv = nn.Conv2d(3, 5, 4)
    weight, bias = conv.weight.detach().clone(), conv.bias
    assert channels_last(conv) is conv
    assert torch.equal(conv.weight, weight)
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert not conv.weight.is_contiguous()
    assert conv.bias is bias

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlrun.networks import pixels as pixels_module
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


def test_the_first_frames_of_longer_stacks_are_cut_into_words_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = PixelConv(4, 6, 8, 4)
    stacks = torch.randint(256, (3, 5, 84, 84), dtype=torch.uint8)
    expected = conv(stacks[:, 1:].contiguous())
    cut: list[torch.Size] = []
    blocks: Callable[[Tensor], Tensor] = pixels_module._word_blocks

    def noted(obs: Tensor) -> Tensor:
        cut.append(obs.shape)
        return blocks(obs)

    monkeypatch.setattr(pixels_module, "_word_blocks", noted)
    assert torch.equal(conv(stacks[:, 1:]), expected)
    assert cut == [(3, 4, 84, 84)]


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


# What a GPU does, by hand


def by_blocks(conv: PixelConv, x: Tensor) -> Tensor:
    """Return the maps by way of blocks of pixels."""
    weight = conv.weight * (1 / 255) if x.dtype == torch.uint8 else conv.weight
    blocks = pixels_module._pixel_blocks(x, weight.dtype)
    assert blocks.is_contiguous(memory_format=torch.channels_last)
    weight = pixels_module._pixel_block_weight(weight)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    return F.conv2d(blocks, weight, conv.bias)


@pytest.mark.parametrize(("kernel", "stride", "padding", "height", "width"), SHAPES[:3])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_blocks_of_pixels_give_the_maps_and_gradients_of_the_pixels(
    kernel: int, stride: int, padding: int, height: int, width: int, channels: int, memory_format: torch.memory_format
) -> None:
    conv = channels_last(PixelConv(channels, 5, kernel, stride, padding)).double()
    x = pixels(2, channels, height, width).contiguous(memory_format=memory_format)
    seen = (x.double() / 255).requires_grad_()
    expected = plain(conv, seen)
    scale = torch.randn_like(expected)
    needed = [seen, *conv.parameters()]
    gradients = torch.autograd.grad((expected * scale).sum(), needed)
    for made in (by_blocks(conv, x), by_blocks(conv, seen.detach()), by_blocks(conv, seen)):
        torch.testing.assert_close(made, expected)
        weights = torch.autograd.grad((made * scale).sum(), needed[1:], retain_graph=True)
        for gradient, other in zip(weights, gradients[1:], strict=True):
            torch.testing.assert_close(gradient, other)
    torch.testing.assert_close(torch.autograd.grad((made * scale).sum(), [seen])[0], gradients[0])


@pytest.mark.parametrize(("kernel", "stride", "padding", "height", "width"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_convolution_that_takes_its_images_for_a_gpus_makes_the_maps_of_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, kernel: int, stride: int, padding: int, height: int, width: int, dtype: torch.dtype
) -> None:
    conv = channels_last(PixelConv(4, 8, kernel, stride, padding)).to(dtype)
    bytes_ = pixels(2, 4, height, width)
    floats = (bytes_ / 255).to(dtype).contiguous(memory_format=torch.channels_last)
    exact = conv.float()
    expected = plain(exact, bytes_ / 255).detach()
    slope = torch.autograd.grad(plain(exact, bytes_ / 255).sum(), exact.weight)[0]
    conv.to(dtype)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True, raising=False)
    monkeypatch.setattr(torch.Tensor, "is_cpu", False, raising=False)
    for x in (bytes_, floats):
        made = conv(x)
        assert made.dtype == dtype
        assert made.is_contiguous(memory_format=torch.channels_last)
        near = {torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
        torch.testing.assert_close(made.float(), expected, rtol=near, atol=near)
        gradient = torch.autograd.grad(made.float().sum(), conv.weight)[0].float()
        assert (gradient.stride() == conv.weight.stride()) or stride != 4, "an optimiser would lay it out anew"
        torch.testing.assert_close(gradient, slope, rtol=near, atol=near * float(slope.abs().max()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_runs_moved_at_once_make_the_blocks_of_numbers_moved_one_by_one(dtype: torch.dtype) -> None:
    x = torch.rand(3, 4, 84, 84).to(dtype)
    last = x.contiguous(memory_format=torch.channels_last)
    assert pixels_module._moves_runs(last, dtype, 16)
    assert not pixels_module._moves_runs(x, dtype, 16)
    assert not pixels_module._moves_runs(last.clone().requires_grad_(), dtype, 16)
    expected = pixels_module._pixel_blocks(x, dtype)
    assert torch.equal(pixels_module._pixel_blocks(last, dtype), expected)
    assert torch.equal(pixels_module._pixel_blocks(last[1:], dtype), expected[1:])
    assert torch.equal(expected.view(3, 4, 4, 4, 21, 21)[1, 2, 3, 1, 5, 6], x[1, 1, 4 * 5 + 2, 4 * 6 + 3])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_a_compiler_can_follow_the_way_over_blocks(dtype: torch.dtype) -> None:
    conv = channels_last(PixelConv(4, 5, 8, 4)).double()
    x = (pixels(2, 4, 20, 12) if dtype == torch.uint8 else torch.rand(2, 4, 20, 12).double()).contiguous(
        memory_format=torch.channels_last
    )
    compiled = torch.compile(by_blocks, backend="aot_eager", fullgraph=True, dynamic=False)
    made, expected = compiled(conv, x), by_blocks(conv, x)
    torch.testing.assert_close(made, expected)
    gradients = [torch.autograd.grad(maps.square().sum(), conv.weight)[0] for maps in (made, expected)]
    torch.testing.assert_close(*gradients)


def test_channels_of_zeros_change_no_map_and_no_gradient() -> None:
    conv = channels_last(PixelConv(3, 5, 3, padding=1)).double()
    x = torch.rand(2, 3, 9, 7, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    wide = [pixels_module._widened(maps) for maps in (x, conv.weight)]
    assert [maps.shape[1] for maps in wide] == [8, 8]
    assert all(maps.is_contiguous(memory_format=torch.channels_last) for maps in wide)
    made, expected = F.conv2d(wide[0], wide[1], conv.bias, padding=1), plain(conv, x)
    torch.testing.assert_close(made, expected)
    scale = torch.randn_like(made)
    gradients = [torch.autograd.grad((maps * scale).sum(), conv.weight)[0] for maps in (made, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(("kernel", "stride", "padding", "height", "width"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_computes_the_maps_and_gradients_of_the_cpu(
    kernel: int, stride: int, padding: int, height: int, width: int, dtype: torch.dtype
) -> None:
    conv = channels_last(PixelConv(4, 8, kernel, stride, padding))
    twin = channels_last(PixelConv(4, 8, kernel, stride, padding)).to("cuda", dtype)
    twin.load_state_dict(conv.state_dict())
    conv.load_state_dict(twin.state_dict())  # rounded alike
    x = pixels(2, 4, height, width)
    scale = torch.randn_like(conv(x))
    for seen in (x, (x / 255).to(dtype).contiguous(memory_format=torch.channels_last)):
        expected, made = conv(seen if seen.dtype == torch.uint8 else seen.float()), twin(seen.cuda())
        near = partial(torch.testing.assert_close, rtol=2e-2, atol=2e-2)  # bfloat16's rounding, and TF32's
        near(made.float().cpu(), expected)
        mine = torch.autograd.grad((made.float() * scale.cuda()).sum(), list(twin.parameters()))
        theirs = torch.autograd.grad((expected * scale).sum(), list(conv.parameters()))
        for gradient, other in zip(mine, theirs, strict=True):
            near(gradient.float().cpu() / other.abs().max(), other / other.abs().max())

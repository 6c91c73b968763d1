import copy

import pytest
import torch
from torch import nn

from rlrun.networks.cnn import CNN, NATURE, ConvLayer, nature_layers
from rlrun.networks.heads import ExpectationHead


def parameter_count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_the_nature_network_with_four_actions_has_1_686_180_parameters() -> None:
    body = CNN((4, 84, 84), NATURE)
    assert body.out_shape == (64, 7, 7)
    assert body.out_features == 3136
    # 4*8*8*32 + 32 = 8,224; 32*4*4*64 + 64 = 32,832; 64*3*3*64 + 64 = 36,928
    assert parameter_count(body) == 8_224 + 32_832 + 36_928
    assert parameter_count(body) + parameter_count(ExpectationHead(body.out_features, 4)) == 1_686_180


@pytest.mark.parametrize(
    ("in_shape", "layers"),
    [
        ((4, 84, 84), NATURE),
        ((1, 28, 28), [ConvLayer(6, 5, 1, 2), ConvLayer(16, 5, 2)]),
        ((3, 37, 50), [ConvLayer(5, 4, 3, 1), ConvLayer(7, 3, 2)]),
        ((2, 5, 5), [ConvLayer(3, 5, 1)]),
    ],
)
def test_the_announced_shape_is_the_real_one(in_shape: tuple[int, int, int], layers: list[ConvLayer]) -> None:
    body = CNN(in_shape, layers)
    assert body.layers(torch.rand(2, *in_shape)).shape == (2, *body.out_shape)
    assert body(torch.rand(2, *in_shape)).shape == (2, body.out_features)


def test_a_width_scales_the_channels_and_nothing_else() -> None:
    assert nature_layers() == NATURE
    assert nature_layers(0.25) == (ConvLayer(8, 8, 4), ConvLayer(16, 4, 2), ConvLayer(16, 3, 1))
    assert [layer.channels for layer in nature_layers(0.001)] == [1, 1, 1]


def test_bytes_give_what_the_same_floats_over_255_give() -> None:
    body = CNN((4, 84, 84)).double()
    x = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    torch.testing.assert_close(body(x), body(x.double() / 255))
    assert not torch.allclose(body(x), body(x.double()))


def test_the_features_are_in_channel_row_column_order() -> None:
    body = CNN((3, 4, 5), [ConvLayer(3, 1, 1)], activation=nn.Identity)
    with torch.no_grad():
        body.layers[0].weight.copy_(torch.eye(3).view(3, 3, 1, 1))
        body.layers[0].bias.zero_()
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(body(x), x.reshape(2, 60))


def test_weights_and_inputs_in_either_memory_format_give_the_same_features() -> None:
    body = CNN((4, 84, 84))
    contiguous = copy.deepcopy(body)
    for weight in contiguous.parameters():
        weight.data = weight.data.contiguous()
    assert body.layers[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not contiguous.layers[0].weight.is_contiguous(memory_format=torch.channels_last)
    x = torch.rand(2, 4, 84, 84)
    for images in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(body(images), contiguous(x), atol=1e-5, rtol=1e-5)


def test_weights_stay_channels_last_through_a_copy_a_cast_and_a_state_dict() -> None:
    body = CNN((4, 84, 84))
    loaded = CNN((4, 84, 84))
    loaded.load_state_dict({name: weight.contiguous() for name, weight in body.state_dict().items()})
    for other in (copy.deepcopy(body), copy.deepcopy(body).bfloat16(), loaded):
        for convolution in other.layers[::2]:
            assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
    x = torch.rand(2, 4, 84, 84)
    assert torch.equal(loaded(x), body(x))


def test_bfloat16_stays_within_a_percent_of_float32() -> None:
    torch.manual_seed(0)
    body = CNN((4, 84, 84))
    half = copy.deepcopy(body).bfloat16()
    x = torch.randint(0, 256, (4, 4, 84, 84), dtype=torch.uint8)
    exact, rounded = body(x), half(x)
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).norm() < 0.01 * exact.norm()


def test_the_activation_follows_every_convolution() -> None:
    # Each layer: relu(-x - 1). Of positive pixels the first makes 0; were it left out, the second would make x.
    body = CNN((1, 3, 3), [ConvLayer(1, 1, 1), ConvLayer(1, 1, 1)])
    with torch.no_grad():
        for weight in body.parameters():
            weight.fill_(-1.0)
    assert torch.equal(body(torch.rand(2, 1, 3, 3)), torch.zeros(2, 9))
    open_body = CNN((1, 3, 3), [ConvLayer(1, 1, 1), ConvLayer(1, 1, 1)], activation=nn.Identity)
    open_body.load_state_dict(body.state_dict())
    x = torch.rand(2, 1, 3, 3)
    torch.testing.assert_close(open_body(x), x.flatten(1))


def test_layer_norm_normalises_each_image_over_channels_and_positions_before_the_activation() -> None:
    body = CNN((3, 9, 9), [ConvLayer(8, 3, 1)], layer_norm=True)
    x = 10 * torch.randn(2, 3, 9, 9)
    maps = body.layers[0](x)
    expected = nn.functional.layer_norm(maps, (8, 7, 7)).relu().flatten(1)
    torch.testing.assert_close(body(x), expected, atol=1e-5, rtol=1e-5)


def test_a_kernel_that_does_not_fit_is_an_error_that_says_which() -> None:
    with pytest.raises(ValueError, match=r"convolution 2 has a kernel of 4 x 4 pixels.*only 3 x 4 with padding 0"):
        CNN((4, 16, 20), NATURE)
    CNN((4, 16, 20), [NATURE[0], ConvLayer(64, 4, 2, padding=1)])


def test_images_of_another_shape_are_an_error_that_says_both() -> None:
    with pytest.raises(ValueError, match=r"\(4, 84, 84\) are expected, not \(3, 84, 84\)"):
        CNN((4, 84, 84))(torch.rand(2, 3, 84, 84))


def test_a_cnn_without_convolutions_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one convolution"):
        CNN((4, 84, 84), [])


def test_a_pool_follows_the_activation_and_halves_the_maps() -> None:
    body = CNN((1, 9, 8), [ConvLayer(3, 3, 1, 1, pool=2), ConvLayer(2, 3, 1, 1)])
    assert body.out_shape == (2, 4, 4)
    image = torch.rand(2, 1, 9, 8)
    maps = torch.relu(body.layers[0](image))
    assert torch.allclose(body.layers[:3](image), torch.nn.functional.max_pool2d(maps, 2))
    assert body(image).shape == (2, body.out_features)
    with pytest.raises(ValueError, match="pool after convolution 1 needs more than 1 x 1"):
        CNN((1, 3, 3), [ConvLayer(3, 3, 1, pool=2)])

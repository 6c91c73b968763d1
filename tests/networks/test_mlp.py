import pytest
import torch
from torch import nn

from rlrun.networks.mlp import MLP


def parameter_count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_forty_inputs_and_twenty_neurons_have_820_parameters_with_their_biases() -> None:
    body = MLP(40, [20])
    assert parameter_count(body) == 40 * 20 + 20
    assert body.out_features == 20


def test_the_features_are_those_worked_out_by_hand() -> None:
    body = MLP(2, [2, 1])
    with torch.no_grad():
        for weight, value in zip(
            body.parameters(),
            ([[1.0, -1.0], [2.0, 0.0]], [0.0, -3.0], [[10.0, 100.0]], [0.5]),
            strict=True,
        ):
            weight.copy_(torch.tensor(value))
    # relu(1 - 4) = 0 and relu(2 - 3) = 0 -> .5;  relu(5 - 1) = 4 and relu(10 - 3) = 7 -> 40 + 700 + .5
    torch.testing.assert_close(body(torch.tensor([[1.0, 4.0], [5.0, 1.0]])), torch.tensor([[0.5], [740.5]]))


def test_the_activation_can_be_another_one() -> None:
    body = MLP(3, [2], activation=nn.Tanh)
    x = torch.randn(4, 3)
    weight, bias = body.parameters()
    torch.testing.assert_close(body(x), torch.tanh(x @ weight.T + bias))


def test_layer_norm_stands_before_the_activation() -> None:
    body = MLP(6, [50], layer_norm=True, activation=nn.Identity)
    features = body(100 * torch.randn(4, 6))
    torch.testing.assert_close(features.mean(1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.var(1, unbiased=False), torch.ones(4), atol=1e-3, rtol=0)


def test_images_are_flattened() -> None:
    body = MLP(12, [5])
    x = torch.randn(3, 2, 2, 3)
    assert torch.equal(body(x), body(x.reshape(3, 12)))


def test_bytes_are_scaled_to_one_and_floats_are_not() -> None:
    body = MLP(12, [5]).double()
    x = torch.randint(0, 256, (3, 12), dtype=torch.uint8)
    torch.testing.assert_close(body(x), body(x.double() / 255))
    assert not torch.allclose(body(x), body(x.double()))


def test_without_hidden_layers_the_body_is_the_identity() -> None:
    body = MLP(12, [])
    x = torch.randn(3, 2, 6)
    assert body.out_features == 12
    assert torch.equal(body(x), x.flatten(1))
    pixels = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    torch.testing.assert_close(MLP(3, [])(pixels), torch.tensor([[0.0, 0.2, 1.0]]))


def test_inputs_of_another_dtype_are_cast_to_that_of_the_weights() -> None:
    body = MLP(3, [4]).bfloat16()
    assert body(torch.randn(2, 3)).dtype == torch.bfloat16


def test_a_layer_without_neurons_is_an_error_that_names_the_widths() -> None:
    with pytest.raises(ValueError, match=r"at least one neuron.*\[4, 0, 3\]"):
        MLP(4, [0, 3])

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rlrun.networks import (
    CNN,
    MLP,
    CategoricalHead,
    ConvLayer,
    ExpectationHead,
    ProbabilityHead,
    QNetwork,
    cast_hidden,
    resample_noise,
    silence_noise,
)


def rainbow() -> QNetwork:
    torch.manual_seed(0)
    body = CNN((4, 20, 20), [ConvLayer(8, 8, 4), ConvLayer(8, 3, 1)])
    return QNetwork(body, CategoricalHead(body.out_features, 3, 11, hidden=(32,), dueling=True, noisy=True))


def dqn() -> QNetwork:
    torch.manual_seed(0)
    body = CNN((4, 20, 20), [ConvLayer(8, 8, 4), ConvLayer(8, 3, 1)])
    return QNetwork(body, ExpectationHead(body.out_features, 3, (32,)))


def images(batch: int = 5) -> Tensor:
    return torch.randint(0, 256, (batch, 4, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_q_network_is_the_expectation_of_its_head_over_the_features_of_its_body() -> None:
    network = rainbow()
    outputs = network.outputs(images())
    assert outputs.shape == (5, 3, 11)
    q = network(images())
    assert q.shape == (5, 3)
    assert q.dtype == torch.float32
    torch.testing.assert_close(q, (outputs.softmax(2) * torch.linspace(-10, 10, 11)).sum(2))
    torch.testing.assert_close(q, network.expectation(network.head(network.body(images()))))
    network = dqn()
    assert torch.equal(network(images()), network.outputs(images()))


def test_one_body_serves_an_expectation_and_a_probability_head_at_once() -> None:
    body = MLP(4, [16])
    q_network = QNetwork(body, ExpectationHead(16, 2, ()))
    classifier = nn.Sequential(body, ProbabilityHead(16, 3))
    x = torch.randn(5, 4)
    q, logits = q_network(x), classifier(x)
    with torch.no_grad():
        body.layers[0].weight.zero_()
    assert not torch.allclose(q_network(x), q)
    assert not torch.allclose(classifier(x), logits)
    classifier(x).sum().backward()
    assert q_network.body.layers[0].bias.grad is not None


@pytest.mark.parametrize("build", [dqn, rainbow])
def test_a_state_dict_carries_everything_that_decides_the_output(build: Callable[[], QNetwork]) -> None:
    network = build()
    other = build()
    for weight in other.parameters():
        nn.init.normal_(weight)
    resample_noise(other)
    assert not torch.allclose(other(images()), network(images()))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(images()), network(images()))


def test_a_copy_shares_nothing_with_the_original() -> None:
    network = rainbow()
    target = copy.deepcopy(network)
    before = target(images())
    for weight in network.parameters():
        nn.init.normal_(weight)
    resample_noise(network)
    assert torch.equal(target(images()), before)


def test_silence_makes_a_noisy_network_deterministic() -> None:
    network = rainbow()
    first = network(images())
    resample_noise(network)
    assert not torch.allclose(network(images()), first)
    silence_noise(network)
    silent = network(images())
    resample_noise(network)
    silence_noise(network)
    assert torch.equal(network(images()), silent)


def test_cast_hidden_casts_all_but_the_output_layers_and_the_support() -> None:
    network = rainbow()
    assert cast_hidden(network, torch.bfloat16) is network
    kept = {name for name, value in network.state_dict().items() if value.dtype == torch.float32}
    streams = ("head.value.output", "head.advantage.output")
    parts = ("weight", "bias", "weight_sigma", "bias_sigma", "noise_in", "noise_out")
    assert kept == {"head.support"} | {f"{stream}.{part}" for stream in streams for part in parts}
    assert {value.dtype for name, value in network.state_dict().items() if name not in kept} == {torch.bfloat16}
    assert network.outputs(images()).dtype == torch.float32
    assert network(images()).dtype == torch.float32


@pytest.mark.parametrize("build", [dqn, rainbow])
def test_a_network_in_bfloat16_stays_near_the_float32_one(build: Callable[[], QNetwork]) -> None:
    network = build()
    half = cast_hidden(copy.deepcopy(network), torch.bfloat16)
    exact, rounded = network.outputs(images()), half.outputs(images())
    assert not torch.equal(rounded, exact)
    assert (rounded - exact).norm() < 0.02 * exact.norm()
    scale = torch.randn(exact.shape)
    (exact * scale).sum().backward()
    (rounded * scale).sum().backward()
    for (name, weight), half_weight in zip(network.named_parameters(), half.parameters(), strict=True):
        assert weight.grad is not None
        assert half_weight.grad is not None
        assert half_weight.grad.dtype == half_weight.dtype
        difference = (half_weight.grad.float() - weight.grad).norm()
        assert difference < 0.05 * weight.grad.norm(), name


def test_outputs_keep_differences_that_bfloat16_could_not_hold() -> None:
    network = cast_hidden(dqn(), torch.bfloat16)
    with torch.no_grad():
        network.head.advantage.output.weight.zero_()
        network.head.advantage.output.bias.copy_(torch.tensor([10.0, 10.01, 10.0]))
    assert network(images()).argmax(1).tolist() == [1] * 5
    assert network(images()).bfloat16().argmax(1).tolist() != [1] * 5


def test_cast_hidden_keeps_the_channels_last() -> None:
    network = cast_hidden(dqn(), torch.bfloat16)
    for convolution in network.body.layers[::2]:
        assert convolution.weight.dtype == torch.bfloat16
        assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_body_without_weights_can_be_cast_too() -> None:
    network = cast_hidden(QNetwork(MLP(4, []), ExpectationHead(4, 2, (8,))), torch.bfloat16)
    assert network(torch.randn(3, 4)).dtype == torch.float32


@pytest.mark.parametrize("build", [dqn, rainbow])
def test_everything_computes_in_float64_when_asked(build: Callable[[], QNetwork]) -> None:
    network = build().double()
    q = network(images())
    assert q.dtype == torch.float64
    torch.testing.assert_close(q.float(), build()(images()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_learns(dtype: torch.dtype) -> None:
    network = cast_hidden(rainbow(), dtype)
    network(images()).square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


@pytest.mark.parametrize("build", [dqn, rainbow])
def test_the_forward_pass_is_one_graph_without_breaks(build: Callable[[], QNetwork]) -> None:
    network = build()
    compiled: Callable[..., Tensor] = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images()), network(images()))

"""Connections: a neuron's value is the sum of what comes in times its weight, and the rest, for every layer."""

import pytest
import torch
from torch import Tensor, nn

from rlrun.networks.classifier import build_classifier
from rlrun.networks.connections import incoming, trace


def test_a_dense_neuron_by_hand() -> None:
    network = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        for parameter, numbers in zip(network.parameters(), ([[2.0, -3.0]], [0.5], [[4.0]], [-1.0]), strict=True):
            parameter.copy_(torch.tensor(numbers))
    steps = trace(network, torch.tensor([[2.0, 1.0]]))
    found = incoming(steps, 1, 0)  # 2 * 2 - 3 * 1 + 0.5
    assert (found.value, found.rest, found.before) == (1.5, 0.5, None)
    assert [tuple(each) for each in found.connections] == [(0, 0, 2.0, 2.0), (0, 1, 1.0, -3.0)]
    assert incoming(steps, 2, 0).before == 1.5
    assert [tuple(each) for each in incoming(steps, 3, 0).connections] == [(2, 0, 1.5, 4.0)]
    assert incoming(steps, 0, 1).value == 1
    assert incoming(steps, 0, 1).connections == []


@pytest.mark.parametrize("name", ["logistic", "mlp", "cnn", "lenet", "inception", "se-resnet"])
def test_affine_layers_and_pools_add_up_to_their_neurons_in_every_network(name: str) -> None:
    torch.manual_seed(0)
    network = build_classifier(name, (1, 28, 28), 10).eval()
    x = torch.rand(1, 1, 28, 28)
    steps = trace(network, x)
    assert torch.allclose(steps[-1].given, network(x))
    checked = plain = 0
    for number, step in enumerate(steps):
        if isinstance(step.module, nn.Linear | nn.Conv2d | nn.MaxPool2d):
            unit = step.computed.numel() // 2
            found = incoming(steps, number, unit)
            # Through padding, stacks, means and sums it knows who speaks to it; a gate behind a dead ReLU hears nobody.
            assert found.connections or step.name.endswith("excite"), step.name
            if isinstance(step.module, nn.MaxPool2d):
                assert found.rest == pytest.approx(0, abs=1e-6)
            elif name != "se-resnet":
                assert found.affine, step.name
            elif found.affine:
                plain += 1
            else:
                assert number > 1, step.name  # gates multiply: what they let through is not a sum of what came in
            checked += 1
    assert checked > 0
    assert (plain > 0) == (name == "se-resnet")


def test_a_pool_is_connected_to_its_winner_only() -> None:
    x = torch.tensor([[[[1.0, 4.0], [3.0, 2.0]]]])
    found = incoming(trace(nn.Sequential(nn.MaxPool2d(2)), x), 1, 0)
    assert [tuple(each) for each in found.connections] == [(0, 1, 4.0, 1.0)]


def test_a_sum_is_connected_to_both_of_its_parts() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Tensor:
            added: Tensor = self.second(x + self.first(x))
            return added

    found = incoming(trace(Sum(), torch.ones(1, 1)), 2, 0)
    assert {each.step for each in found.connections} == {0, 1}


def test_tracing_leaves_the_network_as_it_was() -> None:
    network = build_classifier("mlp", (1, 8, 8), 10).train()
    x = torch.rand(1, 1, 8, 8)
    before = network.logits(x)
    trace(network, x)
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert torch.equal(network.logits(x), before)


@pytest.mark.parametrize(("step", "unit"), [(9, 0), (1, 10), (1, -1), (-1, 0)])
def test_a_neuron_that_does_not_exist(step: int, unit: int) -> None:
    steps = trace(build_classifier("logistic", (1, 8, 8), 10), torch.rand(1, 1, 8, 8))
    with pytest.raises(IndexError, match="there is no neuron"):
        incoming(steps, step, unit)

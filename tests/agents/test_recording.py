"""What a recorded function does once: views of weights, what shapes alone decide, and views that undo each other."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from rlrun.agents.recording import do_once

Function = Callable[[Tensor], Sequence[Tensor]]
WEIGHT = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def spared(function: Function, tensor: Tensor) -> tuple[GraphModule, list[str]]:
    """Return what `do_once` makes of the function, and the names of the operations that are left."""
    recorded = make_fx(function)(tensor)
    do_once(recorded, [tensor])
    return recorded, [
        node.target.overloadpacket.__name__ for node in recorded.graph.nodes if node.op == "call_function"
    ]


def test_a_view_of_a_weight_is_made_once_and_shows_the_weight_as_it_is_later() -> None:
    weight = WEIGHT.clone()
    recorded, operations = spared(lambda tensor: [tensor @ weight.t()], torch.ones(1, 3))
    assert operations == ["mm"]
    weight *= 2
    assert recorded(torch.ones(1, 3))[0].tolist() == [[12.0, 30.0]]


def test_what_is_computed_from_a_weight_is_computed_at_each_call() -> None:
    weight = WEIGHT.clone()
    recorded, operations = spared(lambda tensor: [tensor + weight.t().exp()], torch.zeros(3, 2))
    assert operations == ["exp", "add"]
    weight.zero_()
    assert recorded(torch.zeros(3, 2))[0].tolist() == [[1.0, 1.0]] * 3


def test_what_shapes_alone_decide_is_computed_once() -> None:
    def gradient_of_mean(tensor: Tensor) -> list[Tensor]:
        return [tensor * (torch.ones_like(tensor) / tensor.numel()).expand(2, 3)]

    recorded, operations = spared(gradient_of_mean, torch.zeros(2, 3))
    assert operations == ["mul"]
    assert torch.equal(recorded(WEIGHT)[0], WEIGHT * torch.full((2, 3), 1 / 6))


def test_random_numbers_are_drawn_at_each_call() -> None:
    recorded, operations = spared(
        lambda tensor: [tensor * torch.bernoulli(torch.ones_like(tensor) / 2)], torch.ones(64)
    )
    assert operations == ["bernoulli", "mul"]
    assert not torch.equal(recorded(torch.ones(64))[0], recorded(torch.ones(64))[0])


def test_a_returned_tensor_may_be_written_to() -> None:
    recorded, operations = spared(lambda tensor: [torch.zeros_like(tensor)], torch.ones(2))
    assert operations == ["zeros_like"]
    recorded(torch.ones(2))[0].add_(1)
    assert recorded(torch.ones(2))[0].tolist() == [0.0, 0.0]


def test_views_that_undo_each_other_are_gone() -> None:
    def turned(tensor: Tensor) -> list[Tensor]:
        return [(tensor.t().unsqueeze(0).squeeze(0).detach().t() + 1).view(3, 2).view(2, 3), tensor.t() * 1]

    recorded, operations = spared(turned, WEIGHT)
    assert operations == ["add", "t", "mul"]
    assert [result.tolist() for result in recorded(WEIGHT)] == [(WEIGHT + 1).tolist(), WEIGHT.t().tolist()]

"""Hat functions: a number as the heights of overlapping hats."""

import pytest
import torch
import torch.nn.functional as F

from rlrun.networks import MLP, HatFunctions

KNOTS = (0.0, 0.5, 0.6, 1.0)


def test_a_number_between_two_knots_shares_itself_between_their_hats() -> None:
    hats = HatFunctions(KNOTS)(torch.tensor([[0.125, 0.6, 0.9]])).view(3, 4)
    expected = torch.tensor([[0.75, 0.25, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.25, 0.75]])
    torch.testing.assert_close(hats, expected)


def test_hats_sum_to_one_everywhere_and_what_lies_outside_counts_as_the_nearest_knot() -> None:
    hats = HatFunctions(KNOTS)
    x = torch.linspace(-3, 3, 601)[:, None]
    torch.testing.assert_close(hats(x).sum(1), torch.ones(601))
    assert torch.equal(hats(x), hats(x.clamp(0, 1)))


def test_a_number_is_told_by_where_the_knots_are_times_the_heights_of_their_hats() -> None:
    hats = HatFunctions(KNOTS)
    x = torch.rand(50, 3)
    torch.testing.assert_close((hats(x).view(50, 3, 4) * hats.knots).sum(2), x)


@pytest.mark.parametrize("knots", [(), (1.0,), (0.0, 0.0), (0.0, 1.0, 0.5)])
def test_knots_that_do_not_rise_are_refused_by_name(knots: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"knots must be two numbers or more, each above the last, but are \["):
        HatFunctions(knots)


def test_what_is_learned_of_one_range_leaves_the_others_alone() -> None:
    body = MLP(1, (1,), activation=torch.nn.Identity, knots=KNOTS)
    x = torch.tensor([[0.1], [0.4], [0.7], [0.9]])
    before = body(x).detach()
    body(x[:1]).sum().backward()
    weight = next(body.parameters())
    with torch.no_grad():
        assert weight.grad is not None
        weight -= weight.grad
    moved = (body(x) - before).flatten().detach() != 0
    assert moved.tolist() == [True, True, False, False]


def test_a_body_with_knots_has_a_weight_for_each_hat_of_each_number() -> None:
    body = MLP(6, (5,), knots=KNOTS)
    weight, bias = body.parameters()
    assert weight.shape == (5, 24)
    x = torch.rand(3, 2, 3)
    hats = HatFunctions(KNOTS)(x.reshape(3, 6))
    torch.testing.assert_close(body(x), torch.relu(F.linear(hats, weight, bias)))


def test_without_hidden_layers_a_body_shows_the_hats_themselves() -> None:
    body, x = MLP(3, (), knots=KNOTS), torch.rand(2, 3)
    assert body.out_features == 12
    assert torch.equal(body(x), HatFunctions(KNOTS)(x))


def test_bytes_are_scaled_to_one_before_they_become_hats() -> None:
    body = MLP(4, (5,), knots=KNOTS)
    x = torch.randint(0, 256, (3, 4), dtype=torch.uint8)
    assert torch.equal(body(x), body(x / 255))


def test_knots_are_part_of_what_is_saved() -> None:
    body, other = MLP(2, (5,), knots=KNOTS), MLP(2, (5,), knots=(0.0, 0.1, 0.2, 0.3))
    other.load_state_dict(body.state_dict())
    x = torch.rand(10, 2)
    assert torch.equal(body(x), other(x))


def test_what_was_saved_while_hats_stood_before_the_layers_is_read() -> None:
    body, other = MLP(2, (5,), knots=KNOTS), MLP(2, (5,), knots=(0.0, 0.1, 0.2, 0.3))
    saved = {name.replace("layers.0.hats", "coding"): value for name, value in body.state_dict().items()}
    assert "coding.knots" in saved
    network = torch.nn.Sequential(other)
    network.load_state_dict({f"0.{name}": value for name, value in saved.items()})
    x = torch.rand(10, 2)
    assert torch.equal(body(x), other(x))

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrun.agents.losses import (
    bootstrap,
    choose,
    cross_entropy,
    huber,
    munchausen,
    project,
    quantile_huber,
    soft_value,
    squared,
)


def gradient(losses: Tensor, of: Tensor) -> Tensor:
    """Return the gradient of the losses' sum."""
    return torch.autograd.grad(losses.sum(), of)[0]


def test_the_chosen_outputs_are_those_of_the_actions_taken() -> None:
    outputs = torch.tensor([[1.0, 99.0, 99.0], [99.0, 99.0, 2.0]])
    assert choose(outputs, torch.tensor([0, 2])).tolist() == [1.0, 2.0]


def test_the_chosen_distributions_are_those_of_the_actions_taken() -> None:
    outputs = torch.full((2, 3, 2), 99.0)
    outputs[0, 1] = torch.tensor([1.0, 2.0])
    outputs[1, 0] = torch.tensor([3.0, 4.0])
    assert choose(outputs, torch.tensor([1, 0])).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_the_gradient_reaches_only_the_action_taken() -> None:
    outputs = torch.zeros(2, 3, requires_grad=True)
    assert gradient(choose(outputs, torch.tensor([2, 1])), outputs).tolist() == [[0, 0, 1], [0, 1, 0]]


def test_the_target_is_reward_plus_discounted_value_and_the_reward_alone_at_a_terminal() -> None:
    target = bootstrap(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0]), torch.tensor([6.0, 99.0]))
    assert target.tolist() == [4.0, -2.0]


def test_huber_is_quadratic_within_the_threshold_and_linear_beyond() -> None:
    errors = torch.tensor([0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -10.0])
    assert huber(errors).tolist() == [0.0, 0.125, 0.125, 0.5, 0.5, 2.5, 9.5]
    assert huber(torch.tensor([2.0, -4.0]), threshold=2.0).tolist() == [2.0, 6.0]


def test_huber_clips_the_gradient_of_the_error_and_not_the_error() -> None:
    errors = torch.tensor([0.0, 0.25, -0.25, 1.0, 7.0, -1000.0], requires_grad=True)
    assert gradient(huber(errors), errors).tolist() == [0.0, 0.25, -0.25, 1.0, 1.0, -1.0]


def test_squared_is_half_the_square_so_that_its_gradient_is_the_error() -> None:
    errors = torch.tensor([0.5, -3.0], requires_grad=True)
    losses = squared(errors)
    assert losses.tolist() == [0.125, 4.5]
    assert gradient(losses, errors).tolist() == [0.5, -3.0]


SUPPORT = torch.tensor([-1.0, 0.0, 1.0])


def project_one(mass: list[float], atoms: list[float], support: Tensor = SUPPORT) -> list[float]:
    projected: list[float] = project(torch.tensor([mass]), torch.tensor([atoms]), support)[0].tolist()
    return projected


def test_mass_exactly_on_an_atom_stays_there_whole() -> None:
    assert project_one([0.2, 0.3, 0.5], [-1.0, 0.0, 1.0]) == pytest.approx([0.2, 0.3, 0.5])
    assert project_one([0.2, 0.3, 0.5], [0.0, 0.0, 0.0]) == pytest.approx([0.0, 1.0, 0.0])


def test_mass_between_two_atoms_is_split_by_nearness() -> None:
    assert project_one([1.0, 0.0, 0.0], [0.25, 99.0, 99.0]) == pytest.approx([0.0, 0.75, 0.25])
    assert project_one([0.0, 0.4, 0.6], [99.0, -0.9, 0.5]) == pytest.approx([0.36, 0.04 + 0.3, 0.3])


def test_mass_beyond_the_ends_of_the_support_stays_at_the_ends() -> None:
    assert project_one([0.1, 0.2, 0.7], [-50.0, 1.0001, 1e6]) == pytest.approx([0.1, 0.0, 0.9])


def test_a_terminal_puts_all_mass_at_the_reward() -> None:
    support = torch.linspace(-10, 10, 51)
    atoms = bootstrap(torch.tensor([[0.5]]), torch.tensor([[0.0]]), support)
    projected = project(torch.full((1, 51), 1 / 51), atoms, support)[0]
    expected = torch.zeros(51)
    expected[26], expected[27] = 0.75, 0.25  # .5 lies a quarter of the way from .4 to .8
    torch.testing.assert_close(projected, expected, atol=1e-5, rtol=0)


def slow_projection(mass: NDArray[np.float64], atoms: NDArray[np.float64], ends: tuple[float, float]) -> Tensor:
    """Algorithm 1 of Bellemare et al. 2017, one atom at a time."""
    low, high = ends
    count = mass.shape[1]
    spacing = (high - low) / (count - 1)
    projected = np.zeros_like(mass)
    for row in range(len(mass)):
        for atom in range(count):
            place = (min(max(atoms[row, atom], low), high) - low) / spacing
            below, above = int(np.floor(place)), int(np.ceil(place))
            if below == above:
                projected[row, below] += mass[row, atom]
            else:
                projected[row, below] += mass[row, atom] * (above - place)
                projected[row, above] += mass[row, atom] * (place - below)
    return torch.tensor(projected, dtype=torch.float32)


@pytest.mark.parametrize(("count", "ends"), [(51, (-10.0, 10.0)), (2, (0.0, 1.0)), (7, (-0.3, 2.0))])
def test_the_projection_agrees_with_a_loop_over_atoms_and_keeps_the_mass(count: int, ends: tuple[float, float]) -> None:
    source = torch.Generator().manual_seed(0)
    support = torch.linspace(*ends, count)
    reward = torch.cat([torch.tensor([0.0, 1.0, -1.0, 25.0, -25.0]), torch.randn(40, generator=source)])
    discount = torch.cat([torch.tensor([1.0, 0.99, 0.0, 0.9, 0.9]), torch.rand(40, generator=source)])
    mass = torch.randn(45, count, generator=source).mul(3).softmax(-1)
    atoms = bootstrap(reward[:, None], discount[:, None], support)
    projected = project(mass, atoms, support)
    torch.testing.assert_close(
        projected, slow_projection(mass.double().numpy(), atoms.double().numpy(), ends), atol=2e-5, rtol=0
    )
    torch.testing.assert_close(projected.sum(-1), torch.ones(45), atol=1e-5, rtol=0)
    assert (projected >= 0).all()


def test_the_cross_entropy_is_that_worked_out_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])  # probabilities 1/2 1/2 and 3/4 1/4
    target = torch.tensor([[0.3, 0.7], [1.0, 0.0]])
    torch.testing.assert_close(cross_entropy(target, logits), torch.tensor([math.log(2), math.log(4 / 3)]))


def test_the_gradient_of_the_cross_entropy_is_the_difference_of_the_distributions() -> None:
    logits = torch.tensor([[0.0, 0.0]], requires_grad=True)
    losses = cross_entropy(torch.tensor([[0.2, 0.8]]), logits)
    torch.testing.assert_close(gradient(losses, logits), torch.tensor([[0.3, -0.3]]))


def test_the_soft_value_is_the_policys_mean_and_its_entropy() -> None:
    q = torch.tensor([[0.0, 0.5 * math.log(3)], [7.0, 7.0]])  # at tau = 1/2: policies 1/4 3/4 and 1/2 1/2
    # sum pi (q - tau log pi) is tau log sum exp(q / tau): .5 log(1 + 3), and 7 + .5 log 2
    expected = torch.tensor([0.5 * math.log(4), 7 + 0.5 * math.log(2)])
    torch.testing.assert_close(soft_value(q, q, 0.5), expected)


def test_the_soft_value_of_quantiles_averages_each_over_the_actions() -> None:
    q = torch.tensor([[0.0, math.log(3)]])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    value = soft_value(torch.tensor([[[0.0, 4.0], [8.0, 16.0]]]), q, 1.0)
    torch.testing.assert_close(value, torch.tensor([[6 + entropy, 13 + entropy]]))


def test_a_cold_soft_value_is_the_maximum_and_does_not_overflow() -> None:
    q = torch.tensor([[-300.0, 200.0, 199.0]])
    torch.testing.assert_close(soft_value(q, q, 0.001), torch.tensor([200.0]))


def test_munchausen_adds_the_log_policy_of_the_action_but_no_less_than_the_floor() -> None:
    q = torch.tensor([[0.0, 0.5 * math.log(3)], [0.0, 0.5 * math.log(3)], [0.0, 50.0]])
    bonus = munchausen(q, torch.tensor([0, 1, 0]), temperature=0.5, scale=0.9, floor=-1.0)
    expected = [0.9 * 0.5 * math.log(0.25), 0.9 * 0.5 * math.log(0.75), -0.9]
    torch.testing.assert_close(bonus, torch.tensor(expected))


def test_the_quantile_loss_is_the_one_worked_out_by_hand() -> None:
    quantiles, levels = torch.tensor([[0.0, 2.0]]), torch.tensor([0.25, 0.75])
    # errors against 1 and 4: -1 -4 and 1 -2; Huber .5 3.5 and .5 1.5; pulls .25 .25 and .25 .75
    losses, size = quantile_huber(quantiles, torch.tensor([[1.0, 4.0]]), levels)
    torch.testing.assert_close(losses, torch.tensor([(0.25 * 4 + 0.25 * 0.5 + 0.75 * 1.5) / 2]))
    assert size.tolist() == [2.0]


def test_the_quantile_loss_is_least_where_the_levels_cut_the_targets() -> None:
    quantiles = torch.zeros(1, 3, requires_grad=True)
    targets = 100 * torch.arange(1, 101)[None].float()  # far apart beside the Huber threshold
    levels = torch.tensor([0.1, 0.5, 0.9])
    optimizer = torch.optim.SGD([quantiles], lr=200)
    for _ in range(300):
        optimizer.zero_grad()
        quantile_huber(quantiles, targets, levels)[0].sum().backward()
        optimizer.step()
    torch.testing.assert_close(quantiles[0].detach(), torch.tensor([1_000.0, 5_000.0, 9_000.0]), atol=150, rtol=0)

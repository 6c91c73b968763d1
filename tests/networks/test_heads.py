import math

import pytest
import torch
from torch import Tensor, nn

from rlrun.networks.heads import (
    ActionHead,
    AtomHead,
    CategoricalHead,
    EnsembleHead,
    ExpectationHead,
    ProbabilityHead,
    QuantileHead,
)
from rlrun.networks.layers import NoisyLinear, resample_noise
from rlrun.networks.mlp import MLP


def parameter_count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def fill(weight: Tensor, values: object) -> None:
    with torch.no_grad():
        weight.copy_(torch.tensor(values))


def test_an_expectation_head_is_two_layers_that_can_be_computed_by_hand() -> None:
    head = ExpectationHead(2, 2, hidden=(2,))
    for weight, values in zip(
        head.parameters(),
        ([[1.0, 0.0], [0.0, -1.0]], [0.0, 1.0], [[2.0, 3.0], [-1.0, 5.0]], [0.5, 0.0]),
        strict=True,
    ):
        fill(weight, values)
    # (3, 2): relu(3) = 3 and relu(1 - 2) = 0 -> 6.5, -3;   (-1, -4): 0 and 5 -> 15.5, 25
    q = head(torch.tensor([[3.0, 2.0], [-1.0, -4.0]]))
    torch.testing.assert_close(q, torch.tensor([[6.5, -3.0], [15.5, 25.0]]))
    assert head.expectation(q) is q


def test_a_head_with_layer_norm_normalises_its_hidden_layer_before_the_relu_by_hand() -> None:
    head = ExpectationHead(2, 1, hidden=(2,), layer_norm=True)
    for weight, values in zip(
        head.parameters(),
        ([[1.0, 0.0], [0.0, 10.0]], [0.0, 0.0], [2.0, 2.0], [0.0, 0.5], [[1.0, 100.0]], [3.0]),
        strict=True,
    ):
        fill(weight, values)
    # (5, 3): hidden (5, 30) is (-1, 1) normalised, times 2 and shifted (-2, 2.5); relu (0, 2.5) -> 253.
    # (4, 0.1): hidden (4, 1) is (1, -1), then (2, -1.5); relu (2, 0) -> 5.
    q = head(torch.tensor([[5.0, 3.0], [4.0, 0.1]]))
    torch.testing.assert_close(q, torch.tensor([[253.0], [5.0]]), atol=1e-3, rtol=1e-5)


def test_a_dueling_head_is_value_plus_advantage_less_its_mean_by_hand() -> None:
    head = ExpectationHead(1, 3, hidden=(), dueling=True)
    assert head.value is not None
    fill(head.value.output.weight, [[10.0]])
    fill(head.value.output.bias, [1.0])
    fill(head.advantage.output.weight, [[1.0], [2.0], [6.0]])
    fill(head.advantage.output.bias, [0.0, 0.0, 3.0])
    # features 2: V = 21, A = (2, 4, 15) with mean 7
    torch.testing.assert_close(head(torch.tensor([[2.0]])), torch.tensor([[16.0, 18.0, 29.0]]))


@pytest.mark.parametrize("head", [ExpectationHead(6, 5, (7,), dueling=True), CategoricalHead(6, 5, 3, dueling=True)])
def test_a_constant_shift_of_the_advantage_changes_nothing_and_one_of_the_value_everything(head: AtomHead) -> None:
    x = torch.randn(4, 6)
    assert head.value is not None
    with torch.no_grad():
        before = head(x)
        head.advantage.output.bias += 5.0
        torch.testing.assert_close(head(x), before, atol=1e-5, rtol=1e-5)
        head.value.output.bias += 2.0
        torch.testing.assert_close(head(x), before + 2.0, atol=1e-5, rtol=1e-5)


def test_the_advantage_mean_is_taken_atom_by_atom() -> None:
    head = CategoricalHead(1, 2, atoms=3, hidden=(), dueling=True)
    assert head.value is not None
    for weight in head.parameters():
        fill(weight, 0.0)
    fill(head.value.output.bias, [100.0, 200.0, 300.0])
    fill(head.advantage.output.bias, [1.0, 2.0, 3.0, 5.0, 8.0, 3.0])  # action by action; the means are 3, 5, 3
    expected = torch.tensor([[[98.0, 197.0, 300.0], [102.0, 203.0, 300.0]]])
    torch.testing.assert_close(head(torch.zeros(1, 1)), expected)


def test_both_streams_of_a_dueling_head_have_the_hidden_layers() -> None:
    assert parameter_count(ExpectationHead(3136, 4, (512,))) == 3136 * 512 + 512 + 512 * 4 + 4
    dueling = 2 * (3136 * 512 + 512) + 512 * 4 + 4 + 512 * 1 + 1
    assert parameter_count(ExpectationHead(3136, 4, (512,), dueling=True)) == dueling
    # the head of Rainbow: a mean and a sigma for every weight
    rainbow = 2 * (2 * (3136 * 512 + 512) + 512 * 4 * 51 + 4 * 51 + 512 * 51 + 51)
    assert parameter_count(CategoricalHead(3136, 4, dueling=True, noisy=True)) == rainbow


@pytest.mark.parametrize("dueling", [False, True])
def test_every_layer_of_a_noisy_head_is_noisy(dueling: bool) -> None:
    head = ExpectationHead(6, 3, (8, 7), dueling=dueling, noisy=True)
    assert sum(isinstance(module, NoisyLinear) for module in head.modules()) == (6 if dueling else 3)
    assert not any(isinstance(module, nn.Linear) for module in head.modules())
    x = torch.randn(2, 6)
    before = head(x)
    resample_noise(head)
    assert not torch.allclose(head(x), before)
    assert not any(isinstance(module, NoisyLinear) for module in ExpectationHead(6, 3, dueling=dueling).modules())


def test_a_categorical_expectation_is_the_one_worked_out_by_hand() -> None:
    head = CategoricalHead(4, 2, atoms=3, v_min=-2.0, v_max=4.0)
    torch.testing.assert_close(head.support, torch.tensor([-2.0, 1.0, 4.0]))
    half, quarter, eighth = math.log(0.5), math.log(0.25), math.log(0.125)
    # .5 * -2 + .25 * 1 + .25 * 4 = .25;   .125 * -2 + .5 * 1 + .375 * 4 = 1.75 (a constant in the logits is nothing)
    logits = torch.tensor([[[half, quarter, quarter], [eighth + 9, half + 9, math.log(0.375) + 9]]])
    torch.testing.assert_close(head.expectation(logits), torch.tensor([[0.25, 1.75]]))


def test_the_support_of_rainbow_goes_from_minus_ten_to_ten_in_51_atoms() -> None:
    head = CategoricalHead(4, 2)
    assert head.support.shape == (51,)
    assert head.support.dtype == torch.float32
    assert [head.support[i].item() for i in (0, 25, 50)] == [-10.0, 0.0, 10.0]
    assert head(torch.randn(3, 4)).shape == (3, 2, 51)
    assert "support" in head.state_dict()


def test_the_logits_are_grouped_action_by_action() -> None:
    head = CategoricalHead(1, 2, atoms=3, hidden=())
    fill(head.advantage.output.weight, [[0.0]] * 6)
    fill(head.advantage.output.bias, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert head(torch.zeros(1, 1)).tolist() == [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]


def test_the_expectation_of_quantiles_is_their_mean_and_their_levels_are_the_middles() -> None:
    head = QuantileHead(1, 2, atoms=4, hidden=())
    assert head.levels.tolist() == [0.125, 0.375, 0.625, 0.875]
    fill(head.advantage.output.weight, [[0.0]] * 8)
    fill(head.advantage.output.bias, [1.0, 2.0, 3.0, 6.0, 0.0, 0.0, 8.0, 0.0])
    quantiles = head(torch.zeros(1, 1))
    assert quantiles.tolist() == [[[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 8.0, 0.0]]]
    assert head.expectation(quantiles).tolist() == [[3.0, 2.0]]


@pytest.mark.parametrize("noisy", [False, True])
def test_the_gradient_of_a_dueling_head_is_that_of_finite_differences(noisy: bool) -> None:
    torch.manual_seed(0)
    head = ExpectationHead(4, 3, (5,), dueling=True, noisy=noisy).double()
    features = torch.randn(2, 4, dtype=torch.float64)
    scale = torch.randn(2, 3, dtype=torch.float64)

    def loss() -> Tensor:
        weighted: Tensor = (head(features) * scale).sum()
        return weighted

    weights = list(head.parameters())
    step = 1e-6
    for weight, gradient in zip(weights, torch.autograd.grad(loss(), weights), strict=True):
        flat = weight.data.view(-1)
        for i in range(len(flat)):
            with torch.no_grad():
                flat[i] += step
                above = loss()
                flat[i] -= 2 * step
                below = loss()
                flat[i] += step
            torch.testing.assert_close((above - below) / (2 * step), gradient.reshape(-1)[i], atol=1e-8, rtol=1e-6)


def test_a_categorical_head_passes_gradcheck_in_float64() -> None:
    head = CategoricalHead(4, 2, atoms=5, hidden=(3,), dueling=True).double()
    features = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert head(features).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda x: head.expectation(head(x)), features)


def test_no_hidden_layers_and_a_probability_head_are_logistic_regression() -> None:
    body = MLP(2, [])
    head = ProbabilityHead(body.out_features, 2)
    assert parameter_count(head) == 6
    fill(head.stream.output.weight, [[0.0, 0.0], [1.0, -2.0]])
    fill(head.stream.output.bias, [0.0, 0.5])
    p = head.probabilities(head(body(torch.tensor([[3.0, 1.0], [0.0, 0.25]]))))
    # softmax of (0, z) is the sigmoid of z;  z = 3 - 2 + .5 = 1.5 and 0 - .5 + .5 = 0
    sigmoid = 1 / (1 + math.exp(-1.5))
    torch.testing.assert_close(p, torch.tensor([[1 - sigmoid, sigmoid], [0.5, 0.5]]))


def test_probabilities_of_a_deeper_head_are_positive_and_sum_to_one() -> None:
    head = ProbabilityHead(6, 10, hidden=(20,))
    p = head.probabilities(head(torch.randn(3, 6)))
    assert p.shape == (3, 10)
    assert p.min() > 0
    torch.testing.assert_close(p.sum(1), torch.ones(3))


def test_an_ensembles_members_start_apart_share_no_weight_and_expect_their_mean() -> None:
    head = EnsembleHead(2, 2, members=2, hidden=())
    for weight, values in zip(
        head.parameters(),
        ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.5], [[3.0, 0.0], [2.0, 2.0]], [0.0, 0.0]),
        strict=True,
    ):
        fill(weight, values)
    outputs = head(torch.tensor([[1.0, 2.0]]))
    assert outputs.tolist() == [[[1.0, 3.0], [2.5, 6.0]]]  # (B, A, Z)
    assert head.expectation(outputs).tolist() == [[2.0, 4.25]]
    outputs[..., 0].sum().backward()
    slopes = [None if weight.grad is None else float(weight.grad.abs().sum()) for weight in head.parameters()]
    assert slopes[2:] == [0.0, 0.0] or slopes[2:] == [None, None]
    first, second = EnsembleHead(6, 5, members=2, hidden=(7,), dueling=True, layer_norm=True).members
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


@pytest.mark.parametrize(
    "head",
    [
        ExpectationHead(6, 5, (7,)),
        ExpectationHead(6, 5, (7,), dueling=True, noisy=True),
        QuantileHead(6, 5, 3, (7,), dueling=True),
        EnsembleHead(6, 5, 3, (7,), dueling=True),
    ],
)
def test_a_raised_head_expects_so_much_more_of_every_action_in_every_state(head: ActionHead) -> None:
    x = torch.randn(4, 6)
    with torch.no_grad():
        before = head(x)
        head.raise_by(22.0)
        torch.testing.assert_close(head(x), before + 22.0, atol=1e-5, rtol=1e-5)


def test_impossible_sizes_are_errors_that_say_why() -> None:
    with pytest.raises(ValueError, match="at least one member, not 0"):
        EnsembleHead(4, 2, members=0)
    with pytest.raises(ValueError, match="at least one action, not 0"):
        ExpectationHead(4, 0)
    with pytest.raises(ValueError, match="at least one class, not 0"):
        ProbabilityHead(4, 0)
    with pytest.raises(ValueError, match="at least one quantile, not 0"):
        QuantileHead(4, 2, atoms=0)
    with pytest.raises(ValueError, match="two atoms or more"):
        CategoricalHead(4, 2, atoms=1)
    with pytest.raises(ValueError, match=r"v_min < v_max.*\[10, 10\]"):
        CategoricalHead(4, 2, v_min=10, v_max=10)

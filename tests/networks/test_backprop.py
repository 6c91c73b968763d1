"""Backpropagation by hand: the lecture's numbers, finite differences, torch autograd and scikit-learn."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from rlrun.networks import backprop
from rlrun.networks.backprop import sigma, softmax, with_one

Array = NDArray[np.float64]
TOLERANCE = 1e-8


def problem(n: int = 30, m: int = 4, classes: int = 0, seed: int = 3) -> tuple[Array, Array]:
    """Return inputs with x_0 = 1, and labels (n,), or one-hot (n, classes), that no weights separate."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, m))
    if classes:
        return with_one(x), np.eye(classes)[rng.integers(0, classes, n)]
    return with_one(x), (x[:, 0] + rng.normal(size=n) > 0).astype(float)


def finite_differences(function: Callable[[Array], float], theta: Array, step: float = 1e-3) -> Array:
    """Return the derivative by the five-point formula, whose error is of the fourth order in the step."""
    found = np.zeros_like(theta)
    for index in np.ndindex(*theta.shape):
        values = []
        for factor in (-2, -1, 1, 2):
            moved = theta.copy()
            moved[index] += factor * step
            values.append(function(moved))
        found[index] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return found


def test_it_needs_nothing_but_numpy() -> None:
    tree = ast.parse(Path(str(backprop.__file__)).read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"numpy"}


def test_sigma_is_one_half_at_zero_and_does_not_overflow() -> None:
    with np.errstate(all="raise"):
        assert sigma(np.array([0.0, np.log(3.0), -700.0, 700.0])) == pytest.approx([0.5, 0.75, 0.0, 1.0], abs=1e-15)


def test_the_slope_of_sigma_is_sigma_times_one_minus_sigma() -> None:
    z = np.linspace(-4, 4, 9)
    slope = finite_differences(lambda z: float(sigma(z).sum()), z)
    assert np.abs(slope - sigma(z) * (1 - sigma(z))).max() < TOLERANCE


def test_the_gradient_of_logistic_regression_is_that_of_finite_differences() -> None:
    x, y = problem()
    theta = np.random.default_rng(0).normal(size=(x.shape[1],))
    measured = finite_differences(lambda t: backprop.log_likelihood(y, sigma(x @ t)), theta)
    assert np.abs(measured - backprop.logistic_gradient(theta, x, y)).max() < TOLERANCE


def test_the_gradient_of_logistic_regression_is_the_pseudo_codes_loop() -> None:
    x, y = problem()
    theta = np.random.default_rng(0).normal(size=(x.shape[1],))
    gradient = [0.0] * len(theta)
    for j in range(len(theta)):
        for example, label in zip(x, y, strict=True):
            gradient[j] += example[j] * (label - 1 / (1 + np.exp(-theta @ example)))
    assert np.abs(gradient - backprop.logistic_gradient(theta, x, y)).max() < 1e-12


def test_the_log_likelihood_never_falls_while_logistic_regression_trains() -> None:
    x, y = problem(n=200, m=6)
    theta, climbed = backprop.train_logistic(x, y, times=2_000)
    assert climbed[0] == pytest.approx(200 * np.log(0.5))  # theta = 0: every label is a coin
    assert np.diff(climbed).min() >= -1e-11  # float64's rounding of a sum near 100
    assert climbed[-1] > climbed[0] + 10
    assert np.abs(backprop.logistic_gradient(theta, x, y)).max() < 1e-6


def test_logistic_regression_ends_at_scikit_learns_unpenalised_weights() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = problem(n=200, m=6)
    theta, _ = backprop.train_logistic(x, y, times=5_000)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x[:, 1:], y)
    assert np.abs(theta - np.r_[theirs.intercept_, theirs.coef_[0]]).max() < 1e-4


def test_the_likelihoods_are_torchs_losses_with_the_other_sign() -> None:
    x, y = problem(classes=3)
    y_hat = softmax(x @ np.random.default_rng(0).normal(size=(5, 3)))
    theirs = F.cross_entropy(torch.tensor(y_hat).log(), torch.tensor(y), reduction="sum")
    assert -backprop.log_likelihood_classes(y, y_hat) == pytest.approx(float(theirs), abs=1e-12)
    theirs = F.binary_cross_entropy(torch.tensor(y_hat), torch.tensor(y), reduction="sum")
    assert -backprop.log_likelihood(y, y_hat) == pytest.approx(float(theirs), abs=1e-12)


def test_one_hidden_layer_has_the_gradients_of_finite_differences_and_of_autograd() -> None:
    x, y = problem()
    rng = np.random.default_rng(1)
    theta_h, theta_y = rng.normal(size=(5, 7)), rng.normal(size=7)
    gradient_h, gradient_y = backprop.gradients(x, y, theta_h, theta_y)

    measured_h = finite_differences(lambda t: backprop.log_likelihood(y, backprop.forward(x, t, theta_y)[1]), theta_h)
    measured_y = finite_differences(lambda t: backprop.log_likelihood(y, backprop.forward(x, theta_h, t)[1]), theta_y)
    assert np.abs(measured_h - gradient_h).max() < TOLERANCE
    assert np.abs(measured_y - gradient_y).max() < TOLERANCE

    h, out = torch.tensor(theta_h, requires_grad=True), torch.tensor(theta_y, requires_grad=True)
    y_hat = torch.sigmoid(torch.sigmoid(torch.tensor(x) @ h) @ out)
    theirs = torch.autograd.grad(-F.binary_cross_entropy(y_hat, torch.tensor(y), reduction="sum"), (h, out))
    assert np.abs(theirs[0].numpy() - gradient_h).max() < TOLERANCE
    assert np.abs(theirs[1].numpy() - gradient_y).max() < TOLERANCE


@pytest.mark.parametrize(("sizes", "squash"), [((5, 1), sigma), ((5, 4, 6, 3, 1), sigma), ((5, 4, 6, 3), softmax)])
def test_any_number_of_layers_has_the_gradients_of_finite_differences_and_of_autograd(
    sizes: tuple[int, ...], squash: Callable[[Array], Array]
) -> None:
    x, y = problem(classes=3) if squash is softmax else problem()
    y = y if squash is softmax else y[:, None]
    likelihood: Callable[[Array, Array], float]
    likelihood = backprop.log_likelihood_classes if squash is softmax else backprop.log_likelihood
    thetas = [2 * theta for theta in backprop.random_thetas(sizes, seed=5)]
    by_hand = backprop.layer_gradients(x, y, thetas, squash)

    leaves = [torch.tensor(theta, requires_grad=True) for theta in thetas]
    value = torch.tensor(x)
    for leaf in leaves[:-1]:
        value = torch.sigmoid(value @ leaf)
    z = value @ leaves[-1]
    loss = F.cross_entropy if squash is softmax else F.binary_cross_entropy_with_logits
    theirs = torch.autograd.grad(-loss(z, torch.tensor(y), reduction="sum"), leaves)
    for depth, (gradient, their) in enumerate(zip(by_hand, theirs, strict=True)):

        def moved(theta: Array, depth: int = depth) -> float:
            changed = [*thetas[:depth], theta, *thetas[depth + 1 :]]
            return likelihood(y, backprop.layers(x, changed, squash)[-1])

        assert np.abs(their.numpy() - gradient).max() < TOLERANCE
        assert np.abs(finite_differences(moved, thetas[depth]) - gradient).max() < TOLERANCE


def test_the_lectures_one_hidden_layer_is_the_two_layer_case_of_any_number() -> None:
    x, y = problem()
    theta_h, theta_y = backprop.random_thetas((5, 7, 1), seed=2)
    h, out = backprop.gradients(x, y, theta_h, theta_y[:, 0])
    deep_h, deep_out = backprop.layer_gradients(x, y[:, None], [theta_h, theta_y])
    assert np.abs(h - deep_h).max() < 1e-12
    assert np.abs(out - deep_out[:, 0]).max() < 1e-12


def test_a_softmax_over_two_classes_is_the_sigmoid_of_their_difference() -> None:
    z = np.random.default_rng(0).normal(scale=5, size=(50, 2))
    assert np.abs(softmax(z)[:, 1] - sigma(z[:, 1] - z[:, 0])).max() < 1e-15


def test_hidden_neurons_learn_what_logistic_regression_cannot() -> None:
    x = with_one(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float))
    y = np.array([0, 1, 1, 0], float)  # exclusive or
    _theta, climbed = backprop.train_logistic(x, y, times=5_000)
    assert climbed[-1] == pytest.approx(4 * np.log(0.5))  # no better than a coin for each
    thetas, climbed = backprop.train(x, y[:, None], [3 * t for t in backprop.random_thetas((3, 6, 1), 0)], 0.5, 5_000)
    assert ((backprop.layers(x, thetas)[-1][:, 0] > 0.5) == y).all()
    assert climbed[-1] > -0.1


def test_softmax_training_tells_three_kinds_of_points_apart() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    x = with_one(np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])[labels] + 0.4 * rng.normal(size=(90, 2)))
    start = backprop.random_thetas((3, 5, 3), 1)
    thetas, climbed = backprop.train(x, np.eye(3)[labels], start, 0.02, 1_000, softmax)
    assert (backprop.layers(x, thetas, softmax)[-1].argmax(1) == labels).mean() == 1.0
    assert climbed[-1] > -5
    assert climbed[0] < -60


def test_the_smoke_checks_of_the_lecture() -> None:
    thetas = backprop.random_thetas((40, 20, 1), seed=0)
    assert [theta.size for theta in thetas] == [800, 20]
    assert backprop.parameter_count(thetas) == 820


def test_a_convolution_is_one_layer_with_shared_weights() -> None:
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(6, 7)), rng.normal(size=(3, 2))
    matrix = backprop.shared_weights(kernel, 6, 7)
    theirs = F.conv2d(torch.tensor(image)[None, None], torch.tensor(kernel)[None, None])
    assert np.abs(image.ravel() @ matrix - theirs.numpy().ravel()).max() < 1e-12
    assert len(np.unique(matrix[matrix != 0])) == kernel.size  # 6 thetas for 42 x 24 connections
    assert np.count_nonzero(matrix) == kernel.size * 4 * 6


def test_a_kernel_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="5 x 5 does not fit into an image of 4 x 6"):
        backprop.shared_weights(np.ones((5, 5)), 4, 6)

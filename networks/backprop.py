"""Backpropagation by hand, NumPy only, in the lecture's symbols: gradient ascent on the log-likelihood.

As on the slides, theta are the weights, x_0 = 1 is the intercept's input (`with_one` puts it there), y_hat is
P(Y = 1 | x), eta the step size, and LL is climbed, not its negative descended. The lecture pretends to have one
example, because the derivative of a sum is the sum of derivatives; here that sum over n examples is a matrix product.
Reference: CS109, Stanford University, "Deep Learning".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Squash = Callable[[Array], Array]


def with_one(x: Array) -> Array:
    """Return inputs (n, m) with x_0 = 1 before them, (n, 1 + m)."""
    return np.concatenate([np.ones((len(x), 1)), x], 1)


def sigma(z: Array) -> Array:
    """Return 1 / (1 + e^-z), elementwise, for any z without overflow."""
    small = np.exp(-np.abs(z))  # never above 1
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def softmax(z: Array) -> Array:
    """Return e^z_j / sum_k e^z_k along the last axis, (n, K) -> (n, K)."""
    up = np.exp(z - z.max(-1, keepdims=True))  # the largest is 1: no overflow
    shares: Array = up / up.sum(-1, keepdims=True)
    return shares


def log_likelihood(y: Array, y_hat: Array) -> float:
    """Return LL of labels `y` in {0, 1} under y_hat = P(Y = 1), both (n,): Y ~ Bern(y_hat)."""
    return float(np.sum(np.log(np.where(y == 1, y_hat, 1 - y_hat))))  # y log y_hat + (1 - y) log(1 - y_hat)


def log_likelihood_classes(y: Array, y_hat: Array) -> float:
    """Return LL of one-hot labels `y` under the probabilities `y_hat`, both (n, K): the categorical of softmax."""
    return float(np.sum(np.log((y * y_hat).sum(1))))  # of the K factors y_hat_j^y_j only the true class's is not 1


# Logistic regression


def logistic_gradient(theta: Array, x: Array, y: Array) -> Array:
    """Return dLL / dtheta, (m,): the sum over the examples of x_j (y - sigma(theta^T x)).

    theta (m,), x (n, m), y (n,) in {0, 1}.
    """
    return x.T @ (y - sigma(x @ theta))


def safe_eta(x: Array) -> float:
    """Return the largest step size for which theory promises logistic regression that LL never falls, for x (n, m).

    The curvature of LL is x^T diag(y_hat (1 - y_hat)) x, and y_hat (1 - y_hat) <= 1/4.
    """
    return float(4.0 / np.linalg.norm(x, 2) ** 2)


def train_logistic(x: Array, y: Array, eta: float | None = None, times: int = 1_000) -> tuple[Array, list[float]]:
    """Train as the lecture's pseudo-code does; return theta, (m,), and LL before each step and after the last one.

    x (n, m), y (n,) in {0, 1}; eta: `safe_eta` if None.
    """
    eta = safe_eta(x) if eta is None else eta
    theta = np.zeros(x.shape[1])  # initialize: theta_j = 0 for all 0 <= j <= m
    climbed = [log_likelihood(y, sigma(x @ theta))]
    for _ in range(times):  # repeat many times
        gradient = logistic_gradient(theta, x, y)  # for each training example: gradient[j] += x_j (y - sigma)
        theta += eta * gradient  # theta_j += eta * gradient[j]
        climbed.append(log_likelihood(y, sigma(x @ theta)))
    return theta, climbed


# One hidden layer


def forward(x: Array, theta_h: Array, theta_y: Array) -> tuple[Array, Array]:
    """Return h (n, m_h) and y_hat (n,) of inputs x (n, m_x), with theta_h (m_x, m_h) and theta_y (m_h,)."""
    h = sigma(x @ theta_h)  # h_j = sigma(sum_i x_i theta_ij^(h))
    y_hat = sigma(h @ theta_y)  # y_hat = sigma(sum_j h_j theta_j^(y_hat))
    return h, y_hat


def gradients(x: Array, y: Array, theta_h: Array, theta_y: Array) -> tuple[Array, Array]:
    """Return dLL / dtheta_h, (m_x, m_h), and dLL / dtheta_y, (m_h,), factor by factor as the chain rule has them.

    Shapes as in `forward`, y (n,) in {0, 1}. y_hat must not have been rounded to 0 or 1, where the first factor is
    infinite; `layer_gradients` has it cancelled.
    """
    h, y_hat = forward(x, theta_h, theta_y)
    dLL_dy_hat = y / y_hat - (1 - y) / (1 - y_hat)  # (n,)
    dy_hat_dz = y_hat * (1 - y_hat)  # (n,), the beautiful slope of sigma
    # dLL / dtheta_i^(y_hat) = dLL/dy_hat . dy_hat/dtheta_i, the latter y_hat (1 - y_hat) h_i
    gradient_y = h.T @ (dLL_dy_hat * dy_hat_dz)
    # dLL / dtheta_ij^(h) = dLL/dy_hat . dy_hat/dh_j . dh_j/dtheta_ij
    dy_hat_dh = dy_hat_dz[:, None] * theta_y  # (n, m_h)
    dh_dz = h * (1 - h)  # (n, m_h); dh_j/dtheta_ij is this times x_i
    gradient_h = x.T @ (dLL_dy_hat[:, None] * dy_hat_dh * dh_dz)
    return gradient_h, gradient_y


# Any number of layers, any number of classes


def layers(x: Array, thetas: Sequence[Array], squash: Squash = sigma) -> list[Array]:
    """Return every layer, [x, h, ..., y_hat]: sigma in the hidden ones, `squash` (sigma or softmax) in the last.

    x (n, m), thetas[k] (units of layer k, units of layer k + 1).
    """
    values = [x]
    for depth, theta in enumerate(thetas, start=1):
        z = values[-1] @ theta
        values.append(squash(z) if depth == len(thetas) else sigma(z))
    return values


def layer_gradients(x: Array, y: Array, thetas: Sequence[Array], squash: Squash = sigma) -> list[Array]:
    """Return dLL / dtheta of every layer, each in the shape of its theta.

    x (n, m), y (n, K): 0 or 1 for each output of sigma, one-hot for softmax.
    """
    values = layers(x, thetas, squash)
    # The two factors dLL/dy_hat . dy_hat/dz of the last layer multiply to y - y_hat, for sigma and softmax alike.
    dLL_dz = y - values[-1]
    found: list[Array] = []
    for h, theta in zip(reversed(values[:-1]), reversed(thetas), strict=True):
        found.append(h.T @ dLL_dz)  # dz/dtheta_ij = h_i
        dLL_dz = (dLL_dz @ theta.T) * h * (1 - h)  # one layer down: dz/dh = theta, dh/dz = h (1 - h)
    return found[::-1]


def train(
    x: Array, y: Array, thetas: Sequence[Array], eta: float, times: int, squash: Squash = sigma
) -> tuple[list[Array], list[float]]:
    """Climb LL by gradient ascent from `thetas`; return the new thetas and LL before each step and after the last one.

    Arguments as for `layer_gradients`. eta multiplies the summed gradient, as in the lecture.
    """
    likelihood = log_likelihood_classes if squash is softmax else log_likelihood
    thetas = [theta.copy() for theta in thetas]
    climbed = [likelihood(y, layers(x, thetas, squash)[-1])]
    for _ in range(times):
        for theta, gradient in zip(thetas, layer_gradients(x, y, thetas, squash), strict=True):
            theta += eta * gradient
        climbed.append(likelihood(y, layers(x, thetas, squash)[-1]))
    return thetas, climbed


def random_thetas(sizes: Sequence[int], seed: int) -> list[Array]:
    """Return small random thetas for layers of `sizes` units, x first: zeros would keep all neurons of a layer equal.

    Uniform in +-1/sqrt(units below).
    """
    rng = np.random.default_rng(seed)
    pairs = itertools.pairwise(sizes)
    return [rng.uniform(-1, 1, (below, above)) / np.sqrt(below) for below, above in pairs]


def parameter_count(thetas: Sequence[Array]) -> int:
    """Return how many numbers have to be set: 800 and 20, 820 in all, for layers of 40, 20 and 1."""
    return sum(theta.size for theta in thetas)


# Shared weights


def shared_weights(kernel: Array, height: int, width: int) -> Array:
    """Return the Toeplitz matrix with which a convolution of an image is one fully connected layer.

    kernel (k_h, k_w); the matrix is (height * width, out_h * out_w), so that image.ravel() @ matrix is the convolution
    (stride 1, no padding, not flipped: what the field calls so). Its columns hold the same few thetas again and again,
    shifted, and zeros: "force some of your weights to be shared".
    """
    k_h, k_w = kernel.shape
    out_h, out_w = height - k_h + 1, width - k_w + 1
    if min(out_h, out_w) < 1:
        raise ValueError(f"a kernel of {k_h} x {k_w} does not fit into an image of {height} x {width}")
    matrix = np.zeros((height, width, out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            matrix[i : i + k_h, j : j + k_w, i, j] = kernel
    return matrix.reshape(height * width, out_h * out_w)

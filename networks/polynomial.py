"""Polynomials of rising degree through a few noisy points: the lecture's picture of overfitting, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PolynomialFit(NamedTuple):
    """How a polynomial does on the points that it was fitted to and on others; root mean squared errors."""

    degree: int
    train_error: float
    test_error: float


def polynomial_fits(
    degrees: Sequence[int], *, points: int = 12, test_points: int = 1_000, noise: float = 0.2, seed: int = 0
) -> list[PolynomialFit]:
    """Return the maximum-likelihood polynomial's errors for each degree, on y = sin(pi x) + Gaussian noise in [-1, 1].

    Under Gaussian noise maximum likelihood is least squares. Legendre polynomials are the basis: the same polynomials
    as with powers of x, but solvable without loss of digits. noise: its standard deviation. Raises ValueError for a
    degree that the points do not determine.
    """
    if min(degrees) < 0 or max(degrees) >= points:
        raise ValueError(f"{points} points determine polynomials of degree 0 to {points - 1}, not {max(degrees)}")
    rng = np.random.default_rng(seed)
    x, test_x = (np.sort(rng.uniform(-1, 1, size)) for size in (points, test_points))
    y, test_y = (np.sin(np.pi * at) + noise * rng.normal(size=len(at)) for at in (x, test_x))
    found = []
    for degree in degrees:
        theta = np.linalg.lstsq(np.polynomial.legendre.legvander(x, degree), y, rcond=None)[0]
        errors = [
            float(np.sqrt(np.mean((np.polynomial.legendre.legval(at, theta) - label) ** 2)))
            for at, label in ((x, y), (test_x, test_y))
        ]
        found.append(PolynomialFit(degree, errors[0], errors[1]))
    return found

"""Returns, targets and losses of Q-learning: pure functions on tensors, one loss per kind of head."""

from __future__ import annotations

import torch
from torch import Tensor


def choose(outputs: Tensor, action: Tensor) -> Tensor:
    """Return the outputs of the actions taken.

    Args:
        outputs: (B, A) or (B, A, Z).
        action: (B,) int64.

    Returns:
        (B,) or (B, Z).

    """
    return outputs[torch.arange(action.shape[0], device=action.device), action]


def bootstrap(reward: Tensor, discount: Tensor, next_value: Tensor) -> Tensor:
    """Return the target R + discount * V(next_obs), all (B,): Watkins' Q-learning when V is max_a Q.

    `discount` is gamma^n, or 0 where the episode terminated: termination and n vanish from the formula.
    """
    return reward + discount * next_value


def huber(td_error: Tensor, threshold: float = 1.0) -> Tensor:
    """Return the Huber loss of each TD error, same shape.

    Its gradient is the TD error clipped to [-threshold, threshold]: that is what Mnih et al. 2015 call clipping the
    error term; clipping the error itself would kill the gradient.
    """
    size = td_error.abs()
    return torch.where(size <= threshold, 0.5 * td_error**2, threshold * (size - 0.5 * threshold))


def squared(td_error: Tensor) -> Tensor:
    """Return half the squared TD error, same shape."""
    return 0.5 * td_error**2


def project(probabilities: Tensor, atoms: Tensor, support: Tensor) -> Tensor:
    """Return a distribution on `atoms` moved onto the fixed, evenly spaced `support` (Bellemare et al. 2017).

    Each atom's mass is split between its two neighbours in proportion to nearness; beyond the ends it stays there.
    As a product with the triangular kernel no atom can fall between two cases, so the mass stays 1 exactly.

    Args:
        probabilities: (B, Z).
        atoms: (B, Z), where that mass lies: R + discount * support.
        support: (Z,).

    Returns:
        (B, Z).

    """
    spacing = support[1] - support[0]
    atoms = atoms.clamp(support[0], support[-1])
    nearness = (1 - (atoms[:, None, :] - support[:, None]).abs() / spacing).clamp(min=0)  # (B, Z, Z)
    return (nearness * probabilities[:, None, :]).sum(-1)


def cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """Return -sum_z target log softmax(logits), (B,), for target and logits (B, Z)."""
    return -(target * logits.log_softmax(-1)).sum(-1)

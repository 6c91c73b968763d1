"""Returns, targets and losses of Q-learning: pure functions on tensors, one loss per kind of head."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def choose(outputs: Tensor, action: Tensor) -> Tensor:
    """Return the outputs of the actions taken.

    Args:
        outputs: (B, A) or (B, A, Z).
        action: (B,) int64.

    Returns:
        (B,) or (B, Z).

    """
    if outputs.dim() == 2:  # the same as below, but its gradient takes a third of the time in a script
        return outputs.gather(1, action[:, None]).squeeze(1)
    return outputs[torch.arange(action.shape[0], device=action.device), action]


def bootstrap(reward: Tensor, discount: Tensor, next_value: Tensor) -> Tensor:
    """Return the target R + discount * V(next_obs), all (B,): Watkins' Q-learning when V is max_a Q.

    `discount` is gamma^n, or 0 where the episode terminated: termination and n vanish from the formula.
    """
    return torch.addcmul(reward, discount, next_value)


def behind(q: Tensor) -> Tensor:
    """Return max_b Q(b) - Q(a), (B, A), for Q (B, A): how far each action is behind the best."""
    return q.amax(1, keepdim=True) - q


def soft_value(outputs: Tensor, q: Tensor, temperature: float) -> Tensor:
    """Return sum_a pi(a) (z(a) - tau log pi(a)) for pi = softmax(q / tau): the value of acting softly, with entropy.

    What the maximum of Q-learning becomes in Vieillard et al. 2020; the smaller the temperature, the nearer to it.

    Args:
        outputs: (B, A) or (B, A, Z), what is averaged: expectations or quantiles.
        q: (B, A), their expectations.
        temperature: tau.

    Returns:
        (B,) or (B, Z).

    """
    log_policy = (q / temperature).log_softmax(1)
    trailing = (...,) + (None,) * (outputs.dim() - q.dim())
    return (log_policy.exp()[trailing] * (outputs - temperature * log_policy[trailing])).sum(1)


def munchausen(q: Tensor, action: Tensor, temperature: float, scale: float, floor: float) -> Tensor:
    """Return alpha max(tau log pi(action), l_0), (B,), 0 or less: what Vieillard et al. 2020 add to the reward.

    Args:
        q: (B, A), from which pi = softmax(q / tau).
        action: (B,) int64, the action taken.
        temperature: tau.
        scale: alpha.
        floor: l_0, below 0: an action that the policy has ruled out costs no more than this.

    """
    return scale * (temperature * choose((q / temperature).log_softmax(1), action)).clamp(min=floor)


def huber(td_error: Tensor, threshold: float = 1.0) -> Tensor:
    """Return the Huber loss of each TD error, same shape.

    Its gradient is the TD error clipped to [-threshold, threshold]: that is what Mnih et al. 2015 call clipping the
    error term; clipping the error itself would kill the gradient.
    """
    return F.huber_loss(td_error, torch.zeros_like(td_error), reduction="none", delta=threshold)


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


def quantile_huber(quantiles: Tensor, targets: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the quantile Huber loss (Dabney et al. 2018), and the mean |TD error|, both (B,).

    Summed over the quantiles and averaged over the targets: each quantile is pulled up by the share `level` of what
    lies above it and down by the rest.

    Args:
        quantiles: (B, Z), of the action taken.
        targets: (B, Z'), a sample of what they should have been.
        levels: (Z,), which quantiles they are, in (0, 1).

    """
    td_error = quantiles[:, :, None] - targets[:, None, :]  # (B, Z, Z')
    pull = (levels[:, None] - (td_error.detach() > 0).float()).abs()
    losses = (pull * huber(td_error)).mean(2).sum(1)
    return losses, td_error.detach().abs().mean((1, 2))


Losses = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From the values of the actions taken and of what came next, (B,) or (B, Z), the rewards and the discounts, both (B,):
each transition's loss, and its priority (Schaul et al. 2016), the mean |TD error| or the cross entropy, both (B,)."""


def expectation(
    value: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor, *, td_loss: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return losses and priorities of expectations, all (B,)."""
    td_error = value - bootstrap(reward, discount, next_value)
    return td_loss(td_error), td_error.detach().abs()


def ensemble(
    value: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor, *, td_loss: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return losses and priorities, (B,), of the expectations of Z members, (B, Z): each learns as it would alone."""
    td_error = value - bootstrap(reward[:, None], discount[:, None], next_value)
    return td_loss(td_error).sum(1), td_error.detach().abs().mean(1)


def categorical(
    value: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor, *, support: Tensor
) -> tuple[Tensor, Tensor]:
    """Return losses and priorities, (B,), of distributions on `support` (Z,) as logits, (B, Z)."""
    atoms = bootstrap(reward[:, None], discount[:, None], support)  # (B, Z)
    losses = cross_entropy(project(next_value.softmax(-1), atoms, support), value)
    return losses, losses.detach()


def quantile(
    value: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor, *, levels: Tensor
) -> tuple[Tensor, Tensor]:
    """Return losses and priorities, (B,), of the quantiles `levels` (Z,) of returns, (B, Z)."""
    return quantile_huber(value, bootstrap(reward[:, None], discount[:, None], next_value), levels)

"""Saliency: which parts of an input an output hangs on, three ways, and the checks of whether that can be believed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .probe import evaluating, scores

BATCH = 200


class Curves(NamedTuple):
    """The output's share of its whole value while the most salient places are deleted, or inserted, step by step."""

    deleting: Tensor  # (S + 1,), from the whole input to a blank one
    inserting: Tensor  # (S + 1,), from a blank input to the whole one

    @property
    def deletion(self) -> float:
        """The area under the deletion curve; low is good."""
        return _area(self.deleting)

    @property
    def insertion(self) -> float:
        """The area under the insertion curve; high is good."""
        return _area(self.inserting)


class Pointing(NamedTuple):
    """How often the most salient place is a right one, over the states in which there is a right one."""

    accuracy: float  # NaN over no states
    chance: float  # of a place drawn at random
    states: int


def gradient_saliency(network: nn.Module, x: Tensor, output: int) -> Tensor:
    """Return |d output / d x|, as `x` (...) is shaped; of images, (H, W), the largest over the channels.

    Simonyan et al. 2014. x is one input, bytes or floats in 0..1.
    """
    with evaluating(network):
        point = unit_range(x)[None].requires_grad_(True)
        (gradient,) = torch.autograd.grad(scores(network, point)[0, output], point)
    size = gradient[0].abs()
    return size.amax(0) if size.dim() == 3 else size


def perturbation_saliency(
    network: nn.Module, x: Tensor, *, sigma: float = 5.0, stride: int = 5, blank: Tensor | None = None,
    parts: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return how much the outputs move when each place of an input is taken away: half their squared change.

    Greydanus et al. 2018. An image's places are blurred away, by a Gaussian mask of `sigma` pixels every `stride`
    pixels. Of other inputs, one part after the other takes its value from `blank`.

    Args:
        network: gives the outputs that are compared.
        x: an image (C, H, W), or numbers of any other shape.
        sigma: of the mask, pixels.
        stride: from mask to mask, pixels.
        blank: shaped as `x`: what numbers show that say nothing, their means over many states. Not for images.
        parts: (M, *x.shape) bool, the numbers that are taken away together; each for itself if None. Not for images.

    Returns:
        (H, W), enlarged bilinearly, of an image; shaped as `x` of numbers, a part's share the same value.

    Raises:
        ValueError: numbers without their blank.

    """
    whole, changed, spread = _perturbed(network, x, sigma, stride, blank, parts)
    return spread(0.5 * (changed - whole).square().sum(1))


def sarfa_saliency(
    network: nn.Module, x: Tensor, action: int, *, sigma: float = 5.0, stride: int = 5, blank: Tensor | None = None,
    parts: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return how much taking each place away takes from `action` and from no other, in 0..1.

    The harmonic mean of relevance, the fall of softmax(Q)_a, and specificity, 1 / (1 + KL) over the other actions.
    Puri et al. 2020; the rest is as in `perturbation_saliency`. With two outputs there are no others to compare: 1.
    """
    whole, changed, spread = _perturbed(network, x, sigma, stride, blank, parts)
    relevance = (whole.softmax(1)[:, action] - changed.softmax(1)[:, action]).clamp(min=0)  # (M,)
    others = [k for k in range(whole.shape[1]) if k != action]
    before, after = whole[:, others].log_softmax(1), changed[:, others].log_softmax(1)
    divergence = (after.exp() * (after - before)).sum(1)
    specificity = 1 / (1 + divergence)
    return spread(2 * specificity * relevance / (specificity + relevance).clamp(min=1e-12))


@torch.no_grad()
def deletion_insertion(
    network: nn.Module, x: Tensor, output: int, saliency: Tensor, *, steps: int = 20, blank: Tensor | None = None
) -> Curves:
    """Return the deletion and the insertion curve of an input's saliency (Petsiuk et al. 2018).

    Places go from the input to `blank` (deletion), or come back (insertion), the most salient ones first; the curves
    are softmax(outputs)[output]. An image's blank is its blurred version if None. x (C, H, W) with saliency (H, W), or
    numbers of any shape with a saliency of the same. Raises ValueError for numbers without a blank.
    """
    whole = unit_range(x)
    if blank is None:
        if x.dim() != 3:
            raise ValueError(f"numbers of shape {tuple(x.shape)} cannot be blurred: give their means as `blank`")
        blank = blur(whole[None], max(whole.shape[1:]) / 8)[0]
    rank = saliency.flatten().argsort(descending=True, stable=True).argsort()  # 0 is the most salient place
    counts = torch.linspace(0, rank.numel(), min(steps, rank.numel()) + 1).round()
    taken = (rank[None] < counts[:, None]).view(-1, *saliency.shape)  # (S, ...)
    taken = taken[:, None] if x.dim() == 3 else taken
    with evaluating(network):
        curves = [scores(network, torch.where(mask, blank, whole)).softmax(1)[:, output] for mask in (taken, ~taken)]
    return Curves(curves[0], curves[1])


def pointing(saliency: Tensor, right: Tensor) -> Pointing:
    """Return how often the most salient of M places is a right one: saliency (n, M), right (n, M) bool.

    The pointing game of Zhang et al. 2018. States without a right place are left out.
    """
    some = right.any(1)
    hits = right.gather(1, saliency.argmax(1, keepdim=True))[some]
    return Pointing(float(hits.float().mean()), float(right[some].float().mean()), int(some.sum()))


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy of the network with new random weights: what a saliency that shows the network must not survive.

    The weight randomisation check of Adebayo et al. 2018. Weights of each tensor are shuffled, so their sizes stay.
    """
    other = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            flat = weight.reshape(-1)
            weight.copy_(flat[torch.randperm(flat.numel(), generator=generator)].view_as(weight))
    return other


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Return Spearman's rank correlation of two saliencies of one shape; 0 if one of them is constant."""
    from scipy.stats import rankdata

    ranks = [torch.as_tensor(rankdata(each.detach().flatten().numpy())) for each in (a, b)]
    first, second = (rank - rank.mean() for rank in ranks)
    length = float(first.norm() * second.norm())
    return float(first @ second) / length if length else 0.0


def blur(images: Tensor, sigma: float) -> Tensor:
    """Return images (B, C, H, W) blurred by a Gaussian of `sigma` pixels, edges repeated."""
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = images.reshape(-1, 1, *images.shape[2:])
    flat = F.conv2d(F.pad(flat, (reach, reach, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel.view(1, 1, -1, 1))
    return flat.view_as(images)


def unit_range(x: Tensor) -> Tensor:
    """Return bytes as floats in 0..1, floats as float32."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.detach().float()


@torch.no_grad()
def _perturbed(
    network: nn.Module, x: Tensor, sigma: float, stride: int, blank: Tensor | None, parts: Tensor | None
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Return the outputs for `x`, (1, K), those without each place, (M, K), and what spreads (M,) over the places."""
    whole = unit_range(x)
    if x.dim() == 3:
        blank = blur(whole[None], 3.0)[0]
        masks, spread = _spots(whole.shape[1:], sigma, stride)
    elif blank is None:
        raise ValueError(f"numbers of shape {tuple(x.shape)} cannot be blurred: give their means as `blank`")
    else:
        each = torch.eye(whole.numel(), dtype=torch.bool).view(-1, *whole.shape) if parts is None else parts
        masks = each.float()

        def spread(values: Tensor) -> Tensor:
            return (values.view(-1, *[1] * whole.dim()) * masks).amax(0)

    changed = []
    with evaluating(network):
        outputs = scores(network, whole[None])
        for at in range(0, len(masks), BATCH):
            mask = masks[at : at + BATCH]
            changed.append(scores(network, whole * (1 - mask) + blank * mask))
    return outputs, torch.cat(changed), spread


def _spots(size: Sequence[int], sigma: float, stride: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return Gaussian masks, (M, 1, H, W), 1 in their middles, and what makes a map of a value for each, (H, W)."""
    height, width = size
    rows, columns = torch.arange(stride // 2, height, stride), torch.arange(stride // 2, width, stride)
    down = torch.exp(-((torch.arange(height)[None] - rows[:, None]) ** 2) / (2 * sigma**2))  # (R, H)
    across = torch.exp(-((torch.arange(width)[None] - columns[:, None]) ** 2) / (2 * sigma**2))  # (C, W)
    masks = (down[:, None, :, None] * across[None, :, None, :]).view(-1, 1, height, width)

    def spread(values: Tensor) -> Tensor:
        coarse = values.view(1, 1, len(rows), len(columns))
        return F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)[0, 0]

    return masks, spread


def _area(curve: Tensor) -> float:
    return float(torch.trapezoid(curve, dx=1 / (len(curve) - 1)))
